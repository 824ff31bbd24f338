"""Let an optimizer make steps on throw-away tensors with given gradients, and return the steps."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from similitude.core.errors import PlanError
from similitude.core.seeding import derive, torch_generator

OptimizerLike = type[torch.optim.Optimizer] | torch.optim.Optimizer | Callable[..., torch.optim.Optimizer]

RANK = 3  # of the part of the gradients that stays in place from step to step
_FRESH_RANK, _FRESH = 2, 0.2  # of the part that is new in every step, and its size beside the other
_WANDER = 0.5  # how much the mixing of the lasting directions changes from step to step


class TrialError(Exception):
    """An optimizer cannot be tried; the text is a clause that says why."""


def instantiate(optimizer: OptimizerLike, parameters: Sequence[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Make an optimizer of some tensors, with the user's options.

    Args:
        optimizer: Class, `functools.partial`, factory, or an instance: then another of its class with its options.
        parameters: The tensors.

    Raises:
        PlanError: It is not an optimizer or cannot be built from parameters alone.
    """
    make: Any = optimizer
    if isinstance(optimizer, torch.optim.Optimizer):
        taken = inspect.signature(type(optimizer)).parameters
        options = {name: value for name, value in optimizer.defaults.items() if name in taken}
        make = functools.partial(type(optimizer), **options)
    if not callable(make):
        raise PlanError(
            f"optimizer={optimizer!r} is not an optimizer. Pass a class such as torch.optim.AdamW, an instance, or a "
            "callable that takes parameters."
        )
    instance = _made(make, parameters, optimizer)
    if not isinstance(instance, torch.optim.Optimizer):
        raise PlanError(
            f"optimizer={optimizer!r} returned a {type(instance).__name__}, not a torch.optim.Optimizer. Pass a class "
            "such as torch.optim.AdamW, an instance, or a callable that takes parameters."
        )
    return instance


def steps_of(
    optimizer: OptimizerLike,
    weights: Sequence[Tensor],
    gradients: Sequence[Sequence[Tensor]],
    *,
    options: Mapping[str, Any],
    seed: int = 0,
) -> list[Tensor]:
    """Return what a freshly made optimizer takes off the first tensor in every step.

    Args:
        optimizer: Class, instance, `functools.partial` or factory.
        weights: Values that the tensors start from.
        gradients: For every step the gradients of all tensors.
        options: Set in every parameter group that has them, over the optimizer's own.
        seed: Seed of what the optimizer draws from torch's CPU generator, which is left as it was.

    Raises:
        PlanError: The optimizer cannot be made.
        TrialError: It cannot make a step on these tensors.
    """
    parameters = [torch.nn.Parameter(weight.clone()) for weight in weights]
    taken = []
    with _drawing(derive(seed, "trial")), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a throw-away model's optimizer
        instance = instantiate(optimizer, parameters)
        for group in instance.param_groups:
            for name, value in options.items():
                if name in group:
                    group[name] = torch.tensor(value) if isinstance(group[name], Tensor) else value
        train = getattr(instance, "train", None)
        if callable(train):  # schedule-free optimizers make no steps in evaluation mode
            train()
        for now in gradients:
            before = parameters[0].detach().clone()
            for parameter, gradient in zip(parameters, now, strict=True):
                parameter.grad = gradient.clone()
            _step(instance)
            taken.append(before - parameters[0].detach())
    if not all(bool(torch.isfinite(step).all()) for step in taken):
        raise TrialError("it makes steps that are not finite on gradients of ordinary size")
    return taken


def aligned_gradients(rows: int, columns: int, steps: int, *, seed: int = 0) -> list[Tensor]:
    """Return gradients as training makes them: entries of one size, and a few directions that stay in place.

    Each is a sum of outer products, most of them of the same vectors at every step. Singular values are those at
    every other shape times sqrt(rows x columns), so that sizes of steps compare without noise.

    Args:
        rows: Rows of each gradient.
        columns: Columns of each gradient.
        steps: How many.
        seed: Seed of the directions.

    Returns:
        Tensors of (rows, columns), float64.

    Example:
        >>> small, large = (torch.linalg.matrix_norm(aligned_gradients(n, n, 1)[0], ord=2).item() for n in (32, 64))
        >>> round(large / small, 6)
        2.0
    """
    total = RANK + _FRESH_RANK * steps
    sides = [
        _directions(n, total, torch_generator(seed, "gradients", i)) for i, n in enumerate((rows, columns))
    ]
    mixing = torch_generator(seed, "mixing")
    found = []
    for step in range(steps):
        mixed = torch.eye(RANK, dtype=torch.float64)
        mixed = mixed + _WANDER * torch.randn(RANK, RANK, generator=mixing, dtype=torch.float64)
        new = slice(RANK + _FRESH_RANK * step, RANK + _FRESH_RANK * (step + 1))
        left, right = (side[:, :RANK] for side in sides)
        fresh = sides[0][:, new] @ sides[1][:, new].T
        found.append((left @ mixed @ right.T + _FRESH * fresh) / RANK**0.5)
    return found


def _directions(n: int, count: int, generator: torch.Generator) -> Tensor:
    """Return columns with entries of size 1, orthogonal to one another where there is room for them."""
    drawn = torch.randn(n, count, generator=generator, dtype=torch.float64)
    kept = torch.linalg.qr(drawn[:, : min(n, count)]).Q
    rest = drawn[:, kept.shape[1] :]
    return torch.cat([kept, rest / rest.norm(dim=0)], 1) * n**0.5


@contextlib.contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Let torch's CPU generator draw under a seed, then restore it; a hundred times as fast as seeding all devices."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


def _made(make: Any, parameters: Sequence[torch.nn.Parameter], optimizer: OptimizerLike) -> Any:
    """Call a factory with parameters, and where it cannot take those, with one group, as plans make them."""
    try:
        return make(list(parameters))
    except (Exception, SystemExit) as error:
        try:
            return make([{"params": list(parameters)}])
        except (Exception, SystemExit) as second:
            name, why, grouped = _name(optimizer), _said(error), _said(second)
            remedy = (
                f"Pass a class, an instance, or functools.partial({name}, ...) with the arguments that it needs (at the "
                "command line: --kwarg.NAME VALUE)"
            )
            if grouped != why:
                why = f"{why}; nor from a parameter group: {grouped}"
                remedy += (
                    f". If its groups need an option, pass a function of them: lambda groups: {name}([{{**group, "
                    '"option": True} for group in groups])'
                )
            raise PlanError(
                f"optimizer {name} cannot be built from parameters alone: {why}. {remedy}."
            ) from error


def _name(optimizer: OptimizerLike) -> str:
    """Return the name of a class or function, below any options that are bound to it."""
    while isinstance(optimizer, functools.partial):
        optimizer = optimizer.func
    return getattr(optimizer, "__name__", type(optimizer).__name__)


def _said(error: BaseException) -> str:
    """Write an error as a clause of one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")


def _step(instance: torch.optim.Optimizer) -> None:
    try:
        instance.step()
    except (Exception, SystemExit) as error:
        if "closure" in str(error):  # as an argument that Python misses, or in the optimizer's own words
            raise TrialError(
                "its step needs a closure that computes the loss anew, so that no gradient says how large a step is"
            ) from error
        raise TrialError(f"it makes no step on a dense gradient: {_said(error)}") from error
