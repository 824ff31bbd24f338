"""Proximal policy optimization (arXiv 1707.06347) with generalized advantages (arXiv 1506.02438), in one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from similitude.worlds.learning.networks import PolicyNetwork
from similitude.worlds.learning.policies import entropy, images_of, log_probability, numbers_of, sample


@dataclass(frozen=True)
class PPO:
    """Settings of the algorithm.

    Attributes:
        learning_rate: Of Adam.
        discount: Of the reward one frame later.
        trace: Of the advantage one frame later, lambda.
        clip: How far the ratio of new to old densities may go from 1 with profit.
        entropy: Weight of the policy's entropy, in rewards per nat.
        value: Weight of the value's squared error.
        epochs: Passes over each rollout.
        minibatches: Parts of a rollout, one step of the optimizer each.
        horizon: Frames of a rollout in each environment.
        gradient: Norm above which the gradient is shortened.
        floor: Least standard deviation by which advantages are divided: where rewards are rare, their noise is not blown
            up to the size of a lesson.
        patience: Rollouts from which only the critic learns, so that a policy that was cloned is not led by a critic that
            knows nothing.
    """

    learning_rate: float = 3e-4
    discount: float = 0.99
    trace: float = 0.9
    clip: float = 0.2
    entropy: float = 1e-4
    value: float = 0.5
    epochs: int = 3
    minibatches: int = 8
    horizon: int = 100
    gradient: float = 0.5
    floor: float = 0.05
    patience: int = 0


class Frames(Protocol):
    """What one frame of all environments brought; see `fields.Frame`."""

    @property
    def rewards(self) -> np.ndarray: ...  # noqa: D102
    @property
    def terminated(self) -> np.ndarray: ...  # noqa: D102
    @property
    def truncated(self) -> np.ndarray: ...  # noqa: D102
    @property
    def episodes(self) -> list[tuple[str, float, bool]]: ...  # noqa: D102


class Environments(Protocol):
    """Environments that begin their next episode by themselves; see `fields.Field`."""

    def observe(self) -> dict[str, np.ndarray]:
        """Return what all environments see."""
        ...

    def step(self, actions: np.ndarray) -> Frames:
        """Act for one frame."""
        ...


class Rollout(NamedTuple):
    """Frames of all environments, (T, E, ...).

    Attributes:
        numbers: What was seen without eyes.
        images: What was seen; None without a camera.
        actions: What was done.
        logs: Logarithms of its density.
        values: What the critic expected.
        rewards: What came, with what the critic expects beyond a limit of frames.
        ends: Whether the episode ended with this frame.
        last: What the critic expects after the last frame, (E,).
        episodes: (task, difficulty, success) of those that ended.
    """

    numbers: Tensor
    images: Tensor | None
    actions: Tensor
    logs: Tensor
    values: Tensor
    rewards: Tensor
    ends: Tensor
    last: Tensor
    episodes: list[tuple[str, float, bool]]


def roll_out(
    network: PolicyNetwork, envs: Environments, *, settings: PPO, generator: torch.Generator
) -> Rollout:
    """Act for `settings.horizon` frames."""
    found: dict[str, list[Tensor]] = {name: [] for name in Rollout._fields[:7]}
    episodes: list[tuple[str, float, bool]] = []
    with torch.no_grad():
        seen = envs.observe()
        for _ in range(settings.horizon):
            numbers, images = numbers_of(seen), images_of(seen)
            outputs = network(numbers, images)
            actions = sample(outputs, generator)
            frame = envs.step(actions.double().numpy())
            rewards = torch.from_numpy(frame.rewards).float()
            # What would have come after a limit of frames is not seen any more: the frame before it stands for it.
            rewards += settings.discount * outputs.values * torch.from_numpy(frame.truncated)
            row = (numbers, images, actions, log_probability(outputs, actions), outputs.values, rewards)
            for name, value in zip(
                found, (*row, torch.from_numpy(frame.terminated | frame.truncated)), strict=True
            ):
                if value is not None:
                    found[name].append(value)
            episodes += frame.episodes
            seen = envs.observe()
        last = network(numbers_of(seen), images_of(seen)).values
    parts: dict[str, Any] = {name: torch.stack(rows) if rows else None for name, rows in found.items()}
    return Rollout(**parts, last=last, episodes=episodes)


def advantages(rewards: Tensor, values: Tensor, ends: Tensor, last: Tensor, *, settings: PPO) -> Tensor:
    """Return generalized advantages, (T, E).

    Args:
        rewards: (T, E).
        values: What the critic expected before each frame, (T, E).
        ends: Whether an episode ended with a frame, bool, (T, E).
        last: What the critic expects after the last frame, (E,).
        settings: Discount and trace.

    Example:
        >>> one = torch.ones(2, 1)
        >>> found = advantages(
        ...     one, 0 * one, one > 2, torch.ones(1), settings=PPO(discount=0.5, trace=1.0)
        ... )
        >>> found.flatten().tolist()
        [1.75, 1.5]
    """
    found = torch.zeros_like(rewards)
    ahead, after = torch.zeros_like(last), last
    for t in range(len(rewards) - 1, -1, -1):
        goes_on = (~ends[t]).to(rewards.dtype)
        surprise = rewards[t] + settings.discount * goes_on * after - values[t]
        ahead = surprise + settings.discount * settings.trace * goes_on * ahead
        found[t], after = ahead, values[t]
    return found


def improve(
    network: PolicyNetwork,
    optimizer: torch.optim.Optimizer,
    rollout: Rollout,
    *,
    settings: PPO,
    random: np.random.Generator,
    only_critic: bool = False,
) -> dict[str, float]:
    """Learn from a rollout.

    Args:
        network: The network.
        optimizer: Of its parameters.
        rollout: What happened.
        settings: How to learn from it.
        random: Of the order of frames.
        only_critic: Leave the actor alone.

    Returns:
        Means over the steps: "policy", "value", "entropy", "divergence" (of the old policy from the new, in nats) and
        "clipped" (share of frames whose ratio is outside the clip).
    """
    gains = advantages(rollout.rewards, rollout.values, rollout.ends, rollout.last, settings=settings)
    returns = (gains + rollout.values).flatten()
    gains = gains.flatten()
    gains = (gains - gains.mean()) / max(float(gains.std()), settings.floor)
    numbers, actions, logs = (x.flatten(0, 1) for x in (rollout.numbers, rollout.actions, rollout.logs))
    images = None if rollout.images is None else rollout.images.flatten(0, 1)
    said: list[tuple[float, ...]] = []
    for _ in range(settings.epochs):
        for part in np.array_split(random.permutation(len(gains)), settings.minibatches):
            at = torch.from_numpy(part)
            outputs = network(numbers[at], None if images is None else images[at])
            apart = log_probability(outputs, actions[at]) - logs[at]
            ratio = apart.exp()
            kept = ratio.clamp(1.0 - settings.clip, 1.0 + settings.clip)
            policy = -torch.minimum(ratio * gains[at], kept * gains[at]).mean()
            value = (outputs.values - returns[at]).square().mean()
            spread = entropy(outputs).mean()
            loss = settings.value * value
            if not only_critic:
                loss = loss + policy - settings.entropy * spread
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.gradient)
            optimizer.step()
            with torch.no_grad():
                terms = (policy, value, spread, (ratio - 1.0 - apart).mean(), (ratio != kept).float().mean())
                said.append(tuple(float(term) for term in terms))
    names = ("policy", "value", "entropy", "divergence", "clipped")
    return dict(zip(names, np.mean(said, axis=0).tolist(), strict=True))
