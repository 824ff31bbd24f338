"""Tune PPO on a game of procedurally generated levels against its published settings, and judge both on held-out levels.

`python examples/tuning/procgen_ppo.py` makes 18 runs of some seconds, then trains the tuned and the published settings to one cost
with fresh seeds. Needs procgen (`pip install procgen2`). `objective` and `space` are what `similitude tune` takes.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
import torch
from ppo import PPO, Agent, mean_return, train
from procgen_levels import Levels, Split

import similitude as sim
from similitude.core.seeding import derive

GAME = "starpilot"
ENVIRONMENTS = 32
MILLION = 1e6
CAP = 0.5
"""Most million passes of a frame through the network of one run, about half a minute on one core."""
FORWARD, BACKWARD = 1, 2
"""Passes that a forward and a backward pass cost."""

space = sim.Space(
    frames=sim.Log(12_000, low=4_000, high=1e7, integer=True, role="scale"),
    learning_rate=sim.Log(PPO.learning_rate, low=1e-5, high=0.1, role="transfer"),
    discount=sim.Logit(PPO.discount, low=0.8, high=0.9999),
    entropy=sim.Log(PPO.entropy, low=1e-5, high=0.3),
    epochs=sim.Linear(PPO.epochs, low=1, high=8, integer=True),
)


@dataclass(frozen=True)
class Judged:
    """A training that was judged: its settings, cost in million passes, seed, and mean returns by split of levels."""

    name: str
    settings: dict[str, float]
    cost: float
    seed: int
    returns: dict[Split, float]


def cost_of(frames: float, epochs: int) -> float:
    """Return what a run costs in million passes: each frame is played once, and learned from `epochs` times.

    Example:
        >>> cost_of(50_000, 3)
        0.5
    """
    return frames * (FORWARD + epochs * (FORWARD + BACKWARD)) / MILLION


def trained(ppo: PPO, frames: int, *, seed: int, game: str = GAME) -> Agent:
    """Train a new agent on the training levels."""
    agent = Agent(Levels.actions, seed=derive(seed, "agent"))
    levels = Levels(game, "train", count=ENVIRONMENTS, seed=derive(seed, "levels") % 2**31)
    for _ in train(levels, agent, ppo, frames=frames, seed=derive(seed, "actions")):
        pass
    return agent


def judge(agent: Agent, split: Split, *, game: str = GAME, count: int = 64, seed: int = 0) -> float:
    """Return the mean return of two episodes in each of `count` environments, on the same levels for every agent."""
    return mean_return(Levels(game, split, count=count, seed=seed), agent, seed=seed)


def objective(trial: optuna.Trial) -> float:
    """Return the return on the validation levels after one training, and tell its cost in million passes."""
    values = space.suggest(trial)
    frames = values.pop("frames")
    cost = cost_of(frames, values["epochs"])
    trial.set_user_attr("cost", min(cost, CAP))
    if cost > CAP:
        space.fail(trial, "cap")
    agent = trained(PPO(**values), frames, seed=trial.number)
    if not all(p.isfinite().all() for p in agent.parameters()):
        space.fail(trial, "nan")
    return judge(agent, "validation")
