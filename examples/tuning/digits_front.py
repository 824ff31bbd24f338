"""Tune a network on scikit-learn's digits along its front: the best loss at every cost, from 60 cheap trainings.

`python examples/tuning/digits_front.py` takes about a minute on one core. `objective` and `space` are what
`similitude tune` takes.
"""

from __future__ import annotations

import argparse
import functools
import math
from pathlib import Path

import figures
import optuna
import rich
import torch
from torch.nn import functional as F

import similitude as sim
from similitude.core.seeding import derive
from similitude.data.batches import ImageBatches
from similitude.report.tuning_table import front_table
from similitude.training.build import build_model
from similitude.tuning.search.best import best_front
from similitude.tuning.trials.history import History
from similitude.tuning.tune import tune

BATCH = 64
PIXELS, CLASSES = 64, 10
GIGA = 1e9
CAP = 10.0
"""Most GFLOP of one run."""

space = sim.Space(
    width=sim.Log(8, low=4, high=256, integer=True, role="scale"),
    steps=sim.Log(30, low=10, high=3000, integer=True, role="scale"),
    lr=sim.Log(0.03, low=1e-4, high=10, role="transfer"),
    momentum=sim.Logit(0.5, low=0.05, high=0.995),
    activation=sim.Choice("tanh", "relu", "gelu"),
)


@functools.cache
def batches() -> ImageBatches:
    """Return the digits: 1,500 to train on, 297 held out."""
    return ImageBatches(sim.data.load("digits"), batch_size=BATCH, evaluate=297)


def gigaflop(width: int, steps: int) -> float:
    """Count the operations of a training: 6 per weight and image, less the gradient of the pixels, which nobody needs."""
    return (4 * PIXELS + 6 * CLASSES) * width * BATCH * steps / GIGA


def train(*, width: int, steps: int, lr: float, momentum: float, activation: str, seed: int) -> float:
    """Train one hidden layer by SGD and return the held-out cross-entropy in nats; not finite where it diverges."""
    model = build_model(
        lambda: sim.models.MLP(PIXELS, CLASSES, width=width, depth=1, activation=activation),
        derive(seed, "init"),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for step in range(steps):
        images, labels = batches().batch(seed, step)
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    images, labels = batches().evaluation()
    with torch.no_grad():
        return F.cross_entropy(model(images), labels).item()


def objective(trial: optuna.Trial) -> float:
    """Return the loss of one training, and tell its cost in GFLOP."""
    values = space.suggest(trial)
    cost = gigaflop(values["width"], values["steps"])
    trial.set_user_attr("cost", min(cost, CAP))
    if cost > CAP:
        space.fail(trial, "cap")
    loss = train(**values, seed=trial.number)
    if not loss < 2 * math.log(CLASSES):
        space.fail(trial, "diverged")
    return loss


def main() -> None:
    """Tune, and show the front."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument(
        "--folder", type=Path, default=Path("runs"), help="of the study; a second start continues it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path, help="SVG file of the front")
    options = parser.parse_args()
    torch.set_num_threads(1)
    study = tune(
        objective,
        space,
        budget=sim.Budget(per_trial=CAP, unit="GFLOP"),
        trials=options.trials,
        engine="inline",
        name=f"digits-{options.seed}",
        storage=options.folder,
        seed=options.seed,
    )
    history = History.from_study(study)
    print(
        f"{len(history.values)} runs and {len(history.failures)} failures, {history.spent:.1f} GFLOP in all"
    )
    answers = best_front(history)
    rich.print(front_table(answers, unit="GFLOP"))
    if options.figure:
        figures.front(
            options.figure,
            history,
            answers,
            labels=("GFLOP of the training", "held-out cross-entropy (nats)"),
            title="Digits: loss at every cost",
        )


if __name__ == "__main__":
    main()
