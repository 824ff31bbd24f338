"""What every matrix of a model gives in one pass: preactivations by layer, and how many layers follow one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from similitude.core.errors import PlanError
from similitude.scaling.dataflow.facts import Flow, Use
from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.residual import residuals
from similitude.scaling.dataflow.trace import Node, Trace, trace


@dataclass(frozen=True)
class Site:
    """One use of a matrix.

    Attributes:
        name: Parameter that is used.
        node: Number of the operation.
        depth: Matrices on the longest way to here, this one included.
        width: Numbers that it gives per position: units or channels.
        channels: Axis of these in what it gives.
        hidden: Whether what it gives is multiplied by a matrix again.
    """

    name: str
    node: int
    depth: int
    width: int
    channels: int
    hidden: bool


@dataclass(frozen=True)
class Sites:
    """Where a model uses matrices. Made by `find_sites`.

    Attributes:
        found: In the order of the pass.
        path: Hidden sites on the longest way through the model.
        branches: Residual branches.
        skipped: Parameters whose output has no axis of examples in front, and is not measured.
        ops: Operations of the pass, to compare another one with.
    """

    found: tuple[Site, ...]
    path: tuple[Site, ...]
    branches: int
    skipped: tuple[str, ...]
    ops: tuple[str, ...]


def find_sites(model: nn.Module, call: Callable[[nn.Module], Any], *, inputs: Any, examples: int) -> Sites:
    """Trace a model once, and find where it multiplies activations by matrices.

    Args:
        model: Any module; it is run in train mode, and left as it was.
        call: Runs the forward pass.
        inputs: The tensors that the call feeds to the model.
        examples: Examples in them, along first axes.

    Raises:
        PlanError: No matrix acts on an axis of examples.
    """
    pattern = _run(model, call, inputs, None)
    flow = analyse(pattern)
    depths: dict[int, int] = {}
    matrices = [use for use in flow.uses if use.kind == "contract"]
    for use in matrices:
        before = [
            depths[other.index] for other in matrices if other.index in depths and _follows(flow, use, other)
        ]
        depths[use.index] = 1 + max(before, default=0)
    sites = {use.index: _site(flow, use, depths[use.index], examples) for use in matrices}
    found = tuple(site for site in sites.values() if site is not None)
    if not found:
        raise PlanError(
            f"no matrix of the model acts on {examples} examples along a first axis, so there are no preactivations to "
            "measure. Pass inputs whose first axis is that of the examples."
        )
    path: list[Site] = []
    last: Use | None = None
    for use in sorted(matrices, key=lambda use: -depths[use.index]):
        site = sites[use.index]
        if site is None or not site.hidden:
            continue
        if last is None or (depths[use.index] < depths[last.index] and _follows(flow, last, use)):
            path.append(site)
            last = use
    skipped = tuple(dict.fromkeys(_name(use) for use in matrices if sites[use.index] is None))
    ops = tuple(node.op for node in pattern.nodes)
    return Sites(found, tuple(reversed(path)), len(residuals(flow)), skipped, ops)


def record_preactivations(
    model: nn.Module, call: Callable[[nn.Module], Any], sites: Sites, *, inputs: Any, examples: int
) -> list[Tensor]:
    """Run a model once, and return what its matrices give.

    Args:
        model: A network of the family that `sites` was found for.
        call: Runs the forward pass.
        sites: From `find_sites`.
        inputs: The tensors that the call feeds to the model.
        examples: Examples in them.

    Returns:
        For every site a tensor of shape (examples, positions, width), float64, on the CPU.

    Raises:
        PlanError: The network takes another way than the one that sites were found on.
    """
    kept: dict[int, Tensor] = {}
    wanted = {site.node: site for site in sites.found}

    def see(node: Node, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        if (site := wanted.get(node.index)) is not None:
            value = next(leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor)).detach()
            last = value.movedim(site.channels, -1).reshape(examples, -1, site.width)
            kept[node.index] = last.to("cpu", torch.float64, copy=True)

    ran = _run(model, call, inputs, see)
    if tuple(node.op for node in ran.nodes) != sites.ops:
        raise PlanError(
            "networks of two seeds ran different operations, so their layers cannot be compared. Take what changes from "
            "call to call out of the model."
        )
    return [kept[site.node] for site in sites.found]


def _run(model: nn.Module, call: Callable[[nn.Module], Any], inputs: Any, observer: Any) -> Trace:
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def training(net: nn.Module) -> Any:
        net.train()  # what training sees: batch statistics, and dropout
        return call(net)

    try:
        return trace(model, training, inputs=inputs, observer=observer)
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _follows(flow: Flow, use: Use, before: Use) -> bool:
    return bool(flow.facts[use.operand].ancestors >> before.node & 1)


def _site(flow: Flow, use: Use, depth: int, examples: int) -> Site | None:
    """Describe a use; None where its output cannot be read as (examples, ..., width)."""
    node, shape = flow.trace.nodes[use.node], flow.trace.values[use.output].shape
    behind = node.inputs.index(use.weight_value) > node.inputs.index(use.operand)
    if not behind or len(shape) < 2 or shape[0] % examples:
        return None
    channels = 1 if len(shape) > 2 and "conv" in node.op else len(shape) - 1
    return Site(_name(use), use.node, depth, shape[channels], channels, use.index in flow.read_later)


def _name(use: Use) -> str:
    return next(iter(use.weight.dims))
