"""Products with the second derivatives of a loss over several batches, from kept graphs, at one point."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.errors import CurvatureError
from similitude.landscape.graphs import BatchGraph, Pick, build, counted_bytes
from similitude.landscape.undisturbed import Surroundings
from similitude.landscape.vectors import ParameterSpace
from similitude.training.loop import Loss

STALE = (
    "the parameters changed after the graphs were built, so products would belong to another point. Call refresh() after "
    "every update."
)

_SAMPLED = (
    16  # entries per parameter that are compared, because writing through `.data` leaves no trace in autograd
)


class Products:
    """The loss, its gradient, and products with its second derivatives, at the present parameters.

    Args:
        model: The model, unwrapped.
        loss: `loss(model, batch) -> scalar`.
        batches: Batches with their numbers of examples.
        space: The trainable parameters of the model.
        pick: Takes the outputs that matter from what the model returns.
        seed: Seeds random layers, another stream for every batch.
        memory: Bytes that kept graphs of several batches may take; beyond it they are built anew for every product.

    Attributes:
        value: The loss, a mean over the examples.
        gradient: Its gradient, flat.
        unused: Parameters that it does not depend on.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        batches: Sequence[tuple[Any, int]],
        space: ParameterSpace,
        pick: Pick | None,
        *,
        seed: int,
        memory: int,
    ) -> None:
        self.model, self.loss, self.batches, self.space, self.pick = model, loss, batches, space, pick
        self._seed = seed
        self._around: Surroundings | None = None
        self._versions = self._read_versions()
        self._values = self._read_values()
        self._keep = len(batches) == 1 or self._bytes() <= memory
        self._graphs: list[BatchGraph] = []
        self.value, self.gradient = 0.0, torch.zeros(space.dim, dtype=space.dtype, device=space.device)
        unused = set(space.names)
        for number, weight in self._weights():
            graph = self._build(number)
            self.value += weight * graph.value.item()
            self.gradient += weight * space.join(graph.gradient)
            unused -= {n for n, g in zip(space.names, graph.gradient, strict=True) if g is not None}
            if self._keep:
                self._graphs.append(graph)
        self.unused = tuple(name for name in space.names if name in unused)

    @property
    def outputs_dim(self) -> int:
        """Number of outputs of all examples."""
        return sum(graph.jacobian.dim for graph in self._each())

    def hessian(self, vector: Tensor) -> Tensor:
        """H v, flat."""
        return self._mean(BatchGraph.hessian_product, vector)

    def gauss_newton(self, vector: Tensor) -> Tensor:
        """J^T L'' J v, flat."""
        return self._mean(BatchGraph.gauss_newton_product, vector)

    def residual(self, vector: Tensor) -> Tensor:
        """H v - J^T L'' J v, flat."""
        return self._mean(BatchGraph.residual_product, vector)

    def ntk(self, vector: Tensor) -> Tensor:
        """J J^T u, over all outputs of all examples."""
        pulled = torch.zeros(self.space.dim, dtype=self.space.dtype, device=self.space.device)
        begin = 0
        for graph in self._each():
            j = graph.jacobian
            with graph.around.inside():
                pulled += self.space.join(j.pull(j.split(vector[begin : begin + j.dim])))
            begin += j.dim
        parts, pieces = self.space.parts(pulled), []
        for graph in self._each():
            j = graph.jacobian
            with graph.around.inside():
                pieces += [m.detach().reshape(-1).to(vector) for m in j.push(parts)]
        return torch.cat(pieces)

    def check_versions(self) -> None:
        """Raise `CurvatureError` if a parameter was changed in place, as optimizers do."""
        if self._read_versions() != self._versions:
            raise CurvatureError(STALE)

    def check_values(self) -> None:
        """Raise `CurvatureError` if a parameter was changed in any way."""
        self.check_versions()
        present = ParameterSpace.of(self.model).tensors
        same = len(present) == len(self.space.tensors) and all(map(operator.is_, present, self.space.tensors))
        if not same or not all(map(_close, self._read_values(), self._values)):
            raise CurvatureError(STALE)

    def _read_versions(self) -> list[tuple[int, int]]:
        return [(p._version, p.data_ptr()) for p in self.space.tensors]

    def _read_values(self) -> list[float]:
        """What tells that values were written through `.data`, which leaves no trace in autograd's counters, and that
        statistics which a module in eval mode computes with were changed."""
        with torch.inference_mode(False), torch.no_grad():
            sums = [float(part.sum(dtype=torch.float64)) for p in self.space.tensors for part in (p, p.abs())]
        fixed = [
            float(b._version)
            for module in self.model.modules()
            if not module.training
            for b in module._buffers.values()
            if b is not None and not b.is_inference()
        ]
        return sums + fixed

    def _weights(self) -> Iterator[tuple[int, float]]:
        examples = sum(count for _, count in self.batches)
        for number, (_, count) in enumerate(self.batches):
            yield number, count / examples

    def _build(self, number: int) -> BatchGraph:
        around = Surroundings(self.model, seed=self._seed + number, like=self._around)
        self._around = self._around or around
        batch, _ = self.batches[number]
        return build(self.model, self.loss, batch, self.space, around=around, pick=self.pick)

    def _bytes(self) -> int:
        """Estimate the memory of all batches' graphs, by that of the first and its part of the examples."""
        count: list[int] = []
        with counted_bytes(self.space, count):
            self._build(0)
        return int(count[0] * sum(n for _, n in self.batches) / self.batches[0][1])

    def _each(self) -> Iterator[BatchGraph]:
        """Give the graph of every batch, kept or built anew."""
        if self._keep:
            yield from self._graphs
        else:
            for number in range(len(self.batches)):
                yield self._build(number)

    def _mean(
        self, product: Callable[[BatchGraph, Sequence[Tensor]], list[Tensor | None]], vector: Tensor
    ) -> Tensor:
        parts = self.space.parts(vector)
        total: Tensor | None = None
        for (_, weight), graph in zip(self._weights(), self._each(), strict=True):
            piece = self.space.join(product(graph, parts))
            piece = piece if weight == 1.0 else weight * piece
            total = piece if total is None else total + piece
        assert total is not None  # there is at least one batch
        return total


def _close(now: float, before: float) -> bool:
    return math.isclose(
        now, before, rel_tol=1e-12
    )  # sums depend on the number of threads in their last digits
