"""Loose things against closed forms: parabolas, drops that open foods, hits; and invariants on random land."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import DT, GRAVITY, HIT_SPEED, THROW_LIMIT
from similitude.worlds.engine.ground import terrain as terrain_at
from tests.worlds.small_scenes import LAND, box, corners_of, flat, frames, place, scene, thing, throw

AWAY = (-20.0, -20.0)
"""Where the body waits out of the way."""


def energy(simulation, k: int) -> float:
    row = simulation.things[0, k]
    return GRAVITY * row[c.TZ] + 0.5 * float(np.sum(row[[c.TVX, c.TVY, c.TVZ]] ** 2))


@pytest.mark.parametrize("velocity", [(0.0, 0.0, 0.0), (3.0, -1.0, 4.0), (9.0, 8.0, 9.0)])
def test_what_flies_follows_the_parabola(velocity):
    simulation = scene(thing("rock", 0, 0, 12.0), spawn=AWAY)
    throw(simulation, 0, velocity)
    for n in range(1, 11):
        frames(simulation)
        t = n * DT
        expected = np.array(velocity) * t + np.array([0.0, 0.0, 12.0 - 0.5 * GRAVITY * t * t])
        np.testing.assert_allclose(place(simulation, 0), expected, atol=1e-9)


def hills(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    land = flat()
    x, y = corners_of(land)
    for _ in range(6):
        a, b, phase = random.normal(0.0, 0.5, 3)
        land = land + random.uniform(0.2, 1.2) * np.sin(a * x + b * y + 6.0 * phase)
    return land


@pytest.mark.parametrize("seed", range(4))
def test_bounces_never_gain_energy_and_nothing_sinks(seed):
    random = np.random.default_rng(seed)
    kinds = ["rock", "apple", "large rock", "stick", "coconut"]
    things = [thing(kinds[i % 5], random.uniform(-9, 9), random.uniform(-9, 9), 9.0) for i in range(10)]
    walls = [box(random.uniform(-9, 9), random.uniform(-9, 9), 4.0, (0.5, 2.0, 1.0 + i)) for i in range(4)]
    simulation = scene(*things, terrain=hills(seed), solids=tuple(walls), spawn=(-20.0, 0.0), feet=9.0)
    for k in range(len(things)):
        direction = random.normal(size=3)
        throw(simulation, k, tuple(THROW_LIMIT * direction / np.linalg.norm(direction)))
    before = [energy(simulation, k) for k in range(len(things))]
    for _ in range(80):
        frames(simulation)
        assert np.isfinite(simulation.things).all()
        for k, old in enumerate(before):
            before[k] = energy(simulation, k)
            assert before[k] <= old + 1e-6
            x, y, z = place(simulation, k)
            low = z - simulation.things[0, k, c.EZ]
            assert low >= terrain_at(0, x, y, simulation.height, simulation.meta) - 1e-6
    speeds = np.abs(simulation.things[0, :, c.TVX : c.TVZ + 1]).max(axis=1)
    assert (speeds == 0.0).sum() >= 6, "most have come to rest after eight seconds"


def test_what_rests_stays_where_it_is_to_the_bit():
    simulation = scene(thing("rock", 3, 3), thing("apple", 4, 3), spawn=AWAY)
    before = simulation.things.copy()
    frames(simulation, 50)
    np.testing.assert_array_equal(simulation.things, before)


def test_rests_on_a_table_and_falls_when_the_table_goes():
    simulation = scene(
        thing("apple", 3, 3, 4.0), thing("stone", 3, 3), solids=(box(6, 0, 2.5, (1, 1, 0.5)),), spawn=AWAY
    )
    throw(simulation, 0, (0.0, 0.0, 0.0))
    frames(simulation, 20)
    assert place(simulation, 0)[2] == pytest.approx(LAND + 1.0 + 0.125, abs=1e-6)
    simulation.things[0, 1, c.TX] = 12.0
    frames(simulation, 60)  # it looks at what lies below it every 32nd frame
    assert place(simulation, 0)[2] == pytest.approx(LAND + 0.125, abs=1e-6)


@pytest.mark.parametrize("start", np.linspace(0.0, 1.4, 8))
def test_nothing_flies_through_a_wall(start):
    wall = box(6.0, 0.0, 4.0, (0.125, 4.0, 3.0))
    simulation = scene(thing("rock", start, 0, 4.0), solids=(wall,), spawn=AWAY)
    throw(simulation, 0, (THROW_LIMIT, 0.0, 0.0))
    frames(simulation, 15)
    assert start < place(simulation, 0)[0] < 6.0 - 0.125 - 0.125 + 1e-6


def test_a_rock_thrown_at_a_cliff_stays_below_it():
    land = flat()
    x, _ = corners_of(land)
    simulation = scene(thing("rock", 0, 0, 3.0), terrain=np.where(x > 4.0, 10.0, land), spawn=AWAY)
    throw(simulation, 0, (THROW_LIMIT, 0.0, 0.0))
    frames(simulation, 40)
    assert place(simulation, 0)[2] == pytest.approx(LAND + 0.125, abs=0.05)


def test_nothing_leaves_the_map_and_the_sea_gives_things_back():
    simulation = scene(thing("rock", 22, 0, 3.0), terrain=flat(-6.0), spawn=(0.0, 0.0), feet=-0.5)
    throw(simulation, 0, (THROW_LIMIT, 0.0, 3.0))
    frames(simulation, 40)
    x, _, z = place(simulation, 0)
    assert x <= 23.0
    assert z == pytest.approx(-0.5 + 0.125)


@pytest.mark.parametrize(("food", "limit"), [("fig", 2.0), ("coconut", 5.0)])
def test_a_drop_opens_a_food_from_the_height_at_which_it_is_fast_enough(food, limit):
    drop = limit * limit / (2.0 * GRAVITY)
    for share, opened in ((0.98, c.CLOSED), (1.02, c.FREE)):
        half = thing(food, 0, 0)[8]
        simulation = scene(thing(food, 3, 0, LAND + half + share * drop, state=c.CLOSED), spawn=AWAY)
        throw(simulation, 0, (0.0, 0.0, 0.0))
        frames(simulation, 20)
        assert simulation.things[0, 0, c.STATE] == opened


def test_only_a_rock_opens_what_needs_a_rock():
    for tool, opened in (("stick", c.CLOSED), ("rock", c.FREE)):
        simulation = scene(thing("avocado", 3, 0, state=c.CLOSED), thing(tool, 0.5, 0, 2.4), spawn=AWAY)
        throw(simulation, 1, (6.0, 0.0, 0.5))
        frames(simulation, 10)
        assert simulation.things[0, 0, c.STATE] == opened
    simulation = scene(thing("avocado", 3, 0, 9.0, state=c.CLOSED), spawn=AWAY)
    throw(simulation, 0, (0.0, 0.0, 0.0))
    frames(simulation, 30)
    assert simulation.things[0, 0, c.STATE] == c.CLOSED, "a fall does not"


def test_hanging_food_stays_until_it_is_hit_and_is_closed_if_it_has_a_shell():
    simulation = scene(
        thing("coconut", 3, 0, 5.0, state=c.HANGING),
        thing("apple", -3, 0, 5.0, state=c.HANGING),
        thing("rock", 0, 0, 5.3),
        thing("rock", 0, 0, 5.3),
        spawn=AWAY,
    )
    frames(simulation, 30)
    assert place(simulation, 0)[2] == 5.0
    for k, speed in ((2, 8.0), (3, -8.0)):
        simulation.things[0, k, [c.TX, c.TZ]] = 0.0, 5.0
        throw(simulation, k, (speed, 0.0, 1.9))
    frames(simulation, 4)
    assert simulation.things[0, 0, c.STATE] == c.CLOSED
    frames(simulation, 30)
    assert simulation.things[0, 1, c.STATE] == c.FREE
    assert place(simulation, 1)[2] == pytest.approx(LAND + 0.125, abs=1e-6)
    assert place(simulation, 0)[2] == pytest.approx(LAND + 0.1875, abs=1e-6)


def still_prey(simulation, k: int) -> None:
    """Take away an animal's legs and senses, so that it waits to be hit."""
    simulation.things[0, k, [c.SPEED, c.SENSE]] = 0.0


@pytest.mark.parametrize(
    ("tool", "animal", "left"), [("rock", "rabbit", 0), ("rock", "deer", 1), ("large rock", "deer", 0)]
)
def test_a_thrown_rock_takes_its_hit_points(tool, animal, left):
    simulation = scene(thing(animal, 4, 0), thing(tool, 0, 0, 3.0), spawn=AWAY)
    still_prey(simulation, 0)
    throw(simulation, 1, (9.0, 0.0, 0.0))
    frames(simulation, 6)
    assert simulation.things[0, 0, c.POINTS] == left
    assert simulation.things[0, 0, c.STATE] == (c.DEAD if left == 0 else c.ALIVE)


def test_a_slow_rock_does_no_harm():
    fall = 0.8 * HIT_SPEED**2 / (2.0 * GRAVITY)
    simulation = scene(thing("rabbit", 4, 0), thing("rock", 4, 0, LAND + 0.375 + 0.125 + fall), spawn=AWAY)
    still_prey(simulation, 0)
    throw(simulation, 1, (0.0, 0.0, 0.0))
    frames(simulation, 2)
    assert simulation.things[0, 0, c.POINTS] == 1.0


def test_bears_cannot_be_killed():
    simulation = scene(thing("bear", 4, 0), thing("large rock", 0, 0, 3.0), spawn=AWAY)
    still_prey(simulation, 0)
    throw(simulation, 1, (9.0, 0.0, 0.0))
    frames(simulation, 6)
    assert simulation.things[0, 0, [c.POINTS, c.STATE]].tolist() == [500.0, c.ALIVE]


def test_a_bird_that_is_killed_falls_down():
    simulation = scene(thing("crow", 4, 0, 6.0), thing("rock", 0, 0, 6.2), spawn=AWAY)
    still_prey(simulation, 0)
    throw(simulation, 1, (9.0, 0.0, 0.5))
    frames(simulation, 40)
    assert simulation.things[0, 0, c.STATE] == c.DEAD
    assert place(simulation, 0)[2] == pytest.approx(LAND + simulation.things[0, 0, c.EZ], abs=1e-6)


def test_a_stick_in_the_hand_hurts_when_it_is_swung_and_not_when_it_is_carried():
    simulation = scene(thing("stick", 0.5, 0.3, 3.2), thing("wolf", 1.5, 0.3))
    still_prey(simulation, 1)
    simulation.things[0, 1, c.DAMAGE] = 0.0
    frames(simulation, 3, action={18: 1.0})
    assert simulation.hands[0, 0, c.HELD] == 0
    frames(simulation, 3, action={18: 1.0, 2: 1.0})
    assert simulation.things[0, 1, c.POINTS] == 2.0
    frames(simulation, 1, action={18: 1.0, 7: -0.6, 8: 0.3})
    assert simulation.things[0, 1, c.POINTS] == 1.0
