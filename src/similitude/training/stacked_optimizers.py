"""SGD, momentum, Adam and AdamW on stacked parameters: one update for many runs with their own hyperparameters.

Each follows the update of the `torch.optim` class of the same name term by term, so that a stacked run and a
plain one agree to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from similitude.core.errors import PlanError

SUPPORTED = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
"""Optimizers that can be stacked; any other trains in the plain loop."""

_NEEDS_LOOP = ("amsgrad", "maximize", "differentiable")


class StackedOptimizer:
    """Updates stacked parameters, shape (replicas, ...), with hyperparameters per replica and factors per tensor.

    Args:
        kind: The torch class: `SGD`, `Adam` or `AdamW`.
        params: Stacked tensors by name, updated in place.
        hyperparameters: Values of the class's options (lr, momentum, dampening, nesterov, betas as `beta1` and
            `beta2`, eps, weight_decay), each of length replicas.
        factors: Per tensor name the factors of `lr`, `eps` and `weight_decay`; 1 where absent.

    Raises:
        PlanError: The class is none of `SUPPORTED`.
    """

    def __init__(
        self,
        kind: type[torch.optim.Optimizer],
        params: Mapping[str, Tensor],
        *,
        hyperparameters: Mapping[str, Sequence[float]],
        factors: Mapping[str, Mapping[str, float]],
    ) -> None:
        if kind not in SUPPORTED:
            raise PlanError(
                f"{kind.__name__} cannot be stacked; only {', '.join(c.__name__ for c in SUPPORTED)} can."
            )
        self._adam = kind is not torch.optim.SGD
        self._decoupled = kind is torch.optim.AdamW
        self._params = dict(params)
        self._values = {k: torch.tensor(list(v), dtype=torch.float64) for k, v in hyperparameters.items()}
        self._factors = factors
        self._first: dict[str, Tensor] = {}
        self._second: dict[str, Tensor] = {}
        self._steps = 0
        self._corrections: tuple[Tensor, Tensor]
        momentum = self._values.get("momentum")
        self._has_momentum = momentum is not None and bool((momentum != 0).any())
        self._has_decay = bool((self._values["weight_decay"] != 0).any())
        self._same_betas = self._adam and all(
            bool((self._values[b] == self._values[b][0]).all()) for b in ("beta1", "beta2")
        )

    def _per_replica(self, values: Tensor, like: Tensor) -> Tensor:
        """Shape (replicas, 1, ..., 1) in the tensor's dtype; computed in float64 first, as Python floats are."""
        return values.to(like.dtype).view(-1, *[1] * (like.ndim - 1))

    def step(self, grads: Mapping[str, Tensor], *, lr_multiplier: float = 1.0) -> None:
        """Update every tensor from its stacked gradient, which may be overwritten."""
        self._steps += 1
        if self._adam:
            self._corrections = (self._correction("beta1"), self._correction("beta2"))
        for name, p in self._params.items():
            factor = self._factors.get(name, {})
            lr = self._values["lr"] * (factor.get("lr", 1.0) * lr_multiplier)
            decay = self._values["weight_decay"] * factor.get("weight_decay", 1.0)
            g = grads[name]
            if self._has_decay:
                if self._decoupled:
                    p.mul_(self._per_replica(1 - lr * decay, p))
                else:
                    g = g.addcmul(self._per_replica(decay, p), p)
            if self._adam:
                self._adam_update(name, p, g, lr, self._values["eps"] * factor.get("eps", 1.0))
            else:
                self._sgd_update(name, p, g, lr)

    def _sgd_update(self, name: str, p: Tensor, g: Tensor, lr: Tensor) -> None:
        if self._has_momentum:
            momentum = self._per_replica(self._values["momentum"], p)
            buffer = self._first.get(name)
            if buffer is None:
                buffer = self._first[name] = g.clone()
            else:
                buffer.mul_(momentum).add_(self._per_replica(1 - self._values["dampening"], p) * g)
            nesterov = self._per_replica(self._values["nesterov"], p) != 0
            # A replica without momentum must not see its buffer, as torch does not keep one for it.
            g = torch.where(momentum != 0, torch.where(nesterov, g + momentum * buffer, buffer), g)
        p.sub_(self._per_replica(lr, p) * g)

    def _correction(self, beta: str) -> Tensor:
        """1 - beta^t of every replica, t the number of steps: by Python's own power, since `Tensor.pow` rounds the
        last elements of a tensor otherwise than the others, and a run would then depend on its place in the stack."""
        return torch.tensor([1 - b**self._steps for b in self._values[beta].tolist()], dtype=torch.float64)

    def _adam_update(self, name: str, p: Tensor, g: Tensor, lr: Tensor, eps: Tensor) -> None:
        beta1, beta2 = self._values["beta1"], self._values["beta2"]
        if name not in self._first:
            self._first[name], self._second[name] = torch.zeros_like(p), torch.zeros_like(p)
        first, second = self._first[name], self._second[name]
        if self._same_betas:  # Scalars save two passes over memory.
            b1, b2 = float(beta1[0]), float(beta2[0])
            first.lerp_(g, 1 - b1)
            second.mul_(b2).addcmul_(g, g, value=1 - b2)
        else:
            first.lerp_(g, self._per_replica(1 - beta1, p))
            second.mul_(self._per_replica(beta2, p)).addcmul_(self._per_replica(1 - beta2, p) * g, g)
        # m / (sqrt(v) / c + eps) = c m / (sqrt(v) + c eps) with c = sqrt(1 - beta2^t): one pass fewer.
        correction1, correction2 = self._corrections
        root_correction = correction2.sqrt()
        size = lr * root_correction / correction1
        update = second.sqrt().add_(self._per_replica(eps * root_correction, p))
        torch.div(first, update, out=update)
        p.sub_(update.mul_(self._per_replica(size, p)))


def can_stack(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer is one of `SUPPORTED` itself (no subclass) with options that the stacked update has."""
    return type(optimizer) in SUPPORTED and not any(optimizer.defaults.get(option) for option in _NEEDS_LOOP)
