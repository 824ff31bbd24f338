"""Simulations: loading, stepping, copying their state, refusing actions."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds.engine import columns as c
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.simulation import Simulation
from tests.worlds.isle_grounds import act, box, loaded, run, thing, world

STATE = ("height", "ground", "meta", "solids", "things", "body", "hands")


def actions(count, envs, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, envs, 21))


def busy():
    """A world in which much can happen."""
    things = [
        *(
            thing(name, 1.5 + 0.4 * i, 0.3 * i - 1.0, 1.2)
            for i, name in enumerate(("apple", "rock", "stick", "stone"))
        ),
        thing("rabbit", 4.0, 2.0, 1.2),
        thing("wolf", 6.0, -2.0, 1.4),
    ]
    return world(
        lambda x, y: 0.5 + 0.4 * np.sin(x) * np.cos(0.7 * y),
        base=2.0,
        solids=[box(3, 3, 3, 0.2, 2, 1)],
        things=things,
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.nan, "is not a finite number"),
        (np.inf, "is not a finite number"),
        (1.001, "lies outside [-1, 1]"),
        (-7.0, "-7.0"),
    ],
)
def test_wrong_actions_are_refused_by_name(value, says):
    simulation = loaded(world(), num_envs=3)
    wrong = np.zeros((3, 21))
    wrong[2, 14] = value
    with pytest.raises(WorldError, match=r"component 14 of the action of environment 2") as error:
        simulation.step(wrong)
    assert says in str(error.value)
    assert simulation.body[0, c.FRAME] == 0.0


@pytest.mark.parametrize("shape", [(21,), (2, 21), (1, 18), (1, 21, 1)])
def test_actions_of_another_shape_are_refused(shape):
    with pytest.raises(WorldError, match=r"give \(1, 21\)"):
        loaded(world()).step(np.zeros(shape))


@pytest.mark.parametrize(
    "actions",
    [[["a"] * 21], [[0.0] * 21, [0.0]], {"real": 1}, np.zeros((1, 21), complex), np.zeros((1, 21), "M8[s]")],
)
def test_actions_that_are_no_numbers_are_refused(actions):
    simulation = loaded(world())
    with pytest.raises(WorldError, match="no array of real numbers"):
        simulation.step(actions)
    assert simulation.body[0, c.FRAME] == 0.0


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int64, np.uint8, bool, list])
def test_actions_of_every_kind_of_number_are_taken(kind):
    still = np.zeros((1, 21))
    simulation = loaded(world())
    simulation.step(still.tolist() if kind is list else still.astype(kind))
    assert simulation.body[0, c.FRAME] == 1.0


def test_wrong_places_and_limits_are_refused():
    simulation = Simulation(2, backend="plain")
    for e in (2, -1, "a", True):
        with pytest.raises(WorldError, match="from 0 to 1"):
            simulation.load(e, world())  # pyright: ignore[reportArgumentType]
    for limit in (-1, 1.5, float("nan"), "9"):
        with pytest.raises(WorldError, match="limit"):
            simulation.load(0, world(), limit=limit)  # pyright: ignore[reportArgumentType]


def test_wrong_simulations_are_refused():
    for count in (1.5, "2", None, True):
        with pytest.raises(WorldError, match="1 or more"):
            Simulation(count)  # pyright: ignore[reportArgumentType]
    for resolution in (96, (4, 4, 4), (4.5, 4), "96"):
        with pytest.raises(WorldError, match="two whole numbers"):
            Simulation(1, resolution=resolution)  # pyright: ignore[reportArgumentType]
    with pytest.raises(WorldError, match="price of a frame"):
        Simulation(1, frame_price=float("nan"))
    with pytest.raises(WorldError, match="1 or more"):
        Simulation(0)
    with pytest.raises(WorldError, match="no backend 'cuda'"):
        Simulation(1, backend="cuda")
    with pytest.raises(WorldError, match="resolution"):
        Simulation(1, resolution=(0, 96))
    with pytest.raises(WorldError, match="no world"):
        Simulation(1, backend="plain").view()


def test_loading_fills_in_what_kinds_know():
    simulation = loaded(busy())
    wolf = simulation.things[0, 5]
    kind = KINDS[NUMBER["wolf"]]
    assert wolf[c.ROLE] == c.PREDATOR
    assert wolf[[c.SPEED, c.SENSE, c.DAMAGE, c.REST, c.POINTS]].tolist() == [
        *(kind.speed, kind.sense, kind.damage, kind.rest, kind.points)
    ]
    np.testing.assert_array_equal(wolf[[c.HOME_X, c.HOME_Y]], (6.0, -2.0))
    randoms = simulation.things[0, :6, c.RANDOM]
    assert len(set(randoms)) == 6
    assert ((randoms >= 1) & (randoms < 2**31 - 1) & (randoms == np.floor(randoms))).all()
    assert simulation.body[0, c.FOOD_LEFT] == 2.0  # the apple and the rabbit


def test_a_larger_world_makes_room_and_leaves_the_others_alone():
    small, large = (
        busy(),
        world(size=96, solids=[box(9, 9, 2, 1, 1, 1)] * 5, things=[thing("apple", 5, 5, 1.1)] * 9),
    )
    simulation = loaded(small, num_envs=2)
    alone = loaded(small)
    for action in actions(20, 1):
        simulation.step(np.repeat(action, 2, axis=0))
        alone.step(action)
    simulation.load(1, large)
    assert simulation.height.shape == (2, 96, 96)
    for action in actions(20, 1, seed=1):
        simulation.step(np.repeat(action, 2, axis=0))
        alone.step(action)
    np.testing.assert_array_equal(simulation.body[0], alone.body[0])
    np.testing.assert_array_equal(simulation.things[0, :6], alone.things[0])
    assert (simulation.things[0, 6:, c.ROLE] == c.GONE).all()


def test_loading_again_begins_anew():
    simulation = loaded(busy())
    first = {name: getattr(simulation, name).copy() for name in STATE}
    for action in actions(50, 1):
        simulation.step(action)
    assert not np.array_equal(simulation.body, first["body"])
    simulation.load(0, busy())
    for name in STATE:
        np.testing.assert_array_equal(getattr(simulation, name), first[name])


def test_a_state_that_is_put_back_goes_on_alike():
    simulation = loaded(busy())
    for action in actions(30, 1):
        simulation.step(action)
    kept = {name: getattr(simulation, name).copy() for name in STATE}
    ends = []
    for _ in range(2):
        for name in STATE:
            getattr(simulation, name)[...] = kept[name]
        for action in actions(30, 1, seed=2):
            simulation.step(action)
        ends.append(simulation.body.copy())
    np.testing.assert_array_equal(*ends)


def test_episodes_end_at_their_limit_and_stand_still():
    simulation = loaded(world(), limit=5)
    run(simulation, 4, ahead=1.0)
    assert not simulation.done(0)
    run(simulation, 3, ahead=1.0)
    assert simulation.done(0)
    assert simulation.body[0, c.FRAME] == 5.0
    assert simulation.body[0, c.BX] == pytest.approx(5 * 0.3)
    assert simulation.body[0, c.REWARD] == 0.0


def test_the_price_of_frames_is_the_simulations():
    simulation = Simulation(1, backend="plain", frame_price=0.25)
    simulation.load(0, world())
    simulation.step(act())
    assert simulation.body[0, c.REWARD] == -0.25


def test_random_play_never_leaves_the_world_of_numbers():
    simulation = loaded(busy(), num_envs=2)
    for action in actions(300, 2, seed=3):
        simulation.step(action)
        assert np.isfinite(simulation.body).all()
        assert np.isfinite(simulation.things).all()
    held = simulation.hands[:, :, c.HELD]
    assert not ((held[:, 0] == held[:, 1]) & (held[:, 0] >= 0)).any()
    eyes = simulation.body[:, None, :3].copy()
    eyes[..., 2] += simulation.body[:, [c.HEAD]]
    assert np.linalg.norm(simulation.hands[:, :, :3] - eyes, axis=-1).max() < 1.06
