"""The claims of paper 4: they hold, and a formula with another constant turns them red."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.claims import paper04
from similitude.claims.registry import Measured
from similitude.core.verdict import Outcome
from similitude.theory.gradient_flows import diagonal, linear_rules
from similitude.theory.gradient_flows import linear as linear_problem
from similitude.theory.gradient_flows.linear_rules import Modes
from similitude.theory.gradient_flows.transformer import LinearTransformer


def red(measured: Measured) -> bool:
    return measured.verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_linear_networks_hold_and_turn_red_with_a_wrong_time(monkeypatch):
    found = paper04.linear_modes()
    assert found.verdict.ok, found.verdict.summary
    assert {series.label for series in found.figures[0].series} == {"alpha 1e-12", "staircase"}
    right = linear_rules.sequential_times
    monkeypatch.setattr(linear_problem, "sequential_times", lambda *task: 1.1 * right(*task))
    assert red(paper04.linear_modes())


def test_crossed_modes_hold_and_turn_red_with_a_wrong_strength(monkeypatch):
    assert paper04.crossed().verdict.ok
    right = linear_rules.modes

    def wrong(*task: np.ndarray) -> Modes:
        found = right(*task)
        return Modes(1.15 * found.strengths, found.inputs, found.principals, found.powers)

    monkeypatch.setattr(linear_problem, "modes", wrong)
    assert red(paper04.crossed())


@pytest.mark.slow
def test_the_others_hold_and_turn_red(monkeypatch):
    for claim in (paper04.diagonal, paper04.transformer, paper04.modular):
        found = claim()
        assert found.verdict.ok, found.verdict.summary
        assert found.figures
    right = diagonal._signed_minimum
    monkeypatch.setattr(diagonal, "_signed_minimum", lambda H, b, signs: right(H, 1.1 * b, signs))
    assert red(paper04.diagonal())
    push = LinearTransformer.push
    monkeypatch.setattr(
        LinearTransformer,
        "push",
        lambda self, n, active: (1.1 if active is not n else 1.0) * push(self, n, active),
    )
    assert red(paper04.transformer())
