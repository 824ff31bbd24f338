"""Forms of the law of losses: powers of the sizes plus parabolas about optima that drift, with their derivatives.

L = E + sum_i A_i x_i^-a_i + sum_j k_j (u_j - m_j - q_j . z)^2, where x are the sizes, u the coordinates of the other
dimensions, and z what their optima drift with: one size, all sizes, or the cost (after arXiv 2203.15556, approach 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from similitude.tuning.laws.cost import CostModel
from similitude.tuning.laws.data import LawData, unit_of
from similitude.tuning.laws.least_squares import Prior

LEAST_COST_POWER = 0.05
"""A size of which the cost is no higher power than this buys nothing: it has an optimum like any other dimension."""

TRIALS_PER_PARAMETER = 2.5
"""Trials that a form needs per parameter: with fewer, resamples are fitted too well for their intervals to hold."""

TAKEN_AS_SIZE = 0.2
"""Where no dimension has the role `scale`, those of which the cost is a higher power than this are taken for sizes."""


@dataclass(frozen=True)
class Form:
    """One form of the law; n trials, s sizes, h other dimensions, r things that optima drift with, o levels of choices.

    Attributes:
        name: What optima drift with, in words.
        columns: Which axes are sizes, s of them; empty where the cost itself is the one size.
        rest: Which axes are the other dimensions, h of them.
        basis: What optima drift with as combinations of the sizes, shape (s, r).
        center: Mean of the sizes, decades, shape (s,).
        sizes: Decades of the sizes about their mean, shape (n, s).
        others: Other coordinates in steps, shape (n, h).
        active: Which of them are there, shape (n, h).
        offsets: Levels of choices as dummies, shape (n, o).
        floored: Whether E is above 0.
        unit: What losses are divided by.
    """

    name: str
    columns: np.ndarray
    rest: np.ndarray
    basis: np.ndarray
    center: np.ndarray
    sizes: np.ndarray
    others: np.ndarray
    active: np.ndarray
    offsets: np.ndarray
    floored: bool
    unit: float

    @property
    def drifts(self) -> np.ndarray:
        """What optima drift with, decades, shape (n, r)."""
        return self.sizes @ self.basis

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Numbers of sizes, other dimensions, drifts and offsets."""
        return self.sizes.shape[1], self.others.shape[1], self.basis.shape[1], self.offsets.shape[1]

    @property
    def count(self) -> int:
        """Number of parameters."""
        s, h, r, o = self.shape
        return 1 + 2 * s + h * (2 + r) + o

    def split(self, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """Split parameters (b, p) into E, A, slope, k, m, q and offsets."""
        s, h, r, _ = self.shape
        at = np.cumsum([0, 1, s, s, h, h, h * r])
        e, a, p, k, m, q = (theta[:, i:j] for i, j in pairwise(at))
        floor = np.exp(e) if self.floored else e
        return floor, np.exp(a), np.exp(p), np.exp(k), m, q.reshape(len(theta), h, r), theta[:, at[-1] :]

    def curve(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions (b, n) and their derivatives (b, n, p)."""
        theta = np.clip(theta, -60, 60)
        floor, amplitude, power, k, m, q, offsets = self.split(theta)
        terms = amplitude[:, None] * np.exp(np.clip(-power[:, None] * self.sizes, -60, 60))
        apart = (self.others - m[:, None] - np.einsum("nr,bhr->bnh", self.drifts, q)) * self.active
        bowls = k[:, None] * apart**2
        predictions = floor + terms.sum(2) + bowls.sum(2) + offsets @ self.offsets.T
        pull = -2 * k[:, None] * apart
        b, n = predictions.shape
        jacobian = np.concatenate(
            [
                np.broadcast_to((floor if self.floored else np.ones_like(floor))[:, None], (b, n, 1)),
                terms,
                -terms * power[:, None] * self.sizes,
                bowls,
                pull,
                (pull[:, :, :, None] * self.drifts[None, :, None, :]).reshape(b, n, -1),
                np.broadcast_to(self.offsets, (b, *self.offsets.shape)),
            ],
            axis=2,
        )
        return predictions, jacobian

    def prior(self, values: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> Prior:
        """Return wide priors about what the data suggest."""
        s, h, r, o = self.shape
        low = float(values.min())
        floor = (np.log(max(low / 2, 1e-3)), 3.0) if self.floored else (low - 0.5, 3.0)
        middle = self.others.mean(0)
        spread = np.maximum(self.others.std(0), 0.3)
        mean = [
            floor[0],
            *[np.log(0.5)] * s,
            *[np.log(0.7)] * s,
            *[np.log(0.3)] * h,
            *middle,
            *[0] * (h * r + o),
        ]
        width = [floor[1], *[3.0] * s, *[1.0] * s, *[3.0] * h, *(2 * spread), *[1.0] * (h * r), *[2.0] * o]
        return Prior(np.array(mean, float), np.array(width, float), rows, offsets)


def forms(data: LawData, cost: CostModel) -> list[Form]:
    """Return the forms that the data may have: optima that drift with one size, with all, with the cost; and losses that
    depend on the cost alone and on how far every dimension is from its line along it.

    Args:
        data: The trials.
        cost: What they cost.
    """
    growing = cost.slopes[0]
    sizes = np.flatnonzero(data.of_role("scale") & (growing > LEAST_COST_POWER))
    powers = np.array([axis.is_power for axis in data.axes])
    if not len(sizes) and not data.of_role("scale").any():
        sizes = np.flatnonzero(powers & (growing > TAKEN_AS_SIZE))
    found = []
    if len(sizes):
        names = [data.axes[i].name for i in sizes]
        rest = np.setdiff1d(np.arange(len(data.axes)), sizes)
        bases = {name: np.eye(len(sizes))[:, i : i + 1] for i, name in enumerate(names)}
        if len(sizes) > 1:
            bases |= {"the cost": growing[sizes][:, None], "every size": np.eye(len(sizes))}
        columns = data.coordinates[:, sizes]
        found += [_form(data, name, columns, sizes, rest, basis) for name, basis in bases.items()]
        if not len(rest):
            found = found[:1]
    everything = np.arange(len(data.axes))
    found.append(
        _form(data, "the cost alone", data.log_costs[:, None], everything[:0], everything, np.ones((1, 1)))
    )
    return [form for form in found if len(data) >= TRIALS_PER_PARAMETER * form.count]


def _form(
    data: LawData, name: str, columns: np.ndarray, sizes: np.ndarray, rest: np.ndarray, basis: np.ndarray
) -> Form:
    center = columns.mean(0)
    dummies = [
        data.levels[:, h, None] == np.arange(1, len(values)) for h, (_, values) in enumerate(data.choices)
    ]
    return Form(
        name=name,
        columns=sizes,
        rest=rest,
        basis=basis,
        center=center,
        sizes=columns - center,
        others=data.coordinates[:, rest] / data.steps[rest],
        active=data.active[:, rest],
        offsets=np.concatenate([np.empty((len(data), 0)), *dummies], 1).astype(float),
        floored=data.floored,
        unit=unit_of(data.values, float(np.subtract(*np.quantile(data.values, [0.75, 0.25])))),
    )
