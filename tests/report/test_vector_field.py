"""The vector field of two-layer linear networks: arrows and paths are those of real networks, lines lie right."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from matplotlib.path import Path

from similitude.core.errors import PlanError
from similitude.report import vector_field as module
from similitude.report.figures import figures, save_figures
from similitude.report.palette import stand_in
from similitude.report.svg import Panel
from similitude.theory.two_layer_field import two_layer_field


@pytest.fixture(scope="module")
def field():
    return two_layer_field(2.0, eta=0.3, widths=(8, 512), steps=40)


@pytest.fixture
def axes(monkeypatch, field):
    """Draw the field and return the axes of its panels."""
    canvases = []

    def keep(paint, name="", **words):
        canvases.append(Canvas())
        paint(canvases[-1])
        return Panel(name, "")

    monkeypatch.setattr(module, "draw", keep)
    module.vector_field(field)
    return [canvas.axes[0] for canvas in canvases]


def plain_step(w: float, first: np.ndarray, second: np.ndarray, gamma: float, eta: float):
    """One step of f = x . first second / (gamma sqrt(N)) on (f - 2)^2 / 2 at x = 1, and where it leads."""
    scale = 1 / (gamma * math.sqrt(len(first)))
    r = scale * first @ second - 2.0
    assert r == pytest.approx(w - 2.0)
    a = first - eta * gamma**2 * scale * r * second
    b = second - eta * gamma**2 * scale * r * first
    return scale * a @ b, (a @ a + b @ b) / len(first)


@pytest.mark.parametrize("panel", [0, 1])
def test_an_arrow_is_one_step_of_a_network(field, panel):
    """Two hidden units that compute w with the sharpness of the arrow's start; under NTP a wide one hardly bends."""
    drawn = field.panels[panel]
    for k in range(0, len(drawn.w), 7):
        w, sharpness = drawn.w[k], drawn.sharpness[k]
        gamma = math.sqrt(2.0) if drawn.kappa else 1e-4
        # The halves of their sum and difference, across one another: their squares give product and length.
        product, length = 2 * math.sqrt(2.0) * gamma * w, 2 * sharpness
        plus, minus = math.sqrt(length + product), math.sqrt(length - product)
        first, second = np.array([plus, minus]) / 2, np.array([plus, -minus]) / 2
        after = plain_step(w, first, second, gamma, field.eta)
        change = (drawn.dw[k] * field.eta, drawn.dsharpness[k] * field.eta)
        assert change == pytest.approx((after[0] - w, after[1] - sharpness), rel=1e-6, abs=1e-6)


def test_sharpness_rises_under_mup_and_not_under_ntp(field):
    mup, ntp = field.panels
    assert not np.abs(ntp.dsharpness).max() > 1e-12
    on_the_way = (mup.w > 0) & (mup.w < 1.9)
    assert (mup.dsharpness[on_the_way] > 0).all()
    for panel, width in itertools.product(field.panels, (8, 512)):
        (path,) = [path for path in panel.paths if path.width == width]
        assert path.w[-1] == pytest.approx(2.0, abs=1e-3)
        assert path.w.shape == path.sharpness.shape == (41,)
    assert mup.paths[1].sharpness[-1] > 1.5 * mup.paths[1].sharpness[0]
    assert ntp.paths[1].sharpness[-1] == pytest.approx(ntp.paths[1].sharpness[0], rel=0.02)


def test_minima_are_green_below_the_edge_and_red_above_it(axes):
    edge = 2 / 0.3
    for drawn, lowest in zip(axes, (4.0, 0.0), strict=True):
        upright = [line for line in drawn.lines if list(line.get_xdata()) == [2.0, 2.0]]
        ends = {line.get_color(): list(line.get_ydata()) for line in upright}
        assert ends[stand_in("good")] == pytest.approx([lowest, edge])
        assert ends[stand_in("bad")][0] == pytest.approx(edge)
        (level,) = [line for line in drawn.lines if line.get_linestyle() == "--"]
        assert level.get_ydata()[0] == pytest.approx(edge)


def test_arrows_and_paths_keep_out_of_the_region_without_networks(axes, field):
    grey = Path(axes[0].collections[0].get_paths()[0].vertices)
    for path in field.panels[0].paths:
        for w, sharpness in zip(path.w, path.sharpness, strict=True):
            assert not grey.contains_point((w, sharpness + 1e-2))
    assert grey.contains_point((2.0, 3.9))
    assert not grey.contains_point((2.0, 4.1))


def test_its_numbers_say_whether_widths_agree(field, tmp_path):
    (figure,) = figures(field)
    mup, ntp = figure.numbers
    assert mup.startswith("muP: at learning rate 0.3 the sharpness rises, from ")
    assert "its final value is the same within 10 %" in mup
    assert "NTP: at learning rate 0.3 the sharpness stays" in ntp
    assert [path.name for path in save_figures(field, tmp_path)] == [
        "TwoLayerField-vector-field-1.svg",
        "TwoLayerField-vector-field-2.svg",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 0.0}, "target=0.0"),
        ({"widths": ()}, r"widths=\(\)"),
        ({"widths": (0,)}, r"widths=\(0,\)"),
        ({"eta": -0.1}, "eta=-0.1"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(PlanError, match=message):
        two_layer_field(options.pop("target", 2.0), **options)
