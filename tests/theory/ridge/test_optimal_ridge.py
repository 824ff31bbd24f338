"""The best ridge against Bayes, a dense scan, and the theorem that more is better."""

import math
import warnings

import numpy as np
import pytest

from similitude.core.errors import TheoryError
from similitude.theory.ridge.optimal import optimal_ridge
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum

LAW = np.arange(1, 201) ** -1.5


def _random(rng):
    modes = int(rng.integers(5, 120))
    values = np.sort(10 ** rng.uniform(-6, 1, modes))[::-1]
    return Spectrum(
        values, rng.exponential(size=modes) * values ** rng.uniform(-0.3, 1.5)
    ), 10 ** rng.uniform(-4, 2)


@pytest.mark.parametrize("n", [5, 50, 500])
def test_the_bayes_ridge(n):
    """A target drawn from the kernel's own prior: the best ridge is the variance of the noise, whatever n."""
    found = optimal_ridge(Spectrum(LAW, LAW), n, noise=0.37)
    assert found.ridge == pytest.approx(0.37, rel=1e-4)
    assert found.risk.test == pytest.approx(
        rf_risk(Spectrum(LAW, LAW), n, ridge=0.37, noise=0.37).test, rel=1e-12
    )


def test_no_scanned_ridge_is_better():
    rng = np.random.default_rng(0)
    for _ in range(25):
        spectrum, noise = _random(rng)
        n, k = int(rng.integers(2, 200)), rng.choice([math.inf, 20.0, 300.0])
        best = optimal_ridge(spectrum, n, k, noise=noise).risk.test
        scanned = [rf_risk(spectrum, n, k, ridge=10.0**p, noise=noise).test for p in np.arange(-10, 13, 0.5)]
        ends = [rf_risk(spectrum, n, k, ridge=ridge, noise=noise).test for ridge in (0.0, math.inf)]
        assert best <= min(*scanned, *ends) * (1 + 1e-9)


def test_more_is_better():
    """At the best ridge the error falls with samples and with features (paper 6, Theorem 1): no violation."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        spectrum, noise = _random(rng)
        n, k = int(rng.integers(2, 100)), int(rng.integers(2, 100))
        here = optimal_ridge(spectrum, n, k, noise=noise).risk.test
        for more in ((n + 1, k), (n, k + 1), (2 * n, k), (n, 2 * k), (n, math.inf)):
            assert optimal_ridge(spectrum, *more, noise=noise).risk.test <= here * (1 + 1e-9)


def test_both_ends_can_be_best():
    # Without noise a target in the leading modes wants interpolation; one outside the kernel wants nothing learned.
    assert optimal_ridge(Spectrum([1.0, 0.5], [1.0, 1.0]), 5).ridge == 0
    # A target in the trailing half alone, which the fit mistakes for the leading modes.
    spectrum = Spectrum([1.0, 0.0], [0.0, 1.0], multiplicity=[20, 5])
    found = optimal_ridge(spectrum, 10, noise=1.0)
    assert (found.ridge, found.risk.test) == (math.inf, 2.0)


def test_a_pool_has_a_best_ridge_too():
    spectrum = Spectrum(LAW, LAW, pool=200)
    best = optimal_ridge(spectrum, 150, noise=0.5)
    scanned = [rf_risk(spectrum, 150, ridge=10.0**p, noise=0.5).test for p in np.arange(-6, 4, 0.05)]
    assert best.risk.test <= min(scanned) <= best.risk.test * (1 + 1e-3)


@pytest.mark.parametrize("cases", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_random_tasks(cases):
    rng = np.random.default_rng(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(cases):
            levels = int(rng.integers(1, 6))
            values = 10 ** rng.uniform(-4, 4, levels) * (rng.random(levels) < 0.9)
            values[0] = values[0] or 1.0
            spectrum = Spectrum(
                values, rng.exponential(size=levels), np.floor(10 ** rng.uniform(0, 5, levels))
            )
            n, noise = 10 ** rng.uniform(0, 4), rng.choice([0.0, 1.0])
            k = rng.choice([math.inf, n, spectrum.rank, 10 ** rng.uniform(0, 4)])
            found = optimal_ridge(spectrum, n, k, noise=noise)
            worst = spectrum.power + noise
            assert noise * (1 - 1e-9) <= found.risk.test <= worst * (1 + 1e-9)


def test_a_learning_curve_is_made_of_its_points():
    spectrum = Spectrum.power_law(1.5, 1.4)
    curve = spectrum.learning_curve(n=[10, 100], features=[40, math.inf], noise=0.1)
    points = [optimal_ridge(spectrum, n, k, noise=0.1) for n, k in ((10, 40), (100, math.inf))]
    assert curve.test.tolist() == [point.risk.test for point in points]
    assert curve.ridge.tolist() == [point.ridge for point in points]
    fixed = spectrum.learning_curve(n=64, features=[10, 20, 30], ridge=0.5)
    assert fixed.train.tolist() == [rf_risk(spectrum, 64, k, ridge=0.5).train for k in (10, 20, 30)]
    with pytest.raises(TheoryError, match=r"n has shape \(2,\) and features \(3,\)"):
        spectrum.learning_curve(n=[1, 2], features=[1, 2, 3])
    with pytest.raises(TheoryError, match="'best' is neither a number nor 'optimal'"):
        spectrum.learning_curve(n=3, ridge="best")  # type: ignore[arg-type]
