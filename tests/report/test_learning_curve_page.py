"""The table, the figures and the page of a study of learning curves."""

import dataclasses
import io
import math
import re

from rich.console import Console

from similitude.report.figures import figures
from similitude.report.learning_curve_page import render_learning_curve_page, write_learning_curve_page
from similitude.report.learning_curve_table import learning_curve_table
from tests.studies.learning_curve_cases import study


def shown(result, *, width=100):
    file = io.StringIO()
    Console(file=file, width=width).print(learning_curve_table(result))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_the_table_has_every_point_and_what_is_bought():
    text = shown(study())
    for at in (20, 40, 80, 160):
        assert re.search(rf"^ +{at} ", text, re.MULTILINE)
    for words in (
        "consistent",
        "recommended ridge at 80 samples",
        "the best ridge",
        "multiplies noise by",
        "extrapolated",
    ):
        assert words in " ".join(text.split())
    best = study().samples[1].points[-1]
    assert f"{best.predicted / study().power:.3f}" in text


def test_a_peak_and_no_exponents_can_be_shown():
    found = study()
    curve = found.widths[0]
    peak = dataclasses.replace(curve.points[0], predicted=math.inf)
    result = dataclasses.replace(
        found,
        widths=(dataclasses.replace(curve, points=(peak, curve.points[1])), found.widths[1]),
        alpha=None,
        coefficient=None,
        ridge=math.inf,
    )
    assert re.search(r"20 +inf", shown(result))
    assert "endless: predict zero" in shown(result)
    assert "inf" in render_learning_curve_page(result)
    alone = dataclasses.replace(found, widths=())
    assert [figure.key for figure in figures(alone)] == ["samples"]
    assert "random features" not in shown(alone)


def test_figures():
    drawn = figures(study())
    assert [figure.key for figure in drawn] == ["samples", "features"]
    for figure in drawn:
        assert len(figure.numbers) == 2
        assert "measured" in figure.numbers[0]


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
    page = write_learning_curve_page(study(), tmp_path / "deep" / "page.html").read_text()
    assert page == render_learning_curve_page(study())
    assert page.count("<svg") == 2
    assert page.count("<table") == 4
    assert "a &lt;b&gt;" in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
