"""Where the parameters of a model meet its examples: read off the graph of one pass, without looking at modules.

Two backward passes tell the operations apart. With weights that are powers of two, the cotangent of example i is
multiplied exactly by its weight wherever examples do not mix, and nowhere else. The operations that a parameter enters
are the last ones, seen from the output, of which this is true: what is below is a function of parameters alone (a
transposed or normalized weight, positions), or mixes the examples (what is before a batch normalization).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node
from torch.utils.checkpoint import CheckpointFunction
from torch.utils.hooks import RemovableHandle

from similitude.core.errors import CurvatureError
from similitude.core.seeding import derive
from similitude.landscape.ntk_rules import Layout

SAMPLED = 2**12
"""Entries of a cotangent that are looked at."""

# Operations that only move entries of their one argument, or leave some out.
_MOVED = (
    "T",
    "Transpose",
    "Permute",
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Unsqueeze",
    "Squeeze",
    "Clone",
    "Alias",
)
_LEFT_OUT = ("Slice", "Select", "Split", "SplitWithSizes", "Unbind")
_MOVES = frozenset(f"{name}Backward{number}" for name in (*_MOVED, *_LEFT_OUT) for number in range(3))
# These move entries of a table by numbers; whether the numbers come from the examples, their cotangents show.
_LOOKUPS = frozenset({"EmbeddingBackward0", "IndexSelectBackward0"})


@dataclass(frozen=True)
class Entry:
    """An argument, made of parameters, of an operation on separate examples.

    Attributes:
        node: The operation.
        argument: Which argument.
        source: Where it comes from: the node that made it, or a parameter's end of the graph, and its output's number.
        layouts: Where the examples are in the cotangents of the operation's results, by number.
        leaves: The parameters it is made of, by `id`.
    """

    node: Node
    argument: int
    source: tuple[Node, int]
    layouts: dict[int, Layout]
    leaves: frozenset[int]

    @property
    def edge(self) -> GradientEdge:
        """The argument, for `torch.autograd.grad`."""
        return GradientEdge(*self.source)

    @property
    def direct(self) -> bool:
        """Whether the argument is a parameter itself."""
        return _leaf(self.source[0]) is not None

    @property
    def moved(self) -> bool:
        """Whether the argument is a parameter whose entries are merely moved or left out (or repeated, by a lookup)."""
        return _is_moved(self.source[0], _MOVES | _LOOKUPS)

    @property
    def shape(self) -> torch.Size:
        """Shape of the argument."""
        node, number = self.source
        leaf = _leaf(node)
        return leaf.shape if leaf is not None else torch.Size(_metadata(node)[number].shape)

    @property
    def transposed(self) -> bool:
        """Whether the argument is a transposed parameter, the usual form of a linear layer's weight."""
        node = self.source[0]
        below = node.next_functions[0][0] if node.next_functions else None
        return node.name() == "TBackward0" and below is not None and _leaf(below) is not None

    def order(self, parameter: Tensor) -> Tensor:
        """Return which entry of the argument each entry of a moved parameter became: flat, from 1; 0 for none."""
        base = int(2 / torch.finfo(parameter.dtype).eps)
        left = torch.arange(1, self.shape.numel() + 1, device=parameter.device).view(self.shape)
        order, unit = torch.zeros(parameter.numel(), dtype=torch.long, device=parameter.device), 1
        while left.any():  # digits that the parameter's dtype holds exactly travel the way that gradients go
            digits = (left % base).to(parameter.dtype)
            (moved,) = torch.autograd.grad([self.edge], [parameter], [digits], retain_graph=True)
            order += moved.flatten().long() * unit
            left, unit = left // base, unit * base
        return order


@dataclass(frozen=True)
class Probe:
    """One backward pass with random weights, compared with another.

    Attributes:
        entries: Where parameters meet examples.
        weights: Of the examples, shape (n,).
        direction: Of the outputs, shape (1, ...).
        gradients: What the pass gave for every parameter; None where the outputs do not depend on it.
    """

    entries: tuple[Entry, ...]
    weights: Tensor
    direction: Tensor
    gradients: tuple[Tensor | None, ...]


def probe(outputs: Tensor, parameters: Iterable[Tensor], *, seed: int) -> Probe:
    """Find where parameters meet examples, by two backward passes.

    Args:
        outputs: What the model gave, of shape (n, ...), with its graph.
        parameters: The trainable ones.
        seed: Seeds the weights.

    Raises:
        CurvatureError: Part of the model is hidden from the graph by a reentrant checkpoint.
    """
    parameters = tuple(parameters)
    generator = torch.Generator().manual_seed(derive(seed, "tangent kernel"))
    n = outputs.shape[0]
    draw = {"generator": generator, "dtype": torch.float64}
    weights, direction = (
        torch.randn(*shape, **draw).to(outputs) for shape in ((n,), (1, *outputs.shape[1:]))
    )
    # Small batches get distinct powers, so that every pair of examples is told apart.
    powers = (
        torch.randperm(n, generator=generator) % 16
        if n <= 16
        else torch.randint(16, (n,), generator=generator)
    )
    scales = (2.0**powers).to(outputs)
    spread = weights.view(-1, *(1,) * (outputs.ndim - 1))
    plain = (spread * direction).expand_as(outputs)
    nodes = [node for node in _sorted(outputs.grad_fn) if _leaf(node) is None and not _is_moved(node)]
    if any(getattr(node, "_forward_cls", None) is CheckpointFunction for node in nodes):
        raise CurvatureError(
            "part of the model is checkpointed with use_reentrant=True, which hides its parameters from autograd.grad. "
            "Pass use_reentrant=False to torch.utils.checkpoint, or switch checkpointing off."
        )
    watch = _Watch(generator, scales)
    gradients = watch.run(nodes, watch.keep, outputs, parameters, plain)
    watch.run(nodes, watch.compare, outputs, parameters, plain * scales.view(spread.shape))
    return Probe(tuple(_entries(outputs, parameters, watch.layouts)), weights, direction, gradients)


class _Watch:
    """Looks at the cotangents of every node in two passes."""

    def __init__(self, generator: torch.Generator, scales: Tensor) -> None:
        self._generator, self._scales = generator, scales
        self._kept: dict[tuple[Node, int], tuple[Tensor, Tensor]] = {}
        self.layouts: dict[Node, dict[int, Layout | None]] = {}

    def run(
        self,
        nodes: list[Node],
        look: Callable[[Node, Iterable[Tensor | None]], None],
        outputs: Tensor,
        parameters: tuple[Tensor, ...],
        cotangent: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Run backward once, with a look at what every node gets."""
        handles: list[RemovableHandle] = []
        try:
            for node in nodes:
                handles.append(node.register_prehook(_looking(look, node)))
            return torch.autograd.grad(
                outputs, parameters, cotangent, retain_graph=True, allow_unused=True, materialize_grads=False
            )
        finally:
            for handle in handles:
                handle.remove()

    def keep(self, node: Node, cotangents: Iterable[Tensor | None]) -> None:
        """Keep a sample of a node's cotangents."""
        for number, cotangent in enumerate(cotangents):
            if cotangent is None:
                continue
            flat = cotangent.detach().flatten()
            places = self._nonzero(flat)
            self._kept[node, number] = (places, flat[places].clone())

    def _nonzero(self, flat: Tensor) -> Tensor:
        """Return places of nonzero entries: all, or a sample of many."""
        if flat.numel() > 4 * SAMPLED:
            drawn = torch.randint(flat.numel(), (SAMPLED,), generator=self._generator).to(flat.device)
            drawn = drawn[flat[drawn] != 0]
            if len(drawn) > SAMPLED // 16:
                return drawn
        places = flat.nonzero().flatten()
        if len(places) <= SAMPLED:
            return places
        return places[torch.randint(len(places), (SAMPLED,), generator=self._generator).to(places.device)]

    def compare(self, node: Node, cotangents: Iterable[Tensor | None]) -> None:
        """Find the axis of examples, if what was kept has been multiplied by the weights along one."""
        for number, cotangent in enumerate(cotangents):
            if cotangent is None or (node, number) not in self._kept:
                continue
            places, before = self._kept.pop((node, number))
            after = cotangent.detach().flatten()[places]
            self.layouts.setdefault(node, {})[number] = self._layout(cotangent.shape, places, before, after)

    def _layout(self, shape: torch.Size, places: Tensor, before: Tensor, after: Tensor) -> Layout | None:
        n = len(self._scales)
        scales = self._scales.to(before)
        tolerance = torch.finfo(before.dtype).eps ** 0.5 * before.abs().max() if len(before) else 0.0
        below = 1
        found: list[Layout] = []
        for axis in reversed(range(len(shape))):
            size = shape[axis]
            if size and size % n == 0:
                inner, at = size // n, places // below % size
                for major in (True, False) if inner > 1 else (True,):
                    example = at // inner if major else at % n
                    if ((after / scales[example] - before).abs() <= tolerance).all():
                        found.append(Layout(n, axis, inner, major))
            below *= size
        # Of several, which only a cotangent of almost nothing but zeros allows, the usual one is taken.
        return min(found, key=lambda layout: (layout.axis, not layout.major), default=None)


def _looking(look: Callable[[Node, Iterable[Tensor | None]], None], node: Node) -> Callable[[Any], None]:
    def hook(cotangents: Any) -> None:
        look(node, cotangents)

    return hook


def _entries(
    outputs: Tensor, parameters: tuple[Tensor, ...], layouts: dict[Node, dict[int, Layout | None]]
) -> Iterable[Entry]:
    reach = _reach(outputs.grad_fn, {id(p) for p in parameters})
    todo, seen = [outputs.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        own = {number: layout for number, layout in layouts.get(node, {}).items() if layout is not None}
        for argument, (source, number) in enumerate(node.next_functions):
            if source is None or not reach[source]:
                continue
            if source in layouts and all(layouts[source].values()):
                todo.append(source)
            elif own and (source in layouts or _leaf(source) is not None or _is_moved(source)):
                yield Entry(node, argument, (source, number), own, reach[source])


def _reach(root: Node | None, wanted: set[int]) -> dict[Node, frozenset[int]]:
    """Return the parameters below every node."""
    reach: dict[Node, frozenset[int]] = {}
    for node in reversed(list(_sorted(root))):
        leaf = _leaf(node)
        below = (reach[child] for child, _ in node.next_functions if child is not None)
        reach[node] = frozenset({id(leaf)} & wanted) if leaf is not None else frozenset().union(*below)
    return reach


def _sorted(root: Node | None) -> Iterable[Node]:
    """Yield every node before what it was made of."""
    order: list[Node] = []
    todo, seen = [(root, False)], set()
    while todo:
        node, done = todo.pop()
        if node is None:
            continue
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo += [(child, False) for child, _ in node.next_functions]
    return reversed(order)


def _leaf(node: Node) -> Tensor | None:
    return getattr(node, "variable", None) if not node.next_functions else None


def _metadata(node: Node) -> Any:
    return node._input_metadata  # type: ignore[attr-defined]


def _is_moved(node: Node, moves: frozenset[str] = _MOVES) -> bool:
    """Whether what a node makes is a parameter that only such operations were applied to."""
    while _leaf(node) is None:
        if node.name() not in moves or len(node.next_functions) != 1 or node.next_functions[0][0] is None:
            return False
        node = node.next_functions[0][0]
    return True
