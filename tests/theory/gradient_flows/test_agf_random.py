"""Thousands of random problems of every instance: no warning, no rising loss, and ends that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.theory import (
    AlternatingGradientFlow,
    diagonal_linear,
    linear,
    linear_transformer,
    modular_addition,
    two_layer_problem,
)

pytestmark = pytest.mark.filterwarnings("error")
many = pytest.mark.parametrize("cases", [300, pytest.param(3000, marks=pytest.mark.slow)])


def falls(stairs):
    """Whether a staircase is finite, and goes down in time."""
    levels = stairs.levels / max(stairs.levels[0], 1e-300)
    return bool(
        np.isfinite(stairs.times).all()
        and (np.diff(stairs.times) >= 0).all()
        and (np.diff(levels) <= 1e-6).all()
    )


def regression(rng, outputs=1, most=5):
    """Inputs and targets over several orders of size, some of low rank."""
    n, d = (int(k) for k in rng.integers(1, most + 1, size=2))
    X = rng.standard_normal((n, d)) * 10 ** rng.uniform(-2, 2, size=d)
    if rng.random() < 0.3:
        X[:, -1] = X[:, 0]
    return X, rng.standard_normal((n, outputs)) * 10 ** rng.uniform(-3, 3)


def code(rng, most=7):
    """A code of numbers with mean 0, some of a single 1."""
    p = int(rng.integers(3, most + 1))
    made = np.eye(p)[0] if rng.random() < 0.3 else rng.standard_normal(p) * 10 ** rng.uniform(-1, 1)
    return made - made.mean()


def variances(rng, most=3):
    spectrum = 10 ** rng.uniform(-1.5, 1.5, size=int(rng.integers(1, most + 1)))
    if len(spectrum) > 1 and rng.random() < 0.4:
        spectrum[-1] = spectrum[0] if rng.random() < 0.5 else 0.0
    O = np.linalg.qr(rng.standard_normal((len(spectrum),) * 2))[0]
    return O @ np.diag(spectrum) @ O.T


def seed_of(rng):
    return int(rng.integers(1 << 30))


@many
def test_diagonal_linear_networks_end_at_least_squares(cases):
    rng = np.random.default_rng(7)
    for _ in range(cases):
        X, Y = regression(rng)
        stairs = diagonal_linear(X, Y[:, 0], alpha=10 ** rng.uniform(-140, -1)).limit()
        rest = Y[:, 0] - X @ np.linalg.lstsq(X, Y[:, 0])[0]
        assert falls(stairs)
        assert stairs.levels[-1] == pytest.approx(np.mean(rest**2) / 2, abs=1e-9 * stairs.levels[0])


@many
def test_linear_networks_end_at_least_squares(cases):
    rng = np.random.default_rng(8)
    for _ in range(cases):
        X, Y = regression(rng, outputs=int(rng.integers(1, 5)))
        n = len(X)
        stairs = linear(X.T @ X / n, Y.T @ X / n, alpha=10 ** rng.uniform(-140, -1)).limit()
        explained = np.sum((X @ np.linalg.lstsq(X, Y)[0]) ** 2) / (2 * n)
        for found in (stairs, stairs.alternative):
            if found is not None:
                assert falls(found)
                assert found.levels[0] == pytest.approx(explained, rel=1e-6)
                assert found.levels[-1] == pytest.approx(0, abs=1e-9 * explained)


@many
def test_transformers_have_the_levels_of_their_loss(cases):
    rng = np.random.default_rng(9)
    for _ in range(cases):
        sigma = variances(rng, most=4)
        problem = linear_transformer(
            sigma, int(rng.integers(1, 60)), alpha=10 ** rng.uniform(-12, -1), seed=seed_of(rng)
        )
        axes = problem.components.T
        seen = len(problem.levels) - 1
        heads = np.hstack([np.ones((seen, 1)), problem.gains[:seen, None] * axes[:seen], axes[:seen]])
        assert problem.loss(heads) == pytest.approx(problem.levels[-1], abs=1e-9 * problem.levels[0])
        assert (np.diff(problem.levels) < 0).all()
        assert problem.earliest > 0


@many
def test_modular_addition_has_the_levels_of_its_loss(cases):
    rng = np.random.default_rng(10)
    for _ in range(cases):
        problem = modular_addition(code(rng), neurons=3, alpha=10 ** rng.uniform(-8, -1), seed=seed_of(rng))
        assert problem.levels[0] == pytest.approx(problem.loss(0 * problem.start))
        assert problem.levels[-1] == pytest.approx(0, abs=1e-12 * problem.levels[0])
        assert (np.diff(problem.levels) < 0).all()
        assert (np.diff(problem.greatest_utilities) <= 0).all()
        unit = problem.start / np.linalg.norm(problem.start, axis=1, keepdims=True)
        assert (problem.utility(unit, 0 * unit) <= problem.greatest_utilities[0] * (1 + 1e-9)).all()


def quadratic(neurons, x):
    return neurons[:, :1] * (neurons[:, 1:] @ x.T) ** 2


def product(neurons, x):
    return neurons[:, :1] * (neurons[:, 1:] @ x.T)


def drawn(kind, rng):
    """A small problem that the general loop runs."""
    if kind == "linear transformer":
        heads = int(rng.integers(1, 5))
        return linear_transformer(
            variances(rng),
            int(rng.integers(1, 40)),
            heads=heads,
            alpha=10 ** rng.uniform(-8, -1),
            seed=seed_of(rng),
        )
    if kind == "modular addition":
        neurons = int(rng.integers(1, 5))
        return modular_addition(
            code(rng, 6), neurons=neurons, alpha=10 ** rng.uniform(-4, -1), seed=seed_of(rng)
        )
    X, Y = regression(rng, outputs=2, most=3)
    X /= np.abs(X).max(0)
    if kind == "linear":
        n = len(X)
        return linear(X.T @ X / n, Y.T @ X / n, alpha=10 ** rng.uniform(-60, -1), seed=seed_of(rng))
    neuron, degree = (quadratic, 3) if rng.random() < 0.5 else (product, 2)
    start = rng.standard_normal((2, 1 + X.shape[1])) * 10 ** rng.uniform(-4 if degree == 3 else -12, -1) / 3
    target = rng.standard_normal(len(X)) * 10 ** rng.uniform(-1, 1)
    return two_layer_problem(neuron, X, target, start=start, degree=degree)


KINDS = ("linear", "linear transformer", "modular addition", "one's own")


@pytest.mark.parametrize("kind", KINDS)
def test_the_general_loop_runs_on_any_problem(kind):
    rng = np.random.default_rng(11)
    for _ in range(3):
        assert falls(AlternatingGradientFlow(drawn(kind, rng), numerical=True).run())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_general_loop_runs_on_many_problems(kind):
    rng = np.random.default_rng(12)
    for _ in range(40):
        stairs = AlternatingGradientFlow(drawn(kind, rng), numerical=True).run()
        assert falls(stairs)
        assert torch.isfinite(torch.from_numpy(stairs.features)).all()
