"""Risks before and after a step: against the formula by differences, drawn networks, limits, and 3,000 odd cases."""

import math
import warnings

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.one_step.asymptotic import one_step_risk
from similitude.theory.one_step.hermite import HermiteMoments, hermite_moments
from tests.oracles.one_step_plain import closed_form, gaussian_draw

RELU, TANH = hermite_moments(torch.relu), hermite_moments(torch.tanh)
SIZES = {"n": 4.0, "width": 1.0, "dimension": 1.0}


def test_the_formula_by_differences():
    rng = np.random.default_rng(0)
    for _ in range(300):
        student, teacher = rng.uniform(0.2, 2, 2), rng.uniform(0.2, 2, 2)
        n, width = 10 ** rng.uniform(-0.7, 0.7, 2)
        noise, ridge, eta = rng.uniform(0, 1), 10 ** rng.uniform(-2, 1), rng.uniform(0.1, 6)
        found = one_step_risk(
            HermiteMoments(0.3, *student),
            HermiteMoments(0.0, *teacher),
            n=100 * n,
            width=100 * width,
            dimension=100,
            eta=eta,
            ridge=ridge,
            noise=noise,
        )
        expected = closed_form(n, width, student, teacher, noise, ridge, eta)
        assert found.risk == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("phi", [torch.tanh, torch.relu])
@pytest.mark.parametrize(
    ("dimension", "width", "n", "ridge"), [(150, 150, 600, 1e-2), (150, 300, 300, 1e-2), (150, 450, 225, 0.1)]
)
def test_networks_that_are_drawn(phi, dimension, width, n, ridge):
    rng = np.random.default_rng(int(width + n))
    sizes = {"n": n, "width": width, "dimension": dimension, "noise": 1 / 16, "ridge": ridge}
    for eta in (0.0, 3.0):
        draws = [gaussian_draw(phi, torch.relu, **sizes, eta=eta, rng=rng)[0] for _ in range(6)]
        predicted = one_step_risk(phi, torch.relu, **sizes, eta=eta).risk
        error = float(np.std(draws, ddof=1)) / math.sqrt(len(draws))
        assert abs(np.mean(draws) - predicted) < max(3 * error, 0.05 * predicted)


def test_fewer_neurons_than_inputs():
    rng = np.random.default_rng(7)
    sizes = {"n": 400, "width": 100, "dimension": 200, "noise": 1 / 16, "ridge": 0.1}
    for eta in (0.0, 4.0):
        draws = [gaussian_draw(torch.tanh, torch.relu, **sizes, eta=eta, rng=rng)[0] for _ in range(8)]
        predicted = one_step_risk(TANH, RELU, **sizes, eta=eta).risk
        error = float(np.std(draws, ddof=1)) / math.sqrt(len(draws))
        assert abs(np.mean(draws) - predicted) < max(3 * error, 0.05 * predicted)


def test_a_step_helps_and_never_beats_a_line():
    before = math.inf
    for eta in np.linspace(0, 20, 41):
        found = one_step_risk(TANH, RELU, **SIZES, eta=eta, ridge=0.01, noise=0.1)
        assert found.risk < before
        assert found.risk > found.linear == pytest.approx(RELU.rest**2)
        assert found.gain == found.before - found.risk
        before = found.risk


def test_limits():
    # Endless ridge: nothing is learned. Endless samples and width, no noise: the best linear function.
    much = one_step_risk(TANH, RELU, **SIZES, eta=2.0, ridge=1e14, noise=0.3)
    assert much.risk == pytest.approx(RELU.power, rel=1e-9)
    best = one_step_risk(TANH, RELU, n=1e9, width=1e6, dimension=1, eta=0.0, ridge=1e-9)
    assert best.risk == pytest.approx(RELU.rest**2, rel=2e-3)
    # A linear net of many neurons and a linear teacher are ridge regression: least squares has noise d / (n - d).
    line = HermiteMoments(0.0, 1.0, 0.0)
    ols = one_step_risk(line, line, n=5, width=1e4, dimension=1, eta=0.0, ridge=1e-9, noise=2.0)
    assert ols.risk == pytest.approx(2.0 / 4, rel=1e-4)


def test_without_a_ridge():
    for width in (1.0, 9.0):
        small, none = (
            one_step_risk(TANH, RELU, n=4, width=width, dimension=1, eta=2, ridge=r, noise=0.1).risk
            for r in (1e-13, 0.0)
        )
        assert small == pytest.approx(none, rel=1e-8)
    peak = one_step_risk(TANH, RELU, n=4, width=4, dimension=1, eta=2, ridge=0)
    assert peak.risk == peak.before == math.inf
    assert math.isnan(peak.gain)
    near = [one_step_risk(TANH, RELU, n=4, width=4, dimension=1, eta=2, ridge=r).risk for r in (1e-10, 1e-14)]
    assert near[1] / near[0] == pytest.approx(100, rel=1e-2)  # diverges as ridge^(-1/2)


def test_three_thousand_odd_cases():
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3000):
            student = HermiteMoments(0.0, *(10 ** rng.uniform(-4, 4, 2) * (1, rng.random() < 0.8)))
            teacher = HermiteMoments(0.0, *(10 ** rng.uniform(-4, 4, 2) * rng.choice([0, 1, 1, 1], 2)))
            if teacher.power == 0:
                continue
            n, width, dimension = 10 ** rng.uniform(-4, 6, 3)
            width = rng.choice([width, n, dimension])
            ridge = rng.choice([0.0, 10 ** rng.uniform(-20, 20), 10 ** rng.uniform(-3, 3)])
            if student.rest == 0:
                ridge = ridge or 1e-6
            eta = rng.choice([0.0, 10 ** rng.uniform(-8, 8), 1e30])
            noise = rng.choice([0.0, 1.0, 1e8])
            sizes = {"n": n, "width": width, "dimension": dimension}
            found = one_step_risk(student, teacher, **sizes, eta=eta, ridge=ridge, noise=noise)
            if not math.isfinite(found.risk):
                assert ridge == 0
                assert width == n
                continue
            slack = 1 + 1e-9
            assert found.linear <= found.risk * slack
            assert found.risk <= found.before * slack
            assert found.coefficient >= 1 / slack
            assert found.effective_ridge >= ridge / slack


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"student": torch.abs}, "student has no linear part"),
        ({"student": lambda z: z**2 - 1}, "student has no linear part"),
        ({"student": torch.ones_like}, "student is constant"),
        ({"teacher": torch.ones_like}, "teacher is constant"),
        ({"n": 0.0}, "n=0: pass a finite number above 0"),
        ({"width": math.inf}, "width=inf"),
        ({"dimension": -1.0}, "dimension=-1"),
        ({"eta": -1.0}, "eta=-1: pass a finite number"),
        ({"eta": math.nan}, "eta=nan"),
        ({"ridge": -0.1}, "ridge=-0.1"),
        ({"noise": math.inf}, "noise=inf"),
        ({"student": torch.nn.Identity(), "ridge": 0.0}, "ridge=0 and student is linear"),
    ],
)
def test_bad_input(changes, text):
    given = {"student": torch.tanh, "teacher": torch.relu, **SIZES, "eta": 1.0, "ridge": 0.1, **changes}
    with pytest.raises(TheoryError, match=text):
        one_step_risk(given.pop("student"), given.pop("teacher"), **given)
