"""The character GPT's compute-optimal split by brute force: sizes, rates and seeds at four fixed budgets.

`python examples/tuning/char_gpt_grid.py` prints the exponent of the grid that lies beside this file. `--remake` trains
what is not in it, all of it in about 3 minutes on one core; it can be interrupted and goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch
from char_gpt_training import batches, flop_per_token, parameters_of, train
from isoflop import Cell, split

GRID = Path(__file__).with_suffix(".csv")
WIDTHS = {
    3.594e8: (4, 5, 7, 10, 14),
    1e9: (3, 4, 5, 7, 10),
    2.783e9: (4, 5, 6, 9, 13),
    7.746e9: (5, 6, 8, 11, 16),
}
"""Of each budget, in operations per run."""
FEW, MANY = (1.0, 2.0), (1.0, 2.0, 4.0)
"""Times 0.03 (16 / width)^0.5; half of it was worse everywhere, and short runs bear the largest."""
SHORT = 2e9
"""Operations below which runs are short."""
SEEDS = (0, 1)


def runs() -> list[tuple[float, int, float, int]]:
    """List the runs of the grid: budget, width, learning rate and seed of each."""
    return [
        (budget, width, round(rate * 0.03 * (16 / width) ** 0.5, 5), seed)
        for budget, widths in WIDTHS.items()
        for width in widths
        for rate in (MANY if budget < SHORT else FEW)
        for seed in SEEDS
    ]


def remake(path: Path = GRID) -> None:
    """Train every run that a file does not have, and append it."""
    rows = _rows(path)
    done = {(float(r["budget"]), int(r["width"]), float(r["rate"]), int(r["seed"])) for r in rows}
    text = batches()
    with path.open("a") as file:
        if not rows:
            print("budget,width,rate,seed,parameters,tokens,loss", file=file)
        for budget, width, rate, seed in (run for run in runs() if run not in done):
            tokens = budget / flop_per_token(width)
            found = train(text, parameters=parameters_of(width), tokens=tokens, learning_rate=rate, seed=seed)
            row = (budget, width, rate, seed, found.parameters, found.tokens, f"{found.loss:.5f}")
            print(*row, sep=",", file=file, flush=True)


def read(path: Path = GRID) -> list[Cell]:
    """Return the grid, seeds of one cell together."""
    grouped: dict[tuple[float, float, float, float], list[float]] = {}
    for row in _rows(path):
        key = (float(row["budget"]), float(row["parameters"]), float(row["tokens"]), float(row["rate"]))
        grouped.setdefault(key, []).append(float(row["loss"]))
    return [Cell(*key, losses=tuple(losses)) for key, losses in grouped.items()]


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--remake", action="store_true", help="train what the grid does not have")
    torch.set_num_threads(1)
    if parser.parse_args().remake:
        remake()
    found = split(read())
    for budget, best, inside in zip(found.budgets, found.best, found.bracketed, strict=True):
        print(f"{budget:8.2g} FLOP: {best:8.0f} parameters{'' if inside else ' (at the edge of the sizes)'}")
    print(f"best number of parameters ~ budget^{found}")
