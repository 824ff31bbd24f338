"""Claims of paper 1 on dynamics hold, and turn red with a wrong constant in their law."""

import numpy as np
import pytest
import torch

from similitude.claims import gamma_descent, paper01_dynamics
from similitude.core.verdict import Outcome
from similitude.studies.richness import rescaled_time


def test_runs_are_gradient_descent_of_one_network_each():
    """A run of the stack beside its two matrices by formulas."""
    target = torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    runs = gamma_descent.descend(
        target, layers=2, gammas=(0.5, 20.0), lrs=(0.01, 0.3), steps=30, width=3, seeds=2
    )
    assert runs.losses.shape == (2, 2, 30)
    u, v = (w[1, 1].clone() for w in runs.start)
    before = v @ u
    for loss in runs.losses[1, 1]:
        error = (v @ u - before) / 20.0 - target
        assert loss == pytest.approx(float(0.5 * (error**2).sum()), rel=1e-12)
        u, v = u - 0.3 * v.T @ error / 20.0, v - 0.3 * error @ u.T / 20.0
    assert torch.allclose(runs.end[0][1, 1], u, rtol=1e-12)
    assert torch.equal(runs.start[1][0], runs.start[1][1])  # the same draws at every gamma


def test_the_sharpness_of_one_weight_by_hand():
    """Two scalar layers: the Hessian of ((ab - ab0) / g - y)^2 / 2."""
    target = torch.tensor([[2.0]], dtype=torch.float64)
    runs = gamma_descent.descend(target, layers=2, gammas=(3.0,), lrs=(0.0,), steps=1, width=1, seeds=1)
    a, b = (float(w) for w in runs.start)
    error = -2.0
    hessian = np.array([[b * b, a * b], [a * b, a * a]]) / 9 + error / 3 * np.array([[0, 1], [1, 0]])
    found = gamma_descent.sharpness(runs, target, trained=False)
    assert found[0, 0] == pytest.approx(np.linalg.eigvalsh(hessian)[-1])


@pytest.mark.slow
def test_another_exponent_turns_the_collapse_red(monkeypatch):
    assert paper01_dynamics.collapsed().verdict.ok
    monkeypatch.setattr(rescaled_time, "power_of", lambda gamma, layers, family: 1.5 / layers)
    assert paper01_dynamics.collapsed().verdict.outcome is Outcome.INCONSISTENT


def test_another_law_turns_the_plateau_red(monkeypatch):
    assert paper01_dynamics.plateau().verdict.ok
    right = paper01_dynamics.plateau_scale
    monkeypatch.setattr(paper01_dynamics, "plateau_scale", lambda gamma, layers: right(gamma, layers) ** 1.2)
    assert paper01_dynamics.plateau().verdict.outcome is Outcome.INCONSISTENT


def test_another_exponent_turns_the_sharpness_red(monkeypatch):
    monkeypatch.setattr(paper01_dynamics, "LAYERS", (2,))
    assert paper01_dynamics.sharpness_powers().verdict.ok
    right = paper01_dynamics.sharpness_power
    monkeypatch.setattr(
        paper01_dynamics, "sharpness_power", lambda *args, trained: right(*args, trained=trained) * 1.1
    )
    assert paper01_dynamics.sharpness_powers().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_other_times_turn_the_staircase_red(monkeypatch):
    good = paper01_dynamics.staircase()
    assert good.verdict.ok
    assert good.figures
    monkeypatch.setattr(paper01_dynamics, "drop_times", lambda s: (s[0] / s) ** 1.3)
    assert paper01_dynamics.staircase().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_with_many_steps_from_the_first_the_best_gamma_does_not_depend_on_them(monkeypatch):
    assert paper01_dynamics.by_compute().verdict.ok
    monkeypatch.setattr(paper01_dynamics, "BUDGETS", (150, 200))
    assert paper01_dynamics.by_compute().verdict.outcome is Outcome.INCONSISTENT
