"""The table, the figures and the page of a study of Super Consistency, made of curves that are known."""

import io
import math
import re

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from similitude.report import consistency_figures
from similitude.report.consistency_page import render_consistency_page, write_consistency_page
from similitude.report.consistency_table import consistency_table
from similitude.report.consistency_words import (
    collapse_sentence,
    growth_sentence,
    movement_sentence,
    ratio_sentence,
    stability_sentence,
)
from similitude.report.figures import figures, save_figures
from similitude.studies.consistency_judged import judged
from similitude.studies.consistency_rate import Rate
from similitude.studies.consistency_records import Consistency
from similitude.studies.shift import transfer
from tests.report.report_cases import curve
from tests.studies.consistency_cases import WINDOWS, curves, gap_of_loss, lazy, same


def rule(name, sharpness, *, loss=gap_of_loss, **options):
    return judged(name, "width", curves(sharpness=sharpness, loss=loss, **options), WINDOWS)


def study(*, name="mine", loss=gap_of_loss, transfers=False):
    rules = {"mup": rule("mup", same, loss=loss, noise=0.01), "ntp": rule("ntp", lazy, loss=loss, noise=0.01)}
    swept = {r: transfer(r, [curve(w, -7.0, 0.5) for w in (64, 128)]) for r in rules} if transfers else {}
    settings = {"model": "a.<b>", "steps": 100}
    return Consistency(name, rules, Rate(90.0, 360.0, 256.0), WINDOWS, swept, settings, 3, 24, 12.5)


def shown(result, *, width=80):
    file = io.StringIO()
    Console(file=file, width=width).print(consistency_table(result))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_the_table_has_every_window_every_size_and_both_verdicts():
    text = shown(study(transfers=True))
    assert "27 runs, 3 found, 24 run; 12.5 s" in text
    assert "1/4 of the largest stable rate" in text
    assert "µP  consistent" in text
    assert "NTP  inconsistent" in text
    for window in WINDOWS:
        assert len(re.findall(rf"{window} ", text)) >= 6
    assert len(re.findall("learning-rate transfer:", text)) == 2
    assert "next: compare with --rules mup" in text


def test_sentences_say_what_is_there():
    mup, ntp = study().rules.values()
    assert collapse_sentence(mup).startswith("µP: one curve over widths 256 to 1024")
    assert collapse_sentence(ntp).startswith(
        "NTP: not one curve over widths 256 to 1024; they differ most at steps 50-100"
    )
    assert stability_sentence(mup).startswith("Every width reaches the edge of stability at 2: 64 at step")
    assert "below 90% of the threshold 2 all the time: 128" in stability_sentence(ntp)
    assert growth_sentence(mup.growths[1]).startswith("The loss gap to the largest size grows: x")
    assert "from 0.9" in movement_sentence(mup, "top_1", "it").replace("0.90", "0.9").replace("0.91", "0.9")
    assert "0.25 at width 64 and 0.25 at 1024" in ratio_sentence(mup)
    assert movement_sentence(mup, "density", "the density") == "µP: the density was not measured."


def test_a_sentence_decides_nothing_that_the_verdict_leaves_open():
    noisy = rule("mup", same, noise=0.3)
    assert str(noisy.verdict.outcome) == "cannot_tell"
    assert collapse_sentence(noisy).startswith("µP: cannot tell whether it is one curve over widths")
    lost = rule("mup", same, loss=lambda size, t: math.nan if t > 0 else 1.0)
    assert collapse_sentence(lost).startswith("µP: every run diverged")


def test_a_run_that_begins_at_the_edge_or_diverges_does_not_reach_it():
    above = rule("mup", lambda size, t: 3.0 if size == 64 else 1.9 * t)
    said = stability_sentence(above)
    assert said.startswith("Some reach the edge of stability at 2: 128 at step 100")
    assert said.endswith("; at the edge 2 or beyond from the start: 64 (3).")
    lost = rule("mup", lambda size, t: 1 + 2 * t, loss=lambda size, t: math.nan if t > 0.8 else 1.0)
    assert "64 at step 40 (3 of 3 runs diverged)" in stability_sentence(lost)


def test_there_is_a_figure_for_every_question(tmp_path):
    drawn = figures(study())
    assert [figure.key for figure in drawn] == [
        "sharpness",
        "spreads",
        "distances",
        "loss",
        "spectra",
        "ntk",
        "parts",
    ]
    for figure in drawn:
        assert figure.numbers
        assert all(line.endswith(".") for line in figure.numbers)
        assert "Look for" in figure.caption
        assert len(figure.panels) == (1 if figure.key == "spreads" else 2)
    text = "".join(path.read_text() for path in save_figures(study(), tmp_path))
    assert "mathdefault" not in text
    for size in (64, 128, 256, 512, 1024):
        assert f">width {size}<" in text


def test_the_axis_of_sharpness_holds_every_seed(monkeypatch):
    seen = []
    monkeypatch.setattr(consistency_figures, "draw", lambda paint, *names, **words: seen.append(paint))
    noisy = rule("mup", same, noise=0.5)
    consistency_figures._sharpness([noisy])
    figure = Figure()
    seen[0](figure)
    (axes,) = figure.axes
    assert axes.get_ylim()[1] > max(max(row) for c in noisy.curves for row in c.series["eta_lambda"])
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == [
        f"width {size}" for size in (64, 512, 128, 1024, 256)
    ]  # columns of 2, 2, 1: rows are in order


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
    page = write_consistency_page(study(), tmp_path / "deep" / "page.html").read_text()
    assert page == render_consistency_page(study())
    assert page.count("<svg") == 13
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "a.&lt;b&gt;" in page
    assert "Is the sharpness the same at every width, all along training?" in page
    assert len(set(re.findall(r' id="([^"]+)"', page))) == len(re.findall(r' id="([^"]+)"', page))


def test_a_transfer_is_shown_beside():
    page = render_consistency_page(study(transfers=True))
    assert "Loss against learning rate" in page
    assert page.count("<strong>learning rate under") == 2


@pytest.mark.parametrize(
    "loss", [lambda size, t: math.nan, lambda size, t: math.nan if size == 1024 and t > 0.5 else 1.0]
)
def test_runs_that_diverged_can_be_shown(loss):
    result = study(loss=loss)
    assert "<svg" in render_consistency_page(result) or "There is nothing to draw" in render_consistency_page(
        result
    )
    assert "diverged" in shown(result)


def test_names_are_text_and_not_markup():
    assert "&lt;i&gt;" in render_consistency_page(study(name="<i>"))
