import numpy as np
import pytest
from scipy import stats

from similitude.checking.slopes import Slope
from similitude.claims.judged import judged, judged_slopes
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence, Outcome


def test_the_interval_is_the_one_of_the_t_test():
    values = np.array([0.3, -0.1, 0.8, 0.25, 0.4])
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("holds", "outcome"), [(True, Outcome.OK), (False, Outcome.INCONSISTENT)])
def test_the_verdict_is_whether_the_statement_holds(holds, outcome):
    rows = [Evidence("a", 1.0), Evidence("b", 2.0)]
    got = judged(holds, 3.0, "ratio", "the ratio is 3", rows, (2.0, 4.0))
    assert (got.value, got.unit, got.interval) == (3.0, "ratio", (2.0, 4.0))
    assert (got.verdict.outcome, got.verdict.summary) == (outcome, "the ratio is 3")
    assert got.verdict.evidence == tuple(rows)


def test_exponents_come_with_their_own_intervals():
    one, other = Slope(0.5, 0.4, 0.6, wide=0.5), Slope(-1.0, -1.2, -0.8, wide=-1.1)
    got = judged_slopes(True, "they differ", other, [("one", one), ("other", other)])
    assert (got.value, got.interval) == (-1.0, (-1.2, -0.8))
    assert [row.interval for row in got.verdict.evidence] == [(0.4, 0.6), (-1.2, -0.8)]
