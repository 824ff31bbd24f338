"""What a transfer study holds: loss curves, optima with intervals, shifts, and what was run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from similitude.core.verdict import Verdict
from similitude.scaling.plan import Plan
from similitude.scaling.sizes import WIDTH


@dataclass(frozen=True)
class Curve:
    """Final losses of one size over a grid of learning rates.

    Attributes:
        size: The value of the dial that changes, such as the width, in the units of the user's factory.
        lrs: Learning rates, increasing, shape (rates,).
        losses: Final losses, shape (rates, seeds); `nan` or `inf` where a run diverged.
        dial: The dial that changes: "width" or "depth".
    """

    size: int
    lrs: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    dial: str = WIDTH

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a diverged loss is null."""
        finite = [[v if v == v and abs(v) != float("inf") else None for v in row] for row in self.losses]
        return {self.dial: self.size, "lrs": list(self.lrs), "losses": finite}


@dataclass(frozen=True)
class Optimum:
    """The best learning rate of one size.

    Attributes:
        size: The value of the dial that changes, such as the width.
        lr: The minimum of the loss over the learning rate, refined between grid points; None if every run diverged.
        interval: 95 % interval of `lr`; None where `lr` is None.
        loss: The smallest mean loss on the grid; nan if every run diverged.
        loss_stderr: Standard error of `loss` over seeds.
        edge: "low" or "high" where the best rate is the smallest or largest tried (the optimum is not bracketed).
        draws: Resampled values of log2(lr), from which intervals of shifts are computed.
        verdict: `ok`, `not_bracketed`, `too_noisy` or `diverged`.
        dial: The dial that changes: "width" or "depth".
    """

    size: int
    lr: float | None
    interval: tuple[float, float] | None
    loss: float
    loss_stderr: float
    edge: str | None
    draws: tuple[float, ...] = field(repr=False)
    verdict: Verdict
    dial: str = WIDTH

    @property
    def bracketed(self) -> bool:
        """Whether the grid has worse learning rates on both sides of the best one."""
        return self.lr is not None and self.edge is None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without the draws."""
        return {
            self.dial: self.size,
            "lr": self.lr,
            "interval": list(self.interval) if self.interval else None,
            "loss": self.loss,
            "loss_stderr": self.loss_stderr,
            "edge": self.edge,
            "verdict": self.verdict.to_dict(),
        }


@dataclass(frozen=True)
class Transfer:
    """Whether the learning rate tuned at the smallest size is still right at the largest, under one rule.

    Attributes:
        rule: Name of the parametrization, e.g. "mup", or of the depth rule, e.g. "depth_mup".
        curves: Losses per size, smallest size first.
        optima: Best learning rate per size, in the same order.
        shift: Slope of log2(best learning rate) against log2(size): octaves per doubling; None if it cannot be computed.
        shift_interval: 95 % interval of `shift`.
        transferred_lr: The best learning rate of the smallest size.
        loss_at_transferred: Mean loss at the largest size at `transferred_lr`.
        loss_at_best: Smallest mean loss at the largest size.
        loss_stderr: Standard error of the difference of these two losses.
        verdict: `transfers`, `shifts`, `not_bracketed`, `too_noisy`, `cannot_tell` or `diverged`.
        dial: The dial that changes: "width" or "depth".
    """

    rule: str
    curves: tuple[Curve, ...]
    optima: tuple[Optimum, ...]
    shift: float | None
    shift_interval: tuple[float, float] | None
    transferred_lr: float | None
    loss_at_transferred: float | None
    loss_at_best: float | None
    loss_stderr: float | None
    verdict: Verdict
    dial: str = WIDTH

    def raise_if_bad(self) -> None:
        """Raise unless the verdict is `transfers`."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `optima` maps size to learning rate; `verdict` is the outcome's name."""
        return {
            "rule": self.rule,
            "dial": self.dial,
            "optima": {str(o.size): o.lr for o in self.optima},
            "optima_intervals": {str(o.size): list(o.interval) if o.interval else None for o in self.optima},
            "shift": self.shift,
            "shift_interval": list(self.shift_interval) if self.shift_interval else None,
            "transferred_lr": self.transferred_lr,
            "loss_at_transferred": self.loss_at_transferred,
            "loss_at_best": self.loss_at_best,
            "loss_stderr": self.loss_stderr,
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "optima_details": [o.to_dict() for o in self.optima],
            "curves": [c.to_dict() for c in self.curves],
        }


@dataclass(frozen=True)
class TransferStudy:
    """A finished (or interrupted) learning-rate transfer study of one model family under several rules.

    Attributes:
        name: Name of the study, e.g. "mlp".
        transfers: The result per rule.
        plans: The plan from the smallest to the largest size per rule.
        settings: What was run, as names and plain values (data, optimizer, steps, batch size, seeds, ...).
        cells_found: Cells that were finished before this run.
        cells_run: Cells that this run finished.
        cells_missing: Cells that are not finished, because the run was interrupted.
        seconds: Wall-clock time of this run.
    """

    name: str
    transfers: Mapping[str, Transfer]
    plans: Mapping[str, Plan]
    settings: Mapping[str, Any]
    cells_found: int
    cells_run: int
    cells_missing: int
    seconds: float

    @property
    def dial(self) -> str:
        """The dial that changes: "width" or "depth"."""
        return next((transfer.dial for transfer in self.transfers.values()), WIDTH)

    def raise_if_bad(self) -> None:
        """Raise at the first rule whose verdict is not `transfers`."""
        for transfer in self.transfers.values():
            transfer.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "rules": {rule: transfer.to_dict() for rule, transfer in self.transfers.items()},
            "plans": {rule: plan.to_dict() for rule, plan in self.plans.items()},
            "settings": dict(self.settings),
            "cells_found": self.cells_found,
            "cells_run": self.cells_run,
            "cells_missing": self.cells_missing,
            "seconds": self.seconds,
        }
