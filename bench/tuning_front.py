"""The cost frontier of `DigitsTraining` by brute force: a grid of real trainings, then its best ones anew on more seeds.

Six networks of a width that differ in momentum train side by side on the same batches, and their losses are taken all
along training, since nothing depends on how long it goes on. The second stage averages over seeds of its own, so that a
frontier of hundreds of candidates is not that of the luckiest.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from similitude.tuning.problems.digits import DigitsTraining, gigaflops, train_digits

FILE = Path(__file__).parents[1] / "src" / "similitude" / "tuning" / "problems" / "digits_front.csv"
WIDTHS = (4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256)
RATES = tuple(float(rate) for rate in np.geomspace(0.03, 10, 11))
MOMENTA = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
STOPS = tuple(sorted({round(step) for step in np.geomspace(10, 3000, 46)}))
LEVELS, CANDIDATES = 60, 3
SEED, FINAL_SEEDS = 10_000, tuple(range(20_000, 20_006))

Setting = tuple[int, float, float]  # width, learning rate, momentum


def remake_front(workers: int = 1) -> None:
    """Train the grid, average its best settings over seeds, and write the frontier into the package."""
    started = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        grid: dict[tuple[Setting, int], float] = {}
        cells = [(width, rate, MOMENTA, SEED) for width in reversed(WIDTHS) for rate in RATES]
        for found in pool.map(_losses, cells):
            grid.update(found)
        chosen = _candidates(grid)
        print(
            f"{len(cells) * len(MOMENTA)} trainings, {len(chosen)} settings go on; {time.monotonic() - started:.0f} s",
            file=sys.stderr,
        )
        again = [
            (width, rate, (momentum,), seed)
            for width, rate, momentum in sorted(chosen)
            for seed in FINAL_SEEDS
        ]
        samples: dict[tuple[Setting, int], list[float]] = defaultdict(list)
        for found in pool.map(_losses, again):
            for key, loss in found.items():
                samples[key].append(loss)
    _write({key: losses for key, losses in samples.items() if len(losses) == len(FINAL_SEEDS)})
    print(f"{FILE.name}: {time.monotonic() - started:.0f} s with {workers} workers", file=sys.stderr)


def _losses(cell: tuple[int, float, tuple[float, ...], int]) -> dict[tuple[Setting, int], float]:
    """Losses of the networks of a cell at every stop that the cap allows; those that diverged are left out."""
    width, rate, momenta, seed = cell
    stops = [step for step in STOPS if gigaflops(width, step) <= DigitsTraining.cap]
    rng = np.random.default_rng([seed, width])
    losses = train_digits(width, stops, np.full(len(momenta), rate), np.array(momenta), rng=rng)
    return {
        ((width, rate, momentum), step): float(losses[i, j])
        for i, step in enumerate(stops)
        for j, momentum in enumerate(momenta)
        if math.isfinite(losses[i, j])
    }


def _candidates(grid: dict[tuple[Setting, int], float]) -> set[Setting]:
    """The settings that are among the best of the grid at some cost."""
    chosen: set[Setting] = set()
    for cost in np.geomspace(gigaflops(4, 10), DigitsTraining.cap, LEVELS):
        within: dict[Setting, float] = {}
        for (setting, step), loss in grid.items():
            if gigaflops(setting[0], step) <= cost * (1 + 1e-9):
                within[setting] = min(loss, within.get(setting, math.inf))
        chosen.update(sorted(within, key=within.__getitem__)[:CANDIDATES])
    return chosen


def _write(samples: dict[tuple[Setting, int], list[float]]) -> None:
    """Write the settings whose mean is below that of everything cheaper."""
    best = math.inf
    with FILE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["gflop", "loss", "standard_error", "seeds", "lr", "momentum", "width", "steps"])
        for (setting, step), losses in sorted(
            samples.items(), key=lambda item: (gigaflops(item[0][0][0], item[0][1]), float(np.mean(item[1])))
        ):
            width, rate, momentum = setting
            if (mean := float(np.mean(losses))) < best:
                best = mean
                error = float(np.std(losses, ddof=1)) / math.sqrt(len(losses))
                cost = gigaflops(width, step)
                writer.writerow(
                    [
                        f"{cost:.7g}",
                        f"{mean:.5f}",
                        f"{error:.5f}",
                        len(losses),
                        f"{rate:.5g}",
                        momentum,
                        width,
                        step,
                    ]
                )
