"""Tune PPO on a game of procedurally generated levels, and judge it against its published settings on held-out levels.

`python examples/tuning/procgen_ppo.py` makes 18 runs of some seconds, then trains the tuned and the published settings
to one cost with fresh seeds: about 8 minutes on one core. Needs procgen (`pip install procgen2`). `objective` and
`space` are what `similitude tune` takes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import figures
import numpy as np
import optuna
import rich
import torch
from ppo import PPO
from procgen_runs import GAME, Judged, compare, cost_of, judge, trained
from scipy import stats

import similitude as sim
from similitude.report.tuning_table import front_table
from similitude.tuning.search.best import best, best_front
from similitude.tuning.trials.history import History
from similitude.tuning.tune import tune

CAP = 0.5
"""Most million passes of a frame through the network of one run, about half a minute on one core."""

space = sim.Space(
    frames=sim.Log(12_000, low=4_000, high=1e7, integer=True, role="scale"),
    learning_rate=sim.Log(PPO.learning_rate, low=1e-5, high=0.1, role="transfer"),
    discount=sim.Logit(PPO.discount, low=0.8, high=0.9999),
    entropy=sim.Log(PPO.entropy, low=1e-5, high=0.3),
    epochs=sim.Linear(PPO.epochs, low=1, high=8, integer=True),
)


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


def gain(tuned: Sequence[Judged], published: Sequence[Judged], split: str) -> tuple[float, float, float]:
    """Return the mean gain in return over the same seeds, and the ends of its 90 % interval (Student's t)."""
    differences = np.array(
        [a.returns[split] - b.returns[split] for a, b in zip(tuned, published, strict=True)]
    )
    error = stats.sem(differences) * stats.t.ppf(0.95, len(differences) - 1)
    return float(differences.mean()), float(differences.mean() - error), float(differences.mean() + error)


def best_settings(history: History) -> Mapping[str, Any]:
    """Return the settings believed to be best, without their frames; a single lucky run is not."""
    values = dict(best(history).values)
    del values["frames"]
    return values


def main() -> None:
    """Tune, judge, and show both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=18)
    parser.add_argument("--seeds", type=int, default=3, help="of the trainings that are judged")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs"), help="of the study; a second start continues it"
    )
    parser.add_argument("--figures", type=Path, help="folder for SVG files")
    options = parser.parse_args()
    torch.set_num_threads(1)
    study = tune(
        objective,
        space,
        budget=sim.Budget(per_trial=CAP, unit="million passes"),
        trials=options.trials,
        engine="inline",
        name=f"procgen-{GAME}",
        storage=options.folder,
        direction="maximize",
    )
    history = History.from_study(study)
    print(
        f"{len(history.values)} runs and {len(history.failures)} failures, {history.spent:.2f} million passes in all"
    )
    rich.print(front_table(best_front(history), unit="million passes"))
    settings = best_settings(history)
    found = compare(
        {"published": {}, "tuned": settings},
        cost=CAP,
        seeds=options.seeds,
        file=options.folder / f"procgen-{GAME}.jsonl",
    )
    for split in ("train", "held-out"):
        for name, runs in found.items():
            print(f"{split} levels, {name}: {', '.join(f'{run.returns[split]:.2f}' for run in runs)}")
        mean, low, high = gain(found["tuned"], found["published"], split)
        print(f"{split} levels, gain: {mean:+.2f} [{low:+.2f}, {high:+.2f}]")
    if options.figures:
        figures.returns(
            options.figures / "tuning-procgen.svg",
            {name: [run.returns["held-out"] for run in runs] for name, runs in found.items()},
            label=f"mean return on held-out levels of {GAME}",
            title=f"PPO after {CAP:g} million passes, {options.seeds} seeds each",
        )


if __name__ == "__main__":
    main()
