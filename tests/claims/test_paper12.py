"""Claims of paper 12: small sizes of each, and a change of every agent, world or clock that turns it red."""

from __future__ import annotations

import dataclasses
from itertools import count

import numpy as np
import pytest

from similitude.claims import paper12, paper12_agents, paper12_learning, paper12_skills
from similitude.claims.needs import NEEDS
from similitude.claims.paper12_agents import (
    SKILLS,
    Episode,
    Erring,
    Lacking,
    account,
    chance_agent,
    episode,
    oracle_agent,
    worlds,
)
from similitude.claims.registry import registered

pytest.importorskip("numba")

FEW = ("eat", "jump", "fight")


@pytest.fixture
def few_tasks(monkeypatch):
    monkeypatch.setattr(paper12, "TASKS", FEW)
    monkeypatch.setattr(paper12, "BASIC", FEW[:2])


def short(monkeypatch, module, number):
    """Let a module make fewer worlds of every task and difficulty."""
    monkeypatch.setattr(
        module, "worlds", lambda task, level, seeds: worlds(task, level, list(seeds)[:number])
    )


def test_every_claim_needs_numba_and_says_how_to_get_it():
    own = [entry for entry in registered().values() if entry.paper == 12]
    assert len(own) == 7
    assert all(entry.needs == ("numba",) for entry in own)
    assert NEEDS["numba"].here()
    assert "similitude[worlds]" in NEEDS["numba"].how


def test_oracles_that_do_nothing_or_chance_that_succeeds_turn_the_claim_red(monkeypatch, few_tasks):
    short(monkeypatch, paper12, 1)
    assert paper12.solvable().verdict.ok
    with monkeypatch.context() as patch:
        patch.setattr(paper12, "oracle_agent", lambda: Still())
        measured = paper12.solvable()
        assert not measured.verdict.ok
        assert measured.value == 0.0
    monkeypatch.setattr(paper12, "chance_agent", lambda seed: oracle_agent())
    measured = paper12.solvable()
    assert not measured.verdict.ok
    assert measured.value == 1.0


@pytest.mark.slow
def test_a_reward_for_something_else_turns_the_claim_red(monkeypatch, few_tasks):
    short(monkeypatch, paper12, 1)
    assert paper12.one_reward().verdict.ok
    with monkeypatch.context() as patch:
        patch.setattr(paper12_agents, "FRAME_COST", 2e-4)
        measured = paper12.one_reward()
        assert not measured.verdict.ok
        assert measured.value > 1e-5
    with monkeypatch.context() as patch:  # dynamics that know the task
        patch.setattr(
            paper12, "account", lambda agent, world, **rest: by_name(account(agent, world, **rest), world)
        )
        measured = paper12.one_reward()
        assert not measured.verdict.ok
        assert measured.value == pytest.approx(1.0)
    spaces = count()
    monkeypatch.setattr(paper12, "_environments", lambda: [Spaces(next(spaces)) for _ in FEW])
    assert not paper12.one_reward().verdict.ok


@pytest.mark.slow
def test_worlds_that_are_alike_slow_or_other_elsewhere_turn_the_claim_red(monkeypatch, few_tasks):
    short(monkeypatch, paper12, 1)
    monkeypatch.setattr(paper12, "FIRST", 2**40 + 77)
    measured = paper12.made_worlds()
    assert measured.verdict.ok
    assert measured.interval[0] <= measured.value <= measured.interval[1]
    monkeypatch.setattr(
        paper12, "_made_elsewhere", lambda names: [w.digest for n in names for w in worlds(*n[:2], [n[2]])]
    )
    with monkeypatch.context() as patch:
        patch.setattr(paper12, "MEDIAN", 1e-6)
        assert not paper12.made_worlds().verdict.ok
    with monkeypatch.context() as patch:  # a generator that is deaf to seeds
        patch.setattr(paper12, "worlds", lambda task, level, seeds: worlds(task, level, [0]))
        assert not paper12.made_worlds().verdict.ok
    monkeypatch.setattr(paper12, "_made_elsewhere", lambda names: ["0" * 64 for _ in names])
    assert not paper12.made_worlds().verdict.ok


def test_the_median_has_an_interval():
    values = np.arange(1000.0)
    low, high = paper12._median_interval(values)
    assert low < 499.5 < high
    assert 50 < high - low < 70  # 1.96 * sqrt(1000) = 62
    assert paper12._median_interval(np.ones(3)) == (1.0, 1.0)


def test_a_slow_simulator_turns_the_claim_red(monkeypatch):
    rates = {True: [400.0, 600.0], False: [250_000.0, 300_000.0]}
    monkeypatch.setattr(paper12, "_rates", lambda camera: rates[camera])
    measured = paper12.speed()
    assert measured.verdict.ok
    assert measured.value == pytest.approx(1.2)
    rates[True] = [400.0, 490.0]
    assert not paper12.speed().verdict.ok
    rates[True], rates[False] = [600.0], [190_000.0]
    assert not paper12.speed().verdict.ok


def test_speed_is_measured():
    assert [rate > 0 for rate in paper12._rates(camera=False, stretches=2, seconds=0.02)] == [True, True]


def test_worlds_whose_difficulty_says_nothing_turn_the_claim_red(monkeypatch):
    def playing(frames, success=lambda level, seed: True):
        monkeypatch.setattr(
            paper12_skills, "worlds", lambda task, level, seeds: [Named(task, level, s) for s in seeds]
        )
        monkeypatch.setattr(
            paper12_skills,
            "episode",
            lambda agent, world: Episode(success(world.difficulty, world.seed), frames(world), 0.0),
        )
        return paper12_skills.difficulty()

    falls = lambda level, seed: level < 1.0 or seed % 2 == 0  # noqa: E731
    rising = playing(lambda world: int(100 * world.difficulty) + world.seed % 7, falls)
    assert rising.verdict.ok
    assert rising.value > 0.9
    assert not playing(lambda world: world.seed * 7919 % 101, falls).verdict.ok  # no order
    assert not playing(lambda world: int(100 * world.difficulty)).verdict.ok  # success does not fall
    backward = playing(lambda world: (-1 if world.task == "eat" else 1) * int(100 * world.difficulty) + 200)
    assert not backward.verdict.ok


def test_ranks_agree_with_a_brute_count():
    found, low, high = paper12_skills._rank_correlation([0, 0, 1, 1, 2, 2], [1, 2, 3, 4, 5, float("inf")])
    ranks = np.corrcoef([1.5, 1.5, 3.5, 3.5, 5.5, 5.5], [1, 2, 3, 4, 5, 6])[0, 1]
    assert found == pytest.approx(ranks)
    assert low < found < high
    assert paper12_skills._rank_correlation([0, 1, 2, 3], [5, 5, 5, 5])[0] == 0.0


def test_compositional_tasks_of_one_skill_turn_the_claim_red(monkeypatch):
    def needing(skills):
        monkeypatch.setattr(paper12_skills, "_lost", lambda task, seeds: skills(task, np.arange(8)))
        return paper12_skills.compositional()

    def one(task, places):  # the same one skill in all worlds of a task
        return np.eye(6)[np.full(8, len(task) % 6)]

    def many(task, places):
        return (
            one(task, places)
            if task in paper12_skills.BASIC
            else np.eye(6)[places % 6] + np.eye(6)[(places + 1) % 6]
        )

    good = needing(many)
    assert good.verdict.ok
    assert good.value == pytest.approx(1 / 6)
    assert not needing(one).verdict.ok
    assert not needing(lambda task, places: np.ones((8, 6))).verdict.ok  # basic tasks ask for everything


def test_who_lacks_a_skill_fails_where_it_is_needed_and_only_there():
    needed = {"jump": "jump", "climb": "climb", "use tools": "hunt", "carry blocks": "bridge", "push": "push"}
    for skill in SKILLS:
        (food,) = worlds("eat", 0.0, [3])
        assert episode(Lacking(skill), food, limit=200).success
        if skill in needed:
            (world,) = worlds(needed[skill], 0.5, [3])
            assert not episode(Lacking(skill), world, limit=600).success
            assert episode(oracle_agent(), world).success
    lost = paper12_skills._lost("climb", [3])
    assert lost.tolist() == [[0, 1, 0, 0, 0, 0]]


def test_who_stumbles_does_so_in_that_share_of_frames():
    (world,) = worlds("move", 1.0, [1])
    played = account(Erring(0, share=0.3), dataclasses.replace(world))
    agent, strayed = Erring(0, share=0.3), []
    agent.oracle = Still()
    for _ in range(4000):
        strayed.append(bool(np.abs(agent.act_on(None, 0)[:18]).sum()))
    assert np.mean(strayed) == pytest.approx(0.3, abs=0.05)
    assert len(played.actions) == len(played.rewards)
    assert len(account(chance_agent(0), world).actions) <= played.limit


def test_a_clone_that_does_not_generalize_turns_the_claim_red(monkeypatch):
    monkeypatch.setattr(paper12_learning, "_worlds", list)
    monkeypatch.setattr(paper12_learning, "_cloned", lambda own, seed: (len(own), seed))

    def scored(seen, unseen):
        monkeypatch.setattr(
            paper12_learning,
            "_solved",
            lambda network, own: (unseen if own[0] >= paper12_learning.UNSEEN else seen)(*network),
        )
        return paper12_learning.generalization()

    def grows(count, seed):
        return min(0.4 + 0.01 * seed + 0.1 * np.log2(count), 0.95)

    def always(count, seed):
        return 1.0

    assert scored(always, grows).verdict.ok
    assert not scored(always, lambda count, seed: 0.5).verdict.ok
    assert not scored(always, always).verdict.ok  # one world teaches all: nothing to generalize
    assert not scored(lambda count, seed: 0.8, grows).verdict.ok  # not even its own world
    assert not scored(
        always, lambda count, seed: 0.1 * np.log2(count) + 0.01 * seed
    ).verdict.ok  # a gap stays
    forgets = scored(
        lambda count, seed: 1.0 if count == 1 else 0.3, lambda count, seed: 0.3 - 0.01 * (count > 1)
    )
    assert not forgets.verdict.ok  # the gap closes because everything is lost


def test_a_clone_learns_the_world_that_it_saw(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(paper12_learning, "EPISODES", 8)
    monkeypatch.setattr(paper12_learning, "STEPS", 300)
    monkeypatch.setattr(paper12_learning, "EASIEST", 0.0)
    monkeypatch.setattr(paper12_learning, "HARDEST", 0.1)
    own = paper12_learning._worlds(range(1))
    assert paper12_learning._solved(paper12_learning._cloned(own, 0), own) >= 0.75


class Still:
    """Does nothing."""

    def act_on(self, simulation, e):
        return np.zeros(21)


class Named:
    def __init__(self, task, difficulty, seed):
        self.task, self.difficulty, self.seed = task, difficulty, seed


class Spaces:
    def __init__(self, number):
        self.action_space = self.observation_space = number


def by_name(found, world):
    return dataclasses.replace(found, rewards=found.rewards + (world.task == "eat"))
