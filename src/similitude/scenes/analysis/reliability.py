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
        accuracy: Share of them that are right (Wilson).
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
    """Compare how sure a model is with how often it is right, all accepted classes of a scene being one answer.

    Its probability is the sum of theirs, and it is right where no other class has more. With one accepted class this is
    the usual calibration of the class put first.

    Args:
        rows: Rows of one model with the metrics "confidence" and "probability".
        bins: Bins of equal width.

    Raises:
        SceneError: Rows lack these metrics, or they are no probabilities.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017), equation 3.
    """
    kept = judged(rows)
    first, accepted = measured_of(kept, CONFIDENCE), measured_of(kept, "probability")
    known = np.isfinite(first) & np.isfinite(accepted)
    first, accepted = first[known], accepted[known]
    # A mug may be called "cup" or "coffee mug": were each an answer of its own, the model would seem unsure of both.
    sure, right = np.maximum(first, accepted), (accepted >= first).astype(float)
    if bins < 1 or not len(sure) or sure.min() < 0 or sure.max() > 1 + 1e-6:
        raise SceneError(
            f"{len(sure)} answers have a confidence, in {bins} bins: give at least one of each, and probabilities."
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
