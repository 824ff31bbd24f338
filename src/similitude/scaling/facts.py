"""What is known of the values of a traced pass: carriers of a scale, origins, ancestors, and uses of parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

from similitude.scaling.dims import Dims
from similitude.scaling.trace import Trace

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
    logit_scales: dict[int, float] = field(default_factory=dict)
