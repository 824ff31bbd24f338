"""Whether a model is as often right as it is sure: reliability by confidence, expected calibration error, Brier score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.evaluation.aggregate import Estimate
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import judged
from similitude.scenes.analysis.shares import bounded_mean, measured_of, share_of

BINS = 10
"""Bins of equal width from 0 to 1 (Guo et al. use 15 for thousands of pictures)."""

CONFIDENCE = "confidence"
"""Metric of a row: the probability of the class that the model put first."""


@dataclass(frozen=True)
class Reliability:
    """Answers of about one confidence.

    Attributes:
        low: Least confidence of the bin.
        high: Greatest.
        confidence: Mean confidence of the answers in it.
        accuracy: Share of them that are right, top-1 (Wilson).
    """

    low: float
    high: float
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True)
class Calibration:
    """Confidence beside accuracy.

    Attributes:
        bins: Those with answers, ascending.
        error: Expected calibration error: mean distance of confidence and accuracy over bins, weighted by answers.
        overconfidence: Mean confidence minus accuracy, with an interval over scenes; positive where the model is
            surer than right.
        brier: Mean squared distance of confidence from being right (1 or 0).
        scenes: How many answers.
    """

    bins: tuple[Reliability, ...]
    error: float
    overconfidence: Estimate
    brier: float
    scenes: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "error": self.error,
            "overconfidence": self.overconfidence.to_dict(),
            "brier": self.brier,
            "scenes": self.scenes,
            "bins": [
                {
                    "low": one.low,
                    "high": one.high,
                    "confidence": one.confidence,
                    "accuracy": one.accuracy.to_dict(),
                }
                for one in self.bins
            ],
        }


def calibration(rows: Iterable[Row], *, bins: int = BINS) -> Calibration:
    """Compare how sure a model is with how often the class that it puts first (top-1) is right.

    All accepted classes of a scene are one answer: where one of them comes first, its probability is the sum of theirs,
    else it is that of the class that comes first. An answer is right where the row is and no class that is not accepted
    has a larger logit ("margin" not below 0), whatever the evaluator's k. So with top: 1 it is right where rows say so,
    ties too. Rows that know neither right and wrong nor a margin are left out.

    Args:
        rows: Rows of one model with the metrics "confidence" and "probability".
        bins: Bins of equal width.

    Raises:
        SceneError: Rows lack these metrics, they are no probabilities, or no row says whether its answer is right.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017), equation 3.
    """
    kept = judged(rows)
    first, accepted = measured_of(kept, CONFIDENCE), measured_of(kept, "probability")
    right = np.array([_comes_first(row) for row in kept])
    known = np.isfinite(first) & np.isfinite(accepted) & np.isfinite(right)
    first, accepted, right = first[known], accepted[known], right[known]
    # A mug may be called "cup" or "coffee mug": were each an answer of its own, the model would seem unsure of both.
    sure = np.where(right > 0, np.maximum(first, accepted), first)
    if bins < 1 or len(sure) < 2 or sure.min() < 0 or sure.max() > 1 + 1e-6:
        raise SceneError(
            f"{len(sure)} answers have a confidence and are right or wrong, in {bins} bins: calibration takes at least "
            "two answers and a bin, and probabilities. Raise the policy's count."
        )
    edges = np.linspace(0, 1, bins + 1)
    which = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    found = [
        Reliability(
            float(edges[k]),
            float(edges[k + 1]),
            float(sure[which == k].mean()),
            share_of(right[which == k] > 0),
        )
        for k in np.unique(which)
    ]
    error = sum(one.accuracy.count * abs(one.confidence - one.accuracy.value) for one in found) / len(sure)
    return Calibration(
        tuple(found),
        float(error),
        bounded_mean(sure - right, low=-1.0, high=1.0),
        float(((sure - right) ** 2).mean()),
        len(sure),
    )


def _comes_first(row: Row) -> float:
    """Return 1 where an accepted class has the largest logit, 0 where not, nan where the row does not say.

    With k above 1 a row is right too where an accepted class comes second: then its margin is below 0.
    """
    margin = row.metrics.get("margin", np.nan)
    if row.success is None:
        return np.nan if np.isnan(margin) else float(margin > 0)
    return float(row.success and not margin < 0)
