"""The plain training loop: any model, any torch optimizer, one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.errors import GridError
from similitude.core.seeding import derive, seeded
from similitude.data.batches import Batches
from similitude.training.modes import switch
from similitude.training.result import RunResult
from similitude.training.schedule import Schedule, constant

Loss = Callable[[Any, Any], Tensor]
"""`loss(model, batch)`, a scalar tensor."""


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    batches: Batches,
    loss: Loss,
    steps: int,
    seed: int = 0,
    schedule: Schedule = constant,
    on_step: Callable[[int, float], None] | None = None,
) -> RunResult:
    """Train one model in place and return its losses.

    Args:
        model: Any module; it is put into train mode, and into eval mode for the final evaluation.
        optimizer: Any optimizer over the model's parameters; the schedule multiplies each group's own rate.
        batches: Gives the batch of every step, and the evaluation batch.
        loss: `loss(model, batch) -> scalar`.
        steps: Number of optimizer steps, at least 1.
        seed: Seeds the order of the batches and any stochastic layer (global generators are restored).
        schedule: Multiplier of the learning rate by step.
        on_step: Called after each step with the step and its loss; an exception it raises ends the run.

    Returns:
        The losses; after a loss that is not finite the run stops, and the rest of its losses are nan.

    Raises:
        GridError: `steps` is below 1.
    """
    check_steps(steps)
    losses = np.full(steps, np.nan)
    base_rates = [group["lr"] for group in optimizer.param_groups]
    model.train()
    switch(optimizer, "train")
    with seeded(derive(seed, "layers")):
        for step in range(steps):
            for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
                group["lr"] = rate * schedule(step)
            value = loss(model, batches.batch(seed, step))
            losses[step] = value.item()
            if not np.isfinite(losses[step]):
                break
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            if on_step is not None:
                on_step(step, float(losses[step]))
    for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
        group["lr"] = rate
    held_out = batches.evaluation()
    evaluation = None
    if held_out is not None:
        model.eval()
        switch(optimizer, "eval")
        with torch.no_grad():
            evaluation = loss(model, held_out).item()
        model.train()
        switch(optimizer, "train")
    return RunResult(losses, evaluation)


def check_steps(steps: int) -> None:
    """Raise `GridError` unless there is at least one step."""
    if steps < 1:
        raise GridError(f"steps={steps}: a run needs at least 1 optimizer step.")
