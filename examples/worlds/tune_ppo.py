"""Tune PPO on Isle's eat: learning rate, clip, entropy, lambda and width against CPU seconds that are measured.

`python examples/worlds/tune_ppo.py --total 300` tunes; `objective` and `space` are what `similitude tune` takes:

    similitude tune examples/worlds/tune_ppo.py:objective --space examples/worlds/tune_ppo.py:space \
        --budget 600 --per-trial 60 --unit seconds --workers 2
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import optuna
import rich
import torch

import similitude as sim
from similitude.report.tuning_table import front_table
from similitude.tuning.search.best import best_front
from similitude.tuning.trials.history import History
from similitude.tuning.tune import tune
from similitude.worlds.learning.ppo import PPO
from similitude.worlds.learning.training import Trainer, Training
from similitude.worlds.learning.watching import made_worlds, unseen_worlds, watch

space = sim.Space(
    frames=sim.Log(6e4, low=1e4, high=2e6, integer=True, role="scale"),
    width=sim.Log(64, low=16, high=256, integer=True, multiple_of=4, role="scale"),
    lr=sim.Log(7e-4, low=1e-5, high=1e-1, role="transfer"),
    clip=sim.Log(0.2, low=0.01, high=1.0),
    entropy=sim.Log(1e-4, low=1e-6, high=1e-1),
    trace=sim.Logit(0.9, low=0.3, high=0.99),
)


def train(
    *, frames: int, width: int, lr: float, clip: float, entropy: float, trace: float, seed: int
) -> float:
    """Train from nothing on eat up to difficulty 0.3; return the share of 100 validation worlds that stay unsolved."""
    torch.set_num_threads(1)
    ppo = PPO(learning_rate=lr, clip=clip, entropy=entropy, trace=trace)
    settings = Training(
        ("eat",), demonstrations=0, width=width, climb=4e-3, seed=seed, watched=1, every=10**6, ppo=ppo
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(settings, folder)
        trainer.run(frames)
        if not all(p.isfinite().all() for p in trainer.network.parameters()):
            return math.nan
        worlds = made_worlds(unseen_worlds(["eat"], 100, highest=0.3))
        solved = watch(trainer.network, worlds, observation="state", training=True, seed=seed)
    return 1.0 - sum(solved) / len(solved)


def objective(trial: optuna.Trial) -> float:
    """Train with a trial's values; its cost is CPU seconds."""
    values = space.suggest(trial)
    started = time.process_time()
    unsolved = train(**values, seed=trial.number)
    trial.set_user_attr("cost", time.process_time() - started)
    if not math.isfinite(unsolved):
        space.fail(trial, "diverged")
    return unsolved


def main() -> None:
    """Tune, and print the front."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--total", type=float, default=300.0, help="CPU seconds of all trials")
    parser.add_argument("--cap", type=float, default=40.0, help="CPU seconds of one trial")
    parser.add_argument("--storage", type=Path, default=Path("runs"))
    args = parser.parse_args()
    budget = sim.Budget(total=args.total, per_trial=args.cap)
    study = tune(objective, space, budget=budget, engine="inline", storage=args.storage, name="isle-eat-ppo")
    for trial in study.trials:
        print(trial.number, trial.state.name, trial.value, trial.user_attrs.get("cost"), trial.params)
    rich.print(front_table(best_front(History.from_study(study)), unit="CPU s"))


if __name__ == "__main__":
    main()
