"""Claims of paper 5 turn red with a wrong law or where the theory is not at home."""

from __future__ import annotations

import dataclasses

import pytest

from similitude.claims import paper05
from similitude.core.verdict import Outcome


@pytest.mark.slow
def test_another_norm_law_turns_growth_red(monkeypatch):
    """The law as printed for |theta| has L s in it where layers of norm 1 have s."""

    def faster(*args, **options):
        found = right(*args, **options)
        return dataclasses.replace(found, speed=found.depth * found.speed)

    right = paper05.escape
    monkeypatch.setattr(paper05, "escape", faster)
    monkeypatch.setattr(paper05, "DEPTHS", (2, 3))
    assert paper05.growth().verdict.outcome is Outcome.INCONSISTENT


def test_a_slower_ascent_turns_the_circle_red(monkeypatch):
    right = paper05.escape
    monkeypatch.setattr(paper05, "escape", lambda *a, **k: right(*a, starts=4, steps=40))
    assert paper05.two_directions().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale"), [("ranks", 0.4), ("landing", 0.4), ("saddles", 1.0), ("plateaus", 1.0)]
)
def test_large_starts_turn_claims_red(monkeypatch, name, scale):
    right = paper05.from_small_start
    monkeypatch.setattr(
        paper05, "from_small_start", lambda task, *, levels, **_: right(task, levels=levels, scale=scale)
    )
    assert getattr(paper05, name)().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_other_losses_of_features_turn_the_plateaus_red(monkeypatch):
    assert paper05.plateaus().verdict.ok
    right = paper05.three_features
    monkeypatch.setattr(paper05, "three_features", lambda: (right()[0], right()[1] * [1.0, 1.1, 1.0]))
    task = paper05.relu_task
    monkeypatch.setattr(paper05, "relu_task", lambda depth, width, data: task(depth, width, right()))
    assert paper05.plateaus().verdict.outcome is Outcome.INCONSISTENT
