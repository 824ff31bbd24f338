"""The table, the figures and the page of a sweep of gamma, made of numbers that are known."""

import io
import math
import re
from dataclasses import replace

from rich.console import Console

from similitude.report.figures import figures, save_figures
from similitude.report.gamma_page import render_gamma_page, write_gamma_page
from similitude.report.gamma_table import gamma_table
from similitude.studies.gamma_exponents import best_gamma, exponents, judge_law
from similitude.studies.gamma_records import GammaPoint, GammaSweep
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve

GAMMAS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)


def point(gamma, *, diverged=False):
    exact = round((2 if gamma < 1 else 1) * math.log2(gamma))
    lrs = tuple(2.0 ** (exact + k) for k in range(-3, 4))
    loss = 0.1 * 1.3 ** (math.log10(gamma) ** 2)
    losses = tuple(tuple(loss * 1.1 ** (k**2) * noise for noise in (0.99, 1.0, 1.02)) for k in range(-3, 4))
    losses = ((math.inf,) * 3,) * 7 if diverged else (*losses[:-1], (math.inf,) * 3)
    curve = Curve(8, lrs, losses)
    stable = (None,) * 3 if diverged else (lrs[-2],) * 3
    return GammaPoint(gamma, curve, (2.0,) * 3, optimum(curve), stable)


def sweep(*, diverged=False, name="mine"):
    points = tuple(point(gamma, diverged=diverged) for gamma in GAMMAS)
    found = exponents(points, layers=2, family="sgd")
    settings = {"model": "a.<b>", "steps": 100}
    return GammaSweep(
        name, points, found, best_gamma(points), judge_law(found, "sgd"), 2, "sgd", settings, 3, 144, 1.5
    )


def shown(result, *, width=80):
    file = io.StringIO()
    Console(file=file, width=width).print(gamma_table(result))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_the_table_has_every_gamma_every_exponent_and_both_verdicts():
    text = shown(sweep())
    for gamma in GAMMAS:
        assert re.search(rf"^ *{gamma:g} ", text, re.MULTILINE)
    assert "147 runs, 3 found, 144 run; 1.5 s" in text
    assert len(re.findall(r"^(lazy|rich) ", text, re.MULTILINE)) == 4
    assert "law of learning rates  consistent" in text
    assert re.search(r"best gamma  ok", text)
    assert re.search(r"gamma 1(\.0\d)?, 95 % interval", text)


def test_what_diverged_is_said():
    text = shown(sweep(diverged=True))
    assert "not bracketed" in text
    assert "best gamma  diverged" in text
    assert figures(sweep(diverged=True)) == []
    assert "There is nothing to draw" in render_gamma_page(sweep(diverged=True))


def test_the_figure_draws_rates_and_losses(tmp_path):
    (figure,) = figures(sweep())
    assert [panel.name for panel in figure.panels] == ["rates", "loss"]
    assert any(
        "largest stable rate on the rich side" in line and "law 1.00" in line for line in figure.numbers
    )
    drawn = "".join(path.read_text() for path in save_figures(sweep(), tmp_path))
    assert "mathdefault" not in drawn
    assert ">0.001<" in drawn
    assert ">1000<" in drawn


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
    page = write_gamma_page(sweep(), tmp_path / "deep" / "gamma.html").read_text()
    assert page == render_gamma_page(sweep())
    assert page.count("<svg") == 2
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "a.&lt;b&gt;" in page
    for gamma in GAMMAS:
        assert f"Every loss at gamma {gamma:g}<" in page
    assert "diverged" in page


def test_names_are_text_and_not_markup():
    assert "&lt;i&gt;" in render_gamma_page(sweep(name="<i>"))


def test_a_next_step_in_prose_is_not_set_as_a_command():
    found = sweep()
    for step, command in (("--gammas 0.1,1,10", True), ("--seeds 5, or more gammas on this side", False)):
        page = render_gamma_page(replace(found, law=replace(found.law, next=step)))
        assert step in page
        assert (f'<code class="command">{step}' in page) == command
