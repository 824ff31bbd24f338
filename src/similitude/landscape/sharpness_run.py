"""A training run whose sharpness is tracked from its first step to its last, and the landscape at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from similitude.core.errors import CurvatureError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.data.batches import Batches
from similitude.landscape.portrait import Portrait, check_top, portrait
from similitude.landscape.tracker import SharpnessTracker
from similitude.landscape.tracker_records import SharpnessHistory, SharpnessRecord
from similitude.training.loop import Loss, train


@dataclass(frozen=True)
class SharpnessRun:
    """What `sharpness_run` found.

    Attributes:
        name: The run's name.
        history: Sharpness along training.
        losses: Training loss before each step; nan from the step at which the run diverged on.
        portrait: The landscape at the end; None where it is not finite there.
        settings: What was run, by name.
        seconds: Wall-clock time.
    """

    name: str
    history: SharpnessHistory
    losses: tuple[float, ...]
    portrait: Portrait | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Where the run is: below the edge of stability, at it, beyond it, or diverged; at none untrained."""
        first = self.history.records[0]
        return self.history.verdict() if self.losses or not first.finite else _untrained(first)

    @property
    def products(self) -> int:
        """Products with the Hessian that tracking took."""
        return sum(record.products for record in self.history.records)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "edge": str(self.history.edge),
            "verdict": self.verdict.to_dict(),
            "records": [record.to_dict() for record in self.history.records],
            "losses": list(self.losses),
            "portrait": None if self.portrait is None else self.portrait.to_dict(),
            "settings": dict(self.settings),
            "seconds": self.seconds,
        }


def sharpness_run(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    loss: Loss,
    batches: Batches,
    probe: Any,
    steps: int,
    every: int = 10,
    tol: float = 1e-3,
    directional: bool = False,
    top: int | None = None,
    density: bool = True,
    split: bool = True,
    name: str = "sharpness",
    log: str | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    on_record: Callable[[SharpnessRecord], None] | None = None,
) -> SharpnessRun:
    """Train a model in place, track its sharpness on a fixed probe, and look at the landscape where it ends.

    Args:
        model: Any module; it is trained, and left in train mode.
        optimizer: Over its parameters.
        loss: `loss(model, batch) -> scalar`.
        batches: The batch of every step.
        probe: What the sharpness is that of: one batch, or several whose mean over examples is meant.
        steps: Optimizer steps; 0 measures the model as it is.
        every: Steps between measurements.
        tol: Relative error of an eigenvalue.
        directional: Whether to measure the curvature along the updates too.
        top: Eigenvalues at the end; 10 by default, or one per parameter where there are fewer.
        density: Whether to take the density of all eigenvalues at the end.
        split: Whether to take the Gauss-Newton part and the residual part at the end.
        name: Name of the run.
        log: A file that gets every record at once, one JSON object per line.
        seed: Seed of the batches' order and of the searches.
        settings: What to say was run.
        on_record: Called with every record.

    Returns:
        History, losses and portrait, with a verdict.

    Raises:
        CurvatureError: The loss cannot be differentiated twice, or an argument is out of range.
    """
    if steps < 0:
        raise CurvatureError(f"steps={steps}: give 0 to measure the model as it is, or more to train it.")
    check_top(top, sum(p.numel() for p in model.parameters() if p.requires_grad))
    started = time.monotonic()
    tracker = SharpnessTracker(
        loss, probe=probe, every=every, tol=tol, directional=directional, log=log, seed=seed
    )

    def look(step: int) -> None:
        record = tracker.update(model, optimizer, step)
        if record is not None and on_record is not None:
            on_record(record)

    model.train()
    look(0)
    losses: tuple[float, ...] = ()
    if steps:
        result = train(
            model, optimizer, batches=batches, loss=loss, steps=steps, seed=seed,
            on_step=lambda step, _: look(step + 1),
        )  # fmt: skip
        losses = tuple(result.losses.tolist())
        if result.diverged:
            tracker.measure(model, optimizer, tracker.records[-1].step + 1)
    alive = tracker.records[-1].finite
    found = (
        portrait(model, loss, probe, top=top, density=density, split=split, tol=tol, seed=seed)
        if alive
        else None
    )
    return SharpnessRun(
        name, tracker.history, losses, found, dict(settings or {}), time.monotonic() - started
    )


def _untrained(record: SharpnessRecord) -> Verdict:
    """Say what one measurement of a model that was not trained means: the rate up to which steps would be stable."""
    text = f"the model was not trained; its sharpness is {record.value:.4g}"
    if record.threshold is None or record.eta is None or record.value <= 0:
        return Verdict(Outcome.OK, text, causes=(record.note,) if record.note else ())
    most = record.threshold / record.value
    return Verdict(
        Outcome.OK,
        f"{text}, so that steps of {record.units} are stable up to a learning rate of {most:.4g}",
        (Evidence("learning rate over the largest stable one here", record.margin, None, "below 1"),),
    )
