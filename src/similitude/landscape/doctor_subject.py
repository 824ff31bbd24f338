"""A user's loss as a function of the parameters in a dtype of choice, evaluated the same way every time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.seeding import seeded, torch_generator
from similitude.landscape.doctor_reference import Difference, settle
from similitude.landscape.routes import Route, gradient_of, step_scale
from similitude.landscape.undisturbed import undisturbed
from similitude.landscape.vectors import ParameterSpace
from similitude.training.loop import Loss


class Subject:
    """A model on one batch, cast to a dtype. The model given is changed for good: give a copy, or be in a copy.

    Every evaluation starts from the same buffers and draws the same random numbers.

    Args:
        model: The model.
        loss: `loss(model, batch) -> scalar`.
        batch: One batch.
        dtype: What its floating parameters, buffers and inputs are cast to; None leaves them as they are.
        seed: Seeds what random layers draw, and directions.
    """

    def __init__(
        self, model: nn.Module, loss: Loss, batch: Any, *, dtype: torch.dtype | None, seed: int
    ) -> None:
        if dtype is not None:
            model._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)
            batch = cast_batch(batch, dtype)
        self.model, self.loss, self.batch, self.seed = model, loss, batch, seed
        self.space = ParameterSpace.of(model)

    @property
    def point(self) -> list[Tensor]:
        """The trainable parameters themselves."""
        return list(self.space.tensors)

    def direction(self, number: int) -> list[Tensor]:
        """Return one of the random directions, the same numbers in every dtype."""
        generator = torch_generator(self.seed, "doctor", number)
        flat = torch.randn(self.space.dim, generator=generator, dtype=torch.float64)
        return self.space.parts(flat.to(self.space.device))

    def value(self, *, pin: bool) -> Tensor:
        """Evaluate the loss at the parameters themselves.

        Args:
            pin: Whether to do so as our own route does, with attention as math and the like.
        """
        return self._evaluate({}, pin=pin)

    def at(self, *tensors: Tensor, pin: bool = False) -> Tensor:
        """Evaluate the loss at tensors that stand in for the trainable parameters."""
        return self._evaluate({id(p): t for p, t in zip(self.point, tensors, strict=True)}, pin=pin)

    def gradient(self, t: float, direction: Sequence[Tensor], *, pin: bool = False) -> Tensor:
        """Return the gradient at the parameters plus t times a direction, flat, in float64."""
        kept = [p.detach().clone() for p in self.point]
        with torch.no_grad():
            for p, v in zip(self.point, direction, strict=True):
                p.add_(v, alpha=t)
        try:
            parts = gradient_of(lambda *_: self.value(pin=pin), self.point)
        finally:
            with torch.no_grad():
                for p, old in zip(self.point, kept, strict=True):
                    p.copy_(old)
        return self.flat(parts)

    def product(self, route: Route, *, pin: bool) -> Tensor:
        """Return the product with the first direction by a route, flat, in float64."""
        direction = self.direction(0)
        if route.substitutes:
            point = [p.detach().clone().requires_grad_() for p in self.point]
            found = route.product(lambda *at: self.at(*at, pin=pin), point, direction)
        else:
            found = route.product(lambda *_: self.value(pin=pin), self.point, direction)
        return self.flat(found)

    def difference(self, *, pin: bool = False) -> Difference:
        """Return the product with the first direction by finite differences that are refined until they settle."""
        direction = self.direction(0)
        return settle(
            lambda t: self.gradient(t, direction, pin=pin),
            scale=step_scale(self.point, direction),
            dtype=torch.promote_types(self.space.dtype, self.point[0].dtype),
        )

    def flat(self, parts: Sequence[Tensor]) -> Tensor:
        """Join tensors of the parameters' shapes, in float64 on the CPU."""
        return torch.cat([part.detach().reshape(-1).double().cpu() for part in parts])

    def _evaluate(self, stand_ins: Mapping[int, Tensor], *, pin: bool) -> Tensor:
        around = undisturbed(self.model, seed=self.seed) if pin else seeded(self.seed)
        with _substituted(self.model, stand_ins), around:
            return self.loss(self.model, self.batch).reshape(())


def cast_batch(batch: Any, dtype: torch.dtype) -> Any:
    """Cast the floating tensors of a batch, however they are nested; anything else stays.

    Example:
        >>> cast_batch({"x": torch.ones(1), "y": [torch.ones(1, dtype=torch.long)]}, torch.float64)
        {'x': tensor([1.], dtype=torch.float64), 'y': [tensor([1])]}
    """
    if isinstance(batch, Tensor):
        return batch.to(dtype) if batch.is_floating_point() else batch
    if isinstance(batch, Mapping):
        other: Any = copy.copy(batch)
        for key, value in batch.items():
            other[key] = cast_batch(value, dtype)
        return other
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(cast_batch(part, dtype) for part in batch))
    if isinstance(batch, tuple | list):
        return type(batch)(cast_batch(part, dtype) for part in batch)
    return batch


@contextmanager
def _substituted(model: nn.Module, parameters: Mapping[int, Tensor]) -> Iterator[None]:
    """Put tensors in place of parameters, known by their `id`, and copies in place of all buffers.

    `torch.func.functional_call` does this as well, but leaves its tensors in a module that is used in two places.
    """
    own = [(m, dict(m._parameters), dict(m._buffers)) for m in model.modules()]
    copies: dict[int, Tensor] = {}
    try:
        for module, mine, buffers in own:
            placed: dict[str, Any] = {name: parameters.get(id(p), p) for name, p in mine.items()}
            module._parameters.update(placed)
            for name, b in buffers.items():
                if b is not None:
                    module._buffers[name] = copies.setdefault(id(b), b.detach().clone())
        yield
    finally:
        for module, mine, buffers in own:
            module._parameters.update(mine)
            module._buffers.update(buffers)
