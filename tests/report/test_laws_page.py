"""The figures and the page of scaling laws, made of trials on a known law."""

import re
from dataclasses import replace

import numpy as np
import pytest

from similitude.core.errors import TuningError
from similitude.report.figures import figures, save_figures
from similitude.report.laws_page import render_laws_page, write_laws_page
from similitude.tuning.laws.laws import ScalingLaws
from similitude.tuning.space.dimensions import Choice, Linear, Log, Logit
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import History


def laws(*, minimize=True, trials=60, decades=3.0):
    space = Space(
        {
            "n": Log(1.0, role="scale"),
            "l<r": Log(1e-3, role="transfer"),
            "p": Logit(0.5),
            "c": Linear(1.0),
            "act": Choice("relu", "gelu"),
            "eps": Log(1e-8, role="transfer"),
        }
    )
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (trials, 6))
    points[:, 0] *= decades / 4
    points[:, 4] = rng.integers(2, size=trials)
    points[:, 5] = 0
    n, lr, p, c, act, _ = points.T
    loss = 1 + 10 ** (-0.4 * n) + 0.5 * (lr - 0.3 * n) ** 2 + 0.2 * (p - 0.2) ** 2 + 0.1 * c**2 + 0.1 * act
    loss += 0.005 * rng.standard_normal(trials)
    history = History(
        space,
        points,
        loss if minimize else -loss,
        100 * 10.0 ** (2 * n),
        np.arange(trials),
        minimize=minimize,
    )
    return ScalingLaws.from_history(history, resamples=20)


@pytest.fixture(scope="module")
def found():
    return laws()


def test_every_figure_says_what_to_look_for_and_whether_it_is_there(found):
    drawn = figures(found)
    assert [figure.key for figure in drawn] == ["frontier", "dimensions", "slopes"]
    for figure in drawn:
        assert "Look for" in figure.caption
        assert figure.numbers
    assert [panel.name for panel in drawn[1].panels] == ["n", "l<r", "p", "c"]
    assert any("l<r shifts" in line for line in drawn[1].numbers)
    assert any("intervals overlap" in line or "do not all overlap" in line for line in drawn[2].numbers)
    assert re.search(r"\d+ of \d+ trials on the observed front", drawn[0].numbers[2])


def test_the_page_is_whole_and_the_same_every_time(found, tmp_path):
    page = render_laws_page(found)
    assert page == render_laws_page(found)
    assert write_laws_page(found, tmp_path / "new" / "laws.html").read_text(encoding="utf-8") == page
    assert page.count("<svg") == 6
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "l&lt;r" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="http', page)
    for words in (
        "Backtest",
        "naive",
        "surrogate",
        "parametric",
        "not identified",
        "eps hardly varied",
        "100 times",
    ):
        assert words in page


def test_pages_of_maximized_values_and_without_a_backtest():
    page = render_laws_page(laws(minimize=False))
    assert "value(C) = E - A C^-k" in page
    short = laws(trials=20, decades=1.2)
    with pytest.raises(TuningError):
        short.backtest()
    assert "none: Without the dearest decade" in render_laws_page(short)


def test_figures_are_files(found, tmp_path):
    paths = save_figures(found, tmp_path)
    assert len(paths) == 6
    assert "mathdefault" not in "".join(path.read_text() for path in paths)


def test_estimators_that_could_not_be_had_are_left_out(found):
    only = replace(
        found,
        estimates=replace(
            found.estimates, paths={"naive": found.estimates.paths["naive"]}, preferred="naive"
        ),
    )
    assert all("Nothing to compare with." in line for line in figures(only)[2].numbers)


@pytest.mark.filterwarnings("error")
def test_laws_that_tell_nothing_are_drawn_without_a_warning(found):
    for value in (0.0, 1.0):
        nothing = ScalingLaws.from_history(
            replace(found.history, values=np.full(len(found.history.values), value)), resamples=20
        )
        page = render_laws_page(nothing)
        assert "not identified" in page
        assert "predicted no better" in page
