"""Leave-one-out errors of kernel ridge regression in closed form, and the ridge that makes them smallest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.spectrum import Spectrum, spectrum
from similitude.kernels.targets import target_rows
from similitude.kernels.train_test import TrainTest

_DECADES = (-10, 3)  # of the mean eigenvalue, between which a ridge is looked for
_PER_DECADE = 3


@dataclass(frozen=True)
class RidgeChoice:
    """The ridge that leave-one-out chooses.

    Attributes:
        ridge: The best one.
        error: Mean squared leave-one-out error there, over samples and outputs.
        ridges: All that were tried, ascending.
        errors: Their errors.
        edge: "smallest" or "largest" where the best is the end of what was tried, else empty.
    """

    ridge: float
    error: float
    ridges: tuple[float, ...]
    errors: tuple[float, ...]
    edge: str


def leave_one_out(gram: Tensor, y: Tensor, *, ridge: float) -> Tensor:
    """Return what each training sample is predicted to be by a fit to all the others.

    Args:
        gram: Kernel between the n training samples, shape (n, n).
        y: Targets, shape (n,) or (n, C); class numbers become rows with a 1.
        ridge: Added to the diagonal, above 0 unless the matrix is far from singular.

    Returns:
        Shape (n, C): y_i - [G^-1 y]_i / [G^-1]_ii with G = gram + ridge.

    Raises:
        KernelError: Shapes do not fit, there is one sample, or the matrix is singular.

    Example:
        >>> import torch
        >>> found = leave_one_out(torch.eye(2) + 1, torch.tensor([1.0, 0.0]), ridge=0.0)
        >>> [round(v, 9) + 0.0 for v in found.flatten().tolist()]
        [0.0, 0.5]

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, eq. 5.12. Cost: that of `spectrum`.
    """
    targets = _prepared(gram, y)
    return targets - _residuals(spectrum(gram), targets, ridge)


def choose_ridge(gram: Tensor, y: Tensor, *, ridges: Sequence[float] | None = None) -> RidgeChoice:
    """Choose the ridge with the smallest leave-one-out error.

    Args:
        gram: Kernel between the n training samples, shape (n, n).
        y: Targets, shape (n,) or (n, C); class numbers become rows with a 1.
        ridges: What to choose from. By default 13 decades around the mean eigenvalue, and then what is between the
            neighbours of the best of them.

    Raises:
        KernelError: Shapes do not fit, there is one sample, or a ridge is not above 0.

    Cost: that of `spectrum`, and n^2 operations for every ridge and output.
    """
    targets = _prepared(gram, y)
    found = spectrum(gram)
    scale = float(found.values.mean())
    if ridges is None:
        low, high = _DECADES
        tried = [scale * 10 ** (i / _PER_DECADE) for i in range(_PER_DECADE * low, _PER_DECADE * high + 1)]
        tried = [ridge for ridge in tried if ridge > found.resolution] or [found.resolution or 1.0]
    else:
        tried = sorted(ridges)
    if not tried or not 0 < tried[0] <= tried[-1] < math.inf:
        raise KernelError(f"ridges={list(ridges or ())}: leave-one-out compares ridges above 0. Pass some.")

    def error(ridge: float) -> float:
        return float(_residuals(found, targets, ridge).square().mean())

    errors = [error(ridge) for ridge in tried]
    best = min(range(len(tried)), key=errors.__getitem__)
    edge = "smallest" if best == 0 else "largest" if best == len(tried) - 1 else ""
    chosen, least = tried[best], errors[best]
    if ridges is None and not edge:
        from scipy.optimize import minimize_scalar  # here: scipy takes a second to import

        inside: Any = minimize_scalar(
            lambda log: error(math.exp(log)),
            bounds=(math.log(tried[best - 1]), math.log(tried[best + 1])),
            method="bounded",
            options={"xatol": 1e-3},
        )
        if inside.fun < least:
            chosen, least = math.exp(inside.x), float(inside.fun)
    return RidgeChoice(chosen, least, tuple(tried), tuple(errors), edge)


def _prepared(gram: Tensor, y: Tensor) -> Tensor:
    blocks = TrainTest(gram)
    if blocks.n < 2:
        raise KernelError(
            "leave-one-out needs at least 2 training samples, and there is 1. Pass ridge= yourself."
        )
    return target_rows(y, blocks.n, device=gram.device)


def _residuals(found: Spectrum, targets: Tensor, ridge: float) -> Tensor:
    if float(found.values[0]) + ridge <= found.resolution:
        raise KernelError(
            f"leave-one-out with ridge={ridge:.3g} needs the inverse of a singular matrix: its smallest eigenvalue is "
            f"{float(found.values[0]):.3g} of {float(found.values[-1]):.3g}. Pass a larger ridge."
        )
    inverse_diagonal = found.vectors.square() @ (1 / (found.values + ridge))
    return found.apply(lambda values: 1 / (values + ridge), targets) / inverse_diagonal[:, None]
