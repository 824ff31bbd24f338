"""The chart of a valley: its points, its guides, and what is left out."""

import pytest

from similitude.core.verdict import Outcome, Verdict
from similitude.report.figures import figures, save_figures
from similitude.report.valley_figures import valley_chart
from similitude.studies.valley_records import Valley, ValleyPoint, ValleyStudy

POINTS = (
    ValleyPoint(0.25, 8.0, (6.0, 9.0), None, ((1.0,),)),
    ValleyPoint(0.5, 2.0, None, None, ((1.0,),)),
    ValleyPoint(1.0, 0.5, None, "low", ((1.0,),)),
    ValleyPoint(2.0, None, None, None, ((1.0,),)),
)


def study(points):
    valley = Valley({"width": 8, "depth": 2}, (0.5, 2.0, 8.0), points, None, None)
    return ValleyStudy((valley,), None, None, 0.5, 0.5, {}, Verdict(Outcome.NOT_BRACKETED, "made up"))


def test_bracketed_points_are_drawn_beside_two_slopes():
    chart = valley_chart({"mine": study(POINTS).valleys[0]})
    mine, one, two = chart.series
    assert (mine.label, mine.x, mine.y) == ("mine", (0.25, 0.5), (8.0, 2.0))
    assert mine.intervals == ((6.0, 9.0), None)
    assert one.y == pytest.approx((8.0, 4.0))
    assert two.y == pytest.approx((8.0, 2.0))
    assert valley_chart({"mine": study(POINTS).valleys[0]}, look_for="look").look_for == "look"


def test_a_study_is_drawn_and_one_without_points_is_not(tmp_path):
    (path,) = save_figures(study(POINTS), tmp_path)
    assert "width 8, depth 2" in figures(study(POINTS))[0].panels[0].standalone() + path.read_text()
    assert figures(study(POINTS[2:])) == []
