"""A small network with its batch and its loss: what the exactness of curvature is tried on, in float64."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Batch = Any


class Applied(nn.Module):
    """Submodules (or parameters) by name, and the function of them and the input that is the forward pass."""

    def __init__(self, apply: Callable[[Any, Any], Any], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.apply_to = apply
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        return self.apply_to(self, x)


def first_of(model: nn.Module, batch: Batch) -> Any:
    return model(batch[0])


@dataclass(frozen=True)
class Case:
    """A network, its data and its loss; `loss(model, batch) = criterion(forward(model, batch), batch)`.

    Attributes:
        name: What the network is about.
        make: Builds it; drawn under the case's own seed, then every parameter and buffer is moved off its special
            value (zeros, ones) and cast to float64.
        batch: Builds the batch under the same seed.
        criterion: From the outputs and the batch to the scalar.
        forward: From the model and the batch to the outputs, a tensor or a tuple of tensors.
        train: The model's mode.
        mean: The loss of the whole batch is the mean of its examples' losses, so that micro-batches are no change.
        follows: The gradient that autograd gives is the slope of the loss, to float64: no part is detached, none is
            computed in float32.
        twice: Differentiating autograd's gradient once more gives its derivative; where not, PyTorch is at fault and
            the dense oracle differences gradients instead.
        tolerance: Relative error that is allowed; above 1e-8 only for libraries that compute in float32 inside.
        own_loss: Only where the loss is computed inside the model.
    """

    name: str
    make: Callable[[], nn.Module]
    batch: Callable[[], Batch]
    criterion: Callable[[Any, Batch], Tensor]
    forward: Callable[[nn.Module, Batch], Any] = first_of
    train: bool = True
    mean: bool = True
    follows: bool = True
    twice: bool = True
    tolerance: float = 1e-8
    own_loss: Callable[[nn.Module, Batch], Tensor] | None = None

    def __str__(self) -> str:
        return self.name

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        if self.own_loss is not None:
            return self.own_loss(model, batch)
        return self.criterion(self.forward(model, batch), batch)

    def build(self, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Batch]:
        """The model and the batch: always the same numbers."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(self.name.encode()))
            model = self.make().to(torch.float64)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.2 * torch.randn_like(p))
            batch = self.batch()
        return model.to(dtype).train(self.train), cast(batch, dtype)


def cast(batch: Batch, dtype: torch.dtype) -> Batch:
    """The same batch with its floating tensors in another dtype."""
    if isinstance(batch, Tensor):
        return batch.to(dtype) if batch.is_floating_point() else batch
    if isinstance(batch, dict):
        return {name: cast(part, dtype) for name, part in batch.items()}
    return tuple(cast(part, dtype) for part in batch)


def cut(batch: Batch, at: int) -> list[Batch]:
    """Two micro-batches: the first `at` examples, and the others."""
    return [part(batch, slice(0, at)), part(batch, slice(at, None))]


def part(batch: Batch, where: slice) -> Batch:
    if isinstance(batch, Tensor):
        return batch[where]
    if isinstance(batch, dict):
        return {name: part(value, where) for name, value in batch.items()}
    return tuple(part(value, where) for value in batch)
