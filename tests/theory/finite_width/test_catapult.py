"""The map of the catapult against two-layer networks trained by gradient descent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.catapult import catapult_map, catapult_window


def trained(n: int, *, rate: float, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Outputs and curvatures of f = u.v / sqrt(n) under gradient descent; the rate is in units of 1 / curvature."""
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, n))
    lr = rate / ((u @ u + v @ v) / n)
    outputs, curvatures = [], []
    for _ in range(steps + 1):
        f = u @ v / math.sqrt(n)
        outputs.append(f)
        curvatures.append((u @ u + v @ v) / n)
        u, v = u - lr * f * v / math.sqrt(n), v - lr * f * u / math.sqrt(n)
        if abs(f) > 1e6:
            break
    return np.array(outputs), np.array(curvatures), lr


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.9, 2.5, 3.5, 3.9])
def test_the_map_is_gradient_descent(rate):
    outputs, curvatures, lr = trained(1024, rate=rate, steps=60, seed=7)
    run = catapult_map(outputs[0], curvatures[0], lr=lr, width=1024, steps=60)
    # Rounding grows with the loss while that is unstable.
    assert np.abs(run.f - outputs).max() <= 1e-9 * np.abs(outputs).max()
    assert np.abs(run.curvature - curvatures).max() <= 1e-9


@pytest.mark.parametrize(("rate", "window"), [(1.0, "monotone"), (3.0, "catapult"), (4.3, "divergent")])
def test_windows_are_those_of_trained_networks(rate, window):
    for seed in range(5):
        outputs, curvatures, lr = trained(1024, rate=rate, steps=400, seed=seed)
        peak, end = np.abs(outputs).max() / abs(outputs[0]), abs(outputs[-1] / outputs[0])
        seen = "divergent" if end > 1e3 else "catapult" if peak > 1.001 else "monotone"
        assert seen == window == catapult_window(lr, curvatures[0])
        assert window != "catapult" or curvatures[-1] < 2 / lr


def test_a_run_that_diverges_says_so():
    run = catapult_map(1.0, 2.0, lr=2.5, width=64, steps=500)
    assert run.diverged
    assert len(run.f) < 500
    assert np.isfinite(run.loss).all()


@pytest.mark.parametrize(
    ("f", "curvature", "lr", "says"),
    [
        (0.0, 2.0, 1.0, r"abs\(f\)=0: pass a finite number above 0"),
        (math.nan, 2.0, 1.0, "f=nan"),
        (9.0, 1.0, 1.0, "the curvature is at least 2.25"),
        (1.0, 2.0, 0.0, "lr=0: pass a finite number above 0"),
    ],
)
def test_wrong_use_is_explained(f, curvature, lr, says):
    with pytest.raises(TheoryError, match=says):
        catapult_map(f, curvature, lr=lr, width=64, steps=3)


@pytest.mark.filterwarnings("error")
def test_random_cases_end_or_diverge():
    rng = np.random.default_rng(4)
    for _ in range(3000):
        width = int(np.exp(rng.uniform(0, 10)))
        f = rng.normal() * np.exp(rng.uniform(-5, 5))
        curvature = 2 * abs(f) / math.sqrt(width) * (1 + np.exp(rng.uniform(-20, 5)))
        run = catapult_map(f, curvature, lr=np.exp(rng.uniform(-8, 8)), width=width, steps=50)
        assert np.isfinite(run.loss).all()
        assert np.isfinite(run.curvature).all()
        assert run.peak >= 1
