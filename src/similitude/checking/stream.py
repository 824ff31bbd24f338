"""The residual stream of any model: its value behind every branch in one pass, and the gradients of the branches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from similitude.core.errors import PlanError
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.residual import Residual, residuals
from similitude.scaling.dataflow.trace import Node, Trace, trace


@dataclass(frozen=True)
class Stream:
    """One pass of a residual stream of L branches.

    Attributes:
        values: The stream x_0, ..., x_L before the first branch and behind each, all of one shape.
        gradients: For every branch the gradient of the loss with respect to what its last matrix gives; None where a
            branch ends in no matrix that can be told.
        others: Residual branches outside this stream: of other stages, shapes or towers.
    """

    values: tuple[Tensor, ...]
    gradients: tuple[Tensor | None, ...]
    others: int = 0


def record_stream(
    model: nn.Module, call: Callable[[nn.Module], Tensor], *, inputs: Any, seed: int = 0
) -> Stream:
    """Run a model once forwards and backwards, and record its longest residual stream.

    The stream is found in the operations of the pass, as `similitude.plan` finds branches: an addition of a value and
    what a matrix made of it. The model is run in train mode; its buffers, gradients and modes are left as they were.

    Args:
        model: Any module.
        call: Runs the model and returns the loss.
        inputs: The tensors that the call feeds to the model, nested as they are.
        seed: Seed of random layers, such as dropout.

    Raises:
        PlanError: The model has no stream of two or more branches, or takes another way each time it is run.

    Cost: three times the memory and time of a training step without its update.
    """
    pattern = _run(model, call, inputs, seed, None)
    flow = analyse(pattern)
    found = residuals(flow)
    chain = _longest(flow, found)
    if len(chain) < 2:
        raise PlanError(
            f"a residual stream needs at least 2 branches one after another, and the forward pass shows {len(chain)} of "
            f"{len(found)}. Measure a model with residual branches x + f(x), of one shape."
        )
    ends = [_end(flow, residual) for residual in chain]
    recorder = _Recorder(pattern, chain, ends)
    again = _run(model, call, inputs, seed, recorder)
    if [node.op for node in again.nodes] != [node.op for node in pattern.nodes]:
        raise PlanError(
            "two passes with the same inputs and seed ran different operations, so the stream of one cannot be found in "
            "the other. Take what changes from call to call, such as a counter, out of the model."
        )
    return Stream(
        tuple(recorder.values[i] for i in range(len(chain) + 1)),
        tuple(recorder.gradients.get(i) for i in range(len(chain))),
        len(found) - len(chain),
    )


def _run(
    model: nn.Module,
    call: Callable[[nn.Module], Tensor],
    inputs: Any,
    seed: int,
    recorder: _Recorder | None,
) -> Trace:
    """Run forwards, and backwards too where somebody records; buffers end as they began."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    losses: list[Tensor] = []

    def recorded(net: nn.Module) -> Any:
        net.train()  # what training sees: batch statistics, and dropout
        with torch.enable_grad():
            losses.append(call(net))
        return losses[0]

    try:
        ran = trace(
            model, recorded, inputs=inputs, seed=seed, observer=None if recorder is None else recorder.see
        )
        if recorder is not None:
            recorder.attach()
            trained = [p for p in model.parameters() if p.requires_grad]
            torch.autograd.grad(losses[0], trained, allow_unused=True)
        return ran
    finally:
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _longest(flow: Flow, found: tuple[Residual, ...]) -> list[Residual]:
    """Return the longest run of additions of one shape, each to a value that comes from the one before."""
    chains: list[list[Residual]] = []
    for residual in found:
        before = flow.facts[residual.stream].ancestors
        for chain in reversed(chains):
            last = chain[-1]
            if _shape(flow, last) == _shape(flow, residual) and before >> last.add & 1:
                chain.append(residual)
                break
        else:
            chains.append([residual])
    return max(chains, key=len, default=[])


def _shape(flow: Flow, residual: Residual) -> tuple[int, ...]:
    return flow.trace.values[residual.stream].shape


def _end(flow: Flow, residual: Residual) -> int | None:
    """Return the node of the last matrix of a branch: its output moves with the stream's, up to a nonlinearity."""
    nodes = [
        use.node
        for use in flow.uses
        if use.kind == "contract"
        and use.node != residual.start
        and use.index in flow.facts[residual.value].origin
        and flow.facts[use.output].ancestors >> residual.start & 1
    ]
    return max(nodes, default=None)


class _Recorder:
    """Keeps the stream's values while the pass runs, and the branches' gradients when it runs back."""

    def __init__(self, pattern: Trace, chain: list[Residual], ends: list[int | None]) -> None:
        self.values: dict[int, Tensor] = {}
        self.gradients: dict[int, Tensor] = {}
        first = chain[0]
        # The stream's entry is an argument of the first addition, whatever made it.
        self._entry = pattern.nodes[first.add].inputs.index(first.stream)
        self._behind = {residual.add: i + 1 for i, residual in enumerate(chain)}
        self._ends = {end: i for i, end in enumerate(ends) if end is not None}
        self._waiting: list[tuple[int, Tensor]] = []

    def see(self, node: Node, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        """Look at one operation of the pass."""
        self.attach()
        if node.index in self._behind:
            index = self._behind[node.index]
            self.values[index] = _first(out).detach().clone()
            if index == 1:
                self.values[0] = self._entering(node, args, kwargs, self.values[1])
        if node.index in self._ends:
            self._waiting.append((self._ends[node.index], _first(out)))

    def attach(self) -> None:
        """Hook the tensors seen last: autograd takes them over after the operation that made them has been seen."""
        for index, tensor in self._waiting:
            if tensor.requires_grad:
                tensor.register_hook(self._keep(index))
        self._waiting.clear()

    def _keep(self, index: int) -> Callable[[Tensor], None]:
        def hook(gradient: Tensor) -> None:
            self.gradients[index] = gradient.detach().clone()

        return hook

    def _entering(self, node: Node, args: Any, kwargs: Any, after: Tensor) -> Tensor:
        tensors = [t.detach() for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)]
        stream, branch = tensors[self._entry], tensors[1 - self._entry]
        if self._entry == 0 and node.op.endswith("_"):  # the sum has been written over the stream
            undo = torch.sub if node.op == "add_" else torch.add
            return undo(after, branch, alpha=kwargs.get("alpha", 1))
        return stream.clone()


def _first(out: Any) -> Tensor:
    return next(leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor))
