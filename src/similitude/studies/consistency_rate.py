"""The learning rate of a study of Super Consistency where the user gives none: found at the smallest size alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import StudyError
from similitude.studies.stable_rates import learned
from similitude.training.result import RunResult

MARGIN = 4
"""The largest stable rate over the one that is used. Full-batch gradient descent on squared errors survives rates of up
to twice the initial edge of stability; at a quarter of that no size begins beyond the edge, and all reach it."""

FARTHEST, COARSE, FINE = 16, 2, 4
"""Octaves from 1 to the ends of the search, octaves between its first rates, rates per `COARSE` octaves at its end."""


Trained = Callable[[Sequence[tuple[float, int]]], Sequence[RunResult]]
"""Trains runs, each a learning rate and a seed, and returns their losses in the same order."""


@dataclass(frozen=True)
class Rate:
    """A learning rate at the base and where it comes from.

    Attributes:
        lr: The rate.
        stable: The largest rate at which every seed learns at the smallest size; None where the user gave the rate.
        best: The rate with the smallest final loss there; None likewise.
    """

    lr: float
    stable: float | None = None
    best: float | None = None

    def __str__(self) -> str:
        if self.stable is None or self.best is None:
            return f"{self.lr:.4g}, as given"
        least = (
            "the best rate" if self.best <= self.stable / MARGIN else f"1/{MARGIN} of the largest stable rate"
        )
        return f"{self.lr:.4g}, {least} at the smallest size (largest stable {self.stable:.4g}, best {self.best:.4g})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"lr": self.lr, "largest_stable": self.stable, "best": self.best}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Rate:
        """Read what `to_dict` wrote."""
        return cls(data["lr"], data["largest_stable"], data["best"])


def find_rate(trained: Trained, seeds: Sequence[int]) -> Rate:
    """Search a learning rate: a quarter of the largest stable one, or the best one where that is smaller.

    A rate is stable where a run ends with a finite loss at least a tenth below its first. The best rate is that of one
    seed on a grid of two octaves.

    Args:
        trained: Trains models of the smallest size, each at a learning rate and a seed; runs of one call may be made side
            by side.
        seeds: Seeds; the grid is run with the first, the edge of stability is confirmed with all.

    Raises:
        StudyError: No rate between 2^-16 and 2^16 learns.

    Cost:
        About 15 runs, and up to four per seed.

    Example:
        >>> import numpy as np
        >>> quadratic = lambda runs: [RunResult(np.array([1.0, (1 - lr) ** 2]), None) for lr, seed in runs]
        >>> str(find_rate(quadratic, (0, 1)))
        '0.3536, 1/4 of the largest stable rate at the smallest size (largest stable 1.414, best 1)'
    """
    grid = [2.0**octave for octave in range(-FARTHEST, FARTHEST + 1, COARSE)]
    runs = dict(zip(grid, trained([(rate, seeds[0]) for rate in grid]), strict=True))
    good = [rate for rate, run in runs.items() if _learns(run)]
    if not good:
        raise StudyError(
            f"no learning rate from 2^-{FARTHEST} to 2^{FARTHEST} takes a tenth off the loss at the smallest size. Give "
            "one, lr=0.1 (--lr 0.1), or train longer."
        )
    best = min(good, key=lambda rate: runs[rate].final)
    edge = best  # a rate beyond a gap of failures is no part of the stable range
    while edge * 2**COARSE in good:
        edge *= 2**COARSE
    stable = next(
        (r for r in _below(edge * 2**COARSE) if all(map(_learns, trained([(r, seed) for seed in seeds])))),
        edge,
    )
    return Rate(min(stable / MARGIN, best), stable, best)


def _learns(run: RunResult) -> bool:
    return learned(run.final, float(run.losses[0]))


def _below(rate: float) -> list[float]:
    """Rates from a rate that fails down to one that does not, the largest first."""
    return [2.0 ** (math.log2(rate) - COARSE * step / FINE) for step in range(1, FINE)]
