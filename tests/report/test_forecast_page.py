"""The table, the figures and the page of a forecast of synthetic families whose law is known."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from similitude.report.figures import figures, save_figures
from similitude.report.forecast_page import render_forecast_page, write_forecast_page
from similitude.report.forecast_table import forecast_table, next_run_in_words
from similitude.studies.forecast import forecast
from similitude.studies.shift import transfer
from tests.studies.test_forecast import TARGET, family, study


@pytest.fixture(scope="module")
def found():
    return forecast(study(family(3, shift=-0.5), depth=6, model="a.<b>"), TARGET)


def shown(result, *, width=100):
    file = io.StringIO()
    Console(file=file, width=width).print(forecast_table(result))
    assert max(map(len, file.getvalue().splitlines())) <= width
    return " ".join(file.getvalue().split())


def test_the_table_has_both_forecasts_the_backtest_and_the_next_run(found):
    text, rate = shown(found), found.values["lr"]
    assert "mine under µP at width 1024" in text
    for value in (rate.transferred, rate.fitted):
        assert f"{value.value:.3g} [{value.low:.3g}, {value.high:.3g}]" in text
    assert "lr shifts" in text
    assert re.search(r"the optimum goes as width\^-0\.[45]\d", text)
    assert "backtest: width 256 held out" in text
    assert f"width {rate.next_run.size} with {rate.next_run.seeds} seeds halves the interval" in text
    assert f"next: {rate.next_run.options}" in text
    assert f"expected loss: {found.loss.value:.3g}" in text
    assert "note: without a plan" in text


def test_what_is_missing_is_said():
    alone = forecast(transfer("mup", family(8, shift=0.0)[:1]), TARGET)
    text = shown(alone)
    assert "expected loss: none can be told" in text
    assert "cannot tell" in text
    (figure,) = figures(alone)
    assert figure.key == "values"
    empty = replace(alone, values={"lr": replace(alone.values["lr"], points=(), transferred=None)})
    assert figures(empty) == []
    assert "There is nothing to draw" in render_forecast_page(empty)


def test_the_figures_say_what_to_look_for_and_whether_it_is_there(found, tmp_path):
    values, loss = figures(found)
    assert "What to look for" in values.caption
    assert "Do they agree: no." in values.numbers[0]
    assert "What to look for" in loss.caption
    agreeing = figures(forecast(study(family(3, shift=0.0)), TARGET))[0]
    assert "Do they agree: yes." in agreeing.numbers[0]
    drawn = [path.read_text() for path in save_figures(found, tmp_path)]
    assert all(">1024<" in svg and "mathdefault" not in svg for svg in drawn)


def test_the_page_is_whole_and_the_same_every_time(found, tmp_path):
    page = write_forecast_page(found, tmp_path / "deep" / "forecast.html").read_text()
    assert page == render_forecast_page(found)
    assert page.count("<svg") == 2
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "a.&lt;b&gt;" in page
    assert found.values["lr"].next_run.options in page
    assert "&lt;i&gt;" in render_forecast_page(replace(found, name="<i>"))


def test_runs_of_a_tuning_study_are_trials(found):
    run = replace(found.values["lr"].next_run, dial="trials", size=40, seeds=0, cost=12.5)
    assert next_run_in_words(run) == "40 further trials halve the interval, cost about 12.5"
