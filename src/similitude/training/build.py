"""Build the model and the optimizer of one run, from the user's factories and the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import nn

from similitude.core.seeding import derive, seeded
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Plan


def build_model(make: Callable[[], nn.Module], seed: int, plan: Plan | None = None) -> nn.Module:
    """Build the model of one run: the factory under the run's seed, then the plan's rescaling of initial values."""
    with seeded(derive(seed, "init")):
        model = make()
    if plan is not None:
        plan.apply_(model)
    return model


def build_optimizer(optimizer: OptimizerLike, groups: Iterable[Any]) -> torch.optim.Optimizer:
    """Build an optimizer over parameters or groups from a class, an instance (its options) or a callable."""
    if isinstance(optimizer, torch.optim.Optimizer):
        defaults = {k: v for k, v in optimizer.defaults.items() if k != "decoupled_weight_decay"}
        return _callable(type(optimizer))(list(groups), **defaults)
    return _callable(optimizer)(list(groups))


def _callable(optimizer: OptimizerLike) -> Callable[..., torch.optim.Optimizer]:
    """A subclass's signature is its own; that of the base class, which type checkers see, is no guide."""
    return cast("Callable[..., torch.optim.Optimizer]", optimizer)
