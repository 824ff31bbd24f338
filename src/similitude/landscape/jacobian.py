"""The Jacobian of a model's outputs in its parameters, and the loss as a function of the outputs, on kept graphs."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from torch import Tensor

from similitude.core.errors import CurvatureError
from similitude.landscape.autograd_errors import explained
from similitude.landscape.autograd_graph import Edge, walk
from similitude.landscape.calls import output_tensors
from similitude.landscape.vectors import ParameterSpace

Pick = Callable[[Any], Any]
"""Takes what the model returns, gives the tensor or tensors that the loss is a function of."""


class Jacobian:
    """Products with J, the Jacobian of all outputs of a batch with respect to the parameters, and with the loss's
    second derivative in the outputs.

    J v is taken without forward-mode differentiation: J^T u is linear in u, and its derivative along v is J v.

    Args:
        space: The trainable parameters.
        value: The loss with its graph.
        calls: What the model returned, call by call, as picked.

    Raises:
        CurvatureError: The model was not called, its outputs have no gradient, one depends on another, or the loss
            uses parameters otherwise.
    """

    def __init__(self, space: ParameterSpace, value: Tensor, calls: Sequence[Any]) -> None:
        self.space = space
        self.outputs = _distinct([t for call in calls for t in _differentiable(call, value)])
        _check_outputs(self.outputs, calls, value, space)
        with explained():
            self._slopes = torch.autograd.grad(
                value, self.outputs, create_graph=True, retain_graph=True, allow_unused=True
            )
            # Any u will do, as J^T u is linear in it, but zero: some backward passes take the logarithm of u.
            self._probes = tuple(torch.randn_like(z).requires_grad_() for z in self.outputs)
            self._pulled = torch.autograd.grad(
                self.outputs, space.tensors, self._probes, create_graph=True, allow_unused=True
            )

    @property
    def dim(self) -> int:
        """Number of outputs of all examples."""
        return sum(z.numel() for z in self.outputs)

    def push(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """J v: one tensor per output."""
        pairs = [(j, part) for j, part in zip(self._pulled, parts, strict=True) if j is not None]
        pulled, along = zip(*pairs, strict=True)
        with explained():
            moved = torch.autograd.grad(pulled, self._probes, along, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(z) if m is None else m for m, z in zip(moved, self.outputs, strict=True)]

    def pull(self, weights: Sequence[Tensor]) -> list[Tensor | None]:
        """J^T u: one tensor per parameter."""
        with explained():
            return list(
                torch.autograd.grad(
                    self.outputs, self.space.tensors, weights, retain_graph=True, allow_unused=True
                )
            )

    def bend(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Multiply the loss's second derivative in the outputs by u."""
        pairs = [
            (s, u) for s, u in zip(self._slopes, weights, strict=True) if s is not None and s.requires_grad
        ]
        if not pairs:  # the loss is linear in the outputs
            return [torch.zeros_like(z) for z in self.outputs]
        slopes, along = zip(*pairs, strict=True)
        with explained():
            bent = torch.autograd.grad(slopes, self.outputs, along, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(z) if b is None else b for b, z in zip(bent, self.outputs, strict=True)]

    def split(self, flat: Tensor) -> list[Tensor]:
        """Cut a flat vector over all outputs into their shapes."""
        pieces = flat.split([z.numel() for z in self.outputs])
        return [piece.view(z.shape).to(z) for piece, z in zip(pieces, self.outputs, strict=True)]


def _differentiable(result: Any, value: Tensor) -> list[Tensor]:
    """List the tensors of what a model returned that the loss is a function of."""
    found = [t for t in output_tensors(result) if t.requires_grad]
    if len(found) < 2:
        return found
    reached = torch.autograd.grad(value, found, retain_graph=True, allow_unused=True)
    return [t for t, g in zip(found, reached, strict=True) if g is not None]


def _distinct(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple({id(t): t for t in tensors}.values())


def _check_outputs(
    outputs: Sequence[Tensor], calls: Sequence[Any], value: Tensor, space: ParameterSpace
) -> None:
    remedy = (
        "Pass outputs=, a function that takes what the model returns and gives the tensor that the loss is a function "
        "of; the Hessian itself needs none of this."
    )
    if not calls:
        raise CurvatureError(
            "the loss never calls the model itself (it calls a submodule or a method), so its outputs are not known and "
            "the Gauss-Newton matrix and the NTK are not defined. Call model(...) in the loss."
        )
    if not outputs:
        raise CurvatureError(
            f"the model returned {type(calls[0]).__name__} without a tensor that has a gradient. {remedy}"
        )
    edges = {(z.grad_fn, z.output_nr) for z in outputs if z.grad_fn is not None}
    leaves = {id(z) for z in outputs if z.grad_fn is None}
    if _reaches(value, edges, leaves, space):
        raise CurvatureError(
            "the loss uses parameters in another way than through the model's outputs (a penalty on weights, or an "
            "output of another name), so it is no function of the outputs alone and has no Gauss-Newton matrix. "
            f"{remedy} Leave penalties on weights out of the loss that is measured."
        )
    for number, z in enumerate(outputs):
        others = {(o.grad_fn, o.output_nr) for o in outputs if o is not z and o.grad_fn is not None}
        if any(edge in others for edge in walk(z, others)):
            raise CurvatureError(
                f"output {number} of the model is computed from another of its outputs, and both enter the loss: "
                f"derivatives would count twice. {remedy}"
            )


def _reaches(value: Tensor, edges: Container[Edge], leaves: set[int], space: ParameterSpace) -> bool:
    """Whether a trainable parameter is found from `value` without passing one of some tensors."""
    own = {id(p) for p in space.tensors} - leaves
    return any(
        edge not in edges and id(getattr(edge[0], "variable", None)) in own for edge in walk(value, edges)
    )
