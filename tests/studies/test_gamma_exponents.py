"""Exponents, the law's verdict and the best gamma, from losses that are made up and therefore known."""

import math
import re

import numpy as np
import pytest

from similitude.core.verdict import Outcome
from similitude.studies.gamma_exponents import best_gamma, exponents, judge_law
from similitude.studies.gamma_records import GammaPoint
from similitude.studies.optimum import optimum
from similitude.studies.records import Curve
from similitude.studies.stable_rates import PER_OCTAVE

GAMMAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)


def point(gamma, lazy, rich, *, loss=0.1, noise=0.0, seeds=3):
    """A gamma whose best rate is gamma^lazy or gamma^rich, and whose largest stable rate is 4 times that."""
    generator = np.random.default_rng(round(1000 * math.log10(gamma)) + 9999)
    best = gamma ** (lazy if gamma < 1 else rich)
    exact = math.log2(best)
    octaves = range(math.floor(exact) - 4, math.floor(exact) + 5)
    lrs = tuple(2.0**k for k in octaves)
    per_seed = np.exp(noise * generator.standard_normal(seeds))
    losses = tuple(tuple(loss * 1.2 ** (k - exact) ** 2 * per_seed) for k in octaves)
    edge = 2.0 ** (math.floor(PER_OCTAVE * (exact + 2)) / PER_OCTAVE)
    curve = Curve(8, lrs, losses)
    return GammaPoint(gamma, curve, (1.0,) * seeds, optimum(curve), (edge,) * seeds)


@pytest.mark.parametrize(("lazy", "rich"), [(2.0, 1.0), (2.0, 0.5), (1.0, 1 / 3)])
def test_exponents_are_those_of_the_rates(lazy, rich):
    found = exponents([point(g, lazy, rich) for g in GAMMAS], layers=2, family="sgd")
    assert [(e.side, e.quantity) for e in found] == [
        ("lazy", "largest stable rate"),
        ("lazy", "best rate"),
        ("rich", "largest stable rate"),
        ("rich", "best rate"),
    ]
    for e in found:
        true = lazy if e.side == "lazy" else rich
        assert e.interval[0] - 1e-9 <= true <= e.interval[1] + 1e-9
        assert e.value == pytest.approx(true, abs=0.05)
        assert e.gammas == (GAMMAS[:3] if e.side == "lazy" else GAMMAS[-3:])


@pytest.mark.parametrize(
    ("family", "layers", "lazy", "rich"), [("sgd", 3, 2.0, 2 / 3), ("entrywise", 3, 1.0, 1 / 3)]
)
def test_the_law_holds_where_rates_follow_it(family, layers, lazy, rich):
    found = exponents([point(g, lazy, rich) for g in GAMMAS], layers=layers, family=family)
    verdict = judge_law(found, family)
    assert verdict.outcome is Outcome.CONSISTENT
    assert f"(law {rich:.2f})" in verdict.summary


def test_the_law_is_refused_where_rates_do_not_follow_it():
    """Rates of a network without a rich side, held against three layers."""
    verdict = judge_law(exponents([point(g, 2.0, 2.0) for g in GAMMAS], layers=3, family="sgd"), "sgd")
    assert verdict.outcome is Outcome.INCONSISTENT
    assert re.search(r"gamma\^(1\.9\d|2\.0\d) on the rich side \(law 0\.67\)", verdict.summary)
    assert verdict.causes


def test_without_gammas_on_its_sides_or_layers_the_law_is_not_tested():
    near = [point(g, 2.0, 1.0) for g in (0.1, 1.0, 10.0)]
    assert exponents(near, layers=2, family="sgd") == ()
    unknown = exponents([point(g, 2.0, 1.0) for g in GAMMAS], layers=None, family="sgd")
    assert {e.expected for e in unknown} == {None}
    for found in ((), unknown):
        verdict = judge_law(found, "sgd")
        assert verdict.outcome is Outcome.CANNOT_TELL
        assert "not tested" in verdict.summary


def test_the_best_gamma_lies_between_those_that_were_tried():
    losses = {g: 0.1 * 1.5 ** ((math.log10(g) - 0.4) ** 2) for g in GAMMAS}
    found = best_gamma([point(g, 2.0, 1.0, loss=losses[g], noise=0.01) for g in GAMMAS])
    assert found.verdict.outcome is Outcome.OK
    assert found.interval[0] <= 10**0.4 <= found.interval[1]
    assert found.gamma == pytest.approx(10**0.4, rel=0.15)


@pytest.mark.parametrize(("slope", "edge"), [(1.0, "low"), (-1.0, "high")])
def test_a_best_gamma_at_the_edge_is_said_to_lie_beyond(slope, edge):
    losses = {g: 0.1 * math.exp(0.3 * slope * math.log10(g)) for g in GAMMAS}
    found = best_gamma([point(g, 2.0, 1.0, loss=losses[g], noise=0.01) for g in GAMMAS])
    assert (found.verdict.outcome, found.edge) == (Outcome.NOT_BRACKETED, edge)
    assert {"low": "smaller", "high": "larger"}[edge] in found.verdict.next


def test_a_gamma_that_does_not_matter_has_no_best_value():
    found = best_gamma([point(g, 2.0, 1.0, noise=0.05) for g in GAMMAS])
    assert found.verdict.undecided


def test_where_everything_diverged_there_is_no_best_gamma():
    curve = Curve(8, (0.1, 0.2, 0.4), ((math.inf,),) * 3)
    dead = [GammaPoint(g, curve, (1.0,), optimum(curve), (None,)) for g in (0.1, 1.0, 10.0)]
    found = best_gamma(dead)
    assert found.gamma is None
    assert found.verdict.outcome is Outcome.DIVERGED
    assert exponents(dead, layers=2, family="sgd") == ()
