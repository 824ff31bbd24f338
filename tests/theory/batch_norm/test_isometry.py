"""Gaps against eigenvalues, Haar matrices against their moments, and the construction's isometry and gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from similitude.core.errors import TheoryError
from similitude.theory.batch_norm.gaps import isometry_gap, isometry_rate, orthogonality_gap
from similitude.theory.batch_norm.network import RowNorm, batch_norm_net
from similitude.theory.batch_norm.orthogonal import haar_orthogonal, orthogonal_
from similitude.theory.batch_norm.rank import rank_condition


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 7), st.integers(2, 7), st.integers(0, 10**6), st.floats(1e-200, 1e150))
def test_gaps_are_those_of_dense_gram_matrices(d, n, seed, scale):
    x = drawn(d, n, seed=seed)
    small = (x @ x.T if d <= n else x.T @ x).numpy()
    values = np.linalg.eigvalsh(small)
    expected = math.log(values.mean()) - np.log(values).mean()
    assert isometry_gap(scale * x) == pytest.approx(expected, rel=1e-4, abs=1e-9)
    samples = (x.T @ x).numpy()
    gap = np.linalg.norm(samples / np.trace(samples) - np.eye(n) / n)
    assert orthogonality_gap(scale * x) == pytest.approx(gap, rel=1e-6, abs=1e-7)


def test_a_matrix_without_full_rank_has_an_infinite_gap():
    assert isometry_gap(torch.ones(3, 4)) == math.inf
    assert isometry_gap(drawn(5, 2) @ drawn(2, 5)) == math.inf


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.ones(3), "shape (3,)"),
        ([[1.0]], "type list"),
        (torch.tensor([[math.nan]]), "not finite"),
        (torch.zeros(2, 2), "is zero"),
    ],
)
def test_what_has_no_gap_is_explained(x, words):
    with pytest.raises(TheoryError) as error:
        isometry_gap(x)
    assert words in str(error.value)


@pytest.mark.filterwarnings("error")
def test_any_batch_has_gaps_and_a_rank_or_is_refused():
    """Every precision, sizes over sixty orders, rows of zeros, equal samples, nan."""
    rng, measured, texts = np.random.default_rng(0), 0, []
    for _ in range(400):
        samples, features = rng.integers(1, 9, 2)
        dtype = (torch.float64, torch.float32, torch.bfloat16, torch.float16)[rng.integers(4)]
        x = torch.tensor(rng.standard_normal((samples, features)) * 10 ** rng.uniform(-30, 30))
        if (kind := rng.integers(5)) == 0:
            x[rng.integers(samples)] = 0
        elif kind == 1:
            x[:] = x[:1].clone()
        elif kind == 2:
            x[0, 0] = math.nan
        x = x.to(dtype)
        for call in (isometry_gap, orthogonality_gap, lambda x: rank_condition(x, 5, centred=True).rate):
            try:
                assert call(x) >= 0
                measured += 1
            except TheoryError as error:
                texts.append(str(error))
    assert measured > 400
    assert min(map(len, texts)) > 40


def test_haar_matrices_have_the_moments_of_the_even_distribution():
    """Entries have fourth moment 3 / (d (d + 2)); without the signs of R their mean would not vanish."""
    generator = torch.Generator().manual_seed(0)
    many = torch.stack([haar_orthogonal(4, generator=generator) for _ in range(4000)])
    assert torch.allclose(many.mT @ many, torch.eye(4, dtype=torch.float64), atol=1e-12)
    assert float(many.mean(0).abs().max()) < 4 * 0.5 / math.sqrt(4000)
    assert float((many**4).mean()) == pytest.approx(3 / 24, rel=0.03)


@pytest.mark.parametrize("kernel", ["centre", "flat"])
def test_weights_become_orthogonal_and_the_rest_stays(kernel):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 5))
    bias, running = net[3].bias.clone(), net[1].weight.clone()
    orthogonal_(net, kernel=kernel)
    for weight in (net[0].weight, net[3].weight):
        matrix = weight.detach().flatten(1)
        assert isometry_gap(matrix[:, matrix.any(0)]) < 1e-5
    assert torch.equal(net[3].bias, bias)
    assert torch.equal(net[1].weight, running)


def test_a_convolution_with_an_orthogonal_centre_keeps_every_image():
    conv = orthogonal_(nn.Conv2d(4, 4, 3, padding=1, bias=False, dtype=torch.float64))
    x = drawn(2, 4, 5, 5)
    assert torch.allclose(conv(x).square().sum(), x.square().sum())


def test_what_cannot_be_orthogonal_is_explained():
    with pytest.raises(TheoryError, match="no weight"):
        orthogonal_(nn.ReLU())
    with pytest.raises(TheoryError, match="no shape yet"):
        orthogonal_(nn.LazyLinear(3))
    with pytest.raises(TheoryError, match="kernel='odd'"):
        orthogonal_(nn.Linear(2, 2), kernel="odd")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3, 2)])
@pytest.mark.parametrize("centred", [True, False])
def test_row_norm_is_the_batch_norm_of_torch(shape, centred):
    x = drawn(*shape) + 0.3
    if centred:
        layer = (
            nn.BatchNorm1d(4, eps=1e-12, affine=False)
            if len(shape) == 2
            else nn.BatchNorm2d(4, eps=1e-12, affine=False)
        )
        assert torch.allclose(RowNorm(centred=True)(x), layer.double()(x))
    else:
        rows = RowNorm()(x).movedim(1, 0).flatten(1)
        assert torch.allclose(rows.square().mean(1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("options", [{}, {"convolution": 3}])
def test_the_gap_shrinks_at_its_rate_in_the_construction(options):
    """Near isometry, ten layers of the built network, in the mean over 24 seeds."""
    width, layers, ratios = 8, 10, []
    for seed in range(24):
        x = torch.linalg.qr(drawn(64, width, seed=seed))[0] + 1e-4 * drawn(64, width, seed=seed + 99)
        x = RowNorm()(x)
        before = isometry_gap(x)
        x = x.reshape(4, 4, 4, width).movedim(-1, 1) if options else x
        net = batch_norm_net(width, 2, width=width, depth=layers, seed=seed, dtype=torch.float64, **options)
        with torch.no_grad():
            out = net[: 2 * layers](x)
        ratios.append(isometry_gap(out.movedim(1, -1).reshape(-1, width)) / before)
    error = np.std(ratios, ddof=1) / math.sqrt(len(ratios))
    assert abs(np.mean(ratios) - isometry_rate(width) ** layers) < 3 * error


def test_gradients_are_flat_for_orthogonal_weights_alone():
    def first(depth, weights):
        net = batch_norm_net(24, 4, width=24, depth=depth, weights=weights, dtype=torch.float64)
        (g,) = torch.autograd.grad(net(drawn(24, 24)).square().sum(1)[:3].sum(), net[0].weight)
        return math.log(float(g.norm()))

    assert abs(first(220, "orthogonal") - first(60, "orthogonal")) / 160 < 3e-3
    assert (first(220, "gaussian") - first(60, "gaussian")) / 160 > 8e-3


def test_bad_networks_are_explained():
    with pytest.raises(TheoryError, match="even size"):
        batch_norm_net(3, 2, width=4, depth=2, convolution=2)
    with pytest.raises(TheoryError, match="weights='uniform'"):
        batch_norm_net(3, 2, width=4, depth=2, weights="uniform")  # type: ignore[arg-type]
    with pytest.raises(TheoryError, match="depth=0"):
        batch_norm_net(3, 2, width=4, depth=0)
