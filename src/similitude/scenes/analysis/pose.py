"""How accuracy depends on an angle, which has no ends: sectors of the circle, and whether they differ at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from similitude.core.errors import SceneError
from similitude.core.plain import finite
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import factor_named, judged
from similitude.scenes.analysis.pairs import likelihood_ratio
from similitude.scenes.analysis.shares import Standing, measured_of, standing_of

SECTORS = 12
"""Of 30 degrees each."""


@dataclass(frozen=True)
class Sector:
    """A part of the circle.

    Attributes:
        middle: Its middle in radians, from -pi to pi.
        standing: How the model stands there; None where there is no scene.
    """

    middle: float
    standing: Standing | None


@dataclass(frozen=True)
class PoseCurve:
    """Accuracy by an angle.

    Attributes:
        factor: Name of the angle.
        sectors: From -pi to pi; sector k is centred on -pi + 2 pi k / sectors.
        p: Of the hypothesis that being right does not depend on the angle, by the likelihood ratio of a logistic model
            with its sine, its cosine and those of twice the angle; nan where all answers are right or all wrong.
    """

    factor: str
    sectors: tuple[Sector, ...]
    p: float

    @property
    def worst(self) -> Sector:
        """The sector with the lowest accuracy."""
        seen = [one for one in self.sectors if one.standing is not None]
        return min(seen, key=lambda one: one.standing.accuracy.value if one.standing else math.inf)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "factor": self.factor,
                "p": self.p,
                "worst": self.worst.middle,
                "sectors": [
                    {"middle": one.middle, **(one.standing.to_dict() if one.standing else {"accuracy": None})}
                    for one in self.sectors
                ],
            }
        )


def pose_curve(rows: Iterable[Row], factor: str, *, sectors: int = SECTORS) -> PoseCurve:
    """Return accuracy by sectors of an angle.

    Args:
        rows: Rows of one model.
        factor: An angle in radians, e.g. "orientation.rotation_z".
        sectors: How many parts the circle has; the first is centred on -pi, where the last one ends.

    Raises:
        SceneError: The factor has names, or fewer than two sectors are asked for.
    """
    kept = judged(rows)
    found = factor_named(kept, factor)
    if not found.numeric or sectors < 2:
        raise SceneError(
            f"'{factor}' in {sectors} sectors: give an angle in radians and at least two sectors."
        )
    angles = found.numbers
    known = np.isfinite(angles)
    which = np.round(sectors * (angles[known] + math.pi) / math.tau).astype(int) % sectors
    rows_of = np.flatnonzero(known)
    parts = []
    for k in range(sectors):
        mine = [kept[i] for i in rows_of[which == k]]
        parts.append(Sector(-math.pi + math.tau * k / sectors, standing_of(mine) if mine else None))
    return PoseCurve(factor, tuple(parts), _dependence(angles[known], [kept[i] for i in rows_of]))


def _dependence(angles: np.ndarray, rows: list[Row]) -> float:
    if any(row.success is None for row in rows):
        return math.nan
    right = measured_of(rows, "right")
    if right.min() == right.max():
        return math.nan
    waves = np.stack([f(k * angles) for k in (1, 2) for f in (np.sin, np.cos)], 1)
    statistic = likelihood_ratio(waves[:, :0], waves, right)
    return float(stats.chi2.sf(max(0.0, statistic), waves.shape[1]))
