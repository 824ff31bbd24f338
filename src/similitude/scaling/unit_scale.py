"""A model family whose tensors start at unit scale, the base that unit-scaled muP asks for (Blake et al.,
arXiv 2407.17465, Section 3), as a factory around the user's own.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.axes import Factory, compare, some
from similitude.scaling.dataflow.fans import Fan
from similitude.scaling.dataflow.passes import Sample
from similitude.scaling.dataflow.structure import study
from similitude.scaling.roles import infer
from similitude.scaling.sizes import WIDTH, Size, as_size

_GROWTH = 4
"""A larger width, whose shapes are compared with those of the given one; it is not built."""
# Power of the fan-in that the standard deviation follows; roles that are not here keep their own init.
_POWERS: Mapping[str, float] = {
    "lookup": 0.0,
    "input": -0.5,
    "hidden": -0.5,
    "bottleneck": -0.5,
    "output": -1.0,
}


@dataclass(frozen=True)
class UnitScale:
    """The standard deviation of one tensor at unit scale: its fan-in to a power."""

    fan_in: Fan
    power: float

    def std(self, shape: tuple[int, ...]) -> float:
        """Return the standard deviation for one shape of the tensor."""
        return self.fan_in.size(shape) ** self.power


class UnitScaled:
    """The factory that `unit_scaled` returns; called as the user's own is.

    Args:
        make: The user's factory.
        scales: By tensor name its scale; None for one that is left as it is.
    """

    def __init__(self, make: Factory, scales: Mapping[str, UnitScale | None]) -> None:
        self.make, self.scales = make, dict(scales)
        self.__signature__ = inspect.signature(make)

    def __call__(self, *args: int, **dials: int) -> nn.Module:
        """Build a model and draw its tensors anew, from the generator that `make` draws from.

        Raises:
            PlanError: It has a tensor that is not known, nor is one of the same name in another block.
        """
        model = self.make(*args, **dials)
        for name, tensor in model.named_parameters():
            scale = self.scales[name] if name in self.scales else self._in_another_block(name)
            if scale is not None and not tensor.is_meta:
                _draw_(tensor, scale)
        return model

    def _in_another_block(self, name: str) -> UnitScale | None:
        alike = {scale for other, scale in self.scales.items() if _pattern(other) == _pattern(name)}
        if len(alike) != 1:
            raise PlanError(
                f"{name!r} of this size is no tensor of the one that unit_scaled traced, and "
                f"{'tensors of like names differ' if alike else 'none has a like name'}. Trace this size: "
                "unit_scaled(make, base=...) with all of its dials."
            )
        return alike.pop()


def unit_scaled(
    make: Factory,
    *,
    base: int | Size,
    sample: Sample,
    roles: Mapping[str, str] | None = None,
    loss: Callable[..., Any] | None = None,
    seed: int = 0,
) -> UnitScaled:
    """Wrap a factory so that tables start with standard deviation 1, matrices with fan-in^-1/2, heads with 1 / fan-in.

    Activations then have entries of the order of 1 from the start, as unit-scaled muP has them, and learning rates of
    different models are comparable. Plan the result with `rule="u_mup"`. Tensors are drawn anew from a normal
    distribution; vectors, tensors without spread (zeros, ones) and weight-normalized ones are left as they are.

    Args:
        make: Function of the width that returns a model.
        base: A width, or a dict of dials: where roles are traced.
        sample: What the model is called with, as `similitude.plan` takes it.
        roles: Roles that are known better than the traced pass can tell, by tensor name or glob.
        loss: `loss(model, sample)`; where given, it is traced in place of the model's own call.
        seed: Seed of the traced builds.

    Returns:
        A factory that takes what `make` takes.

    Raises:
        FactoryError: `make` cannot be called with a width or does not return a model.
        RoleError: The role of a tensor cannot be told.
        PlanError: A table is tied to the head, so that no init gives both a unit scale.

    Example:
        >>> import torch
        >>> make = lambda n: nn.Sequential(nn.Linear(8, n), nn.Linear(n, 3))
        >>> unit = unit_scaled(make, base=64, sample=torch.zeros(4, 8))
        >>> bool(0.8 < unit(256)[1].weight.std() * 256 < 1.2)
        True
    """
    size = as_size(base, "base")
    structure = study(
        make, sample, base=size, target={**size, WIDTH: _GROWTH * size[WIDTH]}, loss=loss, seed=seed
    )
    results = infer(compare(make, *structure.sizes), structure, roles)
    unknown = [result for result in results if result.role is None]
    if unknown:
        raise RoleError(f"{unknown[0].name!r}: {unknown[0].evidence}")
    tied = [result.name for result in results if result.tied]
    if tied:
        raise PlanError(
            f"{some(tied)} is an embedding and the head at once: unit scale asks for a standard deviation of 1 and of "
            "1 / fan-in. Untie it in make, or keep its own init and plan make itself with rule='u_mup'."
        )
    scales: dict[str, UnitScale | None] = {}
    for result in results:
        power = None if result.partner or result.curved else _POWERS.get(result.role or "")
        if power is None or result.fans is None:
            scales[result.name] = None
        else:
            scales[result.name] = UnitScale(result.fans.fan_in, power)
    return UnitScaled(make, scales)


def _draw_(tensor: nn.Parameter, scale: UnitScale) -> None:
    """Draw a tensor anew, unless it has no spread and so is no draw."""
    values = tensor.detach()
    if bool((values != values.flatten()[0]).any()):
        nn.init.normal_(tensor, std=scale.std(tuple(values.shape)))


def _pattern(name: str) -> str:
    """Return the name with the number of each block left open."""
    return re.sub(r"\d+", "*", name)
