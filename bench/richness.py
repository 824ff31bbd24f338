"""Cells of a phase diagram as one batched program against the same runs one after another in a plain torch loop.

Both sides train an MLP, a ViT and a GPT less their initial output over gamma, at 9 learning rates and 3 seeds, on the
same batches; each pair is timed back to back, the order alternating, and the ratio of plain to batched is reported with
its spread.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time

import torch

from similitude.data import load
from similitude.data.batches import ImageBatches, TextBatches
from similitude.models import GPT, MLP, ViT
from similitude.studies.gamma_experiment import GammaExperiment
from similitude.training.build import build_model
from similitude.training.ensemble import Replica, train_ensemble
from similitude.training.losses import squared_error_of_classes

RATES = [2.0**e for e in range(-4, 5)]
SEEDS = (0, 1, 2)


def plain(experiment: GammaExperiment, gamma: float) -> None:
    """The loop that a user writes: one model, one torch optimizer, one step after another."""
    batches = experiment.batches_at(gamma)
    for lr in RATES:
        for seed in SEEDS:
            model = build_model(functools.partial(experiment.model, gamma), seed)
            optimizer = torch.optim.SGD(model.parameters(), lr=lr)
            for step in range(experiment.steps):
                optimizer.zero_grad()
                experiment.loss(model, batches.batch(seed, step)).backward()
                optimizer.step()
            with torch.no_grad():
                experiment.loss(model, batches.evaluation())


def batched(experiment: GammaExperiment, gamma: float) -> None:
    """The same runs, stacked, as a sweep trains one gamma."""
    replicas = [Replica(seed, lr) for lr in RATES for seed in SEEDS]
    train_ensemble(
        functools.partial(experiment.model, gamma),
        replicas,
        batches=experiment.batches_at(gamma),
        loss=experiment.loss,
        steps=experiment.steps,
        optimizer=torch.optim.SGD,
        stack=len(replicas),
    )


def timed(function, *arguments) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", type=int, default=3, help="timed pairs per case; the median ratio is reported"
    )
    parser.add_argument("--steps", type=int, default=30, help="optimizer steps per run")
    parser.add_argument("--cases", nargs="*", help="e.g. mlp gpt; all if none is given")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    images = ImageBatches(load("digits"), batch_size=32, noise=0.5, evaluate=128)
    text = TextBatches(load("text"), batch_size=8, context=16, vocabulary=32, evaluate=16)
    cases = {
        "mlp": (lambda width: MLP(64, 10, width=width, depth=2), 32, images),
        "vit": (lambda width: ViT(8, 1, 10, patch=4, width=width, head_dim=8, depth=1), 16, images),
        "gpt": (lambda width: GPT(32, 16, width=width, depth=1, head_dim=8), 16, text),
    }
    results = {}
    runs = len(RATES) * len(SEEDS)
    print(
        f"{runs} runs, {options.steps} steps, {torch.get_num_threads()} threads, torch {torch.__version__}",
        flush=True,
    )
    print(f"{'case':<8}{'gamma':>8}{'plain s':>10}{'batched s':>11}{'ratio':>8}   spread", flush=True)
    for name in options.cases or cases:
        make, width, batches = cases[name]
        for gamma in (1e-3, 1e2):  # the first is trained in double precision
            experiment = GammaExperiment(
                "bench",
                make,
                batches,
                {"width": width},
                (1e-3, 1e2),
                loss=squared_error_of_classes,
                steps=options.steps,
            )
            batched(experiment, gamma)  # warms caches and allocators
            pairs = []
            for i in range(options.pairs):
                sides = (plain, batched) if i % 2 == 0 else (batched, plain)
                seconds = {side: timed(side, experiment, gamma) for side in sides}
                pairs.append((seconds[plain], seconds[batched]))
            ratios = [a / b for a, b in pairs]
            row = {
                "plain_seconds": statistics.median(a for a, _ in pairs),
                "batched_seconds": statistics.median(b for _, b in pairs),
                "ratio": statistics.median(ratios),
                "ratios": ratios,
            }
            results[f"{name} {gamma:g}"] = row
            print(
                f"{name:<8}{gamma:>8g}{row['plain_seconds']:>10.2f}{row['batched_seconds']:>11.2f}{row['ratio']:>8.2f}"
                f"   {min(ratios):.2f} to {max(ratios):.2f}",
                flush=True,
            )
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
