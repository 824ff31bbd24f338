"""Claims of paper 3 hold, and turn red with another law."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from similitude.claims import paper03
from similitude.core.verdict import Outcome


def red(measured):
    return measured.verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flat", "rank", "gaussian", "shaping", "training"])
def test_claims_hold(name):
    measured = getattr(paper03, name)()
    assert measured.verdict.ok, measured.verdict.summary
    assert measured.figures


@pytest.mark.slow
def test_isometry_holds_and_turns_red_with_another_rate(monkeypatch):
    measured = paper03.isometry()
    assert measured.verdict.ok, measured.verdict.summary
    monkeypatch.setattr(paper03, "isometry_rate", lambda d: (d - 1) / (d + 1))
    assert red(paper03.isometry())


@pytest.mark.slow
def test_another_constant_of_the_bound_turns_isometry_red(monkeypatch):
    right = paper03.isometry_bound
    monkeypatch.setattr(
        paper03,
        "isometry_bound",
        lambda gap, d, *, layers: right(gap, d, layers=layers, constant=0.25 / (2 * d)),
    )
    assert red(paper03.isometry())


@pytest.mark.parametrize("kind", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.slow)])
def test_growth_of_other_networks_turns_flat_red(monkeypatch, kind):
    right = paper03.batch_norm_net
    monkeypatch.setattr(paper03, "batch_norm_net", lambda *a, **k: right(*a, **{**k, "weights": kind}))
    monkeypatch.setattr(paper03, "DEPTHS", (20, 120))
    monkeypatch.setattr(paper03, "DEEPEST", 140)
    monkeypatch.setattr(paper03, "IMAGE_DEPTHS", (5, 15))
    assert red(paper03.flat())


@pytest.mark.slow
def test_another_rate_turns_rank_red(monkeypatch):
    right = paper03.gradient_rate
    monkeypatch.setattr(paper03, "RANKS", ((24, 8),))
    monkeypatch.setattr(paper03, "gradient_rate", lambda r, d: 1.5 * right(r, d))
    assert red(paper03.rank())


@pytest.mark.slow
def test_a_warning_that_is_missing_turns_rank_red(monkeypatch):
    right = paper03.rank_condition

    def never(batch, width):
        found = right(batch, width)
        full = right(paper03.inputs(width, width, width, 0), width)
        return dataclasses.replace(found, verdict=full.verdict)

    monkeypatch.setattr(paper03, "RANKS", ((24, 8),))
    monkeypatch.setattr(paper03, "rank_condition", never)
    assert red(paper03.rank())


@pytest.mark.slow
def test_another_sample_count_turns_gaussian_red(monkeypatch):
    right = paper03.gradient_rate
    monkeypatch.setattr(paper03, "gradient_rate", lambda r, d, weights: right(r + 1, d, weights=weights))
    assert red(paper03.gaussian())


@pytest.mark.slow
def test_too_small_an_exponent_turns_shaping_red(monkeypatch):
    monkeypatch.setattr(paper03, "DEPTHS", (20, 150))
    monkeypatch.setattr(paper03, "choose_shaping", lambda f, depth: SimpleNamespace(exponent=0.1))
    assert red(paper03.shaping())


@pytest.mark.slow
def test_gaussian_weights_turn_training_red(monkeypatch):
    right = paper03.trained
    monkeypatch.setattr(paper03, "TRAINED", (10, 100))
    monkeypatch.setattr(paper03, "trained", lambda kind: right("gaussian", epochs=2))
    assert red(paper03.training())
