"""Measure an optimizer's update geometry: how large its steps are for a tensor of any shape, a gradient of any size.

Paper 7, Condition 1: a rule of width needs the spectral norm of a step, and nothing else about the optimizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.core.seeding import derive, seeded
from similitude.scaling.geometry_trials import Measurement
from similitude.scaling.measured import MeasuredOptimizer
from similitude.scaling.trial import OptimizerLike, TrialError, instantiate

SIDES = (48, 96, 192)
"""Sides of the throw-away matrices: every pair of them is a shape."""

_NO_OPTIONS = ("params", "param_names", "lr")


@cites(7, "Condition 1: the spectral norm of an update")
def measure_optimizer(
    factory: OptimizerLike, *, sizes: Sequence[int] = SIDES, seed: int = 0
) -> MeasuredOptimizer:
    """Measure how an optimizer's steps grow with the shape of a tensor, and which family of rules that puts it in.

    The optimizer makes a few steps on throw-away matrices with gradients of low rank, most of whose directions
    stay in place, as in training. What no rule of width fits is refused with the measurement that says so.

    Args:
        factory: A class, an instance, a `functools.partial`, or any callable that takes parameters (or, where it
            cannot take those, parameter groups) and returns an optimizer.
        sizes: Sides of the matrices, at least two different ones; every pair of them is tried.
        seed: Seed of gradients and weights. The global generators are left as they were.

    Returns:
        The family, the exponents behind it, and the points of the fit.

    Raises:
        PlanError: `factory` is not an optimizer or needs more than parameters, or the sizes are too few
            or no whole numbers.

    Example:
        >>> found = measure_optimizer(torch.optim.AdamW)
        >>> found.family, found.law, found.exponents["gradient"], found.decay
        ('entrywise', 'sqrt(fan_in fan_out)', 0.0, 'shrink')

    Cost: under a second for most; optimizers that decompose matrices take a few.
    """
    if isinstance(sizes, str) or not all(isinstance(side, Integral) for side in sizes):
        raise PlanError(f"sizes={sizes!r} are not sides of matrices. Pass whole numbers, e.g. sizes={SIDES}.")
    sides = sorted({int(side) for side in sizes})
    if len(sides) < 2 or sides[0] < 16:
        raise PlanError(
            f"sizes={tuple(sizes)}: an exponent needs at least 2 different sides, of at least 16 each. Pass e.g. "
            f"sizes={SIDES}."
        )
    instance = instantiate(factory, [torch.nn.Parameter(torch.zeros(2, 2, device="cpu"))])
    name = type(instance).__name__
    # What a factory adds to its groups counts as well as what its class has by default.
    given = {**instance.defaults, **instance.param_groups[0]}
    defaults = {key: as_plain(value) for key, value in given.items() if key not in _NO_OPTIONS}
    start = MeasuredOptimizer(name, "refused", defaults=defaults)
    own_lr = as_plain(instance.param_groups[0].get("lr"))
    try:
        with seeded(derive(seed, "measure")):  # for optimizers that draw from Python or NumPy
            return Measurement(factory, sides, seed, start, own_lr).run()
    except TrialError as error:
        return replace(start, reason=str(error))


def as_plain(value: Any) -> Any:
    """Turn tensors and tuples into what JSON can hold."""
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 else value.tolist()
    return [as_plain(v) for v in value] if isinstance(value, tuple | list) else value
