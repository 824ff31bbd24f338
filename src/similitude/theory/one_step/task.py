"""A regression task as a Gaussian model sees it: mean and covariance of inputs, and their correlation with labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Phi
from similitude.theory.finite_width.given import number
from similitude.theory.one_step.hermite import HermiteMoments, moments_of
from similitude.theory.one_step.network import row
from similitude.theory.ridge.arrays import array, numbers

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class GaussianTask:
    """What Gaussian equivalence knows of inputs and labels. Made by `from_data` or `from_teacher`.

    Attributes:
        mean: Of the inputs, shape (dimension,).
        covariance: Of the inputs, shape (dimension, dimension).
        correlation: Covariance of every input with the label, shape (dimension,).
        power: Variance of what is to be predicted, noise left out where it is known.
        noise: Variance of the labels' noise where it is known; 0 for data, whose noise is part of `power`.
    """

    mean: Array
    covariance: Array
    correlation: Array
    power: float
    noise: float

    @classmethod
    def from_data(cls, X: ArrayLike | Tensor, y: ArrayLike | Tensor) -> Self:
        """Measure a task on data: as many samples as there are, more than inputs.

        The power of the linear part is taken without the share that least squares fits by chance.

        Args:
            X: Inputs, shape (samples, dimension).
            y: Labels, shape (samples,).

        Raises:
            TheoryError: Shapes do not fit, a number is not finite, there are too few samples, or labels are all equal.

        Example:
            >>> x = np.random.default_rng(0).standard_normal((4000, 3))
            >>> task = GaussianTask.from_data(x, x @ [1.0, 0.0, 0.0])
            >>> round(task.linear_risk, 9)
            0.0
        """
        x = array(X, "X")
        if x.ndim != 2 or not x.size:
            raise TheoryError(f"X has shape {x.shape}. Pass samples as rows, shape (samples, dimension).")
        samples, dimension = x.shape
        labels = row(y, samples)
        if samples < dimension + 3:
            raise TheoryError(
                f"X has {samples} samples of {dimension} inputs: the covariance of labels and inputs takes at least "
                f"{dimension + 3}. Pass more, or project them on fewer: X @ V[:, :{max(1, samples // 10)}]."
            )
        centre, level = x.mean(0), labels - labels.mean()
        power = float(level @ level) / (samples - 1)
        if not power > 0:
            raise TheoryError("y is the same number for all samples. Pass labels that differ.")
        moved = x - centre
        covariance, correlation = moved.T @ moved / (samples - 1), moved.T @ level / (samples - 1)
        explained = _explained(covariance, correlation)
        rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
        left = max(power - explained, 0.0) * (samples - 1) / (samples - 1 - rank)
        true = max(power - left, 0.0)
        shrunk = math.sqrt(min(true / explained, 1.0)) if explained > 0 else 0.0
        return cls(centre, covariance, correlation * shrunk, power, 0.0)

    @classmethod
    def from_teacher(
        cls, teacher: Phi | HermiteMoments, direction: ArrayLike | Tensor, *, noise: float = 0.0
    ) -> Self:
        """Return the task teacher(<x, direction>) + noise of inputs N(0, I).

        Args:
            teacher: Link function, of torch operations, or its moments.
            direction: beta, shape (dimension,); made of length 1.
            noise: Variance of the labels' noise.

        Raises:
            TheoryError: A number is out of range, or the teacher is constant.
        """
        found, noise = moments_of(teacher, "teacher"), number("noise", noise)
        beta = numbers(direction, "direction")
        size = float(np.linalg.norm(beta))
        if not size > 0:
            raise TheoryError("direction is zero. Pass the teacher's direction.")
        d = len(beta)
        return cls(np.zeros(d), np.eye(d), found.linear * beta / size, found.power, noise)

    @property
    def linear_risk(self) -> float:
        """Mean squared error of the best linear function of the inputs, with an intercept, noise left out."""
        return max(self.power - _explained(self.covariance, self.correlation), 0.0)


def _explained(covariance: Array, correlation: Array) -> float:
    """Return the variance of the best linear prediction."""
    return float(correlation @ np.linalg.lstsq(covariance, correlation, rcond=1e-12)[0])
