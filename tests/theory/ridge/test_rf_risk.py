"""Errors of random-feature regression against the paper's own equations, brute force, and thousands of odd cases."""

import math
import warnings

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum
from tests.oracles.rf_equations import risks
from tests.oracles.ridge_samples import gaussian_fit, pool_fit

LAW = np.arange(1, 301) ** -1.5


@pytest.mark.parametrize("seed", range(4))
def test_the_paper_s_two_equations(seed):
    rng = np.random.default_rng(seed)
    values, target = 10 ** rng.uniform(-3, 1, 12), rng.exponential(size=12)
    for n in (3, 8, 30):
        for k in (4, 8, 40, math.inf):
            for ridge in (1e-3, 0.1, 10.0):
                found = rf_risk(Spectrum(values, target), n, k, ridge=ridge, noise=0.3)
                expected = risks(values, target, n, k, ridge, noise=0.3)
                got = (found.test, found.train, found.gamma, found.kappa)
                assert got == pytest.approx(expected, rel=1e-6)


def test_levels_are_repeated_modes():
    grouped = Spectrum([2.0, 0.1, 0.0], [3.0, 4.0, 1.0], multiplicity=[2, 5, 3])
    single = Spectrum([2.0] * 2 + [0.1] * 5 + [0.0] * 3, [1.5] * 2 + [0.8] * 5 + [1 / 3] * 3)
    for n, k, ridge in ((3, math.inf, 0.0), (4.5, 6, 0.2), (50, 20, 0.0)):
        a, b = (rf_risk(s, n, k, ridge=ridge, noise=0.1) for s in (grouped, single))
        assert (a.test, a.train, a.gamma) == pytest.approx((b.test, b.train, b.gamma), rel=1e-9)


@pytest.mark.parametrize(("n", "k"), [(48, 24), (48, 200), (100, 50), (100, math.inf)])
@pytest.mark.parametrize("ridge", [1e-2, 1.0])
def test_gaussian_samples(n, k, ridge):
    seed = int(n + 7 * min(k, 1e4) + 1000 * ridge)
    rng = np.random.default_rng(seed)
    draws = np.array([gaussian_fit(LAW, LAW, n, k, ridge, 0.5, rng) for _ in range(24)])
    found = rf_risk(Spectrum(LAW, LAW), n, k, ridge=ridge, noise=0.5)
    errors = 3 * draws.std(0, ddof=1) / math.sqrt(len(draws))
    assert abs(found.test - draws[:, 0].mean()) < max(errors[0], 0.03 * found.test)
    assert abs(found.train - draws[:, 1].mean()) < max(errors[1], 0.05 * found.train)


def test_many_samples_are_least_squares():
    """More samples than modes: the coefficient n / (n - d) of least squares, whatever the eigenvalues."""
    for values in (np.ones(7), 10.0 ** np.arange(7)):
        found = rf_risk(Spectrum(values, np.ones(7)), 28, noise=2.0)
        assert (found.test, found.train) == pytest.approx((2.0 * 28 / 21, 2.0 * 21 / 28), rel=1e-12)
        assert found.gamma == 0


def test_a_random_pool_needs_no_further_correction():
    """Eigenvectors without any structure: held-out errors are those of the formula, up to most of the pool."""
    rng = np.random.default_rng(0)
    size = 300
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    gram = (basis * np.arange(1, size + 1) ** -1.3 * size) @ basis.T
    rows = (
        basis @ (rng.standard_normal((size, 1)) * np.arange(1, size + 1)[:, None] ** -0.6) * math.sqrt(size)
    )
    spectrum = Spectrum.from_kernel((gram + gram.T) / 2, rows)
    for n, ridge, noise in ((30, 0.0, 0.0), (150, 1e-2, 0.5), (150, 0.0, 1.0), (270, 1.0, 0.2)):
        draws = np.array([pool_fit(gram, rows, n, max(ridge, 1e-11), noise, rng) for _ in range(40)])
        found = rf_risk(spectrum, n, ridge=ridge, noise=noise)
        standard = draws.std(0, ddof=1) / math.sqrt(len(draws))
        assert abs(found.test - draws[:, 0].mean()) < max(3 * standard[0], 0.02 * found.test)
        assert abs(found.train - draws[:, 1].mean()) < max(3 * standard[1], 0.03 * found.train, 1e-15)


def test_a_large_pool_is_its_distribution():
    values, target = LAW[:20], LAW[:20]
    endless = Spectrum(values, target)
    pooled = Spectrum(values, target, pool=10**9)
    for n, ridge in ((5, 0.0), (10, 0.1)):
        assert rf_risk(pooled, n, 7, ridge=ridge, noise=1.0).test == pytest.approx(
            rf_risk(endless, n, 7, ridge=ridge, noise=1.0).test, rel=1e-6
        )


def test_limits_of_the_ridge():
    spectrum = Spectrum(LAW, LAW)
    for k in (30, 50, 80, math.inf):
        off = rf_risk(spectrum, 50, k, ridge=1e14, noise=0.5)
        assert off.test == pytest.approx(LAW.sum() + 0.5, rel=1e-9)
        never = rf_risk(spectrum, 50, k, ridge=math.inf, noise=0.5)
        assert never.test == never.train == pytest.approx(LAW.sum() + 0.5, rel=1e-14)
        assert never.learned.max() == 0
        if k != 50:
            small, none = (rf_risk(spectrum, 50, k, ridge=r, noise=0.5) for r in (1e-13, 0.0))
            assert small.test == pytest.approx(none.test, rel=1e-9)


def test_the_peak_of_interpolation():
    spectrum = Spectrum(LAW, LAW)
    peak = rf_risk(spectrum, 50, 50)
    assert peak.test == math.inf
    assert math.isnan(peak.train)
    # As the ridge falls to 0 the error grows as its -1/2: the two factors vanish together.
    near = [rf_risk(spectrum, 50, 50, ridge=ridge).test for ridge in (1e-12, 1e-16)]
    assert near[1] / near[0] == pytest.approx(100, rel=1e-3)
    assert rf_risk(Spectrum(np.ones(5), np.ones(5)), 5, noise=0.1).test == math.inf
    assert rf_risk(Spectrum(np.ones(5), np.ones(5)), 5).test == 0  # an exact solution, and no noise
    # Features that span the kernel are the kernel.
    assert rf_risk(Spectrum(np.ones(5), np.ones(5)), 12, 5, noise=1.0).test == pytest.approx(12 / 7)


@pytest.mark.slow
def test_three_thousand_odd_cases():
    rng = np.random.default_rng(1)
    checked = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3000):
            spectrum, n, k, ridge, noise = _odd_case(rng)
            found = rf_risk(spectrum, n, k, ridge=ridge, noise=noise)
            assert found.test >= 0
            if not math.isfinite(found.test):
                assert ridge == 0
                continue
            assert 0 <= found.train <= found.test * (1 + 1e-9)
            assert 0 <= found.learned.min() <= found.learned.max() <= 1
            if 0 < ridge < math.inf and 0 < found.gamma < math.inf:
                checked += 1
                z = float(spectrum.multiplicity @ found.learned)
                size = math.inf if spectrum.pool is None else spectrum.pool
                # z + ridge / kappa = n, multiplied out; kappa may be too small to divide by.
                left = math.sqrt(found.fitting_ratio) * n
                assert z + left == pytest.approx(n, rel=1e-6)
                assert found.kappa * left == pytest.approx(ridge * (1 - z / size), rel=1e-6, abs=1e-290)
    assert checked > 1000


def _odd_case(rng):
    levels = int(rng.integers(1, 40))
    values = 10 ** rng.uniform(-12, 12, levels) * (rng.random(levels) < 0.9)
    values[0] = values[0] or 1.0
    if rng.random() < 0.2:
        values[:] = values[0]
    counts = np.ones(levels) if rng.random() < 0.5 else np.floor(10 ** rng.uniform(0, 20, levels))
    target = rng.exponential(size=levels) * (rng.random(levels) < 0.8)
    rank = counts[values > 0].sum()
    n = rng.choice(
        [1.0, rank, rng.uniform(0.1, 2) * rank, float(rng.integers(1, 60)), 10 ** rng.uniform(0, 12)]
    )
    k = rng.choice([math.inf, n, rank, n + 1, float(rng.integers(1, 60)), 10 ** rng.uniform(0, 12)])
    ridge = rng.choice([0.0, math.inf, 10 ** rng.uniform(-25, 25), 10 ** rng.uniform(-3, 3)])
    modes = counts.sum()
    pool = int(2 * (modes + n)) + 1 if rng.random() < 0.3 else None
    return Spectrum(values, target, counts, pool=pool), n, k, ridge, rng.choice([0.0, 1.0, 1e6])


def test_tensors_and_arrays():
    values, target = torch.tensor([1.0, 0.5]), torch.tensor([1.0, 2.0], requires_grad=True)
    assert rf_risk(Spectrum(values, target), 1).test == rf_risk(Spectrum([1, 0.5], (1, 2)), 1).test


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n": 0}, "n=0 is not above 0"),
        ({"n": -3.0}, "n=-3.0 is not above 0"),
        ({"n": math.nan}, "n=nan is not above 0"),
        ({"n": math.inf}, "endless samples"),
        ({"n": 5, "features": 0}, "features=0 is not above 0"),
        ({"n": 5, "ridge": -1.0}, "ridge=-1.0: pass a number of at least 0"),
        ({"n": 5, "ridge": math.nan}, "ridge=nan"),
        ({"n": 5, "noise": -0.1}, "noise=-0.1: pass a finite number of at least 0"),
        ({"n": 5, "noise": math.inf}, "noise=inf: pass a finite number"),
    ],
)
def test_bad_numbers(arguments, text):
    with pytest.raises(TheoryError, match=text):
        rf_risk(Spectrum(LAW, LAW), **arguments)


def test_all_of_a_pool_leaves_none_to_test_on():
    with pytest.raises(TheoryError, match="n=300 samples of a pool of 300: none is left"):
        rf_risk(Spectrum(LAW, LAW, pool=300), 300)
