"""Claims of paper 16 on small steps: they hold on smaller problems, and a wrong constant turns each red."""

import functools

import numpy as np
import pytest
import torch

from similitude.claims import one_step_nets, paper16
from similitude.claims.registry import select
from similitude.core.verdict import Outcome
from similitude.theory.one_step.asymptotic import one_step_risk
from similitude.theory.one_step.hermite import HermiteMoments, hermite_moments
from similitude.theory.one_step.spike import one_step_spike
from tests.oracles.one_step_plain import trained


def _scaled(function, **factors):
    """Return the formula with some of its inputs multiplied."""

    def mutated(student, teacher, **given):
        return function(student, teacher, **{k: v * factors.get(k, 1) for k, v in given.items()})

    return mutated


def test_the_claims_are_there():
    names = ["images", "rank_one", "small_step", "spike", "tau_star", "transfer", "two_regimes"]
    assert [entry.name for entry in select(["16"])] == [f"16.{name}" for name in names]


def test_rank_one(monkeypatch):
    monkeypatch.setattr(paper16, "WIDTHS", (200, 400, 800))
    found = paper16.rank_one()
    assert found.verdict.ok, found.verdict
    assert len(found.figures[0].series) == 3

    def mutated(phi):
        right = hermite_moments(phi)
        return HermiteMoments(right.mean, 1.2 * right.linear, right.rest)

    monkeypatch.setattr(paper16, "hermite_moments", mutated)
    assert paper16.rank_one().verdict.outcome is Outcome.INCONSISTENT


def test_spike(monkeypatch):
    monkeypatch.setattr(paper16, "SPIKE_SIZES", (250, 375, 750))
    monkeypatch.setattr(paper16, "SPIKE_ETAS", (0.5, 8.0, 12.0))
    monkeypatch.setattr(paper16, "drawn", functools.cache(one_step_nets.drawn))
    monkeypatch.setattr(paper16, "_spike", functools.cache(paper16._spike))
    assert paper16.spike().verdict.ok
    for factors in ({"eta": 1.15}, {"noise": 30.0}, {"n": 0.5}, {"width": 1.5}):
        monkeypatch.setattr(paper16, "one_step_spike", _scaled(one_step_spike, **factors))
        assert not paper16.spike().verdict.ok


@pytest.mark.slow
def test_small_step(monkeypatch):
    monkeypatch.setattr(paper16, "RISKS", ((120, 120, 480, 1e-2), (120, 360, 180, 0.1)))
    monkeypatch.setattr(paper16, "RISK_ETAS", (0.0, 2.0, 4.0))
    known = {}

    def once(draw, etas, ridges):
        key = (draw.setting, draw.beta.tobytes())
        if key not in known:
            known[key] = one_step_nets.measured_risks(draw, etas, ridges, tests=1500)
        return known[key]

    monkeypatch.setattr(paper16, "measured_risks", once)
    found = paper16.small_step()
    assert found.verdict.ok, found.verdict
    for factors in ({"eta": 1.7}, {"noise": 2.0}, {"ridge": 3.0}, {"width": 0.7}):
        monkeypatch.setattr(paper16, "one_step_risk", _scaled(one_step_risk, **factors))
        assert not paper16.small_step().verdict.ok


def test_the_sampler_is_plain_training():
    setting = one_step_nets.Setting(torch.tanh, torch.relu, 8, 20, 30, 0.25)
    draw = one_step_nets.drawn(setting, 3)
    expected = trained(torch.tanh, draw.x, draw.y, draw.net.weight, draw.net.readout * 20**0.5, 2.5)
    np.testing.assert_allclose(draw.after(2.5).weight, expected, rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(draw.beta) == pytest.approx(1)
    many = one_step_nets.drawn(one_step_nets.Setting(torch.tanh, torch.relu, 8, 20, 20_000, 0.25), 3)
    left = many.y - np.maximum(many.x @ many.beta, 0)
    assert left.var() == pytest.approx(0.25, rel=0.05)
