"""Batch norm's covariance and tangent kernel against wide networks, plain draws, and what must hold exactly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from similitude.core.errors import KernelError
from similitude.kernels.batch_norm import batch_norm, batch_norm_pair
from similitude.kernels.duals import dual
from similitude.kernels.duals.series import Series

D = torch.float64
RELU = dual(torch.relu)


def inputs(samples: int, seed: int = 0) -> Tensor:
    """Of different lengths and with a common mean, so that the norm has something to do."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 10, dtype=D, generator=generator) / math.sqrt(10)
    return x * torch.linspace(0.5, 2, samples, dtype=D)[:, None] + 0.2 * torch.randn(
        1, 10, dtype=D, generator=torch.Generator().manual_seed(9)
    )


@pytest.mark.parametrize("phi", ["relu", "tanh", "leaky", "none"])
def test_against_wide_networks(phi):
    """Linear, batch norm, activation, readout: mean NNGP and NTK of many networks, within and across two batches."""
    activation = {"relu": nn.ReLU(), "tanh": nn.Tanh(), "leaky": nn.LeakyReLU(0.2), "none": nn.Identity()}[
        phi
    ]
    x, y = inputs(8), inputs(7, seed=1)
    width, nets = 512, 60
    generator = torch.Generator().manual_seed(0)
    grams, tangents = [], []
    for _ in range(nets):
        weight, readout = (
            torch.randn(*shape, dtype=D, generator=generator) for shape in ((10, width), (width,))
        )
        weight.requires_grad_()
        gain, bias = (
            torch.ones(width, dtype=D, requires_grad=True),
            torch.zeros(width, dtype=D, requires_grad=True),
        )
        outputs = []
        hidden = []
        for batch in (x, y):
            h = activation(
                nn.functional.batch_norm(batch @ weight, None, None, gain, bias, training=True, eps=1e-2)
            )
            hidden.append(h.detach())
            outputs.append(h @ readout / math.sqrt(width))
        h = torch.cat(hidden)
        grams.append(h @ h.T / width)
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(o, (weight, gain, bias), retain_graph=True)])
            for o in torch.cat(outputs)
        ]
        J = torch.stack(rows)
        tangents.append(J @ J.T)
    left, right, cross = x @ x.T, y @ y.T, x @ y.T
    options = {"eps": 1e-2, "gain_rate": 1.0, "bias_rate": 1.0}
    own = batch_norm(dual(activation), left, tangent=left, **options)
    pair = batch_norm_pair(dual(activation), left, right, cross, tangent=cross, **options)
    assert own.exact == pair.exact == (phi != "tanh")
    for ours, block in ((own, (slice(8), slice(8))), (pair, (slice(8), slice(8, 15)))):
        assert ours.tangent is not None
        for value, draws in ((ours.covariance, grams), (ours.tangent, tangents)):
            drawn = torch.stack([gram[block] for gram in draws])
            error = drawn.std(0) / math.sqrt(nets)
            assert float(error.max()) < 0.03 * float(value.abs().max())
            off = (value - drawn.mean(0)).abs() / (error + 1e-9)
            # Of 64 entries the largest distance by chance is beyond 3 in one block of six, of four in one of a hundred.
            assert float(off[:2, :2].max()) <= 3
            assert float(off.max()) <= 4


def test_two_samples_are_always_one_and_minus_one():
    K = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=D)
    for function in (torch.relu, torch.tanh, lambda x: x + 0.3 * x**2):
        phi = dual(function)
        up, down = (float(phi(torch.tensor(z, dtype=D))) for z in (1.0, -1.0))
        normed = batch_norm(phi, K, tangent=torch.eye(2, dtype=D), eps=0.0)
        same, apart = (up**2 + down**2) / 2, up * down
        wanted = torch.tensor([[same, apart], [apart, same]], dtype=D)
        assert float((normed.covariance - wanted).abs().max()) < 1e-9
        assert normed.tangent is not None
        assert float(normed.tangent.abs().max()) < 1e-9  # nothing moves them


def test_two_samples_with_eps_against_one_integral():
    """z = x / sqrt(x^2 + eps) for x half the difference: its slope eps / (x^2 + eps)^(3/2), squared and averaged."""
    K = torch.tensor([[2.0, 0.3], [0.3, 1.0]], dtype=D)
    eps, variance = 0.05, (2.0 + 1.0 - 0.6) / 4
    normed = batch_norm(dual(nn.Identity()), K, tangent=K, eps=eps)
    x = torch.linspace(-12, 12, 200001, dtype=D) * math.sqrt(variance)
    density = torch.softmax(-x.square() / (2 * variance), 0)
    second = float((density * x.square() / (x.square() + eps)).sum())
    slope = float((density * eps**2 / (x.square() + eps) ** 3).sum()) * variance
    sign = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=D)
    assert normed.tangent is not None
    assert float((normed.covariance - second * sign).abs().max()) < 1e-11
    assert float((normed.tangent - slope * sign).abs().max()) < 1e-10


def test_three_samples_without_eps_have_no_tangent_kernel():
    x = inputs(3)
    with pytest.raises(KernelError, match="infinite"):
        batch_norm(RELU, x @ x.T, tangent=x @ x.T, eps=0.0)
    assert batch_norm(RELU, x @ x.T, eps=0.0).tangent is None


def test_integrals_are_the_averages_of_draws():
    x, y = inputs(6), inputs(3, seed=1)
    sampled = Series(torch.relu, name="relu by draws", kinks=[0.0])
    T = torch.randn(6, 6, dtype=D, generator=torch.Generator().manual_seed(2))
    options = {"eps": 1e-3, "gain_rate": 0.3, "bias_rate": 0.7}
    exact = batch_norm(RELU, x @ x.T, tangent=T @ T.T, **options)
    drawn = batch_norm(sampled, x @ x.T, tangent=T @ T.T, **options)
    pair = batch_norm_pair(RELU, x @ x.T, y @ y.T, x @ y.T, tangent=T[:, :3], **options)
    drawn_pair = batch_norm_pair(sampled, x @ x.T, y @ y.T, x @ y.T, tangent=T[:, :3], **options)
    assert exact.exact
    assert not drawn.exact
    for ours, theirs in ((exact, drawn), (pair, drawn_pair)):
        assert ours.tangent is not None
        assert theirs.tangent is not None
        assert theirs.tangent_error is not None
        assert float(((ours.covariance - theirs.covariance).abs() / theirs.covariance_error).max()) < 4.5
        assert float(((ours.tangent - theirs.tangent).abs() / theirs.tangent_error).max()) < 4.5
        assert float(theirs.covariance_error.max()) <= 0.003 * float(theirs.covariance.max())


def test_the_variance_of_a_normed_batch_is_one():
    x = inputs(7)
    normed = batch_norm(dual(nn.Identity()), x @ x.T, eps=0.0)
    assert float(normed.covariance.trace()) == pytest.approx(7, abs=1e-11)
    assert float(normed.covariance.sum(0).abs().max()) < 1e-11
    steep = batch_norm(dual(torch.abs), x @ x.T, eps=0.0)
    assert float(steep.covariance.trace()) == pytest.approx(7, abs=1e-11)


def test_neither_scale_nor_mean_of_the_inputs_matters():
    x = inputs(5)
    K = x @ x.T
    T = K + torch.eye(5, dtype=D)
    plain = batch_norm(RELU, K, tangent=T, eps=0.0)
    moved = batch_norm(RELU, 100 * K + 3.0, tangent=100 * T, eps=0.0)
    assert plain.tangent is not None
    assert moved.tangent is not None
    assert float((plain.covariance - moved.covariance).abs().max()) < 1e-11
    assert float((plain.tangent - moved.tangent).abs().max()) < 1e-11


def test_two_batches_that_are_one_differ_from_their_samples_by_no_statistics():
    """The same batch twice has the same statistics twice: the integral over two radii falls to that over one."""
    x = inputs(3)
    K = x @ x.T
    one = batch_norm(RELU, K, tangent=K, eps=1e-2)
    two = batch_norm_pair(RELU, K, K, K, tangent=K, eps=1e-2)
    assert one.tangent is not None
    assert two.tangent is not None
    assert float((one.covariance - two.covariance).abs().max()) < 1e-7
    assert float((one.tangent - two.tangent).abs().max()) < 1e-6


def test_large_batches_average_themselves():
    """n -> infinity: statistics are what they are expected to be, and the norm divides by a number."""
    x = torch.randn(150, 400, dtype=D, generator=torch.Generator().manual_seed(0)) / 20
    K = x @ x.T
    normed = batch_norm(RELU, K, eps=0.0).covariance
    centred = K - K.mean(0) - K.mean(1)[:, None] + K.mean()
    scaled = centred * 150 / centred.trace()
    q = scaled.diagonal()
    gap = (normed - RELU.covariance(scaled, q[:, None], q[None])).abs().max()
    assert 0 < float(gap) < 0.02


@pytest.mark.parametrize(
    ("covariance", "eps", "words"),
    [
        (torch.ones(1, 1, dtype=D), 1e-5, "batch of two"),
        (torch.ones(3, 3, dtype=D), 0.0, "does not vary"),
    ],
)
def test_batches_without_a_variance_are_refused(covariance, eps, words):
    with pytest.raises(KernelError, match=words):
        batch_norm(RELU, covariance, eps=eps)
    with pytest.raises(KernelError, match=words):
        batch_norm_pair(RELU, covariance, covariance, covariance, eps=eps)
