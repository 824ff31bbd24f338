"""33 runs as one batched program against the same runs one after another in a plain torch loop.

Both sides train the same replicas (11 learning rates x 3 seeds, Adam) on the same batches; each pair is timed back to
back, the order alternating, and the ratio of plain to batched is reported with its spread.
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
from similitude.studies.reference import make_gpt, make_mlp
from similitude.training.build import build_model
from similitude.training.ensemble import Replica, stack_size, train_ensemble
from similitude.training.losses import cross_entropy

RATES = [2.0**-e for e in range(5, 16)]
SEEDS = (0, 1, 2)


def plain(make, batches, steps: int) -> None:
    """The loop that a user writes: one model, one torch optimizer, one step after another."""
    for lr in RATES:
        for seed in SEEDS:
            model = build_model(make, seed)
            optimizer = torch.optim.Adam(model.parameters(), lr=lr)
            for step in range(steps):
                optimizer.zero_grad()
                cross_entropy(model, batches.batch(seed, step)).backward()
                optimizer.step()
            with torch.no_grad():
                cross_entropy(model, batches.evaluation())


def batched(make, batches, steps: int) -> None:
    """The same runs, stacked."""
    replicas = [Replica(seed, lr) for lr in RATES for seed in SEEDS]
    train_ensemble(make, replicas, batches=batches, loss=cross_entropy, steps=steps)


def timed(function, *arguments) -> float:
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", type=int, default=5, help="timed pairs per case; the median ratio is reported"
    )
    parser.add_argument("--steps", type=int, default=50, help="optimizer steps per run")
    parser.add_argument("--cases", nargs="*", help="e.g. mlp-64 gpt-64; all if none is given")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()

    images = ImageBatches(load("digits"), batch_size=64, noise=1.0)
    text = TextBatches(load("text"), batch_size=8, context=32, vocabulary=64)
    gpt = functools.partial(make_gpt, vocabulary=text.vocabulary, context=text.context)
    cases = {f"mlp-{w}": (functools.partial(make_mlp, w, inputs=64), images) for w in (64, 256, 512)}
    cases |= {f"gpt-{w}": (functools.partial(gpt, w), text) for w in (64, 128)}

    results = {}
    runs = len(RATES) * len(SEEDS)
    print(
        f"{runs} runs, {options.steps} steps, {torch.get_num_threads()} threads, torch {torch.__version__}",
        flush=True,
    )
    print(f"{'case':<10}{'stacked':>8}{'plain s':>10}{'batched s':>11}{'ratio':>8}   spread", flush=True)
    for name in options.cases or cases:
        make, batches = cases[name]
        for side in (plain, batched):
            side(make, batches, 2)  # warm caches and allocators on both sides
        pairs = []
        for i in range(options.pairs):
            sides = (plain, batched) if i % 2 == 0 else (batched, plain)
            seconds = {side: timed(side, make, batches, options.steps) for side in sides}
            pairs.append((seconds[plain], seconds[batched]))
        ratios = [a / b for a, b in pairs]
        results[name] = {
            "stacked": stack_size(make(), runs),
            "plain_seconds": statistics.median(a for a, _ in pairs),
            "batched_seconds": statistics.median(b for _, b in pairs),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
        }
        r = results[name]
        print(
            f"{name:<10}{r['stacked']:>8}{r['plain_seconds']:>10.2f}{r['batched_seconds']:>11.2f}{r['ratio']:>8.2f}"
            f"   {min(ratios):.2f} to {max(ratios):.2f}",
            flush=True,
        )
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
