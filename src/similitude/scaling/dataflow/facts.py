"""What is known of the values of a traced pass: carriers of a scale, origins, ancestors, and uses of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from similitude.scaling.dataflow.dims import Dims
from similitude.scaling.dataflow.trace import Trace

NONE: frozenset[int] = frozenset()
OUTPUT = -1
"""Stands among readers for the caller of the model."""
CONSTANT = "a product with a constant"
"""How a parameter that is contracted with a constant is made, e.g. with the zeros of a first hidden state."""


@dataclass(frozen=True)
class Weight:
    """What a value that depends on parameters alone is made of.

    Attributes:
        dims: Parameter name -> which of its dimensions each dimension of the value runs over.
        how: Operations between the parameter and this value that are not linear, e.g. "exp" or "normalized".
        scale: Product of the constants that it was multiplied by.
        gain: Under weight norm, the parameter that holds the lengths; `dims` then names the direction.
    """

    dims: dict[str, Dims]
    how: frozenset[str] = frozenset()
    scale: float = 1.0
    gain: str = ""


@dataclass(frozen=True)
class Facts:
    """What one value is made of.

    Attributes:
        weight: Set for a value that depends on parameters and constants alone.
        active: Whether it depends on the input of the model, or mixes parameters by position (a lookup).
        carriers: Uses whose common rescaling rescales this value by the same factor; None where there are none.
        origin: Uses that the value comes from without another contraction in between.
        scale: Product of the constants that it was multiplied by since its carriers.
        late: The part of it that comes after the last operation that is not linear.
        logits: Contractions of two activations that the value is linear in.
        root: The value that it is a view of.
        skips: Roots that reach it through additions alone.
        ancestors: Bit set of the nodes that it depends on.
        unit: Whether its vectors have length 1.
        length: Whether it is the length of vectors, or made of it.
        product: For a product of two activations entry by entry: its node and both operands.
    """

    weight: Weight | None = None
    active: bool = False
    carriers: frozenset[int] | None = None
    origin: frozenset[int] = NONE
    scale: float = 1.0
    late: float = 1.0
    logits: frozenset[int] = NONE
    root: int = -1
    skips: frozenset[int] = NONE
    ancestors: int = 0
    unit: bool = False
    length: bool = False
    product: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Use:
    """One operation in which parameters meet an activation.

    Attributes:
        index: Its number among the uses.
        node: The operation.
        kind: "contract", "lookup", "gain", "bias", "divide", "concat" or the name of an operation.
        weight: The operand that is made of parameters.
        weight_value: Its value.
        operand: The value of the activation; -1 for a lookup.
        output: The value that it gives.
        contracted: Sizes of the contracted dimensions of the operand, with the dimensions themselves.
        kept: The same for the produced dimensions.
        groups: Groups of a convolution.
        transposed: Whether it is a transposed convolution.
        module: Innermost module that ran it.
    """

    index: int
    node: int
    kind: str
    weight: Weight
    weight_value: int
    operand: int
    output: int
    contracted: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    groups: int = 1
    transposed: bool = False
    module: str = ""


@dataclass(frozen=True)
class Logits:
    """A contraction of two activations.

    Attributes:
        index: Number of its node.
        left: Value of the first operand (queries, as a rule).
        right: Value of the second.
        size: Length of the contracted dimension.
        module: Innermost module that ran it.
    """

    index: int
    left: int
    right: int
    size: int
    module: str


@dataclass
class Flow:
    """Everything that one traced pass says.

    Attributes:
        trace: The pass.
        facts: By value.
        uses: In order.
        logits: Contractions of two activations, in order.
        readers: For each use the nodes that read it other than linearly; `OUTPUT` where the pass ends with it.
        adds: Nodes that add two activations of one shape.
        read_later: Uses whose output is contracted again, by a parameter or an activation.
        contractions: Node of every contraction of an activation -> its use, or -1 between two activations.
        scales: Constant that a use's output is multiplied by before it is read, by use.
        lates: The part of it that comes after the last operation that is not linear.
        dots: Sums over products of two activations entry by entry, in order.
        sums: Carriers of what is summed, and how many entries make one.
        loose_sums: Module and number of entries of sums over activations that no tensor alone makes.
        exposed: Uses whose output the caller gets although the pass reads it too.
        logit_scales: The same for the contractions of two activations, by node.
    """

    trace: Trace
    facts: list[Facts]
    uses: list[Use] = field(default_factory=list)
    logits: list[Logits] = field(default_factory=list)
    readers: dict[int, set[int]] = field(default_factory=dict)
    adds: list[int] = field(default_factory=list)
    read_later: set[int] = field(default_factory=set)
    contractions: dict[int, int] = field(default_factory=dict)
    scales: dict[int, float] = field(default_factory=dict)
    lates: dict[int, float] = field(default_factory=dict)
    dots: list[Logits] = field(default_factory=list)
    sums: list[tuple[frozenset[int], int]] = field(default_factory=list)
    loose_sums: list[tuple[str, int]] = field(default_factory=list)
    exposed: set[int] = field(default_factory=set)
    logit_scales: dict[int, float] = field(default_factory=dict)


def is_table(weight: Weight | None, along: tuple[int, ...], growing: Mapping[str, frozenset[int]]) -> bool:
    """Tell whether a value is a table of learned vectors: they grow with the width, and their number does not.

    Args:
        weight: What the value is made of.
        along: Its dimensions that the vectors run along.
        growing: Dimensions of every parameter that grow.
    """
    if weight is None or weight.how:
        return False
    for name, dims in weight.dims.items():
        if len(dims) < 2:
            return False
        for at, own in enumerate(dims):
            if own is None or (at in along) != bool(growing.get(name, frozenset()) & set(own)):
                return False
    return True


def unanswered(parts: list[Facts]) -> float:
    """Return the number before values that no carrier answers for; 1 where there is none, or more than one."""
    numbers = {f.scale for f in parts if not f.carriers} - {1.0}
    return numbers.pop() if len(numbers) == 1 else 1.0


def joined(parts: list[frozenset[int] | None]) -> frozenset[int] | None:
    """Return all carriers of a sum; None where a part has none, for then the sum does not scale as a whole."""
    known = [p for p in parts if p is not None]
    return frozenset().union(*known) if known and len(known) == len(parts) else None
