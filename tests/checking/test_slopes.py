"""Growth exponents against scipy's regression, and their coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from similitude.checking.slopes import fit

WIDTHS = (64, 128, 256)


def test_one_seed_is_the_usual_regression():
    values = [3.0, 5.0, 14.0]
    slope, _, _, _, error = stats.linregress(np.log(WIDTHS), np.log(values))
    found = fit(WIDTHS, [[v] for v in values])
    half = stats.t.ppf(0.975, 1) * error
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((slope, slope - half, slope + half))
    assert found.wide == pytest.approx(math.log2(14 / 5))


def test_levels_of_seeds_make_no_noise():
    found = fit(WIDTHS, [[w**0.5 * level for level in (1, 10, 1000)] for w in WIDTHS])
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    trials = 1000
    hits = 0
    for _ in range(trials):
        noise = rng.normal(0, 0.3, (3, 4)) + rng.normal(0, 2, (1, 4))
        found = fit(WIDTHS, np.exp(0.7 * np.log(WIDTHS)[:, None] + noise).tolist())
        assert found is not None
        hits += found.low <= 0.7 <= found.high
    assert abs(hits / trials - 0.95) < 4 * math.sqrt(0.95 * 0.05 / trials)


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_what_has_no_logarithm_has_no_slope(bad):
    assert fit(WIDTHS, [[1.0], [bad], [1.0]]) is None
