"""The neural tangent limit of entrywise optimizers: closed forms, networks simulated in plain numpy, invariances."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from limit_nets import CHI, TARGETS, adam, family, inputs, last, signed, tangent_net
from torch import nn

import similitude as sim
from similitude.core.errors import TheoryError
from similitude.core.verdict import Outcome
from similitude.theory.adaptive_limits import comparison
from similitude.theory.adaptive_limits.entrywise import Adaptive, Momentum
from similitude.theory.adaptive_limits.kets import covariances, sampled_kets, sobol_normal
from similitude.theory.adaptive_limits.perceptron import read_perceptron

X = inputs()
SIGN = Adaptive((0.0, 0.0), eps=0.1, inside=True)
ADAM = Adaptive((0.9, 0.95), eps=0.05, inside=True)


def kernel(hidden=1, optimizer: object = SIGN, nonlinearity=nn.Tanh, **options):
    return sim.theory.nonlinear_kernel(
        family(hidden, nonlinearity=nonlinearity), optimizer=optimizer, **options
    )


def far(a, b):
    """Largest difference over the size of what is expected."""
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max())


def _arccos(x, depth):
    """The tangent kernel of a deep ReLU net by its recursion, weights of variance 1, as Cho and Saul have it."""
    k = x @ x.T
    theta = k.copy()
    for _ in range(depth):
        size = np.sqrt(np.outer(np.diag(k), np.diag(k)))
        angle = np.arccos(np.clip(k / size, -1, 1))
        slope = (np.pi - angle) / (2 * np.pi)
        k = size * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
        theta = theta * slope + k
    return theta


@pytest.mark.parametrize("hidden", [1, 2, 4])
def test_sgd_has_the_tangent_kernel(hidden):
    found = kernel(hidden, "sgd", nn.ReLU)
    assert far(found.ntk(X), _arccos(X, hidden)) < 1e-12
    assert far(found.update(X, CHI).value, _arccos(X, hidden) @ CHI) < 1e-12


@pytest.mark.parametrize("nonlinearity", [nn.Tanh, nn.ReLU, nn.GELU])
@pytest.mark.parametrize("hidden", [1, 3])
def test_draws_of_the_kets_give_the_tangent_kernel_too(hidden, nonlinearity):
    net, x = read_perceptron(family(hidden, nonlinearity=nonlinearity)), torch.from_numpy(X)
    found = covariances(net, x)
    kets = sampled_kets(net, x, found, samples=2**14, seed=0)
    chi = torch.from_numpy(CHI)
    blocks = kets.response(kets.gradients(chi))
    off = (blocks.mean(0) - torch.from_numpy(found.ntk @ CHI)).abs()
    assert float(off.max()) < 0.01 * np.abs(found.ntk).max() * np.abs(CHI).sum()
    assert (off < 6 * blocks.std(0) / len(blocks) ** 0.5).all()


def test_momentum_is_the_tangent_kernel_of_the_buffer():
    found = kernel(2, partial(torch.optim.SGD, momentum=0.5))
    history = np.stack([CHI, -2 * CHI, 0.3 * TARGETS])
    buffer = 0.25 * history[0] + 0.5 * history[1] + history[2]
    assert far(found.update(X, history).value, found.ntk(X).numpy() @ buffer) < 1e-12


def test_a_sign_of_one_input_in_closed_form():
    """ReLU: |dh| has mean 1/2 sqrt(2/pi) and x^l likewise, whatever the error."""
    x = np.array([[0.6, -0.2, 0.0, 1.1]])
    for chi in (1e-6, 3.0):
        found = kernel(1, "sign", nn.ReLU).update(x, [chi])
        readout = np.linalg.norm(x) / math.sqrt(2 * math.pi)
        first = np.abs(x).sum() * 0.5 * math.sqrt(2 / math.pi)
        assert float(found.value) == pytest.approx(readout + first, rel=2e-3)
    second = kernel(2, "sign", nn.ReLU).update(x, [1.0])
    hidden = np.linalg.norm(x) / math.sqrt(2 * math.pi)
    expected = hidden * 0.5 * math.sqrt(2 / math.pi)  # E|dh^2| E|x^1|, independent
    expected += (
        np.linalg.norm(x) / math.sqrt(2) / math.sqrt(2 * math.pi)
    )  # readout: h^2 has half the variance
    expected += np.abs(x).sum() * 0.5 * math.sqrt(2 / math.pi) * math.sqrt(0.5)  # dx^1 has variance 1/2
    assert float(second.value) == pytest.approx(expected, rel=4e-3)


@pytest.mark.parametrize(("hidden", "widths"), [(1, (2048, 12)), (2, (512, 12))])
@pytest.mark.parametrize(
    ("update", "rule"),
    [(last, Momentum()), (signed(0.5), Adaptive((0, 0), 0.5, inside=True)), (signed(0.1), SIGN)],
)
def test_one_step_is_that_of_wide_networks(hidden, widths, update, rule):
    """Claim 1 of the sheet, in networks written out with their multipliers."""
    width, seeds = widths
    steps = [
        tangent_net(X, width, hidden, update, lambda f: CHI, lr=1e-3, steps=1, seed=s) for s in range(seeds)
    ]
    measured = -np.mean([f[1] - f[0] for f in steps], axis=0) / 1e-3
    assert far(measured, kernel(hidden, rule).update(X, CHI).value) < 0.05


def test_another_hidden_exponent_is_told_from_the_right_one():
    f = tangent_net(X, 256, 2, signed(0.1), lambda f: CHI, lr=1e-3, steps=1, seed=0, c_hidden=0.5)
    assert far(-(f[1] - f[0]) / 1e-3, kernel(2).update(X, CHI).value) > 2


@pytest.mark.parametrize(("hidden", "expected"), [(1, 0.476), (2, 0.473)])
def test_the_kernel_is_not_linear(hidden, expected):
    """Claim 2 of the sheet."""
    found = kernel(hidden)
    one, two = (found.update(X, scale * CHI).value for scale in (1, 2))
    assert float((two - 2 * one).norm() / (2 * one).norm()) == pytest.approx(expected, abs=0.003)
    flat = kernel(hidden, "sgd")
    assert torch.allclose(flat.update(X, 2 * CHI).value, 2 * flat.update(X, CHI).value, rtol=1e-12)


def test_a_batch_of_one_knows_the_sign_alone():
    found = kernel(1, "sign")
    small, large = (found.update(X, [chi, 0.0, 0.0]).value for chi in (0.3, 2.5))
    assert torch.equal(small, large)
    assert torch.allclose(found.update(X, [-1.0, 0.0, 0.0]).value, -large, rtol=1e-12)


def test_the_update_is_odd_and_repeated_inputs_are_one():
    found = kernel(2)
    assert torch.allclose(found.update(X, -CHI).value, -found.update(X, CHI).value, rtol=1e-12)
    twice = np.concatenate([X, X[:1]])
    halved = found.update(twice, [CHI[0] / 2, CHI[1], CHI[2], CHI[0] / 2])
    assert float(halved.value[3]) == pytest.approx(float(halved.value[0]), rel=1e-12)
    assert far(halved.value[:3], found.update(X, CHI).value) < 3e-3


def test_the_error_is_the_spread_over_seeds():
    updates = [kernel(2, samples=2**10, seed=s).update(X, CHI) for s in range(12)]
    spread = torch.stack([u.value for u in updates]).std(0)
    said = torch.stack([u.error for u in updates]).mean(0)
    assert ((said / spread > 0.5) & (said / spread < 2)).all()


def test_a_step_of_the_trajectory_is_the_update_of_its_history():
    found = kernel(2, ADAM, samples=2**10)
    run = found.trajectory(X, TARGETS, steps=4, lr=0.1, start=CHI)
    history = run.outputs[:3] - torch.from_numpy(TARGETS)
    step = (run.outputs[2] - run.outputs[3]) / 0.1
    assert torch.allclose(step, found.update(X, history).value, rtol=1e-9)
    assert torch.equal(run.outputs[0], torch.from_numpy(CHI))
    assert run.error > 0


def test_adam_trains_as_a_wide_network_does():
    """Claim 3 of the sheet at one width: networks written out, Adam as a sum over its past."""
    run = partial(tangent_net, X, 4096, 1, adam(), lambda f: f - TARGETS, lr=0.05, steps=15)
    found = kernel(1, ADAM)
    off = []
    for seed in range(3):
        f = run(seed=seed)
        limit = found.trajectory(X, TARGETS, steps=15, lr=0.05, start=f[0])
        off.append(np.abs(f - limit.outputs.numpy()).max())
    assert np.mean(off) < 0.02
    plain = kernel(1, "sgd").trajectory(X, TARGETS, steps=15, lr=0.05, start=f[0])
    assert np.abs(f - plain.outputs.numpy()).max() > 0.1


def test_networks_come_to_the_limit_with_the_width():
    rule = Adaptive((0.0, 0.9), eps=0.1, corrected=False)  # as RMSprop
    found = kernel(1, rule, samples=2**12).compare(
        X, TARGETS, widths=(64, 512, 4096), steps=5, lr=0.02, seeds=12
    )
    assert found.verdict.outcome is Outcome.CONSISTENT
    assert found.slope.value == pytest.approx(-0.5, abs=0.12)
    assert found.kernel_slope.value < -0.6
    assert found.limit_error < 0.5 * found.deviations[-1].mean()
    assert "n^-0." in str(found)
    found.raise_if_bad()


def test_a_wrong_table_is_found_inconsistent(monkeypatch):
    right = comparison.table
    monkeypatch.setattr(
        comparison, "table", lambda net, name: right(net, name).slower(-0.5, roles=["hidden"])
    )
    found = kernel(2).compare(X, TARGETS, widths=(64, 256, 512), steps=2, lr=0.01, seeds=4)
    assert found.verdict.outcome is Outcome.INCONSISTENT


def test_one_width_says_nothing_and_few_draws_are_too_few():
    one = kernel(1).compare(X, TARGETS, widths=(64,), steps=2, lr=0.05, seeds=2)
    assert one.verdict.outcome is Outcome.CANNOT_TELL
    assert one.slope is None
    few = kernel(1, samples=8).compare(X, TARGETS, widths=(512, 2048), steps=5, lr=0.1, seeds=3)
    assert few.verdict.outcome is Outcome.TOO_NOISY
    assert "limit's own error" in few.verdict.summary


def test_another_loss_is_its_chi():
    found = kernel(1, "sgd")
    logistic = found.trajectory(
        X, [1.0, -1.0, 1.0], steps=2, lr=0.5, chi=lambda f, y: -y * torch.sigmoid(-y * f)
    )
    y = np.array([1.0, -1.0, 1.0])
    expected = 0.5 * found.ntk(X).numpy() @ (y / 2)
    assert far(logistic.outputs[1], expected) < 1e-12


def test_bad_input_is_told():
    found = kernel(1)
    with pytest.raises(TheoryError, match=r"inputs have shape .3, 5.: pass shape .inputs, 4."):
        found.update(np.ones((3, 5)), CHI)
    with pytest.raises(TheoryError, match=r"history has shape .1, 2.: pass one number for each of the 3"):
        found.update(X, CHI[:2])
    with pytest.raises(TheoryError, match="history is empty"):
        found.update(X, np.ones((0, 3)))
    with pytest.raises(TheoryError, match="not finite"):
        found.trajectory(X, [1.0, math.nan, 0.0], steps=2, lr=0.1)
    with pytest.raises(TheoryError, match="lr=0: pass"):
        found.trajectory(X, TARGETS, steps=2, lr=0)
    with pytest.raises(TheoryError, match="diverges in step"):
        kernel(1, "sgd").trajectory(X, TARGETS, steps=2000, lr=5.0)
    with pytest.raises(TheoryError, match="a network of width 64 diverges"):
        kernel(1, "sgd").compare(X, TARGETS, widths=(64,), steps=1000, lr=50.0)
    with pytest.raises(TheoryError, match=r"targets have shape .2, 3."):
        found.trajectory(X, np.stack([TARGETS, TARGETS]), steps=2, lr=0.1)
    with pytest.raises(TheoryError, match=r"start have shape .2, 3."):
        found.trajectory(X, TARGETS, steps=2, lr=0.1, start=np.zeros((2, 3)))
    with pytest.raises(TheoryError, match=r"chi gives shape .. for outputs of shape .3,."):
        found.trajectory(X, TARGETS, steps=2, lr=0.1, chi=lambda f, y: (f - y).sum())
    with pytest.raises(TheoryError, match="chi gives a float"):
        found.compare(X, TARGETS, widths=(8,), steps=2, lr=0.1, chi=lambda f, y: 1.0)
    with pytest.raises(TheoryError, match="widths=64 is one number"):
        found.compare(X, TARGETS, widths=64, steps=1, lr=0.1)
    with pytest.raises(TheoryError, match="widths is empty"):
        found.compare(X, TARGETS, widths=(), steps=1, lr=0.1)
    with pytest.raises(TheoryError, match="samples=4"):
        kernel(1, samples=4)
    with pytest.raises(TheoryError, match="22000 dimensions"):
        sobol_normal(22000, 2, seed=0)


@pytest.mark.filterwarnings("error")
def test_zero_inputs_and_odd_scales_are_no_trouble():
    rng = np.random.default_rng(0)
    found = [kernel(2, rule, samples=64) for rule in ("sign", "adam", "sgd")]
    for _ in range(40):
        x = rng.normal(size=(int(rng.integers(1, 6)), 4)) * 10 ** rng.uniform(-3, 2)
        x[rng.random(len(x)) < 0.3] = 0
        chi = rng.normal(size=len(x)) * 10 ** rng.uniform(-6, 6)
        for one in found:
            got = one.update(x, chi)
            assert torch.isfinite(got.value).all()
            at_zero = got.value[torch.from_numpy((x == 0).all(1))]
            assert (at_zero.abs() <= 1e-12 * np.abs(chi).max()).all()


def test_without_deviations_there_is_no_exponent():
    found = kernel(1, "sgd").compare(np.zeros((3, 4)), TARGETS, widths=(8, 32), steps=2, lr=0.1, seeds=2)
    assert found.verdict.outcome is Outcome.CANNOT_TELL
    assert "a width has none at all" in found.verdict.summary
