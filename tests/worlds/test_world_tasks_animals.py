"""Worlds with prey, predators and weapons: what they hold, that pits and corridors close, and whom one outruns."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import ndimage

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import BITE
from similitude.worlds.kinds import KINDS, NUMBER, PREDATORS
from similitude.worlds.land.grid import cell_of
from similitude.worlds.making import make_world
from similitude.worlds.routes.paths import gentle_cells
from similitude.worlds.routes.reach import reaches
from similitude.worlds.simulation import Simulation
from similitude.worlds.tasks import avoid, carry, throw
from similitude.worlds.tasks.animals import (
    KILLABLE,
    PREY,
    WALKING_PREY,
    WEAPONS,
    add_weapons,
    around,
    one_of,
)
from similitude.worlds.tasks.pursuit import MEAL, PACE, START, chase
from similitude.worlds.tasks.site import Site

TASKS = ("throw", "hunt", "fight", "avoid", "carry")
DIFFICULTIES = (0.0, 0.5, 1.0)


def things(world, role):
    """Rows of the things of a role."""
    return [row for row in world.things.astype(float) if KINDS[int(row[0])].role == role]


def name_of(row):
    return KINDS[int(row[0])].name


def gap(a, b):
    return math.hypot(a[0] - b[0], a[1] - b[1])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_worlds_are_made_and_proved(task, difficulty):
    for seed in range(5):
        world = make_world(task, difficulty, seed)
        assert world.solution[-1].do == "eat"
        assert world.digest == make_world(task, difficulty, seed).digest
        foods = [row for row in world.things if row[11] > 0.0]
        assert len(foods) == 1


# throw


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_prey_is_in_a_pit_that_it_cannot_leave(difficulty):
    for seed in range(3):
        world = make_world("throw", difficulty, seed)
        (prey,) = things(world, c.PREY)
        kind = KINDS[int(prey[0])]
        assert not kind.traits & (c.FLIES | c.CLIMBS)
        labels, _ = ndimage.label(gentle_cells(world.height / 128.0))
        bottom = labels[cell_of(world.size, prey[1], prey[2])]
        assert bottom > 0
        assert bottom != labels[cell_of(world.size, *world.spawn[:2])]
        assert len(things(world, c.TOOL)) == world.parameters["rocks"]
        (rim,) = [step.at[0] for step in world.solution if step.do == "throw"]
        assert rim[2] - (prey[3] - kind.half[2]) == pytest.approx(world.parameters["pit depth"], abs=0.05)


def test_prey_flees_within_its_pit():
    world = make_world("throw", 0.0, 1)
    (rim,) = [step.at[0] for step in world.solution if step.do == "throw"]
    simulation = Simulation(1, backend="plain")
    simulation.load(0, world)
    simulation.body[0, [c.BX, c.BY, c.BZ]] = rim
    (k,) = [i for i, row in enumerate(world.things) if name_of(row) in PREY]
    middle = world.things[k, 1:3]
    far = []
    for _ in range(120):
        simulation.step(np.zeros((1, 21)))
        far.append(gap(simulation.things[0, k, [c.TX, c.TY]], middle))
    assert max(far) > 0.5  # it runs
    assert max(far) <= world.parameters["pit radius"] + 0.75
    assert simulation.things[0, k, c.TZ] < rim[2] - 2.0


def test_throws_grow_with_difficulty():
    easy, hard = make_world("throw", 0.0, 1).parameters, make_world("throw", 1.0, 1).parameters
    assert (easy["rocks"], easy["pit depth"]) == (6, 3.0)
    assert (hard["rocks"], hard["pit depth"]) == (2, 10.0)
    assert easy["distance"] < hard["distance"]


# hunt


def test_hunts_grow_with_difficulty():
    easy, hard = ([make_world("hunt", d, seed).parameters for seed in range(12)] for d in (0.0, 1.0))
    assert all(5.0 <= p["distance"] <= 10.0 and p["weapons"] == 5 for p in easy)
    assert all(p["distance"] <= 40.0 for p in hard)
    assert np.mean([p["distance"] for p in hard]) > 18.0
    assert np.mean([p["weapons"] for p in hard]) < 3.0
    order = [np.mean([PREY.index(p["prey"]) for p in part]) for part in (easy, hard)]
    assert order[0] + 2.0 < order[1]


def test_weapons_lie_beside_the_start_of_a_hunt():
    for difficulty in DIFFICULTIES:
        world = make_world("hunt", difficulty, 3)
        tools = things(world, c.TOOL)
        assert len(tools) == world.parameters["weapons"]
        assert all(gap(row[1:3], world.spawn) < 4.5 for row in tools)


# fight


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_corridor_is_the_only_way_past_the_predators(difficulty):
    world = make_world("fight", difficulty, 2)
    (food,) = things(world, c.FOOD)
    assert reaches(world, food[1], food[2])
    cos, sin = world.spawn[3:]
    n = world.size
    y, x = np.mgrid[:n, :n] * 0.5 - 0.25 * n
    along = (x - world.spawn[0]) * cos + (y - world.spawn[1]) * sin
    side = (y - world.spawn[1]) * cos - (x - world.spawn[0]) * sin
    # a gate in the corridor, from its entrance on, thicker than a leap is long
    gate = (np.abs(along - 8.0) < 1.6) & (np.abs(side) <= 0.5 * world.parameters["corridor width"] + 1.0)
    height = world.height.copy()
    height[gate] += 128 * 4
    assert not reaches(dataclasses.replace(world, height=height), food[1], food[2])


def test_fights_grow_with_difficulty_and_can_be_won():
    counts = []
    for difficulty in DIFFICULTIES:
        for seed in range(4):
            world = make_world("fight", difficulty, seed)
            predators = things(world, c.PREDATOR)
            assert len(predators) == world.parameters["predators"]
            assert all(name_of(row) in KILLABLE for row in predators)
            struck = [step.target for step in world.solution if step.do == "strike"]
            assert len(set(struck)) == len(predators)
            # the weapons are nearer than the predators' senses
            assert min(gap(row[1:3], world.spawn) for row in predators) > 4.0
        counts.append(len(predators))
    assert counts == [1, 3, 5]
    easy, hard = (make_world("fight", d, 0).parameters for d in (0.0, 1.0))
    assert (easy["distance"], easy["corridor width"]) == (12.0, 10.0)
    assert (hard["distance"], hard["corridor width"]) == (24.0, 2.5)


# avoid


def follow_path(world, *, meal=15):
    """Walk along the solution's path as fast as one can; return hit points `meal` frames after the arrival."""
    simulation = Simulation(1, backend="plain")
    simulation.load(0, world)
    body = simulation.body[0]
    points = [point for step in world.solution if step.do == "walk" for point in step.at]
    for _ in range(600):
        if not points or body[c.HP] <= 0.0:
            break
        dx, dy = points[0][0] - body[c.BX], points[0][1] - body[c.BY]
        far = math.hypot(dx, dy)
        if far < 0.3:
            points.pop(0)
            continue
        cos, sin = math.cos(body[c.YAW]), math.sin(body[c.YAW])
        action = np.zeros((1, 21))
        action[0, 0], action[0, 2] = (dx * sin - dy * cos) / far, (dx * cos + dy * sin) / far
        simulation.step(np.clip(action, -1.0, 1.0))
    assert not points or body[c.HP] <= 0.0
    for _ in range(meal):
        simulation.step(np.zeros((1, 21)))
    return body[c.HP]


@pytest.mark.parametrize("difficulty", [0.0, 0.5])
def test_one_gets_past_the_predators_on_the_path(difficulty):
    assert all(follow_path(make_world("avoid", difficulty, seed)) > 0.0 for seed in range(2))


@pytest.mark.slow
def test_one_gets_past_many_predators_on_the_path():
    survived = [follow_path(make_world("avoid", 1.0, seed)) > 0.0 for seed in range(10)]
    assert sum(survived) >= 9


def test_avoiding_grows_with_difficulty_and_there_are_no_weapons():
    for difficulty, low, high, count in ((0.0, 13.0, 22.0, 1), (1.0, 40.0, 52.0, 5)):
        for seed in range(4):
            world = make_world("avoid", difficulty, seed)
            assert not things(world, c.TOOL)
            assert low <= world.parameters["distance"] <= high
            assert len(things(world, c.PREDATOR)) == count


# the chase


def test_who_is_not_noticed_is_not_bitten():
    bee = KINDS[NUMBER["bee"]]
    path = [(0.0, 0.0), (10.0, 0.0)]
    assert chase(path, [("bee", 5.0, bee.sense + 0.01)], roam=0.0).bites == 0
    assert chase(path, []).damage == 0.0
    assert chase(path, []).frames == START + math.ceil(10.0 / PACE) - 1 + MEAL


def test_who_stands_still_is_bitten_as_often_as_teeth_can():
    """A bite, then `rest` frames without: frames 0, rest + 1, 2 (rest + 1) ... of START + MEAL."""
    for name in ("bee", "wolf", "hawk"):
        kind = KINDS[NUMBER[name]]
        expected = math.ceil((START + MEAL) / (kind.rest + 1.0))
        found = chase([(0.0, 0.0)], [(name, 0.5, 0.0)], roam=0.0, most=100.0)
        assert found.bites == expected
        assert found.damage == expected * kind.damage


def test_a_snake_behind_is_too_slow_and_one_ahead_bites():
    path = [(0.0, 0.0), (30.0, 0.0)]
    assert chase(path, [("snake", -8.0, 0.0)], roam=0.0).bites == 0
    assert chase(path, [("snake", 15.0, 0.0)], roam=0.0).damage == KINDS[NUMBER["snake"]].damage


def test_a_faster_one_catches_up_when_it_should():
    """An eagle 6 m behind gains its speed less the walker's, and first waits with it for START frames."""
    speed = 0.1 * KINDS[NUMBER["eagle"]].speed
    path = [(0.0, 0.0), (200.0, 0.0)]
    lead = 6.0 - START * speed - BITE
    assert lead > 0.0
    short = PACE * (lead / (speed - PACE) - MEAL) - 5.0
    assert chase([(0.0, 0.0), (max(short, 1.0), 0.0)], [("eagle", -6.0, 0.0)], roam=0.0).bites <= 2
    assert chase(path, [("eagle", -6.0, 0.0)], roam=0.0).bites >= 1


def test_builders_of_avoid_move_or_tame_what_nobody_passes():
    far = 20.0
    name, along, aside = "wolf", 5.0, 2.0
    for _ in range(40):
        name, along, aside = avoid._milder(name, along, aside, far)
    assert PREDATORS.index(name) < PREDATORS.index("wolf")
    assert along <= 0.9 * far
    assert aside > 2.0
    hopeless = [("snake", x, 0.0) for x in range(1, 20)]
    assert avoid._path((0.0, 0.0), (20.0, 0.0), (1.0, 0.0), hopeless) == []
    assert avoid._path((0.0, 0.0), (20.0, 0.0), (1.0, 0.0), []) == [(0.0, 0.0), (20.0, 0.0)]


# carry


def test_what_is_carried_lies_farther_away():
    seen = set()
    for seed in range(24):
        world = make_world("carry", (seed % 3) / 2, seed)
        task, moved = world.parameters["task"], world.parameters["moved"]
        seen.add(task)
        first = next(step.thing for step in world.solution if step.do == "take")
        x, y = world.things[first, 1:3].astype(float)
        if task == "throw":
            assert gap((x, y), world.spawn) >= moved - 2.1
        if task == "bridge":
            grip = next(step.at[0] for step in world.solution if step.do == "take")
            assert gap(grip, world.spawn) == pytest.approx(world.parameters["log distance"] + moved, abs=0.1)
    assert seen == {"throw", "stack", "bridge", "fight"}


def test_carrying_grows_with_difficulty():
    means = []
    for difficulty in DIFFICULTIES:
        moved = [make_world("carry", difficulty, seed).parameters["moved"] for seed in range(6)]
        assert all(1.0 <= value <= 10.0 for value in moved)
        means.append(np.mean(moved))
    assert means == sorted(means)
    assert carry.build is not throw.build


# choices


def test_kinds_get_harder_with_the_budget():
    draws = Draws("kinds")
    for names in (KILLABLE, PREY, WALKING_PREY):
        easy, hard = ([names.index(one_of(draws, names, h)) for _ in range(200)] for h in (0.0, 1.0))
        assert set(easy) == {0, 1}
        assert max(hard) == len(names) - 1
        assert min(hard) == (len(names) - 1) // 2
    assert not any(KINDS[NUMBER[name]].traits & c.UNKILLABLE for name in KILLABLE)
    assert {"bear", "hippo"}.isdisjoint(KILLABLE)
    assert all(not KINDS[NUMBER[name]].traits & (c.FLIES | c.CLIMBS) for name in WALKING_PREY)


def test_spots_around_a_point_keep_apart_even_if_it_is_crowded():
    spots = around(Draws("spots"), 3.0, -2.0, 12, 0.5, 1.0)
    assert len(spots) == 12
    assert min(gap(a, b) for i, a in enumerate(spots) for b in spots[:i]) > 0.8


def test_the_best_weapons_come_first():
    site = Site("hunt", 0.5, 0, draws=Draws("weapons"))
    site.z = np.full((128, 128), 3.0)
    found = add_weapons(site, Budget(Draws("b"), 0.5), around(Draws("s"), 0.0, 0.0, 6, 1.0, 2.0))
    ranks = [WEAPONS.index(name_of(site.things[k])) for k in found]
    assert ranks == sorted(ranks)
