"""The infinitely wide linear residual network against finite ones, closed forms, and itself at larger depths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from similitude.core.errors import PlanError
from similitude.theory.linear_resnet import linear_resnet_limit

STEPS, FEATURES = 6, 3


def task(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    xi = rng.standard_normal((STEPS, FEATURES))
    return xi / np.linalg.norm(xi, axis=1, keepdims=True), rng.standard_normal(STEPS)


def finite(xi, y, *, depth: int, width: int, lr: float, multiplier: float = 1.0, seeds: int, first: int = 0):
    """Outputs of real networks trained by autograd, shape (seeds, steps), and the stream before the first step."""
    g = torch.Generator().manual_seed(first)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    stem, readout = draw(seeds, width, FEATURES), draw(seeds, width) / width
    weights = (draw(depth, seeds, width, width) / width**0.5).requires_grad_()
    xs, c = torch.from_numpy(xi), multiplier / depth**0.5
    outputs, sizes = [], []
    for t in range(len(y)):
        x = stem @ xs[t]
        stream = [x]
        for weight in weights:
            x = x + c * torch.einsum("snm,sm->sn", weight, x)
            stream.append(x)
        f = (readout * x).sum(1)
        outputs.append(f.detach().numpy())
        sizes.append([float(v.detach().square().mean().sqrt()) for v in stream])
        (gradient,) = torch.autograd.grad(((f - y[t]) ** 2 / 2).sum(), weights)
        with torch.no_grad():
            weights -= lr * gradient  # of spectral size 1 with a readout / n: the rate of muP
    return np.stack(outputs, 1), np.array(sizes)


def test_finite_networks_come_to_the_limit():
    xi, y = task()
    limit = linear_resnet_limit(xi, y, depth=4, lr=0.5).outputs
    errors = []
    for width, seeds in ((32, 64), (128, 16)):
        outputs, _ = finite(xi, y, depth=4, width=width, lr=0.5, seeds=seeds)
        errors.append(np.abs(outputs - limit).mean())
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.35)  # as 1 / sqrt(width)


@pytest.mark.slow
def test_the_mean_over_seeds_is_off_by_one_over_width():
    xi, y = task()
    limit = linear_resnet_limit(xi, y, depth=3, lr=0.4).outputs
    scaled, errors = [], []
    for width, seeds in ((16, 6000), (48, 3000)):
        outputs, _ = finite(xi, y, depth=3, width=width, lr=0.4, seeds=seeds)
        scaled.append(width * (outputs.mean(0) - limit))
        errors.append(width * outputs.std(0) / math.sqrt(seeds))
    chance = np.hypot(*errors)
    assert (np.abs(scaled[1]) > 5 * errors[1]).any()  # there is a bias to speak of
    assert (np.abs(scaled[0] - scaled[1]) < 4 * chance + 0.15 * np.abs(scaled[1]).max()).all()


def test_the_stream_has_the_size_of_finite_networks():
    xi, y = task()
    limit = linear_resnet_limit(xi, y, depth=4, lr=0.5, multiplier=0.8)
    _, sizes = finite(xi, y, depth=4, width=256, lr=0.5, multiplier=0.8, seeds=8)
    assert limit.rms == pytest.approx(sizes, rel=0.06)
    assert limit.rms[0] == pytest.approx(np.linalg.norm(xi[0]) * (1 + 0.64 / 4) ** (np.arange(5) / 2))


def test_the_first_step_is_that_of_the_tangent_kernel():
    """f_1 = lr y_0 <xi_0, xi_1> a^2 (1 + a^2 / L)^(L - 1), and a^2 exp(a^2) at infinite depth."""
    xi, y = task(1)
    overlap, a, lr = xi[0] @ xi[1], 1.3, 0.4
    for depth in (1, 2, 5, 40):
        f = linear_resnet_limit(xi, y, depth=depth, lr=lr, multiplier=a).outputs
        assert f[0] == 0
        assert f[1] == pytest.approx(
            lr * y[0] * overlap * a**2 * (1 + a**2 / depth) ** (depth - 1), rel=1e-12
        )
    deep = linear_resnet_limit(xi[:2], y[:2], depth=400, lr=lr, multiplier=a).outputs[1]
    assert deep == pytest.approx(lr * y[0] * overlap * a**2 * math.exp(a**2), rel=0.01)


def test_deep_networks_come_to_a_limit_as_one_over_depth():
    xi, y = task()
    outputs = [linear_resnet_limit(xi, y, depth=depth, lr=0.3).outputs for depth in (8, 16, 32, 64)]
    changes = [np.abs(b - a).max() for a, b in itertools.pairwise(outputs)]
    assert changes[0] / changes[1] == pytest.approx(2, rel=0.2)
    assert changes[1] / changes[2] == pytest.approx(2, rel=0.1)


def test_nothing_moves_without_a_rate():
    xi, y = task()
    still = linear_resnet_limit(xi, y, depth=3, lr=0.0)
    assert not still.outputs.any()
    assert still.rms == pytest.approx(np.outer(np.linalg.norm(xi, axis=1), (4 / 3) ** (np.arange(4) / 2)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [1.0]}, r"xi has shape \(6, 3\) and y \(1,\)"),
        ({"depth": 0}, "depth=0: pass the number of branches"),
        ({"lr": -1.0}, "lr=-1.0, multiplier=1.0"),
        ({"multiplier": math.inf}, "not a finite number"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    xi, y = task()
    given = {"y": y, "depth": 2, "lr": 0.1, "multiplier": 1.0, **change}
    with pytest.raises(PlanError, match=message):
        linear_resnet_limit(xi, given.pop("y"), **given)
