"""Demonstrations and cloning: what is recorded is what oracles did, files, a loss that falls."""

import numpy as np
import pytest
import torch

from similitude.core.errors import WorldError
from similitude.worlds.learning.building import build
from similitude.worlds.learning.cloning import Cloning, clone, frame_loss
from similitude.worlds.learning.demonstrations import Demonstrations, record, training_worlds
from similitude.worlds.making import make_world
from similitude.worlds.oracles.policy import oracle
from similitude.worlds.simulation import Simulation
from similitude.worlds.splits import split_of


@pytest.fixture(scope="module")
def shown() -> Demonstrations:
    return record(training_worlds(["eat"], 12, highest=0.2), strays=0.05)


def test_what_is_recorded_is_what_the_oracle_does() -> None:
    world = make_world("eat", 0.1, 3)
    found = record([world], strays=0.0)
    simulation, policy = Simulation(1), oracle("eat")
    simulation.load(0, world)
    for wanted in found.actions:
        action = policy.act_on(simulation, 0)
        np.testing.assert_allclose(action, wanted, atol=1e-6)
        simulation.step(action[None])
    assert found.solved == 1.0
    assert found.numbers.shape == (len(found), 229)
    assert found.images.shape[0] == len(found)


def test_interruptions_are_not_recorded_as_what_the_oracle_wants(shown: Demonstrations) -> None:
    calm = record(training_worlds(["eat"], 12, highest=0.2), strays=0.0)
    assert len(shown) > len(calm)  # it takes longer to get there
    # Chance fills all numbers; the oracle leaves those that it has no use for at 0 (the roll of the head).
    assert (shown.actions[:, 5] == 0.0).all()
    assert (np.abs(shown.actions) <= 1.0).all()


def test_worlds_are_of_the_training_split_and_tasks_take_turns() -> None:
    worlds = list(training_worlds(["eat", "move"], 6, highest=0.3, seed=1))
    assert [world.task for world in worlds] == ["eat", "move"] * 3
    assert {split_of(world.seed) for world in worlds} == {"train"}
    assert max(world.difficulty for world in worlds) <= 0.3
    assert len({world.digest for world in worlds}) == 6


def test_images_are_recorded_where_asked_for() -> None:
    found = record(training_worlds(["eat"], 2, highest=0.0), observation="flat", resolution=(16, 24))
    assert found.images.shape[1:] == (16, 24, 4)
    assert found.numbers.shape[1] == 51
    assert found.images.std() > 1.0


def test_a_clone_learns_what_was_shown(shown: Demonstrations) -> None:
    network, optimizer = build("state", width=32, base=32, learning_rate=2e-3, seed=0)
    critic = [p.clone() for p in network.critic.parameters()]
    every = np.arange(len(shown))
    before = float(frame_loss(network, shown, every).detach())
    steps: list[int] = []
    curve = clone(
        network,
        shown,
        optimizer,
        settings=Cloning(steps=200, batch=128),
        on_step=lambda step, loss: steps.append(step),
    )
    after = float(frame_loss(network, shown, every).detach())
    assert after < before - 5.0  # nats per frame
    assert [step for step, _ in curve] == list(range(10, 201, 10))
    assert curve[-1][1] < curve[0][1]
    assert steps[0] == 0
    assert all(torch.equal(a, b) for a, b in zip(critic, network.critic.parameters(), strict=True))
    assert [group["lr"] for group in optimizer.param_groups] == [2e-3]


def test_what_was_learned_by_heart_is_forgotten(shown: Demonstrations) -> None:
    network, optimizer = build("state", width=32, base=32, learning_rate=3e-2, seed=0)
    curve = clone(network, shown, optimizer, settings=Cloning(steps=100, batch=64))
    held = np.flatnonzero(shown.episode % 10 == 9)
    losses = [loss for _, loss in curve]
    assert float(frame_loss(network, shown, held).detach()) == pytest.approx(min(losses), abs=1e-3)
    assert min(losses) < losses[-1] or losses.index(min(losses)) == len(losses) - 1


def test_cloning_is_the_same_every_time(shown: Demonstrations) -> None:
    weights = []
    for _ in range(2):
        network, optimizer = build("state", width=8, base=8, learning_rate=2e-3, seed=0)
        clone(network, shown, optimizer, settings=Cloning(steps=20, batch=64), seed=4)
        weights.append(network.act.weight.detach().clone())
    assert torch.equal(*weights)


def test_files_of_demonstrations(shown: Demonstrations, tmp_path) -> None:
    path = tmp_path / "shown.npz"
    shown.save(path)
    found = Demonstrations.load(path)
    assert all(
        (getattr(found, name) == getattr(shown, name)).all() for name in ("numbers", "actions", "episode")
    )
    assert found.solved == shown.solved
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(WorldError, match="holds no demonstrations"):
        Demonstrations.load(path)
    np.savez(path, **{**shown.__dict__, "episode": shown.episode[1:]})
    with pytest.raises(WorldError, match="different lengths"):
        Demonstrations.load(path)


def test_nothing_to_clone_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similitude.worlds.learning.demonstrations.frame_limit", lambda *_, **__: 2)
    with pytest.raises(WorldError, match="solved none of 1 worlds"):
        record(training_worlds(["eat"], 1, highest=0.0))
