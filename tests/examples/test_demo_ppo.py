"""PPO of the ProcGen demo: advantages and loss against plain formulas, and learning where the best policy is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ppo import PPO, Agent, RewardScale, advantages, mean_return, play, ppo_loss, train


class Colours:
    """Frames of one of three colours; the action of the colour's number earns 1. Episodes of 5 steps."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.actions = count, 3
        self.rng = np.random.default_rng(seed)
        self.age = np.zeros(count, dtype=int)
        self.reward = np.zeros(count)
        self.colour = self.rng.integers(3, size=count)

    def observe(self):
        frames = np.zeros((self.count, 3, 64, 64), np.uint8)
        frames[np.arange(self.count), self.colour] = 255
        return self.reward, frames, self.age == 0

    def act(self, actions):
        assert actions.shape == (self.count,)
        self.reward = (actions == self.colour).astype(float)
        self.age = (self.age + 1) % 5
        self.colour = self.rng.integers(3, size=self.count)


def test_advantages_are_discounted_sums_of_errors_within_episodes():
    rng = np.random.default_rng(0)
    steps, count, discount, trace = 9, 4, 0.9, 0.7
    rewards, values = rng.normal(size=(steps, count)), rng.normal(size=(steps + 1, count))
    first = rng.random((steps + 1, count)) < 0.3
    expected = np.zeros((steps, count))
    for e in range(count):
        for t in range(steps):
            for k in range(t, steps):
                following = 0.0 if first[k + 1, e] else values[k + 1, e]
                error = rewards[k, e] + discount * following - values[k, e]
                expected[t, e] += (discount * trace) ** (k - t) * error
                if first[k + 1, e]:
                    break
    found = advantages(
        torch.tensor(rewards), torch.tensor(values), torch.tensor(first), discount=discount, trace=trace
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_with_trace_one_advantages_are_returns_less_values():
    rewards, values = torch.rand(6, 2), torch.rand(7, 2)
    first = torch.zeros(7, 2, dtype=torch.bool)
    found = advantages(rewards, values, first, discount=0.8, trace=1.0)
    powers = 0.8 ** torch.arange(7.0)
    expected = (powers[:6, None] * rewards).sum(0) + powers[6] * values[6] - values[0]
    torch.testing.assert_close(found[0], expected)


def test_the_gradient_of_the_loss_is_that_of_the_published_formula():
    """By hand, for one state: d/dlogits of -min(r A, clip(r) A) - c H + v (V - R)^2 / 2."""
    ppo = PPO(clip=0.2, entropy=0.03, value=0.5)
    torch.manual_seed(0)
    for advantage, old_shift in ((1.5, 0.05), (1.5, -0.7), (-1.5, 0.7), (-1.5, -0.7), (1.5, 0.7)):
        logits = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
        value = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
        action, target = torch.tensor([2]), torch.tensor([1.1], dtype=torch.float64)
        p = logits.detach().softmax(-1)[0]
        old = p[2].log() + old_shift
        loss = ppo_loss(
            logits,
            value,
            actions=action,
            old=old[None],
            advantage=torch.tensor([advantage], dtype=torch.float64),
            targets=target,
            ppo=ppo,
        )
        loss.backward()
        ratio = math.exp(-old_shift)
        # The clipped branch is the smaller one, and flat, where the ratio has moved too far in the profitable direction.
        flat = (advantage > 0 and ratio > 1.2) or (advantage < 0 and ratio < 0.8)
        one = torch.eye(4, dtype=torch.float64)[2]
        surrogate = torch.zeros(4, dtype=torch.float64) if flat else advantage * ratio * (one - p)
        entropy = -(p * p.log()).sum()
        d_entropy = -p * (p.log() + entropy)
        assert logits.grad is not None
        assert value.grad is not None
        torch.testing.assert_close(logits.grad[0], -surrogate - 0.03 * d_entropy)
        assert value.grad.item() == pytest.approx(0.5 * (0.3 - 1.1))


def test_rewards_are_divided_by_the_deviation_of_the_discounted_return():
    rng = np.random.default_rng(1)
    scale = RewardScale(3, 0.9)
    rewards, first = rng.normal(2, 3, (50, 3)), rng.random((50, 3)) < 0.2
    returns, seen = np.zeros(3), []
    for reward, begins in zip(rewards, first, strict=True):
        returns = 0.9 * returns + reward
        seen.extend(returns)
        np.testing.assert_allclose(scale(reward, begins), reward / np.std(seen))
        returns = np.where(begins, 0, returns)


def test_a_rollout_pairs_each_action_with_what_it_earned():
    environments = Colours(6, seed=0)
    agent = Agent(3)
    rollout = play(environments, agent, 7, RewardScale(6, 0.9), torch.Generator().manual_seed(0))
    colour = rollout.frames[:-1].amax((-1, -2)).argmax(-1)
    assert torch.equal(rollout.raw_rewards, (rollout.actions == colour).float())
    assert rollout.first.sum(0).tolist() == [2] * 6  # states 0 and 5 of 8
    logits, values = agent(rollout.frames[3])
    torch.testing.assert_close(rollout.values[3], values.detach())
    expected = torch.distributions.Categorical(logits=logits.detach()).log_prob(rollout.actions[3])
    torch.testing.assert_close(rollout.log_probabilities[3], expected)


@pytest.mark.slow
def test_the_agent_learns_what_can_be_learnt():
    agent = Agent(3, width=4)
    before = mean_return(Colours(32, seed=1), agent, seed=0)
    list(
        train(
            Colours(16, seed=0), agent, PPO(learning_rate=3e-3, discount=0.5, horizon=16), frames=4096, seed=0
        )
    )
    assert before < 2.5  # 5/3 by chance
    assert mean_return(Colours(32, seed=1), agent, seed=0) > 4.5  # of 5


def test_training_is_the_same_twice_and_stops_at_its_frames():
    def run() -> tuple[list, torch.Tensor]:
        agent = Agent(3, width=2)
        seen = list(train(Colours(4, seed=0), agent, PPO(horizon=8), frames=100, seed=3))
        return seen, torch.cat([p.flatten() for p in agent.parameters()])

    (seen, weights), (again, same) = run(), run()
    assert [s.frames for s in seen] == [32, 64, 96, 100]
    assert torch.equal(weights, same)
    assert [s.loss for s in seen] == [s.loss for s in again]


def test_returns_count_the_first_episodes_alone():
    environments = Colours(8, seed=5)

    class Tallied:
        count, actions = 8, 3
        earned: list

        def __init__(self) -> None:
            self.earned = []

        def observe(self):
            return environments.observe()

        def act(self, actions):
            self.earned.append(actions == environments.colour)
            environments.act(actions)

    tallied = Tallied()
    found = mean_return(tallied, Agent(3), episodes=2, seed=0)
    assert len(tallied.earned) == 10  # two episodes of five steps
    assert found == pytest.approx(np.sum(tallied.earned) / (8 * 2))
    cut = mean_return(Colours(8, seed=5), Agent(3), episodes=2, longest=5, seed=0)
    assert cut <= 5
