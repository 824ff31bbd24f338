"""Residual networks for tests of checks in depth, and the check of one."""

from __future__ import annotations

from typing import Any

import torch
from check_cases import loss
from torch import Tensor, nn

import similitude as sim
from similitude.models.resmlp import ResMLP
from similitude.scaling.records import Plan

DEPTHS = (2, 4, 8)
WIDTH = 32


def one(width: int, depth: int) -> nn.Module:
    """Blocks of one matrix, x + W tanh(x), small beside the stream."""
    return ResMLP(16, 4, width=width, depth=depth, activation="tanh", block="act_first", branch=0.5)


def two(width: int, depth: int) -> nn.Module:
    """Blocks of two matrices, x + W tanh(W' x)."""
    return ResMLP(16, 4, width=width, depth=depth, activation="tanh", block="two_layers", branch=0.5)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, 16, generator=generator), torch.randint(0, 4, (64,), generator=generator)


def plan(
    make: Any, depth_rule: str | float, *, width: int = WIDTH, optimizer: Any = torch.optim.AdamW
) -> Plan:
    return sim.plan(
        make,
        base={"width": WIDTH, "depth": DEPTHS[0]},
        target={"width": width, "depth": DEPTHS[-1]},
        sample=batch(),
        loss=loss,
        optimizer=optimizer,
        depth_rule=depth_rule,
    )


def check_depth(make: Any, plan_or_rule: Plan | str = "mup", **options: Any) -> sim.Check:
    settings: dict[str, Any] = {"depths": DEPTHS, "sample": batch(), "loss": loss, "steps": 3, "max_seeds": 3}
    if options.get("optimizer") is torch.optim.SGD:
        settings |= {"lr": 0.05, "max_seeds": 6}
    if not isinstance(plan_or_rule, Plan):
        settings["widths"] = WIDTH
    return sim.check(make, plan_or_rule, **(settings | options))


def slope(found: sim.Check, name: str, quantity: str) -> float:
    return next(r.slope for r in (*found.rows, *found.observed) if (r.name, r.quantity) == (name, quantity))
