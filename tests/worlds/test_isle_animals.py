"""Animals: their random numbers, where they go, whom they flee, how often they bite."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.animals import draw
from similitude.worlds.engine.constants import BITE, DT, FREEZE
from similitude.worlds.engine.ground import terrain as terrain_at
from similitude.worlds.kinds import KINDS, NUMBER
from tests.worlds.small_scenes import LAND, box, corners_of, flat, frames, place, scene, thing

AWAY = (-20.0, -20.0)


def far_from_body(simulation, k: int = 0) -> float:
    return float(np.hypot(*(place(simulation, k)[:2] - simulation.body[0, :2])))


def test_random_numbers_are_lehmers():
    simulation = scene(thing("rabbit", 3, 3))
    simulation.things[0, 0, c.RANDOM] = 12345.0
    state = 12345
    for _ in range(1000):
        state = state * 16807 % (2**31 - 1)
        assert draw(0, 0, simulation.things) == state / 2147483647.0
        assert simulation.things[0, 0, c.RANDOM] == state


def test_prey_that_notices_nobody_roams_around_its_home_with_pauses():
    simulation = scene(thing("rabbit", 5, 5), spawn=AWAY)
    moves = []
    for _ in range(400):
        old = place(simulation, 0)
        frames(simulation)
        moves.append(np.linalg.norm(place(simulation, 0) - old))
        assert np.hypot(*(place(simulation, 0)[:2] - 5.0)) < 4.5
    pace = 0.4 * KINDS[NUMBER["rabbit"]].speed * DT
    assert {round(move, 6) for move in moves} == {0.0, round(pace, 6)}
    assert 0.2 < np.mean(np.array(moves) > 0) < 0.8


@pytest.mark.parametrize("kind", ["rabbit", "deer", "turtle"])
def test_prey_flees_at_its_speed_until_it_senses_nothing(kind):
    made = KINDS[NUMBER[kind]]
    simulation = scene(thing(kind, 2.0, 0.0))
    start = far_from_body(simulation)
    frames(simulation, 5)
    assert far_from_body(simulation) == pytest.approx(start + 5 * made.speed * DT)
    frames(simulation, 200)
    assert far_from_body(simulation) > made.sense - 0.3


def test_cornered_prey_slips_away_sideways():
    simulation = scene(thing("rabbit", 2.0, 0.0), solids=(box(3.0, 0.0, 3.0, (0.25, 3.0, 1.0)),))
    frames(simulation, 12)
    x, y, _ = place(simulation, 0)
    assert x < 2.75
    assert abs(y) > 1.0


def test_a_bird_rises_and_comes_down_again_while_it_is_followed():
    simulation = scene(thing("crow", 2.0, 0.0))
    heights = []
    for _ in range(100):
        simulation.things[0, 0, c.TX] = 2.0  # and two metres from the body again
        frames(simulation)
        heights.append(place(simulation, 0)[2] - simulation.things[0, 0, c.EZ] - LAND)
    assert max(heights) == pytest.approx(3.5, abs=0.01)
    assert sum(height < 0.1 for height in heights[60:]) >= 20, "huntable on foot for two seconds or more"


@pytest.mark.parametrize(("kind", "period"), [("wolf", 8), ("hippo", 8)])
def test_a_predator_comes_and_bites_every_rest_and_one_frame(kind, period):
    simulation = scene(thing(kind, 5.05, 0.0))
    bites = []
    for frame in range(80):
        simulation.body[0, c.HP] = 9.0
        frames(simulation)
        if simulation.body[0, c.ENEMY] > 0:
            assert simulation.body[0, c.ENEMY] == KINDS[NUMBER[kind]].damage
            bites.append(frame)
    gaps = np.diff(bites)
    assert len(bites) >= 5
    assert (gaps == period).all()
    speed = KINDS[NUMBER[kind]].speed * DT
    assert bites[0] == int(np.ceil((5.05 - BITE) / speed)) - 1
    assert 0.5 * BITE < far_from_body(simulation) < BITE


def test_a_snake_kills_at_once():
    simulation = scene(thing("snake", 2.0, 0.0))
    frames(simulation, 20)
    assert simulation.body[0, c.HP] == 0.0
    assert simulation.done(0)


def test_a_hawk_flies_off_after_its_attack():
    simulation = scene(thing("hawk", 3.0, 0.0, 4.0))
    for _ in range(60):
        frames(simulation)
        if simulation.body[0, c.ENEMY] > 0:
            break
    assert simulation.body[0, c.HP] == 0.75
    frames(simulation, 30)
    assert place(simulation, 0)[2] - simulation.things[0, 0, c.EZ] == pytest.approx(LAND + 3.5, abs=0.01)


def test_predators_farther_than_their_senses_do_not_chase_and_beyond_freeze_stand_still():
    simulation = scene(thing("wolf", 20.0, 0.0), spawn=(-20.0, 0.0))
    frames(simulation, 50)
    assert 15.0 < place(simulation, 0)[0] < 25.0
    frozen = scene(thing("wolf", FREEZE - 15.0, 0.0), terrain=flat(corners=160), spawn=(-16.0, 0.0))
    frames(frozen, 200)
    assert place(frozen, 0)[0] == FREEZE - 15.0


WALL = (box(2.0, 0.0, 4.0, (0.125, 24.0, 2.0)),)


@pytest.mark.parametrize("kind", ["wolf", "bear", "eagle", "snake"])
def test_nobody_passes_or_bites_through_a_wall(kind):
    simulation = scene(thing(kind, 4.0, 0.0), solids=WALL, spawn=(1.5, 0.0))
    for _ in range(120):
        frames(simulation)
        if kind == "eagle" and place(simulation, 0)[2] > 6.0:
            return  # over it, which it may
        assert place(simulation, 0)[0] > 2.1
        assert simulation.body[0, c.HP] == 1.0


def step_up(rise: float, at: float = 0.0) -> np.ndarray:
    land = flat()
    x, _ = corners_of(land)
    return np.where(x > at, LAND + rise, land)


@pytest.mark.parametrize(("kind", "reaches"), [("wolf", False), ("jaguar", True), ("eagle", True)])
def test_only_climbers_and_fliers_get_up_a_cliff(kind, reaches):
    simulation = scene(thing(kind, -6.0, 0.0), terrain=step_up(5.0), spawn=(2.0, 0.0), feet=LAND + 5.0)
    frames(simulation, 150)
    assert (place(simulation, 0)[2] > LAND + 4.0) == reaches
    assert (simulation.body[0, c.HP] < 1.0) == reaches


@pytest.mark.parametrize(("rise", "reaches"), [(1.2, True), (2.5, False)])
def test_wolves_go_down_low_ledges_only(rise, reaches):
    simulation = scene(thing("wolf", 3.0, 0.0, LAND + rise + 0.375), terrain=step_up(rise), spawn=(-3.0, 0.0))
    frames(simulation, 100)
    assert (simulation.body[0, c.HP] < 1.0) == reaches


@pytest.mark.parametrize(("kind", "reaches"), [("wolf", False), ("alligator", True), ("eagle", True)])
def test_only_swimmers_and_fliers_cross_water(kind, reaches):
    land = flat()
    x, _ = corners_of(land)
    land = np.where(np.abs(x) < 2.0, -2.0, 1.0)
    simulation = scene(
        thing(kind, -6.0, 0.0, 1.0 + KINDS[NUMBER[kind]].half[2]), terrain=land, spawn=(4.0, 0.0), feet=1.0
    )
    frames(simulation, 150)
    assert (place(simulation, 0)[0] > 0.0) == reaches


def test_a_body_two_metres_up_is_out_of_reach():
    simulation = scene(
        thing("wolf", 3.0, 0.0), solids=(box(0, 0, LAND + 1.0, (0.5, 0.5, 1.0)),), feet=LAND + 2.0
    )
    frames(simulation, 100)
    assert simulation.body[0, c.HP] == 1.0
    assert far_from_body(simulation) < 1.5


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_on_rough_land_stays_above_ground_and_out_of_boxes(seed):
    random = np.random.default_rng(seed)
    land = flat()
    x, y = corners_of(land)
    land = land + 2.0 * np.sin(0.3 * x + seed) * np.cos(0.4 * y)
    kinds = [kind.name for kind in KINDS if kind.role in (c.PREY, c.PREDATOR)]
    blocks = tuple(
        box(random.uniform(-12, 12), random.uniform(-12, 12), 3.0, (0.6, 0.4, 3.0)) for _ in range(8)
    )
    animals = [thing(kind, random.uniform(-12, 12), random.uniform(-12, 12), 7.0) for kind in kinds]
    simulation = scene(*animals, terrain=land, solids=blocks, feet=4.5)
    for _ in range(60):
        simulation.body[0, c.HP] = 1.0
        frames(simulation, action={2: 1.0, 4: 0.3})
        assert np.isfinite(simulation.things).all()
        for k in range(len(animals)):
            px, py, pz = place(simulation, k)
            low = pz - simulation.things[0, k, c.EZ]
            assert low >= terrain_at(0, px, py, simulation.height, simulation.meta) - 1e-6
