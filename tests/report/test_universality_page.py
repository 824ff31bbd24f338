"""The table, the figures and the page of a study of universality whose numbers are known."""

import io
import re

import pytest
from rich.console import Console

from similitude.report.figures import figures
from similitude.report.universality_page import render_universality_page, write_universality_page
from similitude.report.universality_table import universality_table
from tests.studies.universality_cases import WIDTHS, study


def shown(result, *, width=80):
    file = io.StringIO()
    Console(file=file, width=width).print(universality_table(result))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_the_table_has_every_width_and_every_power():
    text = shown(study(), width=120)
    assert "18 nets beside their kernels; 12.5 s" in text
    assert "MLP  consistent" in text
    for width in WIDTHS:
        assert len(re.findall(rf"^{width} ", text, re.MULTILINE)) == 2
    assert "0.3825" in text  # 3 x 64^-1/2, mean of 1, 1.02 and 1.04
    assert "-0.50 [-0.50, -0.50]" in text.replace("-0.51", "-0.50")
    assert "change under µP" in text
    assert "under" not in shown(study(contrast=None))


def test_a_bad_verdict_comes_with_its_cause():
    assert "likely cause" in shown(study(-0.1))


@pytest.mark.parametrize("contrast", ["mup", None])
def test_figures_show_what_is_there(contrast):
    drawn = figures(study(contrast=contrast))
    assert [figure.key for figure in drawn] == ["deviations", "changes"]
    assert [len(figure.panels) for figure in drawn] == [2, 2 if contrast else 1]
    for figure in drawn:
        assert "Look for" in figure.caption
        assert all(line.endswith(".") for line in figure.numbers)


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
    page = write_universality_page(study(), tmp_path / "deep" / "page.html").read_text()
    assert page == render_universality_page(study())
    assert page.count("<svg") == 4
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "a &lt;b&gt;" in page
    assert "whatever their architecture?" in page


def test_a_study_that_diverged_can_be_shown():
    lost = study(lambda width: float("nan") if width == 64 else width**-0.5)
    assert "3 of 9 nets diverged" in render_universality_page(lost)
    assert "diverged" in shown(lost)
