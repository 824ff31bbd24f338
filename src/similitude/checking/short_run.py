"""A few steps of training of one network, with what an optimizer really did to every tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from similitude.checking.losses import differentiable
from similitude.core.seeding import derive, seeded
from similitude.scaling.matching import parameters
from similitude.training.modes import switch


@dataclass
class ShortRun:
    """What happened in a run.

    Attributes:
        losses: Loss before every step, and once more at the end on the last batch.
        gradients: Largest root mean square of a tensor's gradient over the steps; a tensor without one is missing.
        rates: Learning rate of every tensor at the last step.
        decays: Weight decay of every tensor at the last step.
    """

    losses: list[float] = field(default_factory=list)
    gradients: dict[str, float] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    decays: dict[str, float] = field(default_factory=dict)

    @property
    def diverged(self) -> bool:
        """Whether a loss was not finite."""
        return not all(map(math.isfinite, self.losses))

    @property
    def broken(self) -> bool:
        """Whether the loss was not finite before the first step, so that no learning rate is to blame."""
        return bool(self.losses) and not math.isfinite(self.losses[0])

    @property
    def learned(self) -> bool:
        """Whether the loss on the last batch fell."""
        return not self.diverged and self.losses[-1] < self.losses[-2]


def short_run(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    loss: Callable[[Any, Any], torch.Tensor],
    batch: Callable[[int], Any],
    steps: int,
    seed: int,
    scheduler: Any = None,
) -> ShortRun:
    """Train a model in place for a few steps.

    Args:
        model: The model, put into train mode.
        optimizer: Over its parameters.
        loss: `loss(model, batch)`.
        batch: Gives the batch of a step.
        steps: Number of optimizer steps.
        seed: Seed of random layers; global generators are left as they were.
        scheduler: Stepped after every optimizer step where there is one; a `ReduceLROnPlateau` is given the loss.

    Raises:
        PlanError: The loss is not one number with a gradient.
    """
    run = ShortRun()
    named = parameters(model)
    model.train()
    switch(optimizer, "train")
    with seeded(derive(seed, "layers")), torch.enable_grad():
        for step in range(steps):
            value = differentiable(loss(model, batch(step)))
            run.losses.append(float(value.detach()))
            if run.diverged:
                return run
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            for name, parameter in named.items():
                if parameter.grad is not None:
                    size = float(parameter.grad.detach().double().square().mean().sqrt())
                    run.gradients[name] = max(size, run.gradients.get(name, 0.0))
            _note_groups(run, optimizer, named)
            optimizer.step()
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(run.losses[-1])
            elif scheduler is not None:
                scheduler.step()
        with torch.no_grad():
            run.losses.append(float(loss(model, batch(steps - 1))))
    return run


def _note_groups(run: ShortRun, optimizer: torch.optim.Optimizer, named: dict[str, nn.Parameter]) -> None:
    names = {id(parameter): name for name, parameter in named.items()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names.get(id(parameter))
            if name is not None:
                run.rates[name] = float(group["lr"])
                run.decays[name] = float(group.get("weight_decay") or 0.0)
