"""Charts and claims as plain data: what is refused, and a round trip through strict JSON."""

import json
import math

import numpy as np
import pytest

from similitude.core.chart import Chart, Series
from similitude.core.claim import Claim
from similitude.core.verdict import Evidence, Outcome, Verdict


def chart(**changes):
    series = (
        Series("ridge 0.1", np.array([8, 16]), np.array([0.5, 0.25]), [(0.4, 0.6), None]),
        Series("ridge 0.1", [8, 16], [0.51, math.inf], kind="line"),
    )
    given = {
        "title": "Error against samples", "x": "samples", "y": "error", "series": series, "look_for": "a fall",
        "source": "Figure 1", "x_scale": "log2", "y_scale": "log", "levels": {"noise": np.float64(0.1)},
        "places": {"peak": 12}, "y_range": (0.1, 2.0), "x_names": ("a", "b"),
    }  # fmt: skip
    return Chart(**(given | changes))


def claim(**changes):
    verdict = Verdict(Outcome.INCONSISTENT, "it is 2", (Evidence("x", 1.0, (0.5, 2.0), "1"),))
    given = {
        "name": "6.x", "paper": 6, "statement": "It holds.", "claimed": "below 1", "measured": 2.0,
        "interval": (1.0, 3.0), "unit": "octaves", "verdict": verdict, "seconds": 1.5, "figures": (chart(),),
        "full": True, "settings": {"torch": "2"},
    }  # fmt: skip
    return Claim(**(given | changes))


def through_json(data):
    return json.loads(json.dumps(data, allow_nan=False))


def test_arrays_become_plain_numbers():
    drawn = chart()
    assert drawn.series[0].x == (8.0, 16.0)
    assert type(drawn.series[0].x[0]) is type(drawn.levels["noise"]) is float


def test_charts_pass_through_json():
    exact = chart(series=(Series("a", [1], [2.5], [(2.0, 3.0)]),))
    assert Chart.from_dict(through_json(exact.to_dict())) == exact
    gap = Chart.from_dict(through_json(chart().to_dict())).series[1].y
    assert gap[0] == 0.51
    assert math.isnan(gap[1])


def test_claims_pass_through_json():
    exact = claim(figures=())
    assert Claim.from_dict(through_json(exact.to_dict())) == exact
    failed = claim(measured=math.nan, interval=(math.nan, 1.0), error="ValueError: no", figures=())
    again = Claim.from_dict(through_json(failed.to_dict()))
    assert math.isnan(again.measured)
    assert again.error == failed.error
    assert again.interval is not None
    assert math.isnan(again.interval[0])
    assert through_json(failed.to_dict())["measured"] is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Series("a", [1, 2], [1]), "2 places, 1 values"),
        (lambda: Series("a", [1, 2], [1, 2], [(0, 1)]), "1 intervals"),
        (lambda: Series("a", [1], [1], kind="bar"), "choose one of"),  # type: ignore[arg-type]
        (lambda: chart(x_scale="cubic"), "x_scale is 'cubic'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
