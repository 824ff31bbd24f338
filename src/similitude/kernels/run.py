"""One input of a kernel: the module's finite values on it, and what depends on the variances of its wide ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from similitude.kernels.labels import NEURON, POSITION, SAMPLE, Factor, Layout, flat

if TYPE_CHECKING:
    from similitude.kernels.covariance import Covariances
    from similitude.kernels.values import Wide


class Readable(Protocol):
    """A part of a value that depends on the input."""

    @property
    def read(self) -> Callable[[Run], Tensor]:
        """Compute it."""
        ...


Step = Callable[["Run"], None]


class Run:
    """Values of one input, computed when they are first needed, in the order of the module's operations.

    Args:
        samples: Number of samples.
        dtype: Of every number.
        device: Of every tensor.
        steps: What every operation of the module does, in order.
        values: Values that are there from the beginning: inputs, constants.
        covariances: Computes covariances of this input's wide values.
    """

    def __init__(
        self,
        samples: int,
        dtype: torch.dtype,
        device: torch.device,
        steps: Sequence[Step],
        values: dict[int, Tensor],
        covariances: Covariances,
    ) -> None:
        self.samples, self.dtype, self.device = samples, dtype, device
        self.values = values
        self.covariances = covariances
        self._steps = steps
        self._done = 0
        self._read: dict[object, Tensor] = {}
        self._variances: dict[Wide, Tensor] = {}
        self._means: dict[Wide, Tensor | None] = {}

    def zeros(self, shape: Sequence[int]) -> Tensor:
        """Return zeros of the run's type, on its device."""
        return torch.zeros(shape, dtype=self.dtype, device=self.device)

    def value(self, index: int) -> Tensor:
        """Return a finite value of the pass."""
        while index not in self.values:
            self._steps[self._done](self)
            self._done += 1
        return self.values[index]

    def finish(self) -> None:
        """Run every operation that is left."""
        for step in self._steps[self._done :]:
            step(self)
            self._done += 1

    def read(self, part: Readable) -> Tensor:
        """Return what a coefficient, features of data or row numbers are on this input: (n or 1, positions or 1, ...)."""
        found = self._read.get(part)
        if found is None:
            found = self._read[part] = part.read(self).to(self.device)  # some are fixed, and kept on the CPU
        return found

    def variance(self, value: Wide) -> Tensor:
        """Return E v^2 of a wide value: (n or 1, positions)."""
        found = self._variances.get(value)
        if found is None:
            found = self._variances[value] = self.covariances.variance(value, self)
        return found

    def mean(self, value: Wide) -> Tensor | None:
        """Return E v of a wide value: (n or 1, positions or 1), None where it is zero."""
        if value not in self._means:
            self._means[value] = self.covariances.mean(value, self)
        return self._means[value]


def spread(run: Run, values: Tensor, layout: Layout, order: Sequence[Factor]) -> Tensor:
    """Write numbers per sample and stored position, (n or 1, positions or 1), as the module's tensor of a layout.

    Axes of neurons have one entry.
    """
    n, last = values.shape
    sizes = [f.size for f in order] if last > 1 or not order else [1] * len(order)
    values = values.reshape(n, *sizes)
    factors = flat(layout)
    dims, where = [], {f.key: i + 1 for i, f in enumerate(order)}
    for factor in factors:
        if factor.kind == POSITION:
            dims.append(where[factor.key])
    samples = [i for i, f in enumerate(factors) if f.kind == SAMPLE]
    if samples:
        dims.insert(sum(f.kind == POSITION for f in factors[: samples[0]]), 0)
        missing: list[int] = []
    else:
        dims, missing = [*dims, 0], [0]
    values = values.permute(dims)
    if missing:
        values = values[..., 0]
    full = [run.samples if f.kind == SAMPLE else f.size for f in factors if f.kind != NEURON]
    values = values.expand(full) if full else values
    shape = []
    for axis in layout:
        size = 1
        for f in axis:
            size *= 1 if f.kind == NEURON else run.samples if f.kind == SAMPLE else f.size
        shape.append(size)
    return values.reshape(shape)


def gathered(
    run: Run, tensor: Tensor, layout: Layout, order: Sequence[Factor], *, neurons: bool = False
) -> Tensor:
    """Read a finite tensor that broadcasts against a layout as (n or 1, positions), with a last axis of neurons if asked.

    Raises:
        ValueError: Entries differ along neurons, and `neurons` is false.
    """
    factors = flat(layout)
    sizes: list[int] = []
    missing = len(layout) - tensor.dim()
    for i, axis in enumerate(layout):
        there = i >= missing and tensor.shape[i - missing] != 1
        sizes += [(run.samples if f.kind == SAMPLE else f.size) if there else 1 for f in axis]
    samples = [i for i, f in enumerate(factors) if f.kind == SAMPLE]
    wide = [i for i, f in enumerate(factors) if f.kind == NEURON]
    places = {f.key: i for i, f in enumerate(factors)}
    tensor = tensor.reshape(sizes).permute([*samples, *(places[f.key] for f in order), *wide])
    if not samples:
        tensor = tensor[None]
    head, inner, last = tensor.shape[:1], tensor.shape[1 : 1 + len(order)], tensor.shape[1 + len(order) :]
    if any(n != 1 for n in inner):
        tensor = tensor.expand(*head, *(f.size for f in order), *last)
    tensor = tensor.reshape(*head, -1 if math.prod(inner) > 1 else 1, math.prod(last))
    if neurons:
        return tensor
    first = tensor[..., 0]
    if tensor.shape[-1] > 1 and not torch.equal(tensor, first[..., None].expand_as(tensor)):
        raise ValueError("entries differ from neuron to neuron")
    return first
