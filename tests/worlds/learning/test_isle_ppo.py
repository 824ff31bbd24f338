"""PPO: advantages against their sum, a task whose optimum is known, what the critic's turn leaves alone."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from similitude.worlds.learning.building import build
from similitude.worlds.learning.ppo import PPO, Rollout, advantages, improve, roll_out


class Brought(NamedTuple):
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    episodes: list


class Point:
    """Episodes of three frames; the reward falls with the distance of the first number from 0.5."""

    def __init__(self, count: int, *, limited: bool = False) -> None:
        self.count, self.limited, self.frame = count, limited, 0

    def observe(self) -> dict[str, np.ndarray]:
        return {
            "proprioception": np.full((self.count, 51), 0.1, np.float32),
            "state": np.full((self.count, 178), 0.1, np.float32),
        }

    def step(self, actions: np.ndarray) -> Brought:
        self.frame += 1
        over = np.full(self.count, self.frame % 3 == 0)
        never = np.zeros_like(over)
        ends = (never, over) if self.limited else (over, never)
        return Brought(-np.square(actions[:, 0] - 0.5), *ends, [("point", 0.0, True)] * int(over.sum()))


def test_advantages_are_the_sum_of_discounted_surprises() -> None:
    draws = np.random.default_rng(0)
    frames, count, settings = 7, 5, PPO(discount=0.9, trace=0.7)
    rewards, values = draws.normal(size=(2, frames, count))
    ends, last = draws.random((frames, count)) < 0.3, draws.normal(size=count)
    want = np.zeros((frames, count))
    for e in range(count):
        for t in range(frames):
            weight = 1.0
            for k in range(t, frames):  # equation 16 of arXiv 1506.02438, cut where the episode ends
                after = 0.0 if ends[k, e] else (values[k + 1, e] if k + 1 < frames else last[e])
                want[t, e] += weight * (rewards[k, e] + 0.9 * after - values[k, e])
                if ends[k, e]:
                    break
                weight *= 0.9 * 0.7
    found = advantages(
        *(torch.from_numpy(x) for x in (rewards, values, ends)), torch.from_numpy(last), settings=settings
    )
    np.testing.assert_allclose(found.numpy(), want)


def test_a_limit_of_frames_is_no_end_of_the_world() -> None:
    network, _ = build("state", width=8, base=8, seed=1)
    settings, draws = PPO(horizon=3, discount=0.5), torch.Generator
    cut = roll_out(network, Point(4, limited=True), settings=settings, generator=draws().manual_seed(0))
    ended = roll_out(network, Point(4), settings=settings, generator=draws().manual_seed(0))
    torch.testing.assert_close(cut.rewards[2], ended.rewards[2] + 0.5 * cut.values[2])
    torch.testing.assert_close(cut.rewards[:2], ended.rewards[:2])
    assert cut.ends[2].all()
    assert not cut.ends[:2].any()
    assert len(cut.episodes) == 4


def test_it_finds_an_optimum_that_is_known() -> None:
    network, optimizer = build("state", width=16, base=16, learning_rate=3e-3, seed=1)
    settings = PPO(horizon=12, minibatches=2, entropy=0.0)
    envs, draws, random = Point(32), torch.Generator().manual_seed(0), np.random.default_rng(0)
    numbers = torch.full((1, 229), 0.1)
    before = network(numbers).means[0, 0].item()
    for _ in range(40):
        said = improve(
            network,
            optimizer,
            roll_out(network, envs, settings=settings, generator=draws),
            settings=settings,
            random=random,
        )
    after = network(numbers).means[0, 0].item()
    assert abs(before - 0.5) > 0.3
    assert abs(after - 0.5) < 0.1
    assert 0.0 <= said["divergence"] < 0.1
    assert set(said) == {"policy", "value", "entropy", "divergence", "clipped"}


def test_on_the_critics_turn_the_actor_stays() -> None:
    network, optimizer = build("state", width=16, base=16, learning_rate=3e-3, seed=1)
    settings = PPO(horizon=12, minibatches=2)
    rollout = roll_out(network, Point(8), settings=settings, generator=torch.Generator().manual_seed(0))
    before = {name: p.clone() for name, p in network.named_parameters()}
    improve(network, optimizer, rollout, settings=settings, random=np.random.default_rng(0), only_critic=True)
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if name.startswith(("critic", "value"))}


def test_small_advantages_are_not_blown_up() -> None:
    settings = PPO(epochs=1, minibatches=1, entropy=0.0, value=0.0, gradient=1e9)
    network, _ = build("state", width=16, base=16, seed=1)
    rollout = roll_out(network, Point(8), settings=settings, generator=torch.Generator().manual_seed(0))
    quiet = Rollout(**{**rollout._asdict(), "rewards": 1e-6 * rollout.rewards, "values": 0 * rollout.values})
    quiet = quiet._replace(last=0 * quiet.last)

    def slope(floor: float) -> float:
        network.zero_grad()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
        improve(
            network,
            optimizer,
            quiet,
            settings=replace(settings, floor=floor),
            random=np.random.default_rng(0),
        )
        return float(network.act.bias.grad.norm())

    spread = float(
        advantages(quiet.rewards, quiet.values, quiet.ends, quiet.last, settings=settings).flatten().std()
    )
    assert spread < 1e-4
    assert slope(0.05) == pytest.approx(slope(1e-12) * spread / 0.05, rel=1e-3)
