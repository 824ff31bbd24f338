"""Closed forms of power-law tasks against the equations that they are the limits of."""

import pytest

from similitude.core.errors import TheoryError
from similitude.theory.ridge.optimal import optimal_ridge
from similitude.theory.ridge.power_law import interpolation_penalty, optimal_fitting_ratio, power_law_error
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum

CASES = [
    (1.5, 1.5, 0.0),
    (1.5, 1.5, 1.0),
    (1.5, 1.8, 5.0),
    (2.0, 1.5, 1.0),
    (1.2, 1.2, 50.0),
    (3.0, 4.0, 0.5),
]


@pytest.mark.parametrize(("alpha", "beta", "noise"), CASES)
def test_errors_at_every_fitting_ratio(alpha, beta, noise):
    spectrum, n = Spectrum.power_law(alpha, beta), 2000
    variance = noise * rf_risk(spectrum, n).test
    for ridge in (0.0, 1e-4, 1e-2):
        found = rf_risk(spectrum, n, ridge=ridge, noise=variance)
        closed = power_law_error(n, alpha=alpha, beta=beta, fitting_ratio=found.fitting_ratio, noise=noise)
        assert closed == pytest.approx(found.test, rel=0.005 if found.fitting_ratio < 0.25 else 0.03)


@pytest.mark.parametrize(("alpha", "beta", "noise"), CASES)
def test_the_best_fitting_ratio(alpha, beta, noise):
    spectrum, n = Spectrum.power_law(alpha, beta), 2000
    interpolating = rf_risk(spectrum, n).test
    found = optimal_ridge(spectrum, n, noise=noise * interpolating).risk
    assert optimal_fitting_ratio(alpha=alpha, beta=beta, noise=noise) == pytest.approx(
        found.fitting_ratio, abs=0.005
    )
    penalty = rf_risk(spectrum, n, noise=noise * interpolating).test / found.test
    assert interpolation_penalty(alpha=alpha, beta=beta, noise=noise) == pytest.approx(penalty, rel=5e-3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"alpha": 1.0, "beta": 1.5}, "alpha=1.0"),
        ({"alpha": 1.5, "beta": 4.0}, "beta=4.0"),
        ({"alpha": 1.5, "beta": 1.5, "noise": -1.0}, "noise=-1.0"),
    ],
)
def test_bad_laws(arguments, text):
    with pytest.raises(TheoryError, match=text):
        optimal_fitting_ratio(**arguments)
    with pytest.raises(TheoryError, match=text):
        power_law_error(10, **arguments)


def test_a_fitting_ratio_of_one_learns_nothing():
    with pytest.raises(TheoryError, match="fitting_ratio=1"):
        power_law_error(10, alpha=1.5, beta=1.5, fitting_ratio=1)
