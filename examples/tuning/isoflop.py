"""Compute-optimal split by brute force: at each of several budgets the best size, and how it grows with the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = (0.05, 0.95)
DRAWS = 200


@dataclass(frozen=True)
class Cell:
    """Losses of one size and learning rate at one budget, one per seed."""

    budget: float
    parameters: float
    tokens: float
    rate: float
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Split:
    """How the best number of parameters grows with the budget: as its power `exponent`, with a 90 % interval.

    Attributes:
        budgets: Operations, shape (b,).
        best: Best number of parameters at each, shape (b,).
        exponent: Slope of log best over log budget.
        low: Lower end of the interval, from the seeds' noise.
        high: Its upper end.
        bracketed: At which budgets the best lies within the sizes tried, shape (b,); the others do not count.
    """

    budgets: np.ndarray
    best: np.ndarray
    exponent: float
    low: float
    high: float
    bracketed: np.ndarray

    def __str__(self) -> str:
        return f"{self.exponent:.3f} [{self.low:.3f}, {self.high:.3f}]"


def best_losses(cells: Sequence[Cell], losses: np.ndarray) -> dict[float, list[tuple[float, float]]]:
    """Return for each budget the sizes, and the loss of each at its best rate.

    Args:
        cells: The grid.
        losses: Mean loss of each cell, shape (cells,).
    """
    best: dict[tuple[float, float], float] = {}
    for cell, loss in zip(cells, losses, strict=True):
        key = (cell.budget, cell.parameters)
        best[key] = min(loss, best.get(key, np.inf))
    by_budget: dict[float, list[tuple[float, float]]] = {}
    for (budget, parameters), loss in sorted(best.items()):
        by_budget.setdefault(budget, []).append((parameters, loss))
    return by_budget


def optimum(sizes: np.ndarray, losses: np.ndarray) -> tuple[float, bool]:
    """Return the size of least loss by a parabola in the logarithm of the size, and whether it lies within the sizes."""
    if len(sizes) < 3:
        return float(sizes[np.argmin(losses)]), False
    x = np.log10(sizes)
    a, b, _ = np.polyfit(x, losses, 2)
    inside = a > 0 and x.min() < -b / (2 * a) < x.max()
    return (float(10 ** (-b / (2 * a))), True) if inside else (float(sizes[np.argmin(losses)]), False)


def split(cells: Sequence[Cell], *, seed: int = 0) -> Split:
    """Fit the exponent, and repeat the fit on losses with fresh noise of the size that the seeds show.

    Args:
        cells: The grid; each cell has at least two seeds.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    means = np.array([np.mean(cell.losses) for cell in cells])
    spread = np.sqrt(np.mean([np.var(cell.losses, ddof=1) / len(cell.losses) for cell in cells]))
    exponent, budgets, best, bracketed = _fit(cells, means)
    drawn = [_fit(cells, means + spread * rng.standard_normal(len(means)))[0] for _ in range(DRAWS)]
    low, high = np.nanquantile(drawn, QUANTILES)
    return Split(budgets, best, exponent, float(low), float(high), bracketed)


def _fit(cells: Sequence[Cell], losses: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    budgets, best, bracketed = [], [], []
    for budget, rows in best_losses(cells, losses).items():
        size, inside = optimum(*np.array(rows).T)
        budgets.append(budget)
        best.append(size)
        bracketed.append(inside)
    budgets, best, bracketed = np.array(budgets), np.array(best), np.array(bracketed)
    if bracketed.sum() < 2:
        return np.nan, budgets, best, bracketed
    slope = np.polyfit(np.log10(budgets[bracketed]), np.log10(best[bracketed]), 1)[0]
    return float(slope), budgets, best, bracketed
