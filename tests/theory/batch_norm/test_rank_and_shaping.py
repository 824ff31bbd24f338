"""The rank condition and its rates against networks; shaped activations and the chooser against what networks do."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from similitude.core.errors import TheoryError
from similitude.core.verdict import Outcome
from similitude.theory.batch_norm.network import batch_norm_net
from similitude.theory.batch_norm.rank import gradient_rate, rank_condition
from similitude.theory.batch_norm.shaping import ShapedActivation, choose_shaping, gain_rate


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def chain_rate(width, rank, *, layers=300, seed=0):
    """Growth of a vector carried backwards through normalised Haar layers, written out by hand in NumPy."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((width, rank))
    steps = []
    for _ in range(layers):
        q, r = np.linalg.qr(rng.standard_normal((width, width)))
        w = q * np.sign(np.diag(r))
        z = w @ x
        size = np.sqrt((z**2).mean(1, keepdims=True))
        x = z / size
        steps.append((w, size, x))
    v, logs = rng.standard_normal((width, rank)), []
    for w, size, x in reversed(steps[40:]):
        v = w.T @ ((v - x * (v * x).mean(1, keepdims=True)) / size)
        logs.append(math.log(np.linalg.norm(v)))
        v /= np.linalg.norm(v)
    return float(np.mean(logs[80:]))


@pytest.mark.parametrize(("width", "rank"), [(24, 12), (24, 6), (40, 16)])
def test_growth_at_short_rank_is_as_predicted(width, rank):
    measured = np.mean([chain_rate(width, rank, seed=s) for s in range(3)])
    assert measured == pytest.approx(gradient_rate(rank, width), rel=0.25)


def test_rates_have_their_limits():
    assert gradient_rate(30, 30) == 0
    assert gradient_rate(8, 10**9) == pytest.approx(gradient_rate(8, 10**9, weights="gaussian"), rel=1e-6)
    assert gradient_rate(2, 30) == math.inf
    rates = [gradient_rate(r, 30) for r in range(3, 31)]
    assert rates == sorted(rates, reverse=True)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 12), st.booleans(), st.integers(0, 10**6))
def test_ranks_are_those_of_numpy(samples, features, rank, centred, seed):
    rank = min(rank, samples, features)
    x = drawn(samples, rank, seed=seed) @ drawn(rank, features, seed=seed + 1)
    rows = x - x.mean(0) if centred else x
    expected = np.linalg.matrix_rank(rows.numpy(), tol=1e-7 * np.linalg.norm(rows.numpy(), 2))
    found = rank_condition(x, 12, centred=centred)
    assert found.rank == expected
    assert found.enough == (expected >= 0.9 * 12)


def test_the_warning_says_what_to_do():
    few = rank_condition(drawn(20, 50), 48)
    assert few.verdict.outcome is Outcome.GROWS
    assert "batch of at least 48" in few.verdict.next
    flat = rank_condition(drawn(90, 10) @ drawn(10, 50), 48)
    assert "span 10 directions" in flat.verdict.causes[0]
    assert "batch" not in flat.verdict.next
    assert flat.growth(20) == pytest.approx(math.exp(20 * flat.rate))


def test_two_equal_samples_do_not_raise_it():
    x = drawn(50, 50)
    x[1] = x[0]
    found = rank_condition(x, 50)
    assert found.rank == 49
    assert found.enough


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (torch.ones(1, 4), "two samples"),
        ([1.0], "type list"),
        (torch.ones(3, 2, dtype=torch.int64), "torch.int64"),
        (torch.ones(3, 2) * math.inf, "not finite"),
    ],
)
def test_bad_batches_are_explained(batch, words):
    with pytest.raises(TheoryError, match=words):
        rank_condition(batch, 4)


def test_equal_samples_without_their_mean_are_explained():
    with pytest.raises(TheoryError, match="all samples are equal"):
        rank_condition(torch.ones(5, 3), 3, centred=True)


def test_bad_rates_are_explained():
    with pytest.raises(TheoryError, match="rank=5 is above width=4"):
        gradient_rate(5, 4)
    with pytest.raises(TheoryError, match="weights='x'"):
        gradient_rate(3, 4, weights="x")  # type: ignore[arg-type]


def test_relu_cannot_be_shaped():
    with pytest.raises(TheoryError, match="the next batch norm cancels any gain"):
        ShapedActivation(torch.relu, layer=3)
    with pytest.raises(TheoryError, match="as of ReLU"):
        choose_shaping(torch.nn.functional.leaky_relu, 10)
    assert torch.equal(ShapedActivation(torch.relu, layer=3, exponent=0)(drawn(4)), drawn(4).relu())


def test_growth_falls_with_the_gain_and_is_that_of_networks():
    """The chain that is carried backwards grows as the gradient of a network's first layer does with depth."""
    rates = [np.mean([gain_rate(torch.tanh, g, width=24, seed=s) for s in range(3)]) for g in (1.0, 0.5)]
    assert rates[0] > 2 * rates[1] > 0

    def first(depth, seed):
        net = batch_norm_net(
            24, 4, width=24, depth=depth, activation=torch.tanh, exponent=0, seed=seed, dtype=torch.float64
        )
        (g,) = torch.autograd.grad(net(drawn(24, 24)).square()[:3].sum(), net[0].weight)
        return math.log(float(g.norm()))

    slope = np.mean([(first(140, s) - first(60, s)) / 80 for s in range(3)])
    assert slope == pytest.approx(rates[0], rel=0.25)


def test_the_chooser_asks_for_more_where_less_growth_is_wanted():
    loose = choose_shaping(torch.tanh, 200, growth=3.0, width=16)
    tight = choose_shaping(torch.tanh, 200, growth=0.5, width=16)
    assert 0 < loose.exponent < tight.exponent
    assert tight.growth <= 0.5 < loose.growth <= 3
    with pytest.raises(TheoryError, match="even with exponent 1"):
        choose_shaping(torch.tanh, 200, growth=1e-3, width=16, seeds=1)
