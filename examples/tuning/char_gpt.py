"""Tune a character GPT on Moby-Dick with its size and its training text both free: how should compute be split?

`python examples/tuning/char_gpt.py` makes 60 runs in about 4 minutes on one core, fits the scaling laws, and puts the
exponent of the best size beside that of brute force (`char_gpt_grid.py`). `objective` and `space` are what
`similitude tune` takes.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import figures
import isoflop
import numpy as np
import optuna
import rich
import torch
from char_gpt_grid import read
from char_gpt_training import VOCABULARY, batches, flop_per_token, train, width_of

import similitude as sim
from similitude.report.tuning_table import front_table
from similitude.tuning.search.best import best_front
from similitude.tuning.trials.history import History
from similitude.tuning.tune import tune

GIGA = 1e9
CAP = 22.0
"""Most GFLOP of one run, as at the largest budget of the grid."""
FEWEST = 15
"""Runs that the scaling laws need."""
DIVERGED = 1.5 * math.log(VOCABULARY)
"""Nats per character, above what knowing nothing gives."""

space = sim.Space(
    parameters=sim.Log(1600, low=500, high=1e5, role="scale"),
    tokens=sim.Log(5e4, low=1e4, high=5e6, role="scale"),
    learning_rate=sim.Log(0.03, low=1e-3, high=0.5, role="transfer"),
)


def objective(trial: optuna.Trial) -> float:
    """Return the loss of one run, and tell its cost in GFLOP."""
    values = space.suggest(trial)
    cost = flop_per_token(width_of(values["parameters"])) * values["tokens"] / GIGA
    if cost > CAP:
        trial.set_user_attr("cost", CAP)
        space.fail(trial, "cap")
    run = train(batches(), **values, seed=trial.number)
    trial.set_user_attr("cost", run.flop / GIGA)
    if not run.loss < DIVERGED:
        space.fail(trial, "diverged")
    return run.loss


def main() -> None:
    """Tune, fit the laws, and compare the split with the grid's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument(
        "--folder", type=Path, default=Path("runs"), help="of the study; a second start continues it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figures", type=Path, help="folder for SVG files")
    options = parser.parse_args()
    torch.set_num_threads(1)
    study = tune(
        objective,
        space,
        budget=sim.Budget(per_trial=CAP, unit="GFLOP"),
        trials=options.trials,
        engine="inline",
        name=f"char-gpt-{options.seed}",
        storage=options.folder,
        seed=options.seed,
    )
    history = History.from_study(study)
    print(
        f"{len(history.values)} runs and {len(history.failures)} failures, {history.spent:.0f} GFLOP in all"
    )
    rich.print(front_table(best_front(history), unit="GFLOP"))
    if len(history.values) < FEWEST:
        print(f"The scaling laws need {FEWEST} runs.")
        return
    laws = sim.ScalingLaws.from_study(study)
    rich.print(laws.table())
    grid = isoflop.split(read())
    print(f"best number of parameters ~ cost^{laws.exponents['parameters']}; by the grid ~ cost^{grid}")
    if options.figures:
        draw(options.figures, history, laws, grid)


def draw(folder: Path, history: History, laws: sim.ScalingLaws, grid: isoflop.Split) -> None:
    """Draw the front, and the best sizes by the laws beside those of the grid."""
    figures.front(
        folder / "tuning-char-gpt.svg",
        history,
        best_front(history),
        labels=("GFLOP of the training", "held-out loss (nats per character)"),
        title="Character GPT: loss at every cost",
    )
    cells = read()
    means = np.array([np.mean(cell.losses) for cell in cells])
    costs = np.geomspace(grid.budgets.min(), grid.budgets.max(), 20)
    sizes = np.array([laws.predict(cost=cost / GIGA).values["parameters"] for cost in costs], dtype=float)
    figures.isoflop(
        folder / "tuning-isoflop.svg",
        isoflop.best_losses(cells, means),
        zip(grid.budgets[grid.bracketed], grid.best[grid.bracketed], strict=True),
        title="Best size at each cost",
        laws=[("tuned", costs, sizes)],
    )


if __name__ == "__main__":
    main()
