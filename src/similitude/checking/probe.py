"""One probe of a network before and after training: what every use of every tensor contributes and by how much it
changed (paper 7, Condition 1, and the coordinate check of paper 17)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from similitude.checking.spectral import natural_norm
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.residual import residuals
from similitude.scaling.dataflow.stages import stages
from similitude.scaling.dataflow.trace import Node, Observer, Trace, trace

Key = tuple[str, str, str]
"""Tensor, quantity and use."""

STREAM = "stream"
"""Use of a tensor that ends the last branch of a stage: the sum of the stream and all branches."""

_EXACT = ("contract", "lookup", "gain", "bias")  # operations that are affine in the tensor
_ROUNDING = 1e-7  # an update below this part of the output is lost in float32


@dataclass(frozen=True)
class Spot:
    """One use of a tensor in the pass.

    Attributes:
        name: The tensor.
        kind: What it does there.
        node: Number of the operation.
        at: Which of the operation's tensor arguments it is.
        contracted: Dimensions of that argument that are summed over; empty unless it is a matrix.
        kept: Dimensions that make the output.
        head: Whether nothing contracts the output again.
        first: Whether it is the first use in its operation, which stands for the operation's output.
        outer: Whether nothing contracts what it gives: an output of the network.
        scale: Of an output the constants that it is multiplied by, which are a part of what the network gives.
    """

    name: str
    kind: str
    node: int
    at: int
    contracted: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    head: bool = False
    first: bool = True
    outer: bool = False
    scale: float = 1.0


@dataclass
class Probe:
    """A batch and a way to run a model on it.

    Attributes:
        call: Runs the model on the probe batch, as in training.
        inputs: The batch.
        seed: Seed of random layers, the same for every pass.
        streams: Whether the residual streams are measured too, where the last branch of a stage is added.
    """

    call: Callable[[nn.Module], Any]
    inputs: Any
    seed: int
    streams: bool = False
    _spots: list[Spot] = field(default_factory=list)
    _ops: list[str] = field(default_factory=list)

    def before(self, model: nn.Module) -> Snapshot:
        """Record every use of the untrained model."""
        if not self._spots:
            self._study(self._run(model, None))
        snapshot = Snapshot()
        if [n.op for n in self._run(model, snapshot.observer(self._spots)).nodes] != self._ops:
            snapshot = Snapshot()  # routing that depends on data took another way than with the last seed
            self._study(self._run(model, None))
            self._run(model, snapshot.observer(self._spots))
        return snapshot

    def after(self, model: nn.Module, start: Snapshot) -> dict[Key, float]:
        """Compare the trained model with its start.

        Returns:
            Root mean squares and norms by tensor, quantity and use; over several uses of one kind their root mean
            square.
        """
        found = _Measures()
        ran = self._run(model, _measuring(self._spots, start, found))
        if [n.op for n in ran.nodes] != self._ops:
            spots, found = self._spots_of(ran), _Measures()
            self._run(model, _measuring(spots, start.moved(self._spots, spots), found))
        return found.means()

    @property
    def outer(self) -> frozenset[tuple[str, str]]:
        """Tensors and uses that make outputs of the network."""
        return frozenset((spot.name, spot.kind) for spot in self._spots if spot.outer)

    def _study(self, ran: Trace) -> None:
        self._spots, self._ops = self._spots_of(ran), [n.op for n in ran.nodes]

    def _spots_of(self, ran: Trace) -> list[Spot]:
        flow = analyse(ran)
        return spots_of(flow) + (streams_of(flow) if self.streams else [])

    def _run(self, model: nn.Module, observer: Observer | None) -> Trace:
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

        def call(net: nn.Module) -> Any:
            net.train()  # what training sees: batch statistics, and dropout with the same masks every time
            return self.call(net)

        try:
            return trace(model, call, inputs=self.inputs, seed=self.seed, observer=observer)
        finally:
            with torch.no_grad():
                for name, buffer in model.named_buffers():
                    buffer.copy_(buffers[name])


def spots_of(flow: Flow) -> list[Spot]:
    """List the uses of tensors in a pass, in its order."""
    found: list[Spot] = []
    seen: set[int] = set()
    for use in flow.uses:
        inputs = flow.trace.nodes[use.node].inputs
        if use.weight_value not in inputs:
            continue
        matrix, outer = use.kind == "contract", use.index not in flow.read_later
        name = next(iter(use.weight.dims))
        found.append(
            Spot(
                name,
                use.kind,
                use.node,
                inputs.index(use.weight_value),
                use.contracted if matrix else (),
                use.kept if matrix else (),
                matrix and outer,
                use.node not in seen,
                outer,
                abs(flow.scales.get(use.index, 1.0) or 1.0) if outer else 1.0,
            )
        )
        seen.add(use.node)
    return found


def streams_of(flow: Flow) -> list[Spot]:
    """List where the last branch of each stage is added to its stream, by a tensor that ends the branch.

    Stages inside a branch of another one are left out.
    """
    every = [residual for stage in stages(flow, residuals(flow)) for residual in stage]
    outer = [r for r in every if not any(set(r.branch.inside) < set(o.branch.inside) for o in every)]
    found = []
    for stage in stages(flow, tuple(outer)):
        last = stage[-1]
        names = last.branch.ends or last.branch.inside
        if names:
            found.append(Spot(names[0], STREAM, last.add, -1))
    return found


@dataclass
class Snapshot:
    """Operands and outputs of the untrained network, by operation.

    Attributes:
        weights: Operand by (operation, argument).
        outputs: Output by operation.
    """

    weights: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    outputs: dict[int, Tensor] = field(default_factory=dict)

    def observer(self, spots: list[Spot]) -> Observer:
        """Return the observer that records."""
        by_node = _by_node(spots)

        def observe(node: Node, func: Any, args: Any, kwargs: Any, out: Any) -> None:
            for spot in by_node.get(node.index, ()):
                if spot.kind != STREAM:
                    weight = _tensors(args, kwargs)[spot.at]
                    self.weights[node.index, spot.at] = weight.detach().clone()
                self.outputs[node.index] = _first(out).detach().clone()

        return observe

    def moved(self, old: list[Spot], new: list[Spot]) -> Snapshot:
        """Number the records as in another way through the network, by tensor, kind and count of the uses."""
        places = dict(zip(_counted(old), old, strict=True))
        result = Snapshot()
        for key, spot in zip(_counted(new), new, strict=True):
            past = places.get(key)
            if past is None or past.node not in self.outputs:
                continue
            if (past.node, past.at) in self.weights:
                result.weights[spot.node, spot.at] = self.weights[past.node, past.at]
            result.outputs[spot.node] = self.outputs[past.node]
        return result


@dataclass
class _Measures:
    squares: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, spot: Spot, quantity: str, value: float | None) -> None:
        if value is not None:
            self.squares[spot.name, quantity, spot.kind].append((value * spot.scale) ** 2)

    def means(self) -> dict[Key, float]:
        return {key: math.sqrt(sum(found) / len(found)) for key, found in self.squares.items()}


def _measuring(spots: list[Spot], start: Snapshot, found: _Measures) -> Observer:
    by_node = _by_node(spots)

    def observe(node: Node, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        for spot in by_node.get(node.index, ()):
            if spot.kind == STREAM:
                _measure_stream(spot, start.outputs.get(node.index), _first(out), found)
                continue
            tensors = _tensors(args, kwargs)
            before, now = start.weights.get((node.index, spot.at)), tensors[spot.at]
            after = _first(out)
            if before is None or before.shape != now.shape:
                continue
            own = _own_update(func, args, kwargs, after, spot, before)
            size = _rms(after)
            found.add(spot, "update", own if own is None or own > _ROUNDING * size else 0.0)
            past = start.outputs.get(node.index)
            if spot.first and past is not None and past.shape == after.shape:
                change = _rms(after.float() - past.float())
                found.add(spot, "logits change" if spot.head else "change", change)
                if spot.head:
                    found.add(spot, "logits", size)
            if spot.contracted and spot.kept:
                found.add(spot, "init norm", _norm(before, spot))
                found.add(spot, "update norm", _norm(now - before, spot))

    return observe


def _measure_stream(spot: Spot, past: Tensor | None, after: Tensor, found: _Measures) -> None:
    if past is not None and past.shape == after.shape:
        found.add(spot, "stream", _rms(past))
        found.add(spot, "stream change", _rms(after.float() - past.float()))


def _own_update(func: Any, args: Any, kwargs: Any, after: Tensor, spot: Spot, before: Tensor) -> float | None:
    """Root mean square of op(x, w now) - op(x, w before), on the trained network's own input x."""
    flat, spec = tree_flatten((args, kwargs))
    positions = [i for i, leaf in enumerate(flat) if isinstance(leaf, Tensor)]
    at = positions[spot.at]
    step = flat[at] - before
    if spot.kind == "bias":
        return _rms(step) * abs(float(kwargs.get("alpha", 1)))
    if func._schema.is_mutable and func._schema.name.endswith("_"):
        return None  # the input is overwritten by now

    def run(weight: Tensor) -> Tensor:
        flat[at] = weight
        new_args, new_kwargs = tree_unflatten(flat, spec)
        return _first(func(*new_args, **new_kwargs)).float()

    # An affine operation of the step itself keeps the digits that a difference of two outputs would lose.
    if spot.kind in _EXACT:
        return _rms(run(step) - run(torch.zeros_like(step)))
    return _rms(after.float() - run(before))


def _norm(weight: Tensor, spot: Spot) -> float:
    """Natural norm of an operand as it is used; of a stack of matrices the root mean square."""
    batch = [d for d in range(weight.ndim) if d not in (*spot.contracted, *spot.kept)]
    rows = math.prod(weight.shape[d] for d in spot.kept)
    columns = math.prod(weight.shape[d] for d in spot.contracted)
    stack = weight.detach().permute(*batch, *spot.kept, *spot.contracted).reshape(-1, rows, columns)
    return math.sqrt(sum(natural_norm(matrix) ** 2 for matrix in stack) / len(stack))


def _by_node(spots: list[Spot]) -> Mapping[int, list[Spot]]:
    found: dict[int, list[Spot]] = defaultdict(list)
    for spot in spots:
        found[spot.node].append(spot)
    return found


def _counted(spots: list[Spot]) -> list[tuple[str, str, int]]:
    count: dict[tuple[str, str], int] = defaultdict(int)
    keys = []
    for spot in spots:
        keys.append((spot.name, spot.kind, count[spot.name, spot.kind]))
        count[spot.name, spot.kind] += 1
    return keys


def _tensors(args: Any, kwargs: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]


def _first(out: Any) -> Tensor:
    return next(leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor))


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt()) if values.numel() else 0.0
