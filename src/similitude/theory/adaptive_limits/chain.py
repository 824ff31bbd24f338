"""Follow the inputs of a module through one traced pass: linear layers, and what is computed between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.scaling.dataflow.ops import SHAPE, contraction
from similitude.scaling.dataflow.trace import Node, Ref, Trace, trace

ONLY = (
    "The limits are of perceptrons: nn.Linear(bias=False) from fixed features to the width, between layers of the width, "
    "and to one output, with entrywise nonlinearities between them"
)
"""What the refusals end with."""

_PROBES = 3  # inputs of the traced pass
_TURNED = frozenset(["t", "transpose", "permute"])
_KEPT = frozenset(["detach", "alias", "clone", "contiguous", "_to_copy", "to"])


@dataclass(frozen=True)
class Segment:
    """Operations from one value to another; called with a tensor they are run on it.

    Attributes:
        start: The value that they begin with.
        end: The value that they give.
        steps: The operations, with the functions that ran them.
        constants: Values that are one number.
    """

    start: int
    end: int
    steps: tuple[tuple[Node, Callable[..., Any]], ...]
    constants: Mapping[int, float]

    @property
    def operations(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(node.op for node, _ in self.steps)

    def __call__(self, z: Tensor) -> Tensor:
        """Run them on a tensor of any shape, which stays as it is."""
        known: dict[int, Any] = {self.start: z.clone()}  # steps may write in place

        def value(ref: Ref) -> Any:
            if ref.value in known:
                return known[ref.value]
            return torch.tensor(self.constants[ref.value], dtype=z.dtype)

        for node, function in self.steps:
            args, kwargs = tree_map_only(Ref, value, (node.args, node.kwargs))
            out = function(*args, **kwargs)
            known.update(zip(node.outputs, out if isinstance(out, tuple | list) else [out], strict=False))
        return known[self.end]


@dataclass(frozen=True)
class Chain:
    """A module as a sequence. Made by `read_chain`.

    Attributes:
        names: Weights in the order of the pass.
        segments: What is computed before, between and behind them, one more than weights.
    """

    names: tuple[str, ...]
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """All of it in words, the same for modules that compute the same."""
        parts = [" ".join(segment.operations) or "nothing" for segment in self.segments]
        return "; ".join(f"{name}, then {part}" for name, part in zip(self.names, parts[1:], strict=True))


def read_chain(model: nn.Module, features: int) -> Chain:
    """Follow random inputs through a module in float64.

    Args:
        model: The module.
        features: Numbers per input.

    Raises:
        TheoryError: It is no chain of linear layers and other operations; the text names what is not.
    """
    probes = torch.randn(_PROBES, features, generator=torch_generator(0, "perceptron"), dtype=torch.float64)
    functions: dict[int, Callable[..., Any]] = {}

    def observe(node: Node, function: Callable[..., Any], *_: Any) -> None:
        functions[node.index] = function

    try:
        found = trace(model, lambda net: net(probes), inputs=probes, observer=observe, evaluate=False)
    except Exception as error:
        raise TheoryError(
            f"the module failed on {_PROBES} inputs of {features} features with {type(error).__name__}: {error}. It must "
            "take inputs of shape (inputs, features)."
        ) from error
    return _Walk(found, functions, features).chain()


class _Walk:
    """Follows the inputs through a traced pass."""

    def __init__(self, found: Trace, functions: Mapping[int, Callable[..., Any]], features: int) -> None:
        self.found, self.functions = found, functions
        self.rank = {value.index: len(value.shape) for value in found.values}
        self.weights = {v.index: (v.name, False) for v in found.values if v.kind == "parameter"}
        self.constants = {v.index: v.item for v in found.values if v.item is not None}
        start = next(v.index for v in found.values if v.kind == "input" and v.shape == (_PROBES, features))
        self.data, self.local, self.start = {start}, {start}, start
        self.names: list[str] = []
        self.steps: list[tuple[Node, Callable[..., Any]]] = []
        self.segments: list[Segment] = []

    def chain(self) -> Chain:
        for node in self.found.nodes:
            if self.data.isdisjoint(node.inputs):
                self._beside(node)
            elif any(value in self.weights for value in node.inputs):
                self._layer(node)
            else:
                self._between(node)
        outputs = self.found.outputs
        if len(outputs) != 1 or outputs[0] not in self.local:
            raise TheoryError(f"the module does not return what its last layer gives. {ONLY}.")
        self._close(outputs[0])
        unused = set(self.found.shapes) - set(self.names)
        if unused:
            raise TheoryError(f"'{min(unused)}' acts on no activation in the forward pass. {ONLY}.")
        return Chain(tuple(self.names), tuple(self.segments))

    def _beside(self, node: Node) -> None:
        """Note the views of weights; whatever else reads no input is a constant or no part of a perceptron."""
        used = [value for value in node.inputs if value in self.weights]
        if not used:
            return
        name, turned = self.weights[used[0]]
        if node.op not in _TURNED | _KEPT or len(node.outputs) != 1:
            raise TheoryError(f"'{name}' is changed by {node.op} before it acts. {ONLY}.")
        self.weights[node.outputs[0]] = (name, turned != (node.op in _TURNED))

    def _layer(self, node: Node) -> None:
        read = contraction(node, self.rank)
        used = next(value for value in node.inputs if value in self.weights)
        name, turned = self.weights[used]
        if read is None or read.bias is not None or read.right.value != used or read.groups != 1:
            raise TheoryError(
                f"'{name}' meets activations in {node.op}, which is no plain linear layer. {ONLY}."
            )
        if read.right.contracted != (0 if turned else 1,):
            raise TheoryError(
                f"'{name}' is multiplied by its rows. Store it as nn.Linear does, shape (outputs, inputs)."
            )
        if name in self.names:
            raise TheoryError(f"'{name}' acts twice: layers that share weights have another limit. {ONLY}.")
        self._own(node, [read.left.value])
        self._close(read.left.value)
        self.names.append(name)
        self.start = node.outputs[0]
        self.local, self.steps = {self.start}, []
        self.data.add(self.start)

    def _between(self, node: Node) -> None:
        self._own(node, [value for value in node.inputs if value not in self.constants])
        self.steps.append((node, self.functions[node.index]))
        self.local.update(node.outputs)
        self.data.update(node.outputs)

    def _own(self, node: Node, values: Sequence[int]) -> None:
        where = f"behind '{self.names[-1]}'" if self.names else "before the first layer"
        if any(value not in self.local for value in values):
            what = "an earlier activation" if self.data.issuperset(values) else "a tensor of its own"
            raise TheoryError(f"{node.op} {where} also reads {what}, e.g. of a skip connection. {ONLY}.")
        if node.index not in self.functions:
            raise TheoryError(f"{where} a view is written in place. Write it without. {ONLY}.")

    def _close(self, end: int) -> None:
        segment = Segment(self.start, end, tuple(self.steps), self.constants)
        at_end = end in self.found.outputs
        if not self.names or at_end:
            other = [op for op in segment.operations if op not in SHAPE]
            if other:
                where = "behind the last layer" if self.names else "before the first layer"
                raise TheoryError(
                    f"{where} stands {other[0]}: outputs and inputs must be those of linear layers. Do it in the "
                    "loss, or to the inputs."
                )
        self.segments.append(segment)
