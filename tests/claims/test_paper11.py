"""Claims of paper 11 hold, and turn red with a wrong law."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from similitude.claims import paper11
from similitude.core.verdict import Outcome
from similitude.theory.joint_embedding import steps as law


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "linear_times",
        "staircase",
        "least_norm",
        "kernel_times",
        "wide",
        "losses",
        "contrastive",
        "smaller_starts",
    ],
)
def test_claims_hold(name):
    measured = getattr(paper11, name)()
    assert measured.verdict.ok, measured.verdict.summary
    assert measured.figures


def test_simclr_without_separate_steps_turns_red(monkeypatch):
    t = np.linspace(0, 10, 100)
    together = paper11.EmbeddingHistory.of(t, np.tile(1 / (1 + np.exp(5 - t))[:, None], paper11.DIM))
    monkeypatch.setattr(paper11, "sphere_run", lambda start, *, seed: together)
    assert paper11.contrastive().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_another_rate_turns_times_and_stairs_red(monkeypatch):
    monkeypatch.setattr(law, "_RATE", 8.3)
    assert paper11.linear_times().verdict.outcome is Outcome.INCONSISTENT
    assert paper11.staircase().verdict.ok  # plateaus are wide: their levels do not move with the rate
    assert paper11.kernel_times().verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_a_larger_start_turns_the_delays_red(monkeypatch):
    right = paper11.linear_run
    monkeypatch.setattr(paper11, "linear_run", lambda alpha: right(2 * alpha if alpha < 1e-5 else alpha))
    assert paper11.smaller_starts().verdict.outcome is Outcome.INCONSISTENT


def test_other_weights_turn_the_norm_red(monkeypatch):
    predicted, run, W = paper11.linear_run(1e-4)
    monkeypatch.setattr(paper11, "linear_run", lambda alpha: (predicted, run, 1.02 * W))
    assert paper11.least_norm().verdict.outcome is Outcome.INCONSISTENT


def test_shifted_stairs_turn_red(monkeypatch):
    predicted, run, W = paper11.linear_run(1e-5)
    moved = dataclasses.replace(predicted, gammas=1.3 * predicted.gammas)
    monkeypatch.setattr(paper11, "linear_run", lambda alpha: (moved, run, W))
    assert paper11.staircase().verdict.outcome is Outcome.INCONSISTENT


def test_dimensions_that_rise_together_turn_losses_red():
    t = np.linspace(0, 10, 100)
    together = paper11.EmbeddingHistory.of(t, np.tile(1 / (1 + np.exp(5 - t))[:, None], paper11.DIM))
    assert paper11.judged_losses({"one": together}, 4).verdict.outcome is Outcome.INCONSISTENT


@pytest.mark.slow
def test_another_rate_turns_the_wide_network_red(monkeypatch):
    monkeypatch.setattr(law, "_RATE", 9.2)
    assert paper11.wide().verdict.outcome is Outcome.INCONSISTENT
