"""Trainings of PPO on ProcGen levels: what one costs, what its agent returns, and several settings over fresh seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ppo import PPO, Agent, mean_return, train
from procgen_levels import Levels, Split

from similitude.core.seeding import derive

GAME = "starpilot"
ENVIRONMENTS = 32
MILLION = 1e6
FORWARD, BACKWARD = 1, 2
"""Passes that a forward and a backward pass cost."""
FIRST_SEED = 1000
"""Of the trainings that are judged; those that are tuned on have the numbers of their trials."""


@dataclass(frozen=True)
class Judged:
    """A training that was judged: its settings, cost in million passes, seed, and mean returns by split of levels."""

    name: str
    settings: dict[str, Any]
    cost: float
    seed: int
    returns: dict[str, float]


def cost_of(frames: float, epochs: int) -> float:
    """Return what a run costs in million passes of a frame through the network: played once, learned from in every epoch.

    Example:
        >>> cost_of(50_000, 3)
        0.5
    """
    return frames * (FORWARD + epochs * (FORWARD + BACKWARD)) / MILLION


def frames_for(cost: float, epochs: int) -> int:
    """Return how many frames a cost buys."""
    return int(cost * MILLION / (FORWARD + epochs * (FORWARD + BACKWARD)))


def trained(
    ppo: PPO,
    frames: int,
    *,
    seed: int,
    game: str = GAME,
    count: int = ENVIRONMENTS,
    plain: bool = True,
    width: int = 16,
    device: str = "cpu",
) -> Agent:
    """Train a new agent on the training levels of a game.

    Args:
        ppo: Settings.
        frames: Frames of all environments together.
        seed: Of weights, order of levels and actions.
        game: Name of the game.
        count: Environments.
        plain: How levels are drawn; see `Levels`.
        width: Of the network; see `Agent`.
        device: Where the network is.
    """
    agent = Agent(Levels.actions, width=width, seed=derive(seed, "agent")).to(device)
    levels = Levels(game, "train", count=count, seed=derive(seed, "levels") % 2**31, plain=plain)
    for _ in train(levels, agent, ppo, frames=frames, seed=derive(seed, "actions")):
        pass
    return agent


def judge(
    agent: Agent, split: Split, *, game: str = GAME, count: int = 64, seed: int = 0, plain: bool = True
) -> float:
    """Return the mean return of two episodes in each of `count` environments, on the same levels for every agent."""
    return mean_return(Levels(game, split, count=count, seed=seed, plain=plain), agent, seed=seed)


def judged(name: str, settings: Mapping[str, Any], *, cost: float, seed: int) -> Judged:
    """Train settings for as many frames as a cost buys, and judge the agent on levels it saw and on held-out ones.

    Args:
        name: What to call the settings.
        settings: Those of `PPO` that differ from its defaults.
        cost: Million passes.
        seed: Of the training.
    """
    ppo = PPO(**settings)
    frames = frames_for(cost, ppo.epochs)
    agent = trained(ppo, frames, seed=seed)
    splits: tuple[Split, ...] = ("train", "held-out")
    returns = {str(split): judge(agent, split, count=128, seed=1) for split in splits}
    return Judged(name, dict(settings), cost_of(frames, ppo.epochs), seed, returns)


def compare(
    candidates: Mapping[str, Mapping[str, Any]], *, cost: float, seeds: int, file: Path
) -> dict[str, list[Judged]]:
    """Judge candidates, each with the same fresh seeds, and keep every result in a file that is continued.

    Args:
        candidates: Settings by name.
        cost: Million passes of every training.
        seeds: How many per candidate.
        file: Of JSON lines.
    """
    lines = file.read_text().splitlines() if file.exists() else []
    known = {
        (k.name, k.seed, str(k.settings), k.cost): k for k in (Judged(**json.loads(line)) for line in lines)
    }
    found: dict[str, list[Judged]] = {name: [] for name in candidates}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for name, settings in candidates.items():
            epochs = PPO(**settings).epochs
            result = known.get((name, seed, str(dict(settings)), cost_of(frames_for(cost, epochs), epochs)))
            if result is None:
                result = judged(name, settings, cost=cost, seed=seed)
                with file.open("a") as stream:
                    print(json.dumps(asdict(result)), file=stream)
            found[name].append(result)
    return found
