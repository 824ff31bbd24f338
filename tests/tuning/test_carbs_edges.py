"""Edges at which the original CARBS broke, and some more: each must go on searching with admissible, finite values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest

from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.dimensions import Choice, Linear, Log, Logit
from similitude.tuning.space.space import Space
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.history import History
from tests.tuning.sampler_runs import LADDER, ladder, objective_of, searched, sequence


def distinct(study: optuna.Study) -> int:
    return len({tuple(p.items()) for p in sequence(study)})


def inside(space: Space, study: optuna.Study) -> bool:
    """Whether all configurations of a study are admissible."""
    return all(
        space[name].bounds[0] - 1e-9 <= space[name].to_unit(value) <= space[name].bounds[1] + 1e-9
        for params in sequence(study)
        for name, value in params.items()
    )


def test_duplicate_points_with_different_costs():
    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    costs = iter([1.0, 2.0, 3.0, *[1.0] * 9])
    for _ in range(3):
        study.enqueue_trial(LADDER.center)

    def objective(trial):
        value, _ = ladder(LADDER.suggest(trial))
        trial.set_user_attr("cost", next(costs))
        return value

    study.optimize(objective, n_trials=10)
    assert distinct(study) >= 6


def test_whole_numbers_are_reached_that_are_farther_than_a_step():
    space = Space(depth=Linear(5, low=1, high=20, integer=True, scale=1.0))
    study = searched(space, lambda v: ((v["depth"] - 15) ** 2, 1.0), trials=20)
    assert abs(study.best_params["depth"] - 15) <= 2


def test_whole_numbers_on_a_log_scale_need_no_bound():
    space = Space(width=Log(8, integer=True))
    study = searched(space, lambda v: (1 / v["width"], float(v["width"])), trials=8)
    assert all(isinstance(p["width"], int) and p["width"] >= 1 for p in sequence(study))


@pytest.mark.parametrize("known", [True, False])
def test_a_cap_below_everything_seen_leads_to_cheaper_points(known):
    cost = (lambda values: values["size"]) if known else "cost"
    study = searched(trials=12, budget=Budget(per_trial=2.0), cost=cost)
    sizes = [p["size"] for p in sequence(study)]
    assert sizes[0] == 10.0
    assert min(sizes[4:]) < 5.0
    assert max(sizes[8:]) < 10.0


def test_what_the_objective_does_to_its_values_does_not_reach_the_study():
    study = optuna.create_study(sampler=CarbsSampler(LADDER))

    def objective(trial):
        values = LADDER.suggest(trial)
        value, cost = ladder(values)
        values.clear()
        trial.set_user_attr("cost", cost)
        return value

    study.optimize(objective, n_trials=6)
    assert sequence(study) == sequence(searched(trials=6))


@pytest.mark.parametrize(
    "measure",
    [
        lambda v: (np.log10(v["rate"]) ** 2, 7.0),
        lambda v: (1.0, v["size"]),
        lambda v: (1.0, 1.0),
        lambda v: (-v["size"], v["size"]),
        lambda v: (v["size"], v["size"]),
        lambda v: (1e300 * v["rate"], 1e-300 * v["size"]),
    ],
    ids=["constant cost", "all values equal", "all equal", "all on the front", "one on the front", "huge"],
)
def test_degenerate_problems_are_searched_on(measure):
    study = searched(LADDER, measure, trials=10)
    assert distinct(study) >= 6
    assert inside(LADDER, study)


def test_when_everything_fails_it_looks_elsewhere():
    def objective(trial):
        LADDER.suggest(trial)
        LADDER.fail(trial, "diverged")

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    study.optimize(objective, n_trials=12)
    assert distinct(study) == 12
    points = np.array([LADDER.point(p) for p in sequence(study)])
    assert np.linalg.norm(points, axis=1).max() > 0.6  # two steps of the search away from the center


def test_it_does_not_go_on_for_ever_where_things_fail_although_the_best_lies_beyond():
    def objective(trial):
        values = LADDER.suggest(trial)
        if values["rate"] > 0.03:
            LADDER.fail(trial, "diverged")
        value, cost = ladder(values)
        trial.set_user_attr("cost", cost)
        return value

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    study.optimize(objective, n_trials=25)
    late = [p["rate"] for p in sequence(study)[10:]]
    assert np.mean([rate > 0.03 for rate in late]) < 0.8  # Optuna's GPSampler: all
    assert study.best_params["rate"] > 0.02


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_values_that_are_no_numbers_count_as_failures(value):
    def objective(trial):
        values = LADDER.suggest(trial)
        trial.set_user_attr("cost", 1.0)
        return value if trial.number in (2, 3) else ladder(values)[0]

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    study.optimize(objective, n_trials=9)
    history = History.from_study(study)
    assert len(history.failures) >= 1
    assert np.isfinite(history.values).all()
    assert distinct(study) >= 7


def test_a_range_of_one_value_and_single_choices():
    space = Space(
        n=Log(4, low=4, high=4, integer=True), c=Choice("only"), x=Linear(0.5, low=0.5, high=0.5), lr=Log(1.0)
    )
    study = searched(space, lambda v: (v["lr"], 1.0), trials=8, cost=lambda v: v["n"] * v["x"])
    assert {t.user_attrs["cost"] for t in study.trials} == {2.0}
    assert {(p["n"], p["c"], p["x"]) for p in sequence(study)} == {(4, "only", 0.5)}
    assert len({p["lr"] for p in sequence(study)}) >= 6


def test_everything_fixed():
    space = Space(n=Log(4, low=4, high=4, integer=True))
    assert distinct(searched(space, lambda v: (1.0, 1.0), trials=6)) == 1


@pytest.mark.parametrize("corner", [{"size": 1.0, "rate": 1e-2}, {"size": 1e4, "rate": 1e-2}])
def test_optima_at_the_bounds(corner):
    gap = lambda v: (math.log10(v["size"] / corner["size"]) ** 2, 1.0)  # noqa: E731
    study = searched(LADDER, gap, trials=15)
    assert inside(LADDER, study)
    assert abs(math.log10(study.best_params["size"] / corner["size"])) < 1.5


def test_one_dimension():
    study = searched(Space(x=Log(1.0)), lambda v: (math.log10(v["x"] / 30.0) ** 2, v["x"]), trials=15)
    assert study.best_value < 0.3


def test_thirty_dimensions():
    names = [f"x{i:02d}" for i in range(30)]
    space = Space({name: Log(1.0, low=0.01, high=100.0) for name in names})
    study = searched(space, lambda v: (sum(math.log10(v[n] / 2.0) ** 2 for n in names), v["x00"]), trials=7)
    assert inside(space, study)
    assert distinct(study) >= 6


def test_more_running_than_finished():
    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    asked = [study.ask() for _ in range(12)]
    points = [tuple(LADDER.suggest(trial).values()) for trial in asked]
    assert len(set(points)) == 12
    for trial in asked[:3]:
        trial.set_user_attr("cost", 1.0)
        study.tell(trial, float(trial.number))
    points += [tuple(LADDER.suggest(study.ask()).values()) for _ in range(3)]
    assert len(set(points)) == 15


@pytest.mark.parametrize("finished", [1, 2, 3, 4, 5])
def test_few_observations(finished):
    study = searched(trials=finished)
    study.optimize(objective_of(LADDER), n_trials=1)
    assert math.isfinite(study.trials[-1].values[0])


@pytest.mark.parametrize(
    "dim",
    [Logit(1e-12), Logit(1 - 1e-12), Logit(0.5, low=1e-9, high=1 - 1e-9)],
    ids=["near 0", "near 1", "wide"],
)
def test_odds_near_zero_and_one(dim):
    study = searched(Space(p=dim), lambda v: (v["p"], 1.0), trials=8)
    assert all(0.0 < p["p"] < 1.0 for p in sequence(study))


@pytest.mark.parametrize("unit", [1e-30, 1e30])
@pytest.mark.parametrize("kind", [Log, Linear])
def test_huge_and_tiny_units(unit, kind):
    space = Space(x=kind(1.0 * unit))
    optimum = 2.0 * unit
    study = searched(space, lambda v: (abs(v["x"] / unit - 2.0), 1.0), trials=12)
    values: list[Any] = [p["x"] for p in sequence(study)]
    assert all(math.isfinite(v) for v in values)
    assert abs(study.best_params["x"] - optimum) < abs(values[0] - optimum)
