"""Charts as they are drawn: scales, colours, legends, gaps, and the numbers in words."""

import dataclasses
import math
import xml.etree.ElementTree as ET

import claim_cases as cases
import numpy as np
import pytest

from similitude.core.chart import Series
from similitude.report.figures import figures
from similitude.report.scale import log_ticks

SVG = "{http://www.w3.org/2000/svg}"


def drawn(**changes):
    (figure,) = figures(cases.claim(figures=(cases.chart(**changes),)))
    return figure


def texts(figure):
    return ["".join(node.itertext()) for node in ET.fromstring(figure.panels[0].svg).iter(f"{SVG}text")]


def places(figure, colour):
    """Return where marks of a colour stand, in the SVG's units, in the order of drawing; the legend's is the last."""
    root = ET.fromstring(figure.panels[0].svg)
    uses = [u for u in root.iter(f"{SVG}use") if f"--{colour})" in u.get("style", "")]
    return [(float(u.attrib["x"]), float(u.attrib["y"])) for u in uses]


def test_legend_axes_and_ticks():
    shown = texts(drawn())
    for words in (
        "ridge 0.1",
        "best",
        "1/n",
        "noise",
        "peak",
        "samples",
        "test error",
        "8",
        "16",
        "32",
        "0.1",
        "0.5",
    ):
        assert words in shown
    assert shown.count("ridge 0.1") == 1  # one entry for measurement and theory


def test_marks_stand_where_the_scales_put_them():
    marks = places(drawn(), "r0")[:3]
    x, y = np.array(marks).T
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.01)  # doublings
    assert (y[1] - y[0]) / (y[2] - y[1]) == pytest.approx(math.log(2) / math.log(25 / 12), rel=1e-3)
    x, y = np.array(places(drawn(x_scale="linear", y_scale="linear"), "r0")[:3]).T
    assert (x[2] - x[1]) / (x[1] - x[0]) == pytest.approx(2, rel=1e-3)
    assert (y[2] - y[1]) / (y[1] - y[0]) == pytest.approx(0.13 / 0.25, rel=1e-3)


def test_gaps_are_left_out_and_numbers_are_said():
    figure = drawn()
    assert len(places(figure, "r1")) == 3  # two points of three, and the legend's
    assert figure.numbers[0] == "ridge 0.1: 0.5 [0.4, 0.6] at 8, 0.25 at 16, 0.12 [0.11, 0.13] at 32."
    assert figure.numbers[1] == "ridge 0.1, theory: 0.51 at 8, 0.25 at 16, inf at 32."
    assert figure.numbers[-1] == "Lines: noise at 0.2, peak at 12."
    long = Series("a", range(1, 101), [abs(x - 30) + 1 for x in range(1, 101)], kind="line")
    assert drawn(series=(long,)).numbers[0] == "a, theory: 30 at 1, 1 at 30, 71 at 100 (of 100 points)."


def test_names_in_place_of_numbers():
    shown = texts(drawn(x_names=("MLP", "conv"), series=(Series("a", [0, 1], [1, 2]),)))
    assert {"MLP", "conv"} <= set(shown)


def test_sizes_in_order_are_coloured_from_faint_to_strong():
    series = tuple(Series(f"width {w}", [1, 2], [w, w]) for w in (8, 16, 32))
    figure = drawn(series=series, ordered=True, levels={})
    assert all(places(figure, colour) for colour in ("w0", "w2", "w5"))


def test_a_range_cuts_a_peak_off():
    low, high = (drawn(y_range=ends) for ends in ((0.1, 1.0), (0.01, 10.0)))
    spread = [
        max(y for _, y in places(f, "r0")[:3]) - min(y for _, y in places(f, "r0")[:3]) for f in (low, high)
    ]
    assert spread[0] == pytest.approx(3 * spread[1], rel=0.01)


def test_a_long_legend_makes_the_panel_higher():
    many = tuple(Series(f"a rather long name {i}", [1, 2], [i + 1, 2]) for i in range(6))
    panels = [drawn(series=series, levels={}, places={}).panels[0] for series in (many[:2], many)]
    heights = [float(ET.fromstring(panel.svg).attrib["viewBox"].split()[-1]) for panel in panels]
    assert heights[1] - heights[0] == pytest.approx(4 * 0.2 * 72)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1.0, 1.0], [math.nan, math.nan]),
        ([1.0, math.nan], [0.0, -1.0]),
        ([0.0, -2.0], [1.0, 1.0]),
        ([1.0, 2.0], [math.inf, 1e-300]),
    ],
)
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_odd_numbers_are_drawn_somehow(x, y, scale):
    series = (Series("a", x, y, [None, (-1.0, math.inf)]),)
    assert drawn(series=series, x_scale=scale, y_scale=scale, levels={}, places={}).panels


def test_charts_of_a_claim_have_keys_of_their_own():
    claim = dataclasses.replace(cases.claim(), figures=(cases.chart(), cases.chart()))
    assert [figure.key for figure in figures(claim)] == ["1", "2"]


@pytest.mark.parametrize(("low", "high"), [(1e-9, 1e9), (0.5, 0.6), (3, 299), (0.1, 11)])
def test_logarithmic_ticks_are_few_and_inside(low, high):
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 12
    assert all(low <= tick <= high for tick in ticks)


def test_what_is_empty_is_left_out():
    empty = cases.chart(series=(Series("a", [], []),))
    claim = cases.claim(figures=(empty, cases.chart(series=(*empty.series, *cases.chart().series))))
    (figure,) = figures(claim)
    assert figure.key == "2"
    assert "a" not in texts(figure)
