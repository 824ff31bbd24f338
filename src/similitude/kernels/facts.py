"""What is known of every tensor of a recorded pass besides the wide ones: finite values, parameters, attention logits."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from similitude.kernels.labels import Layout
from similitude.kernels.values import Leaf, Wide


@dataclass(frozen=True)
class Finite:
    """A value that does not depend on random parameters, or only through averages over infinitely many neurons.

    Attributes:
        index: Its number in the program.
        layout: Its axes; None where they cannot be told.
    """

    index: int
    layout: Layout | None


@dataclass(frozen=True)
class Weight:
    """Entries of a random parameter.

    Attributes:
        name: The parameter.
        places: Its entries, as flat places in the parameter, in the shape of the first pass.
        scale: Number that it is multiplied with.
    """

    name: str
    places: Tensor
    scale: float = 1.0


@dataclass(frozen=True)
class Noise:
    """Entries that are 1 with a probability and else 0: dropout. `scale` is what they are multiplied with."""

    keep: float
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Logits:
    """Products of queries and keys over neurons: `scale * q k + mask`, before or after the softmax.

    Attributes:
        query: (..., positions, neurons) of the queries.
        key: Of the keys.
        layout: Axes of the logits: the query's positions before the key's.
        scale: Factor.
        mask: Finite values that are added: (n or 1, queries, keys).
        growth: The factor at the larger recorded width over that at the smaller one.
        neurons: Neurons that are contracted, in each pass.
        heads: Heads of so many neurons, in each pass, where these stay few and the heads grow in number; else empty.
        softmax: Whether the softmax over keys has been taken.
    """

    query: Wide
    key: Wide
    layout: Layout
    scale: float
    growth: float
    neurons: tuple[int, ...]
    heads: tuple[int, ...] = ()
    mask: tuple[Leaf, ...] = ()
    softmax: bool = False


@dataclass(frozen=True)
class Lost:
    """A value that could not be followed, which matters only where something reads it."""

    reason: str


Fact = Lost | Finite | Weight | Noise | Logits | Wide
