"""Proximal policy optimization of a small convolutional network: advantages, clipped loss, and the training loop.

Written for reading: one file, one update rule, no options beyond `PPO`'s. Sources: PPO is arXiv 1707.06347 (equations 7
and 9), the advantages are those of arXiv 1506.02438 (equation 16).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHORTEST_SCALE = 1e-3
"""Least standard deviation by which rewards are divided; before any reward came it is 0."""


class Environments(Protocol):
    """Several environments that are stepped together and begin a new episode by themselves."""

    count: int
    actions: int

    def observe(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rewards of the last actions (E,), frames uint8 (E, 3, 64, 64), and whether they begin an episode."""
        ...

    def act(self, actions: np.ndarray) -> None:
        """Take one action (E,) in each environment."""
        ...


@dataclass(frozen=True)
class PPO:
    """Settings of the algorithm; the defaults are those published for ProcGen, with rollouts made for short runs.

    Attributes:
        learning_rate: Of Adam.
        discount: Of the reward one step later.
        trace: Of the advantage one step later, lambda of the advantages.
        clip: How far the ratio of new to old probabilities may go from 1 with profit.
        entropy: Weight of the policy's entropy in the loss.
        value: Weight of the value's squared error in the loss.
        epochs: Passes over each rollout.
        minibatches: Parts of a rollout, one optimizer step each.
        horizon: Steps of a rollout in each environment.
        gradient: Norm above which the gradient is shortened.
    """

    learning_rate: float = 5e-4
    discount: float = 0.999
    trace: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value: float = 0.5
    epochs: int = 3
    minibatches: int = 8
    horizon: int = 64
    gradient: float = 0.5


class Agent(nn.Module):
    """Map frames uint8 (B, 3, 64, 64) to the logits (B, actions) of a policy and the values (B,) of the frames.

    Frames are averaged over 2 x 2 pixels first, which makes a step four times cheaper. They may lie on another device
    than the weights; results are where they are.

    Args:
        actions: Number of actions.
        width: Channels of the first layer; all others grow with it.
        seed: Of the initial weights.
    """

    def __init__(self, actions: int, *, width: int = 16, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.trunk = nn.Sequential(
                nn.Conv2d(3, width, 4, stride=2),
                nn.ReLU(),
                nn.Conv2d(width, 2 * width, 3, stride=2),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(2 * width * 7 * 7, 8 * width),
                nn.ReLU(),
            )
            self.policy, self.critic = nn.Linear(8 * width, actions), nn.Linear(8 * width, 1)
            gains = {id(self.policy): 0.01, id(self.critic): 1.0}
            for layer in (*self.trunk, self.policy, self.critic):
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    gain = gains.get(id(layer), 2**0.5)
                    nn.init.orthogonal_(layer.weight, gain)
                    assert layer.bias is not None
                    nn.init.zeros_(layer.bias)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        here = frames.to(self.policy.weight.device)
        features = self.trunk(F.avg_pool2d(here.float() / 255, 2))
        return self.policy(features).to(frames.device), self.critic(features).squeeze(-1).to(frames.device)


def advantages(rewards: Tensor, values: Tensor, first: Tensor, *, discount: float, trace: float) -> Tensor:
    """Estimate how much better each action was than its state: sum_k (discount trace)^k delta_(t+k).

    Here delta_t = r_t + discount v_(t+1) - v_t, and neither sum nor delta reaches beyond the end of an episode.

    Args:
        rewards: Reward of the action taken at each step, shape (T, E).
        values: Value of each state and of the one after the last, shape (T + 1, E).
        first: Whether each of these states begins an episode, shape (T + 1, E).
        discount: Of the reward one step later.
        trace: Lambda: 0 is the error of one step, 1 the whole discounted return less the value.

    Returns:
        Shape (T, E); with `values[:-1]` added they are the targets of the values.
    """
    result = torch.zeros_like(rewards)
    later = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        goes_on = (~first[t + 1]).to(rewards.dtype)
        error = rewards[t] + discount * goes_on * values[t + 1] - values[t]
        later = error + discount * trace * goes_on * later
        result[t] = later
    return result


def ppo_loss(
    logits: Tensor,
    values: Tensor,
    *,
    actions: Tensor,
    old: Tensor,
    advantage: Tensor,
    targets: Tensor,
    ppo: PPO,
) -> Tensor:
    """Return the loss of a minibatch: -clipped surrogate + value weight x squared error / 2 - entropy weight x entropy.

    Args:
        logits: Of the policy, shape (B, actions).
        values: Of the states, shape (B,).
        actions: Those taken, int64 (B,).
        old: Log-probabilities of these actions when they were taken, shape (B,).
        advantage: Shape (B,); used as given.
        targets: Of the values, shape (B,).
        ppo: Settings.
    """
    log_probabilities = logits.log_softmax(-1)
    ratio = (log_probabilities.gather(-1, actions[:, None]).squeeze(-1) - old).exp()
    clipped = ratio.clamp(1 - ppo.clip, 1 + ppo.clip)
    surrogate = torch.minimum(ratio * advantage, clipped * advantage).mean()
    entropy = -(log_probabilities.exp() * log_probabilities).sum(-1).mean()
    return -surrogate + ppo.value * 0.5 * (values - targets).square().mean() - ppo.entropy * entropy


class RewardScale:
    """Divide rewards by the running standard deviation of the discounted return, so that one rate serves all games."""

    def __init__(self, count: int, discount: float) -> None:
        self.discount = discount
        self.returns = np.zeros(count)
        self.seen: list[float] = [0.0, 0.0, 0.0]  # number, sum, sum of squares

    def __call__(self, rewards: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Scale rewards (E,); `first` (E,) says which episodes ended with them."""
        self.returns = self.discount * self.returns + rewards
        for power in range(3):
            self.seen[power] += float((self.returns**power).sum())
        number, total, squares = self.seen
        self.returns[first] = 0
        return rewards / max((squares / number - (total / number) ** 2) ** 0.5, SHORTEST_SCALE)


@dataclass(frozen=True)
class Rollout:
    """What several environments did for `horizon` steps: tensors (T, E, ...), of states (T + 1, E, ...)."""

    frames: Tensor
    first: Tensor
    actions: Tensor
    log_probabilities: Tensor
    values: Tensor
    rewards: Tensor
    raw_rewards: Tensor


@dataclass(frozen=True)
class Progress:
    """Where training stands: frames seen, and the mean return of the episodes that ended in the last rollout (or NaN)."""

    frames: int
    mean_return: float
    loss: float


def train(
    environments: Environments, agent: Agent, ppo: PPO, *, frames: int, seed: int
) -> Iterator[Progress]:
    """Train an agent in place, for `frames` frames of all environments together; yield after every rollout.

    The learning rate stays constant. The last rollout is as short as needed, at least one step.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(agent.parameters(), lr=ppo.learning_rate, eps=1e-5)
    scale = RewardScale(environments.count, ppo.discount)
    episode = np.zeros(environments.count)
    seen = 0
    while seen < frames:
        steps = min(ppo.horizon, max((frames - seen) // environments.count, 1))
        rollout = play(environments, agent, steps, scale, generator)
        loss = improve(agent, optimizer, rollout, ppo, generator)
        seen += steps * environments.count
        ended = []
        for reward, first in zip(rollout.raw_rewards.numpy(), rollout.first[1:].numpy(), strict=True):
            episode += reward
            ended.extend(episode[first])
            episode[first] = 0
        yield Progress(seen, float(np.mean(ended)) if ended else float("nan"), loss)


@torch.no_grad()
def play(
    environments: Environments, agent: Agent, steps: int, scale: RewardScale, generator: torch.Generator
) -> Rollout:
    """Play `steps` steps in every environment with actions drawn from the policy."""
    frames, firsts, actions, logs, values, rewards, raw = [], [], [], [], [], [], []
    for t in range(steps + 1):
        reward, frame, first = environments.observe()
        logits, value = agent(torch.from_numpy(frame))
        frames.append(torch.from_numpy(frame.copy()))
        firsts.append(torch.from_numpy(first.copy()))
        values.append(value)
        if t > 0:
            raw.append(torch.from_numpy(reward.astype(np.float32)))
            rewards.append(torch.from_numpy(scale(reward, first).astype(np.float32)))
        if t < steps:
            action = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            logs.append(logits.log_softmax(-1).gather(-1, action).squeeze(-1))
            actions.append(action.squeeze(-1))
            environments.act(actions[-1].numpy())
    return Rollout(*map(torch.stack, (frames, firsts, actions, logs, values, rewards, raw)))


def improve(
    agent: Agent, optimizer: torch.optim.Optimizer, rollout: Rollout, ppo: PPO, generator: torch.Generator
) -> float:
    """Take the optimizer steps of one rollout; return the mean loss of the last epoch."""
    gained = advantages(
        rollout.rewards, rollout.values, rollout.first, discount=ppo.discount, trace=ppo.trace
    )
    targets = (gained + rollout.values[:-1]).flatten()
    gained = gained.flatten()
    frames = rollout.frames[:-1].flatten(0, 1)
    actions, old = rollout.actions.flatten(), rollout.log_probabilities.flatten()
    losses: list[float] = []
    for _ in range(ppo.epochs):
        order = torch.randperm(len(actions), generator=generator)
        losses = []
        for chosen in order.tensor_split(min(ppo.minibatches, len(order))):
            part = gained[chosen]
            loss = ppo_loss(
                *agent(frames[chosen]),
                actions=actions[chosen],
                old=old[chosen],
                advantage=(part - part.mean()) / (part.std(correction=0) + 1e-8),
                targets=targets[chosen],
                ppo=ppo,
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), ppo.gradient)
            optimizer.step()
            losses.append(loss.item())
    return float(np.mean(losses))


@torch.no_grad()
def mean_return(
    environments: Environments, agent: Agent, *, episodes: int = 2, longest: int = 1000, seed: int
) -> float:
    """Play and return the mean return of the first `episodes` episodes of every environment.

    Short episodes would be over-represented among all that end within some number of steps. One that is still going on
    after `longest` steps in all counts as it stands; one that has not begun does not count.
    """
    generator = torch.Generator().manual_seed(seed)
    returns = np.zeros((environments.count, episodes))
    begun = np.zeros(environments.count, dtype=int)
    rows = np.arange(environments.count)
    for step in range(longest + 1):
        reward, frame, first = environments.observe()
        if step > 0:
            counted = begun < episodes
            returns[rows[counted], begun[counted]] += reward[counted]
            begun += first
            if (begun >= episodes).all():
                break
        logits, _ = agent(torch.from_numpy(frame))
        environments.act(torch.multinomial(logits.softmax(-1), 1, generator=generator).squeeze(-1).numpy())
    return float(returns[np.arange(episodes) <= begun[:, None]].mean())
