"""ProcGen at the size of its benchmark, for GPUs: levels drawn in full, millions of frames, the network's width free.

The game is that of the environment variable GAME. Cost is the time that a trial takes, which
`similitude tune --unit hours` measures. Not run here at this size.
"""

from __future__ import annotations

import os

import optuna
import torch
from ppo import PPO
from procgen_runs import judge, trained

import similitude as sim

GAME = os.environ.get("GAME", "starpilot")
ENVIRONMENTS = 64

space = sim.Space(
    frames=sim.Log(1_000_000, low=200_000, high=2e8, integer=True, role="scale"),
    width=sim.Log(16, low=8, high=256, integer=True, multiple_of=8, role="scale"),
    learning_rate=sim.Log(PPO.learning_rate, low=1e-5, high=0.1, role="transfer"),
    discount=sim.Logit(PPO.discount, low=0.8, high=0.9999, role="transfer"),
    trace=sim.Logit(PPO.trace, low=0.5, high=0.999),
    entropy=sim.Log(PPO.entropy, low=1e-5, high=0.3),
    clip=sim.Log(PPO.clip, low=0.02, high=1.0),
    epochs=sim.Linear(PPO.epochs, low=1, high=8, integer=True),
    horizon=sim.Log(256, low=16, high=2048, integer=True),
    minibatches=sim.Log(8, low=1, high=64, integer=True),
)


def objective(trial: optuna.Trial) -> float:
    """Return the mean return on validation levels after one training."""
    values = space.suggest(trial)
    frames, width = values.pop("frames"), values.pop("width")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    agent = trained(
        PPO(**values),
        frames,
        seed=trial.number,
        game=GAME,
        count=ENVIRONMENTS,
        plain=False,
        width=width,
        device=device,
    )
    if not all(p.isfinite().all() for p in agent.parameters()):
        space.fail(trial, "nan")
    return judge(agent, "validation", game=GAME, count=256, plain=False)
