"""Intervals of means and shares held against scipy.stats, which takes too long to import for commands that are quick."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from similitude.core.intervals import t_interval, t_reach, wilson_interval


@pytest.mark.parametrize("count", [2, 3, 7, 200, 5_000])
def test_the_mean_of_few_or_many(count: int) -> None:
    values = np.random.default_rng(count).normal(3.0, 2.0, count)
    theirs = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert t_interval(values) == pytest.approx(theirs, rel=1e-12)
    assert t_interval(values.tolist()) == t_interval(values)
    assert t_reach(count) == pytest.approx(stats.t.ppf(0.975, count), rel=1e-12)


@pytest.mark.parametrize("of", [1, 2, 10, 997])
def test_the_share_of_none_some_and_all(of: int) -> None:
    for hits in sorted({0, 1, of // 3, of // 2, of - 1, of}):
        theirs = stats.binomtest(hits, of).proportion_ci(0.95, method="wilson")
        assert wilson_interval(hits, of) == pytest.approx((theirs.low, theirs.high), rel=1e-12, abs=1e-15)
    assert wilson_interval(0, of)[0] == 0.0
    assert wilson_interval(of, of)[1] == 1.0


def test_standings_are_told_without_scipy_stats() -> None:
    script = """
import sys
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.shares import standing_of
rows = [Row("scenes", "mug", "m", float(k), metrics={"loss": 1.0 + k, "probability": k / 4}, success=k > 1)
        for k in range(4)]
print(standing_of(rows).accuracy.count, "scipy.stats" in sys.modules, "scipy.special" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["4", "False", "True"]
