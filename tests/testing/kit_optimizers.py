"""An optimizer of somebody else's, as the kit's tests need one."""

from __future__ import annotations

from typing import Any

import torch

from similitude.scaling.optimizers import OptimizerSpec


class SignMomentum(torch.optim.Optimizer):
    """Steps along the sign of a running mean of gradients, as Lion does."""

    def __init__(self, params: Any, lr: float = 1e-3, beta: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "beta": beta, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["beta"])
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(mean.sign(), alpha=group["lr"])


def sign_momentum(**changes: Any) -> OptimizerSpec:
    """Return what is true of it, but for what is changed."""
    said = {"name": "SignMomentum", "family": "entrywise", "decay": "shrink", "defaults": {}}
    return OptimizerSpec(**(said | changes))
