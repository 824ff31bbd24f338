"""The small network and batch that tests of checks share, and plans edited like published mistakes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import similitude as sim
from similitude.models.mlp import MLP
from similitude.scaling.records import Plan, PlanRow

WIDTHS = (64, 128, 256)


def mlp(width: int) -> nn.Module:
    return MLP(16, 4, width=width, depth=3)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 16, generator=generator), torch.randint(0, 4, (64,), generator=generator)


def loss(model: nn.Module, pair: tuple[Tensor, Tensor]) -> Tensor:
    return F.cross_entropy(model(pair[0]), pair[1])


@functools.cache
def plan(optimizer: Any = torch.optim.AdamW, *, rule: str = "mup", target: int = 256) -> Plan:
    return sim.plan(mlp, base=64, target=target, sample=batch(), loss=loss, optimizer=optimizer, rule=rule)


def edited(made: Plan, which: Callable[[PlanRow], bool], **changes: Callable[[PlanRow], float]) -> Plan:
    """Return the plan with factors of some rows replaced."""
    rows = tuple(
        replace(row, **{name: change(row) for name, change in changes.items()}) if which(row) else row
        for row in made.rows
    )
    return replace(made, rows=rows)


def check(plan_or_rule: Plan | str, **options: Any) -> sim.Check:
    settings: dict[str, Any] = {"make": mlp, "widths": WIDTHS, "sample": batch(), "loss": loss}
    settings |= {"steps": 4, "max_seeds": 4, **options}
    return sim.check(settings.pop("make"), plan_or_rule, **settings)
