"""The map of depth parametrizations: regions and the ring lie where the classification says."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.figure import Figure as Canvas
from matplotlib.path import Path

from similitude.report import depth_map as module
from similitude.report.figures import figures, save_figures
from similitude.report.palette import stand_in
from similitude.report.svg import Panel
from similitude.theory.depth import DEPTH_POINTS, classify


@pytest.fixture
def axes(monkeypatch):
    """Draw a map and return its axes."""

    def painted(regime):
        canvas = Canvas()
        monkeypatch.setattr(module, "draw", lambda paint, **words: (paint(canvas), Panel("", ""))[1])
        module.depth_map(regime)
        return canvas.axes[0]

    return painted


def test_every_place_has_the_colour_of_its_regime(axes):
    drawn = axes(classify(0.5, 0.5))
    shaded = [(Path(patch.get_xy()), patch.get_facecolor()) for patch in drawn.patches]
    for alpha, rate in itertools.product(
        [-0.1, 0.2, 0.45, 0.6, 0.85, 1.1, 1.3], [-0.45, -0.2, 0.1, 0.3, 0.8, 1.1]
    ):
        label = classify(alpha, rate).label
        colours = [colour for path, colour in shaded if path.contains_point((alpha, rate))]
        assert len(colours) == 1, (alpha, rate)
        bad = label.startswith("blows up")
        red = tuple(int(stand_in("bad")[i : i + 2], 16) / 255 for i in (1, 3, 5))
        assert (colours[0][:3] == pytest.approx(red)) == bad, label


def test_the_ring_is_at_the_parametrization_or_at_the_edge(axes):
    rings = [line for line in axes(classify(0.75, 0.25)).lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in rings] == [(0.75, 0.25)]
    (ring,) = [line for line in axes(classify(4.0, -9.0)).lines if line.get_marker() == "o"]
    assert ring.get_xdata()[0] == pytest.approx(1.35)
    assert ring.get_ydata()[0] == pytest.approx(-0.45)


def test_named_points_are_named(axes):
    drawn = axes(classify(0.5, 0.5))
    assert set(DEPTH_POINTS) <= {text.get_text() for text in drawn.texts}


def test_figures_and_files(tmp_path):
    (figure,) = figures(classify(0.0, 0.0))
    assert "blows up at initialization" in figure.numbers[0]
    assert "blows up at initialization" in figure.panels[0].svg
    (path,) = save_figures(classify(0.5, 0.5), tmp_path)
    assert path.name == "DepthRegime-depth-map.svg"
