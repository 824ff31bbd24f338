"""What a study of learning curves found: predicted and measured errors, what more of anything buys, and a verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from similitude.core.intervals import t_interval
from similitude.core.verdict import Verdict


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve.

    Attributes:
        n: Training samples.
        features: Random features, inf for the kernel.
        ridge: What was added to the diagonal.
        predicted: Predicted mean squared test error, summed over outputs; perhaps infinite.
        predicted_train: Likewise on the training samples.
        measured: Test error of every draw.
        measured_train: Likewise on the training samples.
    """

    n: int
    features: float
    ridge: float
    predicted: float
    predicted_train: float
    measured: tuple[float, ...]
    measured_train: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the measured test errors."""
        return float(np.mean(self.measured))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % t-interval of the mean over draws; infinite for one draw."""
        if len(self.measured) < 2:
            return -math.inf, math.inf
        return t_interval(self.measured)

    @property
    def off(self) -> float:
        """Predicted over measured, minus 1."""
        return self.predicted / self.mean - 1 if self.mean > 0 else math.nan


@dataclass(frozen=True)
class MeasuredCurve:
    """Points at one kind of ridge.

    Attributes:
        label: "no ridge" or "best ridge".
        points: In the order of samples or features.
    """

    label: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Buy:
    """What one change buys, at the same training samples otherwise.

    Attributes:
        what: The change, in words.
        before: Predicted test error without it.
        after: Predicted test error with it.
        measured: Whether both were measured too, or the second is extrapolated.
    """

    what: str
    before: float
    after: float
    measured: bool

    @property
    def change(self) -> float:
        """Relative change of the test error."""
        return self.after / self.before - 1 if 0 < self.before < math.inf else math.nan


@dataclass(frozen=True)
class LearningCurveStudy:
    """Learning curves of a kernel on a pool of real data. Made by `learning_curve_study`.

    Attributes:
        name: What the network is called.
        data: What the data is called.
        kernel: "nngp" or "ntk".
        pool: Samples of the pool.
        power: Mean square of the targets, the error of predicting zero; errors are shown relative to it.
        noise: Variance of noise that was added to labels.
        samples: Curves against training samples.
        widths: Curves against random features, at a fixed number of samples.
        features: What the random features are, in words.
        alpha: Exponent of the eigenvalues with its 95 % interval; None where the pool is too small.
        beta: Exponent of the target's squared coefficients, likewise.
        coefficient: What interpolation multiplies noise by at the largest size, by leaving samples out; None where the
            matrix is singular.
        taxonomy: Kind of overfitting by the spectrum.
        ridge: Recommended ridge at the largest size.
        buys: What changes buy.
        verdict: Whether measured errors are as predicted.
        seconds: Wall-clock time.
        notes: What was assumed, in sentences.
    """

    name: str
    data: str
    kernel: str
    pool: int
    power: float
    noise: float
    samples: tuple[MeasuredCurve, ...]
    widths: tuple[MeasuredCurve, ...]
    features: str
    alpha: tuple[float, float, float] | None
    beta: tuple[float, float, float] | None
    coefficient: float | None
    taxonomy: str
    ridge: float
    buys: tuple[Buy, ...]
    verdict: Verdict
    seconds: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            **asdict(self),
            "samples": [_curve(curve) for curve in self.samples],
            "widths": [_curve(curve) for curve in self.widths],
            "buys": [{**asdict(buy), "change": buy.change} for buy in self.buys],
            "verdict": self.verdict.to_dict(),
        }


def _curve(curve: MeasuredCurve) -> dict[str, Any]:
    points = [
        {**asdict(point), "mean": point.mean, "interval": list(point.interval)} for point in curve.points
    ]
    return {"label": curve.label, "points": points}
