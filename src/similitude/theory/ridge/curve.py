"""Learning curves: predicted errors of training and test against samples and random features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.ridge.optimal import optimal_ridge
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Predicted errors. Made by `Spectrum.learning_curve`.

    Attributes:
        n: Training samples of every point, shape (points,).
        features: Random features, inf for the kernel itself.
        ridge: Ridge, the best one where it was "optimal".
        test: Mean squared error on new samples.
        train: Mean squared error on the training samples.
        noise: Variance of the labels' noise, which test errors count.
    """

    n: Array
    features: Array
    ridge: Array
    test: Array
    train: Array
    noise: float


@cites(6, "Section 3: the RF eigenframework")
def learning_curve(
    spectrum: Spectrum,
    n: float | Sequence[float],
    *,
    features: float | Sequence[float] = math.inf,
    ridge: float | Literal["optimal"] = "optimal",
    noise: float = 0.0,
) -> LearningCurve:
    """Predict a learning curve; see `Spectrum.learning_curve`.

    Args:
        spectrum: Of the kernel with the target in it.
        n: Training samples: one number, or one per point.
        features: Random features: one number, or one per point.
        ridge: A number, or "optimal".
        noise: Variance of the labels' noise.

    Raises:
        TheoryError: A number is out of range, `ridge` is another word, or lengths differ.
    """
    samples, widths = (np.atleast_1d(_reals(v, name)) for v, name in ((n, "n"), (features, "features")))
    if not samples.size or samples.ndim > 1 or widths.ndim > 1 or len({samples.size, widths.size} - {1}) > 1:
        raise TheoryError(
            f"n has shape {samples.shape} and features {widths.shape}. Pass one number, or lists of one length."
        )
    if isinstance(ridge, str) and ridge != "optimal":
        raise TheoryError(f"ridge={ridge!r} is neither a number nor 'optimal'.")
    samples, widths = (np.array(v) for v in np.broadcast_arrays(samples, widths))
    rows = []
    for size, width in zip(samples.tolist(), widths.tolist(), strict=True):
        if isinstance(ridge, str):
            best = optimal_ridge(spectrum, size, width, noise=noise)
            rows.append((best.ridge, best.risk.test, best.risk.train))
        else:
            risk = rf_risk(spectrum, size, width, ridge=ridge, noise=noise)
            rows.append((float(ridge), risk.test, risk.train))
    ridges, test, train = np.array(rows).T
    return LearningCurve(samples, widths, ridges, test, train, float(noise))


def _reals(values: float | Sequence[float], name: str) -> Array:
    """Return numbers, infinite ones among them."""
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise TheoryError(f"{name}={values!r:.60} are no numbers: {error}. Pass e.g. [100, 200].") from error
