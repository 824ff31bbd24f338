"""A module's forward pass as a program: the same operations recorded at two numbers of samples, and at two widths."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from similitude.core.errors import KernelError
from similitude.kernels.samples import count
from similitude.scaling.dataflow.passes import call_of
from similitude.scaling.dataflow.trace import Node, Ref, Trace, Value, trace

_FEW, _MORE = 2, 3
"""Samples of the passes: what differs between them counts samples."""


@dataclass(frozen=True)
class PerSample:
    """An integer argument that grows with the number of samples n: base + slope n."""

    base: int
    slope: int


@dataclass(frozen=True)
class Op:
    """One operation.

    Attributes:
        node: As recorded in the first pass.
        func: The function.
        args: Its arguments: `Ref` for tensors, `PerSample` for sizes that count samples.
        kwargs: Likewise.
        wider: As recorded at the larger width, where there is one.
    """

    node: Node
    func: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    wider: Node | None = None

    @property
    def name(self) -> str:
        """Name of the operation, without the underscore of its kind that writes in place."""
        name = self.node.op
        return name.rstrip("_") if not name.startswith("__") else name

    def __str__(self) -> str:
        where = f"module '{self.node.module}'" if self.node.module else "the module's own forward"
        return f"operation {self.node.index} ({self.node.op}) in {where}"


@dataclass(frozen=True)
class Program:
    """What a module does, whatever the number of samples.

    Attributes:
        ops: Operations in order.
        values: Tensors of the first pass.
        shapes: Shapes of every tensor in all passes: few samples, more samples, and the larger width where there is one.
        seen: Tensors of the first pass by number.
        parameters: Parameters by name, in the first pass.
        wider: The same at the larger width; empty where there is none.
        outputs: Numbers of the tensors that the module returns.
        inputs: Numbers of the tensors that it takes.
        items: The one number that a tensor holds, at the larger width, by tensor.
    """

    ops: tuple[Op, ...]
    values: tuple[Value, ...]
    shapes: tuple[tuple[tuple[int, ...], ...], ...]
    seen: Mapping[int, Tensor]
    parameters: Mapping[str, Tensor]
    wider: Mapping[str, Tensor]
    outputs: tuple[int, ...]
    inputs: tuple[int, ...]
    items: tuple[float | None, ...] = ()


def converted(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Copy a module, in another floating-point type and on the CPU, its modes as they are."""
    try:
        return copy.deepcopy(module).to(device="cpu", dtype=dtype).requires_grad_(False)
    except Exception as error:
        raise KernelError(
            f"{type(module).__name__} cannot be copied: {type(error).__name__}: {error}. Pass a function of the width "
            "that builds it."
        ) from error


def record(modules: Sequence[nn.Module], sample: Any, dtype: torch.dtype) -> Program:
    """Record a module's passes.

    Args:
        modules: The module, and the same at a larger width where there is one; they are run, not changed.
        sample: What it is called with: a tensor, a tuple or a mapping, samples along the first axis of every tensor.
        dtype: Floating-point type of the passes.

    Raises:
        KernelError: It cannot be called, or does other operations for other numbers of samples or widths.
    """
    seen: dict[int, Tensor] = {}
    functions: dict[int, Callable[..., Any]] = {}
    few = resized(sample, _FEW, dtype)

    def observe(node: Node, func: Callable[..., Any], args: Any, kwargs: Any, out: Any) -> None:
        functions[node.index] = func
        given = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
        made = [t for t in tree_flatten(out)[0] if isinstance(t, Tensor)]
        for index, tensor in [*zip(node.inputs, given, strict=True), *zip(node.outputs, made, strict=False)]:
            seen.setdefault(index, tensor.detach().clone())

    first = converted(modules[0], dtype)
    one = _pass(first, few, observe)
    others = [_pass(converted(modules[0], dtype), resized(sample, _MORE, dtype), None)]
    others += [_pass(converted(m, dtype), few, None) for m in modules[1:]]
    names = ["with another number of samples", "at another width"]
    for other, how in zip(others, names, strict=False):
        _same_operations(one, other, how)
    passes = (one, *others)
    shapes = tuple(tuple(p.values[i].shape for p in passes) for i in range(len(one.values)))
    more = others[0].nodes
    wider = others[1].nodes if len(others) > 1 else ()
    ops = tuple(
        _op(node, more[i], functions.get(i), wider[i] if wider else None) for i, node in enumerate(one.nodes)
    )
    inputs = tuple(n.outputs[0] for n in one.nodes if n.op == "input")
    returned = one.outputs
    return Program(
        ops,
        one.values,
        shapes,
        seen,
        {name: p.detach() for name, p in first.named_parameters()},
        {name: p.detach().to(dtype) for m in modules[1:] for name, p in m.named_parameters()},
        returned,
        inputs,
        tuple(v.item for v in others[1].values) if len(others) > 1 else (),
    )


def resized(sample: Any, number: int, dtype: torch.dtype) -> Any:
    """Repeat samples until there are `number`, in a floating-point type."""
    n = count(sample)

    def resize(x: Tensor) -> Tensor:
        x = x.detach().to(device="cpu", dtype=dtype) if x.is_floating_point() else x.detach().cpu()
        return x[torch.arange(number) % n] if x.dim() and len(x) == n else x

    return tree_map_only(Tensor, resize, sample)


def _pass(module: nn.Module, sample: Any, observer: Any) -> Trace:
    try:
        return trace(module, call_of(sample, None), inputs=sample, observer=observer, evaluate=False)
    except Exception as error:
        shapes = ", ".join(str(tuple(t.shape)) for t in tree_flatten(sample)[0] if isinstance(t, Tensor))
        raise KernelError(
            f"{type(module).__name__} cannot be called with inputs of shape {shapes}: {type(error).__name__}: {error}. "
            "Pass sample= as the module is called: one tensor, a tuple of positional or a dict of keyword arguments, "
            "samples along the first axis."
        ) from error


def _same_operations(one: Trace, two: Trace, how: str) -> None:
    for a, b in zip(one.nodes, two.nodes, strict=False):
        if a.op != b.op or len(a.inputs) != len(b.inputs):
            raise KernelError(
                f"operation {a.index} of module '{a.module}' is {a.op}, and {how} it is {b.op} of module '{b.module}': "
                "the module's path depends on its input or size, so that it has no one kernel."
            )
    if len(one.nodes) != len(two.nodes):
        longer = max(one.nodes, two.nodes, key=len)
        first = longer[min(len(one.nodes), len(two.nodes))]
        raise KernelError(
            f"the module does {len(one.nodes)} operations, and {how} {len(two.nodes)} (the first that is more: operation "
            f"{first.index}, {first.op}, of module '{first.module}'): its path depends on its input or size, so that "
            "it has no one kernel."
        )


def _op(node: Node, more: Node, func: Callable[..., Any] | None, wider: Node | None) -> Op:
    one, spec = tree_flatten((node.args, node.kwargs))
    two, other = tree_flatten((more.args, more.kwargs))
    if spec != other:
        raise KernelError(
            f"operation {node.index} ({node.op}) of module '{node.module}' changes with the samples."
        )
    merged = [_merged(a, b, node) for a, b in zip(one, two, strict=True)]
    args, kwargs = tree_unflatten(merged, spec)
    return Op(node, func, args, kwargs, wider)


def _merged(a: Any, b: Any, node: Node) -> Any:
    if isinstance(a, Ref | Tensor):
        return a
    if isinstance(a, int) and isinstance(b, int) and not isinstance(a, bool) and a != b:
        slope = (b - a) // (_MORE - _FEW)
        return PerSample(a - slope * _FEW, slope)
    if a != b and not (isinstance(a, float) and a != a):
        raise KernelError(
            f"operation {node.index} ({node.op}) of module '{node.module}' takes {a!r} for {_FEW} samples and {b!r} for "
            f"{_MORE}: samples are mixed, so that there is no kernel of two of them."
        )
    return a
