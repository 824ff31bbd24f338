"""Passes of a model family at small sizes: what it is called with, and the sizes at which it is traced."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from similitude.core.errors import PlanError, SimilitudeError
from similitude.core.seeding import derive
from similitude.scaling.axes import Factory, Size, build, small_sizes
from similitude.scaling.dataflow.interpret import Flow, analyse
from similitude.scaling.dataflow.residual import Residual, residuals
from similitude.scaling.dataflow.trace import Trace, trace
from similitude.scaling.sizes import takes_width

Sample = Any
"""A tensor, a tuple of positional or a mapping of keyword arguments, or a function (of the width) that gives one."""


_MOST_PARAMETERS = 60_000_000  # of a model that is traced, so that planning takes seconds


def call_of(sample: Any, loss: Callable[..., Any] | None) -> Callable[[nn.Module], Any]:
    """Return the function that runs a model on a sample: its loss where there is one, else the model itself."""
    if loss is not None:
        return lambda model: loss(model, sample)
    args = sample if isinstance(sample, tuple | list) else () if isinstance(sample, Mapping) else (sample,)
    kwargs = dict(sample) if isinstance(sample, Mapping) else {}
    return lambda model: model(*args, **kwargs)


def sample_at(sample: Sample, size: Size) -> Any:
    """Return the sample for one size."""
    if callable(sample) and not isinstance(sample, Mapping):
        return sample(size["width"]) if takes_width(sample) else sample()
    return sample


def two_passes(
    make: Factory, sample: Sample, base: Size, target: Size, loss: Callable[..., Any] | None, seed: int
) -> tuple[Size, Size, tuple[Trace, Trace]]:
    """Trace a family at two small sizes.

    Args:
        make: The family.
        sample: What the model is called with.
        base: Size of the base, which is traced unless it is too large.
        target: Size of the target, which is traced only where the family has no other size.
        loss: `loss(model, sample)`, traced instead of the model's own call where given.
        seed: Seed of the builds.

    Returns:
        The two sizes by ascending width, and their passes.

    Raises:
        PlanError: The model cannot be called with the sample, or only one size can be traced.
    """
    found: list[tuple[Size, Trace]] = []
    problem: SimilitudeError | None = None
    for size in _candidates(make, base, target):
        try:
            found.append((size, _pass(make, sample_at(sample, size), size, loss, seed)))
        except SimilitudeError as error:
            if dict(size) == dict(base):
                raise
            problem = error
            continue
        if len(found) == 2:
            (a, one), (b, two) = sorted(found, key=lambda f: f[0]["width"])
            return a, b, (one, two)
    raise PlanError(
        f"only one size of the model can be traced ({_words(base)}), and two are needed to see what grows"
        + (f". Another one failed: {problem}" if problem is not None else ".")
        + " Let make build a second small size, e.g. twice the base's width, and pass a sample that fits "
        "every size (a function of the width where its shape depends on it)."
    )


def _candidates(make: Factory, base: Size, target: Size) -> list[Size]:
    """List sizes to trace: the base, twice its width, then others by their distance from that."""
    found = small_sizes(make, base, target, count=4, most_parameters=_MOST_PARAMETERS)
    return sorted(
        found, key=lambda size: (dict(size) != dict(base), abs(math.log2(size["width"] / base["width"]) - 1))
    )


def _pass(make: Factory, sample: Any, size: Size, loss: Callable[..., Any] | None, seed: int) -> Trace:
    """Trace one size: its loss on the sample, or its own call where there is no loss or the loss needs more."""
    first: Exception | None = None
    for call in (call_of(sample, loss), call_of(sample, None)):
        model = build(make, size, seed=derive(seed, "trace"))
        try:
            return trace(model, call, inputs=sample, seed=derive(seed, "trace", "forward"))
        except SimilitudeError:
            raise
        except Exception as error:
            first = first or error
    assert first is not None, "the call failed"
    what = (
        "loss(model, sample) and model(sample) fail"
        if loss is not None
        else "the model cannot take the sample"
    )
    if "does not require grad" in str(first) or "does not have a grad_fn" in str(first):
        raise PlanError(
            f"at {_words(size)} the forward pass takes derivatives of itself (torch.autograd.grad or backward), which "
            "cannot be traced: a parameter would be met again in every derivative. Plan for the part of the model "
            "before the derivative, with loss= or a make that returns that part alone."
        ) from first
    raise PlanError(
        f"at {_words(size)} {what}: {type(first).__name__}: {first}. Pass one input tensor, a tuple of "
        "positional arguments, or a dict of keyword arguments, as the model is called; a function of the "
        "width where its shape depends on it."
    ) from first


def _words(size: Size) -> str:
    return ", ".join(f"{dial} {value}" for dial, value in size.items())


def study_depth(
    make: Factory,
    sample: Sample,
    size: Size,
    *,
    growing: Mapping[str, frozenset[int]],
    loss: Callable[..., Any] | None,
    seed: int,
) -> tuple[Flow, tuple[Residual, ...]]:
    """Trace a model family at one size of another depth, for its residual branches.

    Args:
        make: The family.
        sample: What the model is called with.
        size: The size.
        growing: Which dimensions of every tensor grow with the width, as seen at the other depth.
        loss: As of `study`.
        seed: Seed of the build.

    Raises:
        PlanError: The model cannot be called with the sample.
    """
    ran = _pass(make, sample_at(sample, size), size, loss, seed)
    flow = analyse(ran, {name: growing.get(name, frozenset()) for name in ran.shapes})
    return flow, residuals(flow)
