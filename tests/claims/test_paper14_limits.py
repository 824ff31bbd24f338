"""Claims of paper 14 on its limits hold on a small scale, and turn red with a wrong number in the theory."""

from __future__ import annotations

import pytest

from similitude.claims import paper14_limits
from similitude.core.verdict import Outcome
from similitude.theory.adaptive_limits import kets, particles, tangent
from similitude.theory.adaptive_limits.entrywise import Adaptive


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(paper14_limits, "WIDE", {1: (4096, 8), 2: (512, 12)})
    monkeypatch.setattr(paper14_limits, "WIDTHS", (256, 2048, 16384))
    monkeypatch.setattr(paper14_limits, "SEEDS", 6)


def _gains(monkeypatch):
    right = kets.slope_products
    monkeypatch.setattr(kets, "slope_products", lambda *given: 1.2 * right(*given))


def _mean_over_features(monkeypatch):
    """The first layer's expectation is a sum over features, those of other layers are means."""
    right = kets.SampledKets.response

    def response(self, updates):
        found = kets.SampledKets(self.first, self.inputs, ())
        return right(self, updates) - 0.75 * right(found, updates[:1])

    monkeypatch.setattr(kets.SampledKets, "response", response)


def _forgets_faster(monkeypatch):
    """Another first beta in the limit alone."""
    right = tangent._Steps
    monkeypatch.setattr(tangent, "_Steps", lambda rule, kets: right(Adaptive((0.8, 0.95), 0.05), kets))


def _another_optimizer(rule):
    def mutate(monkeypatch):
        right = paper14_limits.nonlinear_kernel
        monkeypatch.setattr(
            paper14_limits,
            "nonlinear_kernel",
            lambda make, *, optimizer, **options: right(
                make, optimizer=optimizer if optimizer.linear else rule, **options
            ),
        )

    return mutate


def _steeper(monkeypatch):
    right = particles.slope
    monkeypatch.setattr(particles, "slope", lambda *given: 1.2 * right(*given))


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "kernel_steps",
        pytest.param("nonlinearity", marks=SLOW),
        pytest.param("adam_limit", marks=SLOW),
        pytest.param("moving_features", marks=SLOW),
    ],
)
def test_they_hold(name):
    found = getattr(paper14_limits, name)()
    assert found.verdict.outcome is Outcome.OK, found.verdict
    assert all(chart.series for chart in found.figures)


@pytest.mark.parametrize(
    ("name", "mutate"),
    [
        ("kernel_steps", _gains),
        ("kernel_steps", _mean_over_features),
        pytest.param("kernel_steps", _another_optimizer(Adaptive((0.0, 0.0), 0.2, inside=True)), marks=SLOW),
        pytest.param("nonlinearity", _another_optimizer(Adaptive((0.0, 0.0), 0.5, inside=True)), marks=SLOW),
        pytest.param("adam_limit", _forgets_faster, marks=SLOW),
        pytest.param("adam_limit", _mean_over_features, marks=SLOW),
        pytest.param("moving_features", _steeper, marks=SLOW),
    ],
)
def test_a_wrong_number_in_the_theory_turns_them_red(monkeypatch, name, mutate):
    mutate(monkeypatch)
    assert getattr(paper14_limits, name)().verdict.outcome is Outcome.INCONSISTENT
