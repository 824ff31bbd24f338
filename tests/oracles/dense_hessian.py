"""Hessians, Gauss-Newton matrices and Jacobians of small models, dense: plain and slow, on copies of the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

Function = Callable[[nn.Module, Any], Any]


@contextmanager
def repeatable(seed: int, *, plain_attention: bool) -> Iterator[None]:
    """The same random draws on every entry, and attention written out where asked for."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(seed)
        if plain_attention:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def trainable(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def rows(values: Tensor, model: nn.Module) -> Tensor:
    """The Jacobian of a vector of values: one backward pass a row."""
    parameters = trainable(model)
    found = []
    for value in values.flatten():
        parts: tuple[Tensor | None, ...] = (None,) * len(parameters)
        if value.requires_grad:
            parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        found.append(flat(parts, parameters))
    return torch.stack(found)


def flat(parts: Any, parameters: list[nn.Parameter]) -> Tensor:
    """Tensors by parameter as one vector; None is zero."""
    return torch.cat(
        [
            (torch.zeros_like(p) if part is None else part).flatten()
            for part, p in zip(parts, parameters, strict=True)
        ]
    )


def hessian(model: nn.Module, loss: Function, batch: Any, *, seed: int = 0) -> Tensor:
    """The Hessian (dim, dim), row by row: a backward pass through the gradient for each number in the parameters."""
    model = copy.deepcopy(model)
    parameters = trainable(model)
    with repeatable(seed, plain_attention=True):
        value = loss(model, batch)
        slopes = torch.autograd.grad(value, parameters, create_graph=True, allow_unused=True)
        return rows(flat(slopes, parameters), model).detach()


def product_by_differences(
    model: nn.Module, loss: Function, batch: Any, vector: Tensor, *, seed: int = 0, step: float = 3e-4
) -> Tensor:
    """The Hessian times a flat vector by fourth-order central differences of first gradients.

    The gradients are those of training, fused attention included, and no second backward pass takes part: wrong
    derivatives of backward passes cannot hide in it. Its error is of order `step`^4 plus rounding, 1e-16 / `step`.
    """

    def gradient(distance: float) -> Tensor:
        moved = copy.deepcopy(model)
        parameters = trainable(moved)
        with torch.no_grad():
            for p, along in zip(parameters, vector.split([p.numel() for p in parameters]), strict=True):
                p.add_(along.view(p.shape), alpha=distance)
        with repeatable(seed, plain_attention=False):
            return flat(torch.autograd.grad(loss(moved, batch), parameters, allow_unused=True), parameters)

    near = gradient(step) - gradient(-step)
    far = gradient(2 * step) - gradient(-2 * step)
    return (8 * near - far) / (12 * step)


def hessian_by_differences(model: nn.Module, loss: Function, batch: Any, *, seed: int = 0) -> Tensor:
    """The Hessian (dim, dim), column by column, by `product_by_differences`."""
    identity = torch.eye(sum(p.numel() for p in trainable(model)), dtype=torch.float64)
    return torch.stack(
        [product_by_differences(model, loss, batch, column, seed=seed) for column in identity], dim=1
    )


def flat_outputs(outputs: Any) -> Tensor:
    """Outputs (a tensor or a tuple of them) as one vector."""
    if isinstance(outputs, Tensor):
        return outputs.flatten()
    return torch.cat([flat_outputs(one) for one in outputs])


def jacobian(model: nn.Module, forward: Function, batch: Any, *, seed: int = 0) -> Tensor:
    """The Jacobian (outputs, dim) of all outputs on all examples, one backward pass a row."""
    model = copy.deepcopy(model)
    with repeatable(seed, plain_attention=True):
        return rows(flat_outputs(forward(model, batch)), model).detach()


def gauss_newton(
    model: nn.Module,
    forward: Function,
    criterion: Callable[[Any, Any], Tensor],
    batch: Any,
    *,
    seed: int = 0,
) -> Tensor:
    """J^T H_L J (dim, dim), with H_L the Hessian of the criterion in the outputs."""
    J = jacobian(model, forward, batch, seed=seed)
    with torch.no_grad(), repeatable(seed, plain_attention=True):
        outputs = forward(copy.deepcopy(model), batch)
    parts = [outputs] if isinstance(outputs, Tensor) else list(outputs)

    def of_outputs(vector: Tensor) -> Tensor:
        pieces = vector.split([part.numel() for part in parts])
        shaped = tuple(piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True))
        return criterion(shaped[0] if isinstance(outputs, Tensor) else shaped, batch)

    H = torch.autograd.functional.hessian(of_outputs, flat_outputs(outputs))
    return J.T @ H @ J
