"""A constant that is changed in a formula turns its claim red, where the tests of a paper's claims do not change it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from similitude.claims import paper02, paper04, paper05, paper10, paper17, paper19, paper19_images, sweeps
from similitude.claims.bottleneck_nets import Nets
from similitude.claims.linear_sharpness import task
from similitude.claims.registry import Measured
from similitude.core.verdict import Outcome
from similitude.runs.engine import InProcess
from similitude.scaling.plan import Plan
from similitude.studies import bottleneck_runs
from similitude.studies.experiment import Experiment, rates
from similitude.theory.gradient_flows.modular import ModularAddition
from similitude.theory.two_layer_linear import TwoLayerLinear
from similitude.tuning.problems.chinchilla import ChinchillaLaw


def red(measured: Measured) -> bool:
    return measured.verdict.outcome is Outcome.INCONSISTENT


def test_another_rate_in_the_recursion_turns_the_theorem_red(monkeypatch):
    """Networks are trained by autograd for 10 steps in place of 200."""
    measured = paper02.largest_difference
    monkeypatch.setattr(
        paper02,
        "largest_difference",
        lambda width, power, *, steps, seed: measured(width, power, steps=10, seed=seed),
    )
    assert paper02.theorem().verdict.ok
    right = TwoLayerLinear.step
    monkeypatch.setattr(TwoLayerLinear, "step", lambda self, eta: right(self, 1.0001 * eta))
    assert red(paper02.theorem())


def test_another_constant_in_the_law_turns_sharpening_red(monkeypatch):
    """Networks of one width stand for those of all; they are trained a third as long at three times the rate."""
    measured = paper02.sharpness_before_and_after

    @functools.cache
    def once(power):
        return measured(128, power, eta=0.15, steps=170, seed=0)

    def spread(width, power, **_):
        start, end = once(power)
        return start, start + (end - start) * (1.0 if power else 128 / width)

    monkeypatch.setattr(paper02, "sharpness_before_and_after", spread)
    assert paper02.sharpening().verdict.ok
    law = TwoLayerLinear.limit("mup", *task(whitened=True)).final_sharpness()
    monkeypatch.setattr(TwoLayerLinear, "final_sharpness", lambda self: 1.06 * law)
    assert red(paper02.sharpening())


@pytest.mark.slow
def test_another_push_turns_modular_addition_red(monkeypatch):
    """The network is integrated once, and held against the right staircase and one whose neurons grow 10 % faster."""
    monkeypatch.setattr(paper04, "_independent", once(paper04._independent))
    assert paper04.modular().verdict.ok
    right = ModularAddition.push
    monkeypatch.setattr(ModularAddition, "push", lambda self, *given: 1.1 * right(self, *given))
    assert red(paper04.modular())


def once(function: Callable) -> Callable:
    """Return the function that gives its first result every time."""
    known = []

    def first(*args, **options):
        known[:] = known or [function(*args, **options)]
        return known[0]

    return first


def test_a_speed_that_falls_turns_depth_red(monkeypatch):
    """Two depths, few starts and steps; the speed of L layers is halved L times."""
    monkeypatch.setattr(paper05, "DEPTHS", (2, 3))
    climb = functools.cache(
        lambda depth, outputs: ascent(depth, paper05.WIDTH, paper05.random_task(outputs), starts=8, steps=150)
    )
    ascent = paper05.escape

    def halved(times: int) -> Callable:
        def escape(depth, width, given, **_):
            found = climb(depth, given[1].shape[1])
            return dataclasses.replace(found, speed=found.speed * 0.5 ** (times * depth))

        return escape

    monkeypatch.setattr(paper05, "escape", halved(0))
    assert paper05.never_falls().verdict.ok
    monkeypatch.setattr(paper05, "escape", halved(1))
    assert red(paper05.never_falls())


def made_up_laws(lr: float, parameters: float) -> SimpleNamespace:
    def exponent(value: float) -> SimpleNamespace:
        return SimpleNamespace(value=value, low=value - 0.05, high=value + 0.05)

    return SimpleNamespace(
        exponents={"parameters": exponent(parameters), "lr": exponent(lr)},
        by_estimator={"naive": {"lr": exponent(0.0)}},
    )


@pytest.mark.parametrize("claim", [paper10.exponents, paper10.naive])
def test_laws_of_another_exponent_turn_claims_on_them_red(monkeypatch, claim):
    """Tuners that find the law's own exponents are held against a law of another drift."""
    truth = ChinchillaLaw().exponents
    monkeypatch.setattr(paper10, "laws_of", lambda *_, **__: made_up_laws(truth["lr"], truth["parameters"]))
    assert claim().verdict.ok
    monkeypatch.setattr(paper10, "ChinchillaLaw", functools.partial(ChinchillaLaw, drift=-0.9))
    assert red(claim())


class Mutated:
    """Plans of muP whose learning rates grow with the square of the width in place of falling with it."""

    def __init__(self, planner) -> None:
        self.planner = planner

    def plan(self, width: int, rule: str) -> Plan:
        made = self.planner.plan(width, rule=rule)
        base = self.planner.base["width"]
        return dataclasses.replace(
            made, rows=tuple(dataclasses.replace(row, lr=(width / base) ** 2 * row.lr) for row in made.rows)
        )


def small_digits(digits: Experiment) -> Experiment:
    return dataclasses.replace(digits, widths=(16, 64), lrs=rates(2**-8, 2**-4, 5), steps=60, seeds=(0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("claim", [paper17.wider_is_better, paper17.wider_throughout])
def test_rates_of_another_exponent_turn_wide_networks_red(monkeypatch, claim):
    given, planner_of = paper17._digits(), sweeps.planner_of
    monkeypatch.setattr(paper17, "_digits", lambda: small_digits(given))
    assert claim().verdict.ok
    monkeypatch.setattr(sweeps, "planner_of", lambda experiment: Mutated(planner_of(experiment)))
    assert red(claim())


@pytest.mark.slow
def test_another_kernel_turns_digits_red(monkeypatch):
    monkeypatch.setattr(paper19, "WIDTHS", (128, 1024))
    monkeypatch.setattr(paper19, "SEEDS", 3)
    monkeypatch.setattr(paper19, "STEPS", 40)
    monkeypatch.setattr(paper19, "engine_here", InProcess)
    assert paper19.digits().verdict.ok
    right = bottleneck_runs.train_bottlenecks
    monkeypatch.setattr(bottleneck_runs, "train_bottlenecks", lambda ntk, *a, **k: right(1.4 * ntk, *a, **k))
    assert red(paper19.digits())


@pytest.mark.slow
def test_bottlenecks_that_are_none_turn_performance_red(monkeypatch):
    def as_wide(*args, **options):
        return Nets(*args, **options | {"bottleneck": 64, "width": 64, "nets": 4})

    monkeypatch.setattr(paper19_images, "Nets", as_wide)
    found = paper19_images.performance()
    assert red(found)
    assert found.value == pytest.approx(1, abs=0.3)
