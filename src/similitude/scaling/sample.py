"""Which parameters an example input reaches: one forward and backward pass of the base model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from similitude.core.errors import PlanError
from similitude.core.seeding import derive, seeded
from similitude.scaling.axes import Factory, build


def unused_parameters(make: Factory, width: int, sample: Any, *, seed: int = 0) -> list[str]:
    """Name the trainable parameters that receive no gradient from an example input.

    Args:
        make: Function of the width that returns a model; a model of its own is built, so the user's is
            untouched.
        width: Width to build.
        sample: One tensor, a tuple of positional or a mapping of keyword arguments.
        seed: Seed of the build and of dropout.

    Raises:
        PlanError: The model cannot take the sample, or returns nothing that can be differentiated.
    """
    model = build(make, width, seed=derive(seed, "sample"))
    args = sample if isinstance(sample, tuple | list) else () if isinstance(sample, Mapping) else (sample,)
    kwargs = dict(sample) if isinstance(sample, Mapping) else {}
    try:
        with seeded(derive(seed, "sample", "forward")), torch.enable_grad():
            # A sum reaches every output with a nonzero gradient, also where a head starts at zero.
            loss = sum(
                out.abs().sum() if out.is_complex() else out.sum() for out in _outputs(model(*args, **kwargs))
            )
            if isinstance(loss, torch.Tensor):
                loss.backward()
    except Exception as error:
        raise PlanError(
            f"make({width}) cannot take the sample: {type(error).__name__}: {error}. Pass one input tensor, "
            "a tuple of positional arguments, or a dict of keyword arguments, as the model is called."
        ) from error
    if not isinstance(loss, torch.Tensor):
        raise PlanError(
            f"make({width}) returned no tensor that depends on its parameters for the sample, so what it "
            "reaches cannot be told. Pass a sample for which the model returns its output."
        )
    return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def _outputs(value: Any) -> Iterator[torch.Tensor]:
    """Yield every differentiable tensor in nested outputs."""
    if isinstance(value, torch.Tensor):
        if value.requires_grad:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _outputs(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _outputs(item)
