"""The curriculum, the pool of worlds and the field: levels, splits, and states that go on where they were."""

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds.engine import columns as c
from similitude.worlds.learning.curriculum import Curriculum
from similitude.worlds.learning.fields import Field
from similitude.worlds.learning.pools import WorldPool
from similitude.worlds.making import make_world
from similitude.worlds.splits import split_of
from similitude.worlds.tasks.limits import frame_limit


def field_of(tasks=("eat",), envs: int = 4, *, seed: int = 0) -> Field:
    return Field(
        tasks,
        envs,
        curriculum=Curriculum(tasks, start=0.1, highest=0.3, step=0.01),
        pool=WorldPool(tasks, size=6, fresh=0.5, seed=seed),
        seed=seed,
    )


def test_levels_rise_and_fall_within_their_ends() -> None:
    curriculum = Curriculum(["eat", "move"], start=0.1, highest=0.2, step=0.04)
    for _ in range(5):
        curriculum.update("eat", True)
        curriculum.update("move", False)
    assert curriculum.levels == {"eat": 0.2, "move": 0.0}
    other = Curriculum(["eat", "move"])
    other.restore(curriculum.levels)
    assert other.levels == curriculum.levels


@pytest.mark.parametrize("wrong", [{"start": 0.5, "highest": 0.2}, {"highest": 1.5}, {"step": -0.1}])
def test_a_curriculum_that_cannot_be(wrong) -> None:
    with pytest.raises(WorldError, match="cannot be"):
        Curriculum(["eat"], **wrong)


def test_worlds_of_a_pool_are_even_up_to_the_level_and_of_the_training_split() -> None:
    pool, random = WorldPool(["eat"], size=40, fresh=0.0), np.random.default_rng(0)
    worlds = [pool.draw("eat", 0.5, random) for _ in range(200)]
    assert len({world.seed for world in worlds}) == 40
    assert {split_of(world.seed) for world in worlds} == {"train"}
    hardness = [world.difficulty for world in worlds[40:]]
    assert max(hardness) <= 0.5
    assert np.mean(hardness) == pytest.approx(0.25, abs=0.06)
    lower = [pool.draw("eat", 0.2, random).difficulty for _ in range(40)]
    assert max(lower) <= 0.2


def test_old_worlds_make_room() -> None:
    pool, random = WorldPool(["eat"], size=3, fresh=1.0), np.random.default_rng(0)
    seeds = [pool.draw("eat", 0.0, random).seed for _ in range(8)]
    assert [seed for _, _, seed in pool.state()["names"]["eat"]] == seeds[-3:]


def test_a_pool_goes_on_where_it_was() -> None:
    pool, random = WorldPool(["eat"], size=3, fresh=0.5), np.random.default_rng(0)
    for _ in range(5):
        pool.draw("eat", 0.3, random)
    state, draws = pool.state(), random.bit_generator.state
    want = [pool.draw("eat", 0.3, random).digest for _ in range(4)]
    other = WorldPool(["eat"], size=3, fresh=0.5)
    other.restore(state)
    random.bit_generator.state = draws
    assert [other.draw("eat", 0.3, random).digest for _ in range(4)] == want


def test_tasks_share_the_environments_and_have_the_limits_of_training() -> None:
    field = field_of(("eat", "move"))
    field.observe()
    worlds = field.simulation.worlds
    assert [world.task for world in worlds] == ["eat", "move", "eat", "move"]
    limits = [frame_limit(world.task, world.difficulty, training=True) for world in worlds]
    assert field.simulation.meta[:, c.LIMIT].tolist() == limits


def test_episodes_that_end_are_told_and_followed_by_others() -> None:
    field = field_of()
    field.observe()
    field.simulation.meta[:, c.LIMIT] = 3
    first = list(field.simulation.worlds)
    for _ in range(2):
        frame = field.step(np.zeros((4, 21)))
        assert not frame.episodes
    frame = field.step(np.full((4, 21), 7.0))  # clipped
    assert frame.truncated.all()
    assert not frame.terminated.any()
    assert frame.episodes == [("eat", world.difficulty, False) for world in first]
    assert (field.simulation.body[:, c.FRAME] == 0).all()
    assert field.curriculum.levels["eat"] == pytest.approx(0.06)


def test_rewards_are_energy_less_effort() -> None:
    field = field_of(envs=1)
    field.observe()
    field.simulation.body[0, c.BVX] = 0.0
    ahead = np.zeros((1, 21))
    ahead[0, 2] = 1.0
    reward = field.step(ahead).rewards[0]
    assert -1e-2 < reward < 0.0  # walking costs a trace, frames cost nothing
    assert field.step(np.zeros((1, 21))).rewards[0] == pytest.approx(0.0, abs=1e-6)


def test_a_field_goes_on_where_it_was_bit_for_bit() -> None:
    random = np.random.default_rng(1)
    actions = random.uniform(-1, 1, (80, 4, 21))
    field = field_of()
    field.observe()
    field.simulation.meta[:, c.LIMIT] = 25  # so that episodes end on the way
    for action in actions[:30]:
        field.step(action)
    state = field.state()
    want = [(field.step(action).rewards, field.observe()["state"]) for action in actions[30:]]
    other = field_of()
    other.restore(state)
    for action, (rewards, seen) in zip(actions[30:], want, strict=True):
        assert (other.step(action).rewards == rewards).all()
        assert (other.observe()["state"] == seen).all()
    assert other.curriculum.levels == field.curriculum.levels


def test_a_field_restores_worlds_with_other_numbers_of_things() -> None:
    small, large = field_of(envs=1), field_of(envs=1)
    small.observe()
    large.observe()
    large.simulation.load(0, make_world("survive", 0.0, 1))  # many things: its arrays grew
    large.simulation.load(0, small.simulation.worlds[0])
    state = small.state()
    large.restore(state)
    roomy = large.state()
    small.restore(roomy)
    step = np.full((1, 21), 0.3)
    assert (small.step(step).rewards == large.step(step).rewards).all()
