"""The published search: against what its authors' code picked in recorded states, and what it keeps and mends of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.preprocessing import QuantileTransformer

from similitude.core.errors import TuningError
from similitude.tuning.original.suggest import _Search, expected_improvement, normal_ranks, suggest_original
from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.on_policy import OnPolicyLearning
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import Failed, History

STATES = json.loads((Path(__file__).parent / "data" / "original_states.json").read_text())["states"]
PROBLEMS = {problem.name: problem for problem in (ChinchillaLaw(), OnPolicyLearning())}
PLAIN = Space(a=Log(1.0, low=1e-3, high=1e3), b=Log(1.0, low=1e-3, high=1e3))


def history_of(state: dict) -> History:
    space = PROBLEMS[state["problem"]].space
    points = [space.point(dict(zip(space, row, strict=False))) for row in state["observed"]]
    found = [i for i, row in enumerate(state["observed"]) if row[-2] is not None]
    failed = [i for i in range(len(points)) if i not in found]
    return History(
        space,
        points=np.array([points[i] for i in found]).reshape(-1, len(space)),
        values=np.array([state["observed"][i][-2] for i in found]),
        costs=np.array([state["observed"][i][-1] for i in found]),
        numbers=np.array(found, int),
        failures=tuple(Failed(points[i], "oom", state["observed"][i][-1], i) for i in failed),
        pending=np.array(
            [space.point(dict(zip(space, row, strict=True))) for row in state["running"]]
        ).reshape(-1, len(space)),
    )


def history(space: Space, points, values, costs, **rest) -> History:
    points = np.array(points, float).reshape(-1, len(space))
    return History(
        space, points, np.array(values, float), np.array(costs, float), np.arange(len(points)), **rest
    )


def nine(space: Space, seed: int, **rest) -> History:
    """Nine trials around the centre, of which one has been repeated, so that the next one is no repetition."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.3, (9, len(space)))
    points[8] = points[0]
    return history(space, points, points.sum(1) + 0.1 * rng.normal(size=9), rng.uniform(1, 3, 9), **rest)


@pytest.mark.parametrize("state", STATES, ids=lambda s: f"{s['problem']}-{len(s['observed'])}-{s['how']}")
def test_it_picks_what_the_original_picked_from_the_same_random_numbers(state):
    problem = PROBLEMS[state["problem"]]
    rng = np.random.default_rng(state["seed"])
    point = _Search(history_of(state), rng, problem.cap, state["noise"]).next()
    assert problem.space.snapped(point) == pytest.approx(problem.space.point(state["picked"]), abs=2e-4)
    assert rng.random() == state["next_draw"]  # as many numbers were drawn


def test_the_record_has_every_kind_of_state():
    kinds = [state["how"] for state in STATES]
    assert kinds.count("candidate") >= 20
    assert {"random", "again"} <= set(kinds)
    candidates = [state for state in STATES if state["how"] == "candidate"]
    assert any(state["running"] for state in candidates)
    assert any(row[-2] is None for state in candidates for row in state["observed"])


def test_normal_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for n in (4, 9, 40):
        values = rng.normal(size=n).round(1)  # with ties
        expected = QuantileTransformer(
            output_distribution="normal", n_quantiles=int(math.sqrt(n))
        ).fit_transform(values[:, None])[:, 0]
        assert normal_ranks(values) == pytest.approx(expected, abs=1e-6)


def test_expected_improvement_is_the_integral_that_it_stands_for():
    z = np.linspace(-8, 8, 4001)
    for mean, sd, reference in ((0.0, 1.0, 0.5), (-3.0, 0.7, 0.0), (2.0, 0.1, 1.0)):
        integral = np.trapezoid(np.maximum(mean + sd * z - reference, 0) * stats.norm.pdf(z), z)
        found = expected_improvement(np.array([mean]), np.array([sd**2]), np.array([reference]))
        assert found == pytest.approx([integral], rel=1e-3, abs=1e-12)


def test_the_same_history_seed_and_number_give_the_same_point():
    seen = nine(PLAIN, 0)
    points = [
        suggest_original(seen, seed=seed, number=number) for seed, number in ((0, 9), (0, 9), (0, 10), (1, 9))
    ]
    assert (points[0] == points[1]).all()
    assert len({tuple(p) for p in points}) == 3


def test_maximizing_is_minimizing_the_opposite():
    down = nine(PLAIN, 1)
    up = history(PLAIN, down.points, -down.values, down.costs, minimize=False)
    assert (suggest_original(down, seed=0, number=9) == suggest_original(up, seed=0, number=9)).all()


def test_it_keeps_the_published_flaw_that_units_change_the_search():
    spaces = [Space(a=Log(unit, low=1e-3 * unit, high=1e3 * unit), b=Log(1.0)) for unit in (1.0, 1e-3)]
    picked = [suggest_original(nine(space, 2), seed=0, number=9) for space in spaces]
    assert not np.allclose(*picked)


def test_it_keeps_the_published_flaw_that_it_forgets_the_cap_where_everything_is_dearer():
    seen = nine(PLAIN, 3)
    point = suggest_original(seen, seed=0, number=9, cap=1e-6)
    assert np.isfinite(point).all()
    assert min(np.linalg.norm(seen.points - point, axis=1)) < 5 * 0.3


@pytest.mark.parametrize("repeated", [1.0, 2.0])
def test_the_crash_of_repeated_trials_with_other_costs_is_mended(repeated):
    points = [[0.1, 0.1]] * 4
    seen = history(PLAIN, points, [1.0, 2.0, 3.0, 4.0], [1.0, repeated] * 2)
    assert np.isfinite(suggest_original(seen, seed=0, number=4)).all()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_it_draws_around_the_centre_until_four_have_succeeded(n):
    failures = tuple(Failed(np.array([9.0, 9.0]), "oom", 1.0, i) for i in range(50))
    seen = history(PLAIN, np.full((n, 2), 5.0), np.zeros(n), np.ones(n), failures=failures)
    drawn = np.array([suggest_original(seen, seed=seed, number=n) for seed in range(400)])
    assert drawn.mean(0) == pytest.approx([0, 0], abs=4 * 0.3 / 20)
    assert drawn.std(0) == pytest.approx([0.3, 0.3], rel=0.2)


def test_every_fifth_trial_repeats_the_least_repeated_of_the_front():
    points = [[0.0, 0.0], [0.3, 0.0], [0.0, 0.3], [0.3, 0.3], [0.2, 0.2], [0.1, 0.2]]
    seen = history(PLAIN, points, [5.0, 4.0, 3.0, 9.0, 9.0, 9.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert (
        suggest_original(seen, seed=0, number=6) == [0.3, 0.0]
    ).all()  # of 5 and 4, both cheap, 4 is the better
    again = history(PLAIN, [*points, [0.3, 0.0]], [*seen.values, 4.0], [*seen.costs, 2.0])
    assert not any((suggest_original(again, seed=0, number=7) == p).all() for p in again.points)


def test_what_is_suggested_is_within_bounds_and_integers_are_reachable_ones():
    space = Space(n=Linear(5, low=1, high=20, integer=True, scale=4.0), a=Log(1.0, low=0.9, high=1.1))
    rng = np.random.default_rng(3)
    values = [
        {"n": int(n), "a": float(a)}
        for n, a in zip(rng.integers(1, 20, 9), rng.uniform(0.9, 1.1, 9), strict=True)
    ]
    seen = history(space, [space.point(v) for v in values], rng.normal(size=9), rng.uniform(1, 3, 9))
    for number in range(9, 15):
        point = suggest_original(seen, seed=0, number=number)
        found = space.values_at(point)
        assert space.point(found) == pytest.approx(point, abs=1e-9)
        assert 0.9 < found["a"] < 1.1
        assert 1 <= found["n"] <= 20


@pytest.mark.parametrize(
    ("space", "match"),
    [
        (Space(act=Choice("relu", "gelu")), "act is a choice, and the published CARBS searches numbers"),
        (
            Space(opt=Linear(0, low=0, high=1, integer=True), momentum=Log(0.1, when={"opt": 1})),
            "momentum is there only sometimes",
        ),
    ],
)
def test_a_space_that_the_original_cannot_search_is_refused(space, match):
    seen = history(space, [], [], [])
    with pytest.raises(TuningError, match=match):
        suggest_original(seen, seed=0, number=0)
