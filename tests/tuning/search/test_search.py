"""The search: deterministic, local, within bounds, learning from failures and caps, and what it repeats and answers."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

import similitude as sim
from similitude.core.errors import NotEnoughEvidenceError
from similitude.tuning.search.best import best, best_front
from similitude.tuning.search.candidates import Neighbourhood
from similitude.tuning.search.repetition import most_at_stake
from similitude.tuning.search.suggest import suggest
from similitude.tuning.search.surrogates import Surrogates, additive_parts
from similitude.tuning.trials.history import Failed, History

SPACE = sim.Space(n=sim.Log(1e6, low=1e5, high=1e9, role="scale"), lr=sim.Log(1e-3))


def truth(values):
    return values["n"] ** -0.2 + 0.1 * (math.log10(values["lr"]) + 2) ** 2


def history_of(points, *, noise=0.0, seed=0, space=SPACE, minimize=True, **more):
    rng = np.random.default_rng(seed)
    points = np.array([space.snapped(np.array(p, float)) for p in points]).reshape(-1, len(space))
    values = np.array([truth(space.values_at(p)) for p in points]) + noise * rng.normal(size=len(points))
    costs = np.array([space.values_at(p)["n"] / 1e6 for p in points])
    sign = 1.0 if minimize else -1.0
    return History(space, points, sign * values, costs, np.arange(len(points)), minimize=minimize, **more)


def grown(trials=25, *, noise=0.0, cap=None, **more):
    history = history_of(np.zeros((0, 2)))
    points = []
    for number in range(trials):
        points.append(suggest(history, seed=0, number=number, cap=cap))
        history = history_of(points, noise=noise, **more)
    return history


def test_the_first_trial_is_the_center_and_the_next_are_around_it():
    history = history_of(np.zeros((0, 2)))
    assert suggest(history, seed=0, number=0).tolist() == [0, 0]
    near = suggest(history_of([[0, 0]]), seed=0, number=1)
    assert 0 < np.abs(near).max() < 1.5


def test_who_asks_first_has_the_center_and_nobody_else():
    assert suggest(history_of(np.zeros((0, 2))), seed=0, number=1).tolist() == [0, 0]
    taken = history_of(np.zeros((0, 2)), pending=np.zeros((1, 2)))
    assert 0 < np.abs(suggest(taken, seed=0, number=0)).max() < 1.5
    elsewhere = history_of(np.zeros((0, 2)), pending=np.full((1, 2), 0.3))
    assert suggest(elsewhere, seed=0, number=0).tolist() == [0, 0]


def test_the_same_arguments_give_the_same_and_another_number_another():
    history = grown(8)
    assert suggest(history, seed=3, number=8).tolist() == suggest(history, seed=3, number=8).tolist()
    assert suggest(history, seed=3, number=8).tolist() != suggest(history, seed=3, number=10).tolist()


def test_dear_and_good_configurations_are_found_from_a_cheap_start():
    history = grown(30, cap=1000.0)
    assert history.costs.max() <= 1100
    assert history.costs.max() > 300
    dear = best(history)
    assert dear.values["lr"] == pytest.approx(1e-2, rel=0.6)
    assert dear.value == pytest.approx(truth(dear.values), abs=0.02)


def test_minimizing_and_maximizing_are_mirror_images():
    history = grown(12)
    mirrored = dataclasses.replace(history, values=-history.values, minimize=False)
    for number in (12, 13, 14):
        assert (
            suggest(history, seed=0, number=number).tolist()
            == suggest(mirrored, seed=0, number=number).tolist()
        )


def test_a_cap_below_everything_seen_leads_back_to_the_cheapest():
    history = history_of([[0.8 + 0.1 * (i % 4), 0.1 * i] for i in range(8)])
    assert suggest(history, seed=0, number=8, cap=1.0)[0] < 0.5


def test_failures_are_avoided():
    failing = tuple(Failed(np.array([0.2 * i, 1.0 + 0.1 * i]), "diverged", 1.0, 50 + i) for i in range(-2, 5))
    history = history_of([[0.1 * (i % 3), 0.2 * (i - 4)] for i in range(9)])
    warned = dataclasses.replace(history, failures=failing)
    numbers = range(10, 20, 2)
    free = np.mean([suggest(history, seed=0, number=k)[1] for k in numbers])
    careful = np.mean([suggest(warned, seed=0, number=k)[1] for k in numbers])
    assert free > 1.0
    assert careful < 0.9


def test_a_search_whose_first_trials_all_fail_goes_down_in_scale():
    failures: list[Failed] = []
    for number in range(5):
        history = History(
            SPACE, np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0, int), tuple(failures)
        )
        point = suggest(history, seed=0, number=number)
        failures.append(Failed(point, "oom", 1.0, number))
    assert failures[-1].point[0] < -0.4
    assert len({tuple(f.point) for f in failures}) == 5


def test_running_trials_are_kept_away_from():
    history = grown(10)
    first = suggest(history, seed=0, number=10)
    others = []
    waiting = first[None]
    for number in (12, 14, 16):
        point = suggest(dataclasses.replace(history, pending=waiting), seed=0, number=number)
        others.append(np.abs(waiting - point).max(1).min())
        waiting = np.r_[waiting, point[None]]
    assert min(others) > 0.01


def test_a_known_cost_is_not_modelled():
    history = grown(10)
    lying = dataclasses.replace(history, costs=np.full(len(history.costs), 5.0))
    point = suggest(lying, seed=0, number=10, cap=10.0, cost_of=lambda values: values["n"] / 1e6)
    assert SPACE.values_at(point)["n"] / 1e6 <= 10.5


def test_a_space_of_few_configurations_is_tried_once_each_and_then_repeated():
    space = sim.Space(
        n=sim.Choice(1e6, 1e7, 1e8, ordered=True, role="scale"), lr=sim.Choice(1e-3, 1e-2, 1e-1, ordered=True)
    )
    points: list[np.ndarray] = []
    for number in range(12):
        points.append(suggest(history_of(points, space=space), seed=0, number=number))
    assert len({tuple(p) for p in points[:9]}) == 9
    assert {tuple(p) for p in points[9:]} <= {tuple(p) for p in points[:9]}


def test_whole_numbers_beyond_the_radius_are_reached():
    space = sim.Space(n=sim.Linear(5, low=1, high=20, integer=True, scale=1.0))
    draws = Neighbourhood(space, 0.05).draw(np.zeros((1, 1)), 200, np.random.default_rng(0))
    assert {int(space.values_at(p)["n"]) for p in draws} >= {4, 5, 6}


def test_candidates_stay_within_the_bounds_and_change_choices():
    space = sim.Space(lr=sim.Log(1e-3, low=1e-4, high=1e-2), act=sim.Choice("relu", "gelu", "silu"))
    draws = Neighbourhood(space, 0.5).draw(np.zeros((1, 2)), 400, np.random.default_rng(0))
    assert (np.abs(draws[:, 0]) <= 1 + 1e-9).all()
    assert set(draws[:, 1]) == {0.0, 1.0, 2.0}


def test_a_lucky_member_of_the_front_is_run_again():
    rng = np.random.default_rng(0)
    points = [[0.5 * (i % 4), 0.0] for i in range(8)] + [[0.75, 0.0]]
    history = history_of(points, noise=0.05)
    values = history.values.copy()
    values[-1] -= 0.15  # luck
    lucky = dataclasses.replace(history, values=values)
    point, stake = most_at_stake(Surrogates.of(lucky, rng), lucky, end=2.0)
    assert point.tolist() == pytest.approx([0.75, 0.0])
    running = dataclasses.replace(lucky, pending=point[None])
    again, _ = most_at_stake(Surrogates.of(running, rng), running, end=2.0)
    assert again.tolist() != point.tolist()
    assert math.isfinite(stake)


def test_the_final_answer_is_not_the_luckiest_sample():
    points = [[0.3 * i, 1.0] for i in range(8)] * 2 + [[0.85, 1.0]]
    history = history_of(points, noise=0.01)
    values = history.values.copy()
    values[-1] = values.min() - 0.02
    lucky = dataclasses.replace(history, values=values)
    answer = best(lucky)
    assert answer.numbers != (16,)
    assert answer.low < answer.value < answer.high
    assert answer.low < truth(answer.values) < answer.high


def test_the_answers_at_rising_costs_get_better_and_none_is_too_dear():
    history = grown(20)
    answers = best_front(history)
    assert [a.cost for a in answers] == sorted(a.cost for a in answers)
    assert all(a.value > b.value for a, b in itertools.pairwise(answers))
    assert best(history, 5.0).cost <= 5.0
    with pytest.raises(NotEnoughEvidenceError, match="No trial with a value cost at most 1e-06"):
        best(history, 1e-6)
    with pytest.raises(NotEnoughEvidenceError, match="there is none at all"):
        best(history_of(np.zeros((0, 2))))


@pytest.mark.parametrize("count", [4, 5, 40])
def test_all_equal_values_and_costs_are_no_trouble(count):
    rng = np.random.default_rng(0)
    history = History(SPACE, rng.normal(size=(count, 2)), np.ones(count), np.ones(count), np.arange(count))
    for number in (count, count + 1):
        assert np.isfinite(suggest(history, seed=0, number=number, cap=10.0)).all()


@pytest.mark.parametrize("d", [1, 30])
def test_one_dimension_and_thirty(d):
    space = sim.Space({f"x{i}": sim.Log(1.0, low=1e-2, high=1e2) for i in range(d)})
    rng = np.random.default_rng(0)
    points = 0.3 * rng.normal(size=(12, d))
    history = History(space, points, (points**2).sum(1), 10.0 ** points[:, 0], np.arange(12))
    for number in (12, 13):
        point = suggest(history, seed=0, number=number)
        assert point.shape == (d,)
        assert (np.abs(point) <= 2 + 1e-9).all()


def test_thousands_of_trials_are_thinned_to_the_front_and_the_newest():
    rng = np.random.default_rng(0)
    history = history_of(np.c_[rng.uniform(-0.5, 2.5, 2500), rng.normal(size=2500)])
    beliefs = Surrogates.of(history, rng)
    assert len(beliefs.groups) == 1000
    assert history.values.min() == pytest.approx(-beliefs.groups.values.max())


def test_parts_are_told_apart_where_both_roles_are_there():
    assert additive_parts(SPACE) == ()
    space = sim.Space(n=sim.Log(1, role="scale"), lr=sim.Log(1, role="transfer"), wd=sim.Log(1))
    assert [part.tolist() for part in additive_parts(space)] == [[True, False, False], [False, True, True]]


def test_every_value_of_a_choice_is_tried_at_once():
    space = sim.Space(n=sim.Log(1e6, role="scale"), lr=sim.Log(1e-3), act=sim.Choice(*"abcdef"))
    points: list[np.ndarray] = []
    for number in range(6):
        history = history_of(points, space=space)
        points.append(suggest(history, seed=0, number=number))
    assert {space.values_at(p)["act"] for p in points} == set("abcdef")
