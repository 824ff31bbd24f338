"""The kept graph of one batch: a loss and its gradient, ready to be differentiated again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_leaves

from similitude.core.errors import CurvatureError
from similitude.landscape.autograd_errors import check_marks, explained
from similitude.landscape.jacobian import Jacobian, Pick
from similitude.landscape.undisturbed import Surroundings
from similitude.landscape.vectors import ParameterSpace
from similitude.scaling.axes import some
from similitude.training.loop import Loss


@dataclass
class BatchGraph:
    """The loss of one batch with its graphs; what is not asked for is not built.

    Attributes:
        space: The trainable parameters.
        value: The loss, a scalar with its graph.
        gradient: Its gradient by parameter, with a graph of its own; None where the loss does not depend on it.
        calls: What the model returned, call by call, as picked.
        overwritten: Whether something of what the model returned was written into after its call.
        around: What the pass ran in, and later passes through its graphs must: checkpointed parts run again.
    """

    space: ParameterSpace
    value: Tensor
    gradient: tuple[Tensor | None, ...]
    calls: tuple[Any, ...]
    around: Surroundings = field(repr=False)
    overwritten: bool = False
    _jacobian: Jacobian | None = field(default=None, repr=False)
    _checked: bool = field(default=False, repr=False)

    def hessian_product(self, parts: Sequence[Tensor]) -> list[Tensor | None]:
        """Multiply the Hessian of the loss by a vector in parts."""
        pairs = [
            (g, part)
            for g, part in zip(self.gradient, parts, strict=True)
            if g is not None and g.requires_grad
        ]
        if not self._checked:
            check_marks(self.value)
            self._checked = True
        if not pairs:  # the loss is linear in its parameters
            return [None] * len(parts)
        gradients, along = zip(*pairs, strict=True)
        with self.around.inside(), explained():
            return list(
                torch.autograd.grad(
                    gradients, self.space.tensors, along, retain_graph=True, allow_unused=True
                )
            )

    def gauss_newton_product(self, parts: Sequence[Tensor]) -> list[Tensor | None]:
        """Multiply the Gauss-Newton matrix J^T L'' J by a vector in parts."""
        jacobian = self.jacobian
        with self.around.inside():
            return jacobian.pull(jacobian.bend(jacobian.push(parts)))

    def residual_product(self, parts: Sequence[Tensor]) -> list[Tensor | None]:
        """Multiply the Hessian less the Gauss-Newton matrix by a vector in parts."""
        pairs = zip(self.hessian_product(parts), self.gauss_newton_product(parts), strict=True)
        return [_difference(whole, part) for whole, part in pairs]

    @property
    def jacobian(self) -> Jacobian:
        """The Jacobian of the outputs, and the loss as a function of them.

        Raises:
            CurvatureError: The loss is no function of the model's outputs alone.
        """
        if self.overwritten:
            raise CurvatureError(
                "what the model returned was written into after its call (an operation in place, such as sigmoid_()), so "
                "its outputs are not known any more and the Gauss-Newton matrix is not defined. Use the operation that "
                "gives a new tensor."
            )
        if self._jacobian is None:
            with self.around.inside():
                self._jacobian = Jacobian(self.space, self.value, self.calls)
        return self._jacobian


def build(
    model: nn.Module,
    loss: Loss,
    batch: Any,
    space: ParameterSpace,
    *,
    around: Surroundings,
    pick: Pick | None = None,
) -> BatchGraph:
    """Run a model on one batch and keep the graph of its gradient.

    Args:
        model: The model, unwrapped.
        loss: `loss(model, batch) -> scalar`.
        batch: The batch.
        space: The trainable parameters of the model.
        around: What to run it in.
        pick: Takes the outputs that matter from what the model returns; None for the usual ones.

    Raises:
        CurvatureError: The loss is no finite scalar with a gradient, or an operation has no second derivative.
    """
    calls: list[Any] = []
    versions: list[tuple[Tensor, int]] = []

    def record(module: nn.Module, args: Any, result: Any) -> None:
        calls.append(result)
        versions.extend((t, t._version) for t in tree_leaves(result) if isinstance(t, Tensor))

    handle = model.register_forward_hook(record)
    try:
        with around.inside():
            value = _scalar(loss(model, batch), space)
            with explained():
                gradient = torch.autograd.grad(value, space.tensors, create_graph=True, allow_unused=True)
    finally:
        handle.remove()
    _check_finite(value, gradient, space)
    picked = tuple(calls if pick is None else map(pick, calls))
    return BatchGraph(space, value, gradient, picked, around, any(t._version != v for t, v in versions))


@contextmanager
def counted_bytes(space: ParameterSpace, into: list[int]) -> Iterator[None]:
    """Count the bytes that graphs built inside keep, besides the parameters; the sum is appended to `into`."""
    seen: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in space.tensors}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        yield
    into.append(sum(seen.values()))


def _difference(whole: Tensor | None, part: Tensor | None) -> Tensor | None:
    if whole is None or part is None:
        return whole if part is None else -part
    return whole - part


def _scalar(value: Any, space: ParameterSpace) -> Tensor:
    if not isinstance(value, Tensor):
        raise CurvatureError(
            f"the loss returned a {type(value).__name__}, not a tensor. loss(model, batch) must return a scalar tensor "
            "that autograd can follow (no .item(), no float())."
        )
    if value.numel() != 1:
        raise CurvatureError(
            f"the loss has shape {tuple(value.shape)}: curvature is that of one number. Return its mean over the "
            "examples, e.g. loss.mean(), or drop reduction='none'."
        )
    if not value.requires_grad:
        raise CurvatureError(
            f"the loss does not depend on any of the {len(space.names)} trainable parameters as far as autograd sees "
            "(no grad_fn). Look for .detach(), torch.no_grad() or another model inside the loss."
        )
    return value.reshape(())


def _check_finite(value: Tensor, gradient: Sequence[Tensor | None], space: ParameterSpace) -> None:
    bad = [
        name for name, p in zip(space.names, space.tensors, strict=True) if not p.detach().isfinite().all()
    ]
    if bad:
        raise CurvatureError(
            f"{some(bad)} hold values that are not finite, so there is no curvature here. Training diverged, or a "
            "checkpoint is damaged: load an earlier one."
        )
    if not value.isfinite():
        raise CurvatureError(
            f"the loss is {value.item()} although every parameter is finite: an operation overflows on this batch. Look "
            "for logarithms and divisions by zero, or measure in float64 (model.double())."
        )
    sparse = [
        n for n, g in zip(space.names, gradient, strict=True) if g is not None and g.layout != torch.strided
    ]
    if sparse:
        raise CurvatureError(
            f"the gradient of {some(sparse)} is sparse, and sparse gradients cannot be differentiated again. Make the "
            "embedding with sparse=False for the measurement."
        )
    steep = [
        name
        for name, g in zip(space.names, gradient, strict=True)
        if g is not None and not g.detach().isfinite().all()
    ]
    if steep:
        raise CurvatureError(
            f"the gradient of {some(steep)} is not finite although the loss is {value.item():.4g}: an operation has no "
            "derivative at this point, such as sqrt or norm at zero."
        )
