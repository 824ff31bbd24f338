"""What a frontier is worth, against areas by counting; runs of samplers on the noise that they share."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest

from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.on_policy import OnPolicyLearning
from similitude.tuning.problems.quality import Incumbent, affordable, hypervolume, incumbents, quality
from similitude.tuning.problems.runs import Record, run

LAW = ChinchillaLaw()


def record(number: int, value: float, truth: float, cost: float, failure=None) -> Record:
    return Record(number, {}, value, truth, cost, failure, 0.0)


def test_the_hypervolume_is_the_area_that_points_dominate():
    rng = np.random.default_rng(0)
    points = [Incumbent(10 ** rng.uniform(-1, 2.5), rng.uniform(0, 6)) for _ in range(12)]
    x, y = (np.linspace(-1, 2, 1501) + 1e-4)[:-1], (np.linspace(0, 5, 1501) + 1e-4)[:-1]
    covered = np.zeros((1500, 1500), bool)
    for point in points:
        covered |= (x[:, None] >= math.log10(point.cost)) & (y[None] >= point.value)
    assert hypervolume(points, cap=100.0, worst=5.0) == pytest.approx(covered.mean() * 15, abs=0.03)
    assert hypervolume([], cap=100.0, worst=5.0) == 0


def test_incumbents_are_chosen_by_what_was_measured_and_count_as_what_is_true():
    found = incumbents(
        [
            record(0, 3.0, 3.1, 10.0),
            record(1, 4.0, 2.0, 1.0),
            record(2, math.nan, math.nan, 0.1, "oom"),
            record(3, 5.0, 0.0, 2.0),
        ]
    )
    assert found == [Incumbent(1.0, 2.0), Incumbent(10.0, 3.1)]


def test_the_true_frontier_is_worth_one_and_nothing_is_worth_nothing():
    costs = np.geomspace(LAW.cheapest, LAW.cap, 2000)
    trials = [record(i, LAW.front(c), LAW.front(c), c) for i, c in enumerate(costs)]
    whole = quality(LAW, trials)
    assert whole.hypervolume == pytest.approx(1, abs=2e-3)
    assert whole.gap == pytest.approx(0, abs=0.01)
    assert whole.gap_at_cap == pytest.approx(0, abs=1e-3)
    none = quality(LAW, [record(0, math.nan, math.nan, LAW.cap, "cap")])
    assert (none.hypervolume, none.failures, none.spent) == (0, 1, 1)
    assert none.gap_at_cap == LAW.worst - LAW.front(LAW.cap)


def test_what_is_affordable_is_the_first_trials_that_come_to_the_caps():
    trials = [record(i, 1.0, 1.0, 0.4 * LAW.cap) for i in range(5)]
    assert affordable(LAW, trials, caps=1) == trials[:2]
    assert affordable(LAW, trials, caps=3) == trials


class Remembers(optuna.samplers.RandomSampler):
    """A random sampler that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.told: list[tuple] = []

    def after_trial(self, study, trial, state, values) -> None:
        self.told.append((state.name, values, trial.user_attrs))


@pytest.mark.parametrize("directions", [1, 2])
def test_a_run_meets_the_noise_of_its_seed_and_tells_costs_and_failures(directions):
    problem, sampler = OnPolicyLearning(), Remembers()
    records = run(problem, sampler, seed=3, trials=25, directions=directions, centre_first=True)
    assert records[0].values == pytest.approx(problem.space.center)
    rng = np.random.default_rng(1003)
    for r, (state, values, attrs) in zip(records, sampler.told, strict=True):
        found = problem.evaluate(r.values, rng)
        assert (found.cost, found.failure) == (r.cost, r.failure)
        assert attrs["cost"] == r.cost
        if r.failure:
            assert state == "FAIL"
            assert attrs["similitude:failure"] == r.failure
        else:
            assert found.value == r.value
            assert list(values) == [r.value, math.log10(r.cost)][:directions]
    assert {r.failure for r in records} >= {None, "oom"}
