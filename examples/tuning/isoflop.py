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
        low: Lower end of the interval.
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
    x = np.log10(sizes)
    a, b, _ = np.polyfit(x, losses, 2)
    inside = a > 0 and x.min() < -b / (2 * a) < x.max()
    return (float(10 ** (-b / (2 * a))), True) if inside else (float(sizes[np.argmin(losses)]), False)


def split(cells: Sequence[Cell], *, seed: int = 0) -> Split:
    """Fit the exponent, and repeat the fit on losses with fresh noise.

    The noise has the size that the seeds show, or that of the distances from the parabolas where this is larger: losses
    that jump from one size to the next tell less than their seeds say.

    Args:
        cells: The grid; each cell has at least two seeds, and each budget at least four sizes.
        seed: Of the noise.
    """
    rng = np.random.default_rng(seed)
    curves = best_losses(cells, np.array([np.mean(cell.losses) for cell in cells]))
    sizes = [np.array([size for size, _ in rows]) for rows in curves.values()]
    losses = [np.array([loss for _, loss in rows]) for rows in curves.values()]
    of_seeds = np.mean([np.var(cell.losses, ddof=1) / len(cell.losses) for cell in cells])
    spread = np.sqrt(max(of_seeds, lack_of_fit(sizes, losses)))
    budgets = np.array(list(curves))
    exponent, best, bracketed = _fit(budgets, sizes, losses)
    drawn = [
        _fit(budgets, sizes, [loss + spread * rng.standard_normal(len(loss)) for loss in losses])[0]
        for _ in range(DRAWS)
    ]
    low, high = np.nanquantile(drawn, QUANTILES)
    return Split(budgets, best, exponent, float(low), float(high), bracketed)


def lack_of_fit(sizes: Sequence[np.ndarray], losses: Sequence[np.ndarray]) -> float:
    """Return the mean square of the distances from one parabola per budget, per degree of freedom left."""
    squares, freedom = 0.0, 0
    for x, loss in zip(sizes, losses, strict=True):
        x = np.log10(x)
        squares += float(np.square(loss - np.polyval(np.polyfit(x, loss, 2), x)).sum())
        freedom += len(x) - 3
    return squares / freedom


def _fit(
    budgets: np.ndarray, sizes: Sequence[np.ndarray], losses: Sequence[np.ndarray]
) -> tuple[float, np.ndarray, np.ndarray]:
    found = [optimum(x, loss) for x, loss in zip(sizes, losses, strict=True)]
    best = np.array([size for size, _ in found])
    bracketed = np.array([inside for _, inside in found])
    if bracketed.sum() < 2:
        return np.nan, best, bracketed
    slope = np.polyfit(np.log10(budgets[bracketed]), np.log10(best[bracketed]), 1)[0]
    return float(slope), best, bracketed
