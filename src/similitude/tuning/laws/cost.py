"""What a configuration costs, as a product of powers: log10 cost is linear in the coordinates of the laws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from similitude.tuning.laws.data import LawData

_TELLING = 4.0
"""A coefficient of a dimension that is not of role `scale` counts where it is this many standard errors from 0 ..."""

_LEAST_EFFECT = 0.02
"""... and moves the cost by this many decades between its ends."""

_CURVED = 0.1
"""Decades by which costs may be off the product of powers before this is said."""


@dataclass(frozen=True)
class CostModel:
    """log10 cost = offset + coordinates @ slopes, of b resamples.

    Attributes:
        offset: Shape (b,), at the first level of every choice.
        slopes: Shape (b, d); 0 where a dimension does not matter to the cost.
        levels: What each level of each choice adds, one array of shape (b, levels) per choice.
        residual: Standard deviation of what is left, in decades, of the trials as they are.
        notes: What is to be said about it.
    """

    offset: np.ndarray
    slopes: np.ndarray
    levels: tuple[np.ndarray, ...]
    residual: float
    notes: tuple[str, ...]

    def at(self, chosen: np.ndarray) -> np.ndarray:
        """Return the offsets at one level of each choice; `chosen` has shape (b, h), the result (b,)."""
        rows = np.arange(len(self.offset))
        return self.offset + sum(table[rows, chosen[:, h]] for h, table in enumerate(self.levels))


def cost_model(data: LawData, counts: np.ndarray) -> CostModel:
    """Fit the cost by least squares; dimensions that do not matter are left out.

    Args:
        data: The trials.
        counts: How often each is in each resample, shape (b, n), the first row ones.
    """
    n, d = data.coordinates.shape
    dummies = [
        (data.levels[:, h, None] == np.arange(1, len(values))).astype(float)
        for h, (_, values) in enumerate(data.choices)
    ]
    blocks = [np.ones((n, 1)), data.coordinates, *dummies]
    design = np.concatenate(blocks, 1)
    kept = np.ones(design.shape[1], bool)
    scale = data.of_role("scale")
    always = np.zeros(len(kept), bool)
    always[0] = True
    always[1 : d + 1] = scale
    kept &= design.std(0) > 0
    kept[0] = True
    # Backward elimination: the least telling one leaves until all that are left tell.
    while True:
        columns = np.flatnonzero(kept)
        X = design[:, columns]
        solution, *_ = np.linalg.lstsq(X, data.log_costs, rcond=None)
        left = data.log_costs - X @ solution
        noise = max(float(left @ left) / max(1, n - len(columns)), 1e-12)
        error = np.sqrt(noise * np.diag(np.linalg.pinv(X.T @ X)))
        effect = np.abs(solution) * np.ptp(X, axis=0)
        telling = np.where(effect < _LEAST_EFFECT, 0.0, np.abs(solution) / error)
        telling[always[columns]] = np.inf
        weakest = int(telling.argmin())
        if telling[weakest] > _TELLING:
            break
        kept[columns[weakest]] = False
    weighted = counts[:, :, None] * X
    normal = np.matmul(weighted.transpose(0, 2, 1), X) + 1e-9 * np.eye(len(columns))
    solutions = np.linalg.solve(normal, np.matmul(weighted.transpose(0, 2, 1), data.log_costs)[:, :, None])[
        :, :, 0
    ]
    full = np.zeros((len(counts), len(kept)))
    full[:, columns] = solutions
    tables, place = [], d + 1
    for _, values in data.choices:
        width = len(values) - 1
        tables.append(np.concatenate([np.zeros((len(counts), 1)), full[:, place : place + width]], 1))
        place += width
    residual = float(np.sqrt(noise))
    notes = []
    if residual > _CURVED:
        notes.append(
            f"Costs are off a product of powers of the hyperparameters by {residual:.2g} decades: exponents along the "
            "cost are those of the average over the range that was run."
        )
    if not (np.abs(full[0, 1 : d + 1]) > 0).any():
        notes.append("No dimension moves the cost: exponents say how the optimum goes with whatever does.")
    return CostModel(full[:, 0], full[:, 1 : d + 1], tuple(tables), residual, tuple(notes))
