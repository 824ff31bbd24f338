"""The spectrum of a kernel with the target in it: all that the error of ridge regression depends on (paper 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import numbers, pool_kernel, pool_targets

if TYPE_CHECKING:
    from similitude.theory.ridge.curve import LearningCurve

Array = np.ndarray
_ROUNDING = 1e-12  # how far below zero rounding may put an eigenvalue, relative to the largest


@cites(6, "Section 2: eigenvalues and eigencoefficients of a task")
@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of a kernel and the target's squared coefficients in its eigenfunctions.

    With the data's distribution mu, K(x, x') = sum_i lambda_i phi_i(x) phi_i(x') and E phi_i phi_j = delta_ij. The
    target is sum_i v_i phi_i. Eigenvalues that are equal may share a level, so that spectra of 10^80 modes are short.

    Attributes:
        eigenvalues: lambda of every level, shape (levels,), none below 0 and at least one above.
        coefficients_squared: Sum of v_i^2 over the modes of each level, shape (levels,); of several outputs, over these
            too.
        multiplicity: Modes of each level, shape (levels,); one each where not given.
        pool: Number of samples where mu is a finite pool that training samples are drawn from without replacement.
            Predictions are then of samples of the pool that were not drawn. None for samples from mu itself.

    Raises:
        TheoryError: Shapes do not fit, a number is negative or not finite, or no eigenvalue is above 0.

    Example:
        >>> spec = Spectrum([1.0, 0.25], [2.0, 1.0], multiplicity=[1, 4])
        >>> spec.trace, spec.rank, spec.power
        (2.0, 5.0, 3.0)
    """

    eigenvalues: Array
    coefficients_squared: Array
    multiplicity: Array = field(default=None)  # type: ignore[assignment]
    pool: int | None = None

    def __init__(
        self,
        eigenvalues: ArrayLike | Tensor,
        coefficients_squared: ArrayLike | Tensor,
        multiplicity: ArrayLike | Tensor | None = None,
        *,
        pool: int | None = None,
    ) -> None:
        values = numbers(eigenvalues, "eigenvalues")
        target = numbers(coefficients_squared, "coefficients_squared")
        counts = np.ones_like(values) if multiplicity is None else numbers(multiplicity, "multiplicity")
        for name, found in (("coefficients_squared", target), ("multiplicity", counts)):
            if found.shape != values.shape:
                raise TheoryError(
                    f"{name} has shape {found.shape} and eigenvalues {values.shape}: every level has one of each. Pass "
                    "arrays of one length."
                )
        low, top = float(values.min()), float(values.max())
        if low < -_ROUNDING * abs(top):
            raise TheoryError(
                f"eigenvalues has {low:.3g}, the largest is {top:.3g}: a kernel has none below 0. Symmetrize the matrix "
                "they are of, or pass more samples if it was estimated."
            )
        if not top > 0:
            raise TheoryError("eigenvalues are all zero: such a kernel learns nothing. Pass one above 0.")
        if float(target.min()) < 0:
            raise TheoryError(
                f"coefficients_squared has {float(target.min()):.3g}: they are squares. Pass numbers of at least 0."
            )
        if not float(counts.min()) > 0:
            raise TheoryError(f"multiplicity has {float(counts.min()):.3g}: leave out levels without modes.")
        modes = float(counts.sum())
        if pool is not None and (
            isinstance(pool, bool) or not isinstance(pool, int | np.integer) or pool < 1
        ):
            raise TheoryError(f"pool={pool!r}: pass the number of samples of the pool, or None.")
        if pool is not None and modes > pool * (1 + 1e-9):
            raise TheoryError(f"{modes:g} modes in a pool of {pool} samples, which has no more than these.")
        for name, found in (
            ("eigenvalues", np.maximum(values, 0.0)),
            ("coefficients_squared", target),
            ("multiplicity", counts),
            ("pool", pool),
        ):
            object.__setattr__(self, name, found)

    @classmethod
    def from_kernel(cls, K: ArrayLike | Tensor, y: ArrayLike | Tensor) -> Spectrum:
        """Measure the spectrum on a pool of real data.

        Args:
            K: Kernel between the N samples of the pool, shape (N, N).
            y: What is regressed on, shape (N,) or (N, outputs); classes as rows, such as one-hot ones. Errors are then
                sums over outputs.

        Returns:
            The spectrum with `pool=N`: predictions are of n < N samples drawn from the pool, tested on the rest.

        Raises:
            TheoryError: Shapes do not fit, a number is not finite, or K is not symmetric or has an eigenvalue below 0.

        Example:
            >>> spec = Spectrum.from_kernel(np.diag([4.0, 2.0]), [1.0, 1.0])
            >>> spec.eigenvalues.tolist(), spec.coefficients_squared.tolist(), spec.pool
            ([2.0, 1.0], [0.5, 0.5], 2)

        Cost: one eigendecomposition, about 9 N^3 operations.
        """
        gram, resolution = pool_kernel(K)
        rows = pool_targets(y, len(gram))
        values, vectors = np.linalg.eigh(gram / len(gram))
        top = float(values[-1])
        if float(values[0]) < -10 * resolution * abs(top):
            raise TheoryError(
                f"K is no kernel: its smallest eigenvalue is {values[0]:.3g}, the largest {top:.3g}, and none is below "
                "0. Rows and columns may be in different orders, or K was estimated with too few draws."
            )
        # What is below the resolution is rounding, of either sign.
        values = np.where(values > resolution * top, values, 0.0)
        coefficients = np.square(vectors.T @ rows).sum(1) / len(gram)
        return cls(values[::-1].copy(), coefficients[::-1].copy(), pool=len(gram))

    @classmethod
    def power_law(cls, alpha: float, beta: float, *, modes: float = 1e80) -> Spectrum:
        """Return eigenvalues i^-alpha and squared coefficients i^-beta.

        Args:
            alpha: Exponent of the eigenvalues, above 1.
            beta: Exponent of the squared coefficients, above 1.
            modes: How many, at least 1; from the thousandth on they share levels, of a relative width of 1/64.

        Raises:
            TheoryError: A number is out of range.

        Example:
            >>> from scipy.special import zeta
            >>> bool(abs(Spectrum.power_law(1.5, 1.2).trace / zeta(1.5) - 1) < 1e-9)
            True
        """
        from similitude.theory.ridge.power_law import power_law_levels

        return cls(*power_law_levels(alpha, beta, modes))

    @classmethod
    def sphere(
        cls,
        kernel: Callable[[Array], Array],
        dimension: int,
        *,
        target: Sequence[float] = (),
        levels: int = 20,
    ) -> Spectrum:
        """Return the spectrum of a kernel of the inner product, for data that is uniform on the unit sphere.

        Args:
            kernel: k(t) of inner products t in [-1, 1], elementwise on an array.
            dimension: d of the space that the sphere S^(d-1) lies in, at least 2.
            target: Squared coefficients of the target, summed over spherical harmonics of degree 0, 1, ...
            levels: Highest degree. What the kernel has beyond it becomes one more level of the next degree.

        Raises:
            TheoryError: A number is out of range, or k is not finite or no kernel on this sphere.

        Example:
            >>> spec = Spectrum.sphere(lambda t: t, 5)  # five linear functions x_i sqrt(5)
            >>> [(round(float(v), 12), int(m)) for v, m in zip(spec.eigenvalues, spec.multiplicity) if v > 0]
            [(0.2, 5)]
        """
        from similitude.theory.ridge.sphere import sphere_levels

        return cls(*sphere_levels(kernel, dimension, target, levels))

    def learning_curve(
        self,
        *,
        n: float | Sequence[float],
        features: float | Sequence[float] = math.inf,
        ridge: float | Literal["optimal"] = "optimal",
        noise: float = 0.0,
    ) -> LearningCurve:
        """Predict errors of training and test at several numbers of samples, or of features.

        Args:
            n: Training samples: one number, or one per point of the curve.
            features: Random features: one number, or one per point; infinitely many are the kernel itself.
            ridge: Added to the n x n matrix's diagonal, or "optimal" for the best of every point, infinity included.
            noise: Variance of the noise of labels, beside what the target has itself.

        Raises:
            TheoryError: A number is out of range, or `n` and `features` are of different lengths.

        Example:
            >>> curve = Spectrum.power_law(1.5, 1.5).learning_curve(n=[10, 100, 1000], ridge=0.0)
            >>> bool((curve.test[1:] < curve.test[:-1]).all())  # about n^(1 - beta)
            True
        """
        from similitude.theory.ridge.curve import learning_curve

        return learning_curve(self, n, features=features, ridge=ridge, noise=noise)

    @cached_property
    def log_eigenvalues(self) -> Array:
        """Natural logarithms of the eigenvalues, -inf for those that are zero."""
        logs = np.full_like(self.eigenvalues, -math.inf)
        np.log(self.eigenvalues, out=logs, where=self.eigenvalues > 0)
        return logs

    @cached_property
    def log_trace(self) -> float:
        """Natural logarithm of the trace."""
        found: Any = logsumexp(self.log_eigenvalues + np.log(self.multiplicity))
        return float(found)

    @property
    def trace(self) -> float:
        """Sum of all eigenvalues, the mean of K(x, x)."""
        return float(self.multiplicity @ self.eigenvalues)

    @cached_property
    def rank(self) -> float:
        """Number of modes with an eigenvalue above 0."""
        return float(self.multiplicity[self.eigenvalues > 0].sum())

    @property
    def power(self) -> float:
        """Mean square of the target without noise: the error of predicting zero."""
        return float(self.coefficients_squared.sum())
