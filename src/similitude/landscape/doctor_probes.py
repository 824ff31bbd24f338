"""Which operation of a model breaks a route: each is tried alone, on the tensors that the model gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from similitude.core.seeding import seeded, torch_generator
from similitude.landscape.doctor_operations import Call
from similitude.landscape.doctor_reference import settle
from similitude.landscape.routes import OURS, Route, gradient_of, step_scale
from similitude.landscape.undisturbed import undisturbed

_MARGIN = 3.0  # times the uncertainty of a reference that an error may come from it


def probe(call: Call, route: Route, *, dtype: torch.dtype, seed: int) -> float:
    """Take one product through one operation, and return its error relative to finite differences.

    The function whose Hessian it is: a weighted sum of cubes and squares of what the operation gives.

    Args:
        call: The operation with its arguments.
        route: How the product is taken.
        dtype: What everything floating is cast to.
        seed: Seeds what the operation draws, and the direction.

    Returns:
        The error, less three times what the reference is uncertain by; nan where that does not settle, as at a kink.
    """
    scale: list[Tensor] = []

    def f(*at: Tensor) -> Tensor:
        with undisturbed(nn.Identity(), seed=seed) if route.name == OURS else seeded(seed):
            outputs = differentiable(call.run(*at, dtype=dtype))
        return bent(outputs, scale)

    point = [p.requires_grad_() for p in call.point(dtype)]
    if not f(
        *point
    ).requires_grad:  # comparisons, indices, detached copies; it also fixes the scale of the outputs
        return 0.0
    generator = torch_generator(seed, "probe")
    direction = [torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p) for p in point]

    def gradient(t: float) -> Tensor:
        moved = [(p + t * v).detach().requires_grad_() for p, v in zip(point, direction, strict=True)]
        return _flat(gradient_of(f, moved))

    reference = settle(gradient, scale=step_scale(point, direction), dtype=dtype)
    if not reference.settled:
        return float("nan")
    error = reference.error(_flat(route.product(f, point, direction)))
    return max(error - _MARGIN * reference.uncertainty, 0.0)


def probe_all(
    calls: Sequence[Call], route: Route, *, dtype: torch.dtype, seed: int
) -> Iterator[tuple[float | None, str]]:
    """Try a route on operations one after the other.

    Gives:
        Per operation its error and an empty text; or None and why there is no product.
    """
    for call in calls:
        yield _attempt(lambda call=call: probe(call, route, dtype=dtype, seed=seed))


def differentiable(outputs: Any) -> list[Tensor]:
    """Return the results that gradients flow from: all of a list, the first of a tuple, as PyTorch's own rules do."""
    if isinstance(outputs, tuple):
        found = [t for t in outputs if isinstance(t, Tensor) and t.is_floating_point() and t.numel()]
        return found[:1]
    return [t for t in tree_flatten(outputs)[0] if isinstance(t, Tensor) and t.is_floating_point()]


def bent(outputs: Sequence[Tensor], scale: list[Tensor]) -> Tensor:
    """Return a smooth scalar of some tensors with a second derivative everywhere.

    Args:
        outputs: The tensors; entries that are not finite (masks of attention) are left out.
        scale: Their sizes, which are constants; measured where the list is empty.
    """
    if not scale:
        scale += [_size(z.detach()) for z in outputs]
    total = torch.zeros(())
    for z, size in zip(outputs, scale, strict=True):
        x = torch.where(z.isfinite(), z, 0.0).reshape(-1) / size
        weights = torch.linspace(0.5, 1.5, x.numel(), dtype=x.dtype, device=x.device)
        total = total + (weights * (x * x + x * x * x / 3)).sum()
    return total


def _size(values: Tensor) -> Tensor:
    finite = torch.where(values.isfinite(), values, 0.0)
    size = finite.square().mean().sqrt()
    return torch.where(size > 0, size, torch.ones_like(size))


def _attempt(measure: Callable[[], float]) -> tuple[float | None, str]:
    try:
        return measure(), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def _flat(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.detach().reshape(-1).double().cpu() for part in parts])
