"""Which dual a function has: a closed form by its operation or its kinks, a series for anything else."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.duals.angular import Angular
from similitude.kernels.duals.base import Dual
from similitude.kernels.duals.closed import Erf, Exponential, Gelu, Wave
from similitude.kernels.duals.kinks import find_kinks
from similitude.kernels.duals.piecewise import Pieces, Piecewise, pieces
from similitude.kernels.duals.recognize import polynomial_pieces, require_elementwise, single_call
from similitude.kernels.duals.rectified import Rectified, Step
from similitude.kernels.duals.series import Series

_INF = math.inf


def dual(function: Callable[[Tensor], Tensor], *, name: str | None = None) -> Dual:
    """Return the dual of an elementwise function: a closed form where there is one, else a series with a bound.

    One operation is known by itself. Of anything else the kinks are sought in [-32, 32]; what is a polynomial between
    them has a closed form, and the rest is a Hermite series whose integrals are split at the kinks.

    Args:
        function: torch function of one tensor, entry by entry: `torch.relu`, a module such as `nn.GELU()`, or any
            composition such as `lambda x: torch.relu(x) ** 2`.
        name: What to call it; its own name where not given.

    Raises:
        KernelError: It is not elementwise, draws numbers, or has no expectation under a Gaussian.

    Example:
        >>> dual(torch.nn.Hardtanh()), dual(lambda x: torch.relu(x) ** 2), dual(torch.tanh)
        (Dual(hardtanh, exact), Dual(<lambda>, exact), Dual(tanh, series))
    """
    if isinstance(function, Dual):
        return function
    if isinstance(function, torch.nn.Module):
        function = copy.deepcopy(function).double()
    called = name or getattr(function, "__name__", None) or repr(function)
    require_elementwise(function, called)
    call = single_call(function)
    if call is None:
        return _general(function, called)
    operation, args, kwargs = call
    found = find_dual(operation, *args, **kwargs)
    if name is not None:
        found.name = name
    return found


def find_dual(operation: Any, *args: Any, **kwargs: Any) -> Dual:
    """Return the dual of an ATen operation on one tensor, by its name and the arguments after the tensor.

    Args:
        operation: Name ("gelu", "aten.gelu.default") or the operator itself.
        *args: Its further arguments, numbers.
        **kwargs: Its keyword arguments.

    Raises:
        KernelError: There is no such operation, it is not elementwise, or has no expectation under a Gaussian.

    Example:
        >>> find_dual("leaky_relu", 0.1), find_dual("aten.gelu.default", approximate="tanh")
        (Dual(leaky_relu, exact), Dual(gelu, series))
    """
    name = _base_name(operation)
    closed = _CLOSED.get(name)
    found = None if closed is None else closed(*args, **kwargs)
    if found is not None:
        return found
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        raise KernelError(
            f"There is no operation {name!r} in torch. Pass a function of one tensor to dual() instead."
        )

    def function(x: Tensor) -> Tensor:
        return packet(x, *args, **kwargs)

    require_elementwise(function, name)
    return _general(function, name)


def _general(function: Callable[[Tensor], Tensor], name: str) -> Dual:
    kinks = find_kinks(function)
    polynomial = polynomial_pieces(function, kinks)
    if polynomial is not None:
        return _simplest(polynomial, name)
    if all(kink == 0 for kink in kinks):
        series = Angular(function, name=name, kinked=bool(kinks))
    else:
        series = Series(function, name=name, kinks=kinks)
    series.second(
        torch.ones(1, dtype=torch.float64)
    )  # refuses what is not finite or not square integrable, now
    return series


def _simplest(function: Pieces, name: str) -> Dual:
    terms = function.terms
    if terms.keys() <= {(None, 1), (0.0, 1)}:
        below = terms.get((None, 1), 0.0)
        return Rectified(below, below + terms.get((0.0, 1), 0.0), name=name)
    if (0.0, 0) in terms and terms.keys() <= {(None, 0), (0.0, 0)}:
        below = terms.get((None, 0), 0.0)
        return Step(below, below + terms[0.0, 0], name=name)
    return Piecewise(function, name=name)


def _base_name(operation: Any) -> str:
    if not isinstance(operation, str):
        operation = str(operation)
    parts = operation.replace("aten::", "").replace("aten.", "").split(".")
    name = parts[0]
    name = name[:-1] if name.endswith("_") and not name.startswith("_") else name
    return "log_sigmoid" if name == "log_sigmoid_forward" else name


def _rectified(below: float, above: float, name: str) -> Dual:
    return Rectified(float(below), float(above), name=name)


def _clamp(
    low: float | None = None, high: float | None = None, name: str = "clamp", **kwargs: float | None
) -> Dual:
    low = kwargs.get("min", kwargs.get("min_val", low))
    high = kwargs.get("max", kwargs.get("max_val", high))
    if low is not None and high is not None and low >= high:
        return Piecewise(Pieces({(None, 0): float(high)}), name=name)
    if low == 0 and high is None:
        return _rectified(0, 1, "relu")
    segments: list[tuple[float, ...]] = [(-_INF, 0.0, 1.0) if low is None else (-_INF, float(low))]
    if low is not None:
        segments.append((float(low), 0.0, 1.0))
    if high is not None:
        segments.append((float(high), float(high)))
    return Piecewise(pieces(*segments), name=name)


def _power(exponent: float) -> Dual | None:
    if exponent != int(exponent) or not 0 <= exponent <= 32:
        return None
    return Piecewise(Pieces({(None, int(exponent)): 1.0}), name=f"x^{int(exponent)}")


def _gelu(approximate: str = "none") -> Dual | None:
    return Gelu() if approximate == "none" else None


def _soft_shrink(lambd: float = 0.5) -> Dual:
    at = float(lambd)
    return Piecewise(pieces((-_INF, at, 1.0), (-at, 0.0), (at, -at, 1.0)), name="softshrink")


def _hard_shrink(lambd: float = 0.5) -> Dual:
    at = float(lambd)
    return Piecewise(pieces((-_INF, 0.0, 1.0), (-at, 0.0), (at, 0.0, 1.0)), name="hardshrink")


def _threshold(threshold: float, value: float) -> Dual:
    if threshold == value == 0:
        return _rectified(0, 1, "relu")
    return Piecewise(pieces((-_INF, float(value)), (float(threshold), 0.0, 1.0)), name="threshold")


_CLOSED: dict[str, Callable[..., Dual | None]] = {
    "identity": lambda: _rectified(1, 1, "identity"),
    "clone": lambda **_: _rectified(1, 1, "identity"),
    "positive": lambda: _rectified(1, 1, "identity"),
    "neg": lambda: _rectified(-1, -1, "neg"),
    "relu": lambda: _rectified(0, 1, "relu"),
    "leaky_relu": lambda negative_slope=0.01: _rectified(negative_slope, 1, "leaky_relu"),
    "prelu": lambda weight: _rectified(weight, 1, "prelu"),
    "_prelu_kernel": lambda weight: _rectified(weight, 1, "prelu"),
    "abs": lambda: _rectified(-1, 1, "abs"),
    "sign": lambda: Step(-1.0, 1.0, name="sign"),
    "sgn": lambda: Step(-1.0, 1.0, name="sign"),
    "erf": Erf,
    "gelu": _gelu,
    "sin": Wave,
    "cos": lambda: Wave(math.pi / 2, name="cos"),
    "exp": Exponential,
    "square": lambda: _power(2),
    "pow": _power,
    "clamp": _clamp,
    "clamp_min": lambda low: _clamp(low),
    "clamp_max": lambda high: _clamp(None, high),
    "hardtanh": lambda min_val=-1.0, max_val=1.0: _clamp(min_val, max_val, "hardtanh"),
    "relu6": lambda: _clamp(0.0, 6.0, "relu6"),
    "hardsigmoid": lambda: Piecewise(
        pieces((-_INF, 0.0), (-3.0, 0.5, 1 / 6), (3.0, 1.0)), name="hardsigmoid"
    ),
    "hardswish": lambda: Piecewise(
        pieces((-_INF, 0.0), (-3.0, 0.0, 0.5, 1 / 6), (3.0, 0.0, 1.0)), name="hardswish"
    ),
    "softshrink": _soft_shrink,
    "hardshrink": _hard_shrink,
    "threshold": _threshold,
}
