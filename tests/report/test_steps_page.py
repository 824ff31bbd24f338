"""The page of an embedding's steps, made of curves that are known."""

import re

import numpy as np

from similitude.report.steps_page import render_steps_page, steps_charts, write_steps_page
from similitude.theory.joint_embedding.history import EmbeddingHistory
from similitude.theory.joint_embedding.steps import embedding_steps

TIMES = np.linspace(0, 30, 301)


def known():
    views = np.diag([2.0, 1.5, 1.0]), np.diag([2.0, 1.5, 1.0])
    predicted = embedding_steps(views, 3, start=1e-3)
    return predicted, EmbeddingHistory.of(TIMES, predicted.eigenvalues(TIMES), predicted.loss(TIMES))


def test_the_page_has_every_step_and_is_the_same_every_time(tmp_path):
    predicted, run = known()
    given = {"name": "<i>", "settings": {"encoder": "a.<b>"}, "predicted": predicted}
    page = write_steps_page(run, tmp_path / "deep" / "steps.html", **given).read_text()
    assert page == render_steps_page(run, **given)
    assert page.count("<svg") == 3
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "&lt;i&gt;" in page
    assert "a.&lt;b&gt;" in page
    for time in predicted.times:
        assert f"{time:.4g}" in page
    assert "3 of 3 dimensions switched on in 3 separate steps" in page


def test_charts_show_the_run_beside_the_prediction():
    predicted, run = known()
    spectrum, rank, loss = steps_charts(run, predicted)
    marks = [s for s in spectrum.series if s.kind == "points"]
    lines = [s for s in spectrum.series if s.kind == "line"]
    assert len(marks) == len(lines) == 3
    for one, other in zip(marks, lines, strict=True):
        np.testing.assert_allclose(np.interp(one.x, other.x, other.y), one.y, atol=1e-9)
    assert rank.series[0].y[-1] > 2.99
    assert loss.series[0].y[0] > 2.99
    alone = steps_charts(EmbeddingHistory.of(TIMES, run.eigenvalues))
    assert [chart.title for chart in alone] == ["Eigenvalues of the embedding", "Effective rank"]
    assert {s.kind for s in alone[0].series} == {"joined"}


def test_many_dimensions_are_drawn_by_their_first_and_one_record_not_at_all():
    wide = EmbeddingHistory.of([0.0, 1.0], np.ones((2, 20)))
    assert len(steps_charts(wide)[0].series) == 8
    single = EmbeddingHistory.of([0.0], [[1.0, 0.5]])
    assert steps_charts(single) == []
    page = render_steps_page(single, name="one", settings={})
    assert "fewer than two records" in page
    assert "No dimension switched on" in page


def test_a_dimension_that_still_rises_is_marked():
    t = np.linspace(0, 10, 100)
    grown = np.stack([1 / (1 + np.exp(-4 * (t - at))) for at in (3.0, 6.0, 9.8)], 1)
    page = render_steps_page(EmbeddingHistory.of(t, grown), name="short", settings={})
    assert page.count("<td>still rises</td>") == 1
