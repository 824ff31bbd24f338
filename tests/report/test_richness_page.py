"""The table, the figures and the page of a phase diagram, made of numbers that are known."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from similitude.report.figures import figures
from similitude.report.richness_page import render_richness_page, write_richness_page
from similitude.report.richness_table import richness_table
from similitude.studies.gamma_exponents import best_gamma, exponents, judge_law
from similitude.studies.gamma_records import GammaPoint, GammaSweep
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve
from similitude.studies.richness.budgets import Budget
from similitude.studies.richness.diagram import OpenEnd, PhaseCell, PhaseDiagram
from similitude.studies.richness.phases import Phase
from similitude.studies.richness.rescaled_time import collapse

GAMMAS = (1e-3, 1e-2, 1.0, 1e2, 1e3)
PHASES = (Phase.NO_PROGRESS, Phase.PLATEAU, Phase.LEARNED, Phase.STAIRCASE, Phase.CATAPULT, Phase.DIVERGED)


def made_up():
    points, cells = [], []
    for gamma in GAMMAS:
        middle = gamma ** (2 if gamma < 1 else 1)
        lrs = tuple(middle * 2.0**k for k in range(-3, 3))
        losses = tuple((1.0 - 0.1 * k,) * 2 for k in range(6))
        curve = Curve(8, lrs, losses)
        points.append(GammaPoint(gamma, curve, (2.0, 2.0), optimum(curve), (lrs[-2],) * 2))
        cells += [
            PhaseCell(gamma, lr, (phase,) * 2, (1.0, 1.0), ((1.0, 0.5),) * 2, ((3.0,),) * 2)
            for lr, phase in zip(lrs, PHASES, strict=True)
        ]
    found = exponents(points, layers=2, family="sgd")
    sweep = GammaSweep(
        "<i>",
        tuple(points),
        found,
        best_gamma(points),
        judge_law(found, "sgd"),
        2,
        "sgd",
        {"steps": 100},
        3,
        27,
        1.5,
    )
    losses = dict(zip(GAMMAS, (0.5, 0.4, 0.2, 0.3, float("inf")), strict=True))
    budgets = tuple(Budget(steps, losses, losses, best_gamma(points)) for steps in (50, 100))
    falls = 1 / (1 + np.exp((np.arange(100) - 50) / 5))
    return PhaseDiagram(
        sweep, tuple(cells), budgets, collapse({1e2: falls, 1e3: falls}, [1.0, 10.0], layers=2), ()
    )


def shown(diagram):
    file = io.StringIO()
    Console(file=file, width=80).print(richness_table(diagram))
    assert max(map(len, file.getvalue().splitlines())) <= 80
    return file.getvalue()


def test_the_table_has_the_map_the_budgets_and_the_collapse():
    text = shown(made_up())
    assert len(re.findall(r"\.-o%\^x", text)) == len(GAMMAS)
    assert "% staircase (5)" in " ".join(text.split())
    assert re.search(r"^ +50 .*", text, re.MULTILINE)
    assert "collapse of curves  consistent" in text


def test_the_figures_are_the_map_the_sweep_the_budgets_and_the_collapse():
    drawn = figures(made_up())
    assert [figure.key for figure in drawn] == ["map", "gamma", "budgets", "collapse"]
    assert "5 diverged" in drawn[0].numbers[0]
    bare = replace(made_up(), budgets=(), collapse=None)
    assert [figure.key for figure in figures(bare)] == ["map", "gamma"]


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
    page = write_richness_page(made_up(), tmp_path / "deep" / "richness.html").read_text()
    assert page == render_richness_page(made_up())
    assert page.count("<svg") == 5
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "&lt;i&gt;" in page
    assert "Phases" in page


@pytest.mark.parametrize("way", ["smaller", "larger"])
def test_open_ends_and_notes_are_told(way):
    diagram = replace(made_up(), ends=(OpenEnd(100.0, way, 0.5),), notes=("a note",))
    text = " ".join(shown(diagram).split())
    assert f"gamma 100 needs rates {way} than 0.5" in text
    assert "note: a note" in text
    page = render_richness_page(diagram)
    assert f"needs rates {way} than 0.5" in page
    assert "a note." in page
