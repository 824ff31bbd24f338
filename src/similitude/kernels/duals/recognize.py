"""What a function of one number is: one known operation, a piecewise polynomial, or anything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from similitude.core.errors import KernelError
from similitude.kernels.duals.kinks import REACH
from similitude.kernels.duals.piecewise import Pieces, pieces

DEGREE = 4
"""Largest degree of a polynomial that is looked for between kinks."""

AGREEMENT = 1e-12
"""Relative difference up to which a function is the polynomial that was fitted to it."""

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ not in ("detach", "alias", "lift_fresh"):
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def single_call(function: Callable[[Tensor], Tensor]) -> Call | None:
    """Return the one ATen operation that a function is, with the arguments after its tensor; None where it is more."""
    probe = torch.linspace(-1, 1, 5, dtype=torch.float64)
    with torch.no_grad(), _Recorder() as recorder:
        function(probe)
    if len(recorder.calls) != 1:
        return None
    func, args, kwargs = recorder.calls[0]
    alone = (
        bool(args)
        and args[0] is probe
        and not any(isinstance(a, Tensor) for a in (*args[1:], *kwargs.values()))
    )
    return (func, args[1:], kwargs) if alone else None


def require_elementwise(function: Callable[[Tensor], Tensor], name: str) -> None:
    """Raise unless a function acts entry by entry and gives the same twice.

    Raises:
        KernelError: It changes shapes, mixes entries, draws numbers, or cannot be applied.
    """
    probe = torch.linspace(-1.5, 1.7, 24, dtype=torch.float64)
    try:
        with torch.no_grad():
            values, again, part = function(probe), function(probe), function(probe[5:9])
            folded = function(probe.reshape(4, 6))
    except (RuntimeError, TypeError, IndexError, ValueError) as error:
        raise KernelError(
            f"{name} cannot be applied to a float64 tensor of one axis: {error} "
            "Pass a function of one tensor, such as torch.tanh."
        ) from error
    if not isinstance(values, Tensor) or values.shape != probe.shape or folded.shape != (4, 6):
        raise KernelError(
            f"{name} is not elementwise: it changes shapes. Pass a function that acts entry by entry."
        )
    same = torch.equal(values.nan_to_num(), again.nan_to_num())
    if not same:
        raise KernelError(
            f"{name} gives different values when called twice: it draws numbers. Put it in eval mode."
        )
    apart = (
        (values[5:9] - part).abs().nan_to_num().max(),
        (values.reshape(4, 6) - folded).abs().nan_to_num().max(),
    )
    if float(max(apart)) > 1e-9 * float(values.abs().nan_to_num().max()):
        raise KernelError(
            f"{name} is not elementwise: an entry's value depends on others. A softmax or a norm is a layer of its own."
        )


def polynomial_pieces(function: Callable[[Tensor], Tensor], kinks: Sequence[float]) -> Pieces | None:
    """Return the piecewise polynomial that a function is on [-32, 32], None where it is none of degree 4 or less."""
    edges = [-math.inf, *kinks, math.inf]
    segments: list[tuple[float, ...]] = []
    for start, stop in pairwise(edges):
        low, high = max(start, min(kinks, default=0.0) - 4.0), min(stop, max(kinks, default=0.0) + 4.0)
        coefficients = _polynomial(function, low, high)
        if coefficients is None:
            return None
        segments.append((start, *coefficients))
    result = pieces(*segments)
    x = torch.linspace(-REACH, REACH, 1025, dtype=torch.float64) + 0.0123
    for kink in kinks:
        x = x[(x - kink).abs() > 1e-6]
    with torch.no_grad():
        wanted = function(x)
    near = wanted.abs().clamp_min(float(wanted[x.abs() < 4].abs().max().clamp_min(1e-300)))
    return result if bool(((result(x) - wanted).abs() <= AGREEMENT * 100 * near).all()) else None


def _polynomial(function: Callable[[Tensor], Tensor], low: float, high: float) -> tuple[float, ...] | None:
    inside = 1e-7 * (high - low)
    nodes = np.cos(np.pi * (np.arange(24) + 0.5) / 24)
    x = (low + high) / 2 + ((high - low) / 2 - inside) * nodes
    with torch.no_grad():
        y = function(torch.from_numpy(x)).numpy()
    size = float(np.abs(y).max())
    if not np.isfinite(size):
        return None
    for degree in range(DEGREE + 1):
        fit = np.polynomial.Polynomial.fit(x, y, degree, domain=[low, high])
        if float(np.abs(fit(x) - y).max()) <= AGREEMENT * size:
            coefficients = fit.convert().coef
            small = 1e-13 * max(size, 1e-300)
            rounded = [float(f"{c:.12g}") for c in coefficients]
            # A fit has the coefficient 0.5 but for rounding, and 1e-16 where there is none.
            snapped = [
                r if abs(c - r) < small else float(c) for c, r in zip(coefficients, rounded, strict=True)
            ]
            return tuple(0.0 if abs(c) < small else c for c in snapped)
    return None
