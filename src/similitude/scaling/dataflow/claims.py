"""What an operation of one's own does, as the traced pass needs to know it: six claims, and a plain equivalent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Dims = int | tuple[int, ...]


@dataclass(frozen=True)
class Moves:
    """Entries are moved, dropped, repeated or set to zero, and keep their values: views, shuffles, padding."""


@dataclass(frozen=True)
class Linear:
    """Linear in its one activation: f(a x + b y) = a f(x) + b f(y). Poolings by means, Fourier transforms."""


@dataclass(frozen=True)
class Homogeneous:
    """A positive factor passes through: f(c x) = c f(x) for c > 0, without being linear. ReLU, pooling by maxima."""


@dataclass(frozen=True)
class Elementwise:
    """A nonlinearity entry by entry that no factor passes through: GELU, tanh."""


@dataclass(frozen=True)
class Norm:
    """A normalization: its result does not follow the scale of its input, and is then stretched and shifted.

    Tensor operands stand in the order input, gain, bias; either of the last two may be missing.
    """


@dataclass(frozen=True)
class Contracts:
    """A product of an activation with a weight that sums over an index: y[..., o] = sum over i of x[..., i] w[o, i].

    Attributes:
        x: Name of the operation's argument that is the activation.
        weight: Name of the one that is the weight.
        over: Dimensions that are summed over, of the activation and of the weight; negative ones count from the end.
            Several, as of a convolution's weight, are a tuple.
        kept: Dimensions of the weight that the result runs over.
        bias: Name of the argument that is added to the product, where there is one.

    Example:
        >>> Contracts().over, Contracts("x", "kernel", over=(1, (0, 2)), kept=1).kept  # a linear layer, a convolution
        ((-1, 1), 1)
    """

    x: str = "x"
    weight: str = "weight"
    over: tuple[Dims, Dims] = (-1, 1)
    kept: Dims = 0
    bias: str | None = None


@dataclass(frozen=True)
class Plain:
    """Does what a function of plain torch operations does; that one is traced in its place.

    For everything that the other claims have no words for: gates, attention, several steps in one kernel.

    Attributes:
        function: Takes the operation's own arguments.
    """

    function: Callable[..., Any]


Claim = Moves | Linear | Homogeneous | Elementwise | Norm | Contracts | Plain


@dataclass(frozen=True)
class Operands:
    """Where a contraction's tensors stand among the arguments of its operation.

    Attributes:
        x: Position of the activation.
        weight: Position of the weight.
        bias: Position of the bias; None where there is none.
    """

    x: int
    weight: int
    bias: int | None


@dataclass(frozen=True)
class Registered:
    """A claim as registered.

    Attributes:
        claim: What the operation does.
        operands: For `Contracts`, where its tensors stand.
    """

    claim: Claim
    operands: Operands | None = None


REGISTERED: dict[str, Registered] = {}
"""By the name that a trace gives an operation: without namespace for torch's own, "package::name" for others."""


def trace_name(qualified: str) -> str:
    """Return the name that a trace gives an operation.

    Example:
        >>> trace_name("aten::relu"), trace_name("mylib::relu")
        ('relu', 'mylib::relu')
    """
    return qualified.removeprefix("aten::")
