"""timm's schedulers under a plan: the ratios of the groups stay through warm-up and decay to absolute rates."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import PlanError
from similitude.integrations.timm import with_lr_scale
from similitude.scaling.records import Plan

STEPS, WARMUP = 20, 5
PEAK, START, LAST = 0.01, 1e-4, 1e-3


def make(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
    )


class Linear:
    """The convention of timm's schedulers at its smallest: values from the groups' own initial rates and two absolute
    ones; every value is multiplied by `lr_scale` when it is set, and the constructor sets it at once."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_values = [group["initial_lr"] for group in optimizer.param_groups]
        self._set([START for _ in self.base_values])

    def step_update(self, step: int) -> None:
        if step < WARMUP:
            values = [START + (value - START) * step / WARMUP for value in self.base_values]
        else:
            share = (step - WARMUP) / (STEPS - WARMUP)
            values = [LAST + (value - LAST) * (1 - share) for value in self.base_values]
        self._set(values)

    def _set(self, values: list[float]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            group["lr"] = value * group.get("lr_scale", 1.0)


def timms_cosine(optimizer: torch.optim.Optimizer) -> Any:
    """timm's own scheduler. Only its files of schedulers are loaded: the rest of timm needs torchvision."""
    spec = importlib.util.find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("timm is not installed")
    folder = Path(next(iter(spec.submodule_search_locations))) / "scheduler"
    package = ModuleType("timm_schedulers")
    package.__path__ = [str(folder)]
    package.__spec__ = ModuleSpec("timm_schedulers", None, is_package=True)
    sys.modules["timm_schedulers"] = package
    try:
        cosine = importlib.import_module("timm_schedulers.cosine_lr").CosineLRScheduler
    finally:
        for name in [name for name in sys.modules if name.startswith("timm_schedulers")]:
            del sys.modules[name]
    return cosine(
        optimizer, t_initial=STEPS, lr_min=LAST, warmup_t=WARMUP, warmup_lr_init=START, t_in_epochs=False
    )


@pytest.fixture(scope="module")
def plan() -> Plan:
    return sim.plan(make, base=16, target=64, sample=torch.zeros(2, 8))


def steps(optimizer: torch.optim.Optimizer, scheduler: Any) -> list[list[float]]:
    found = []
    for step in range(STEPS):
        optimizer.step()
        scheduler.step_update(step + 1)
        found.append([group["lr"] for group in optimizer.param_groups])
    return found


@pytest.mark.parametrize("schedule", [Linear, timms_cosine], ids=["convention", "timm"])
def test_every_rate_is_the_bases_times_the_factor(plan, schedule: Callable[..., Any]):
    model = plan.apply_(make(64))
    optimizer = torch.optim.AdamW(with_lr_scale(plan.groups(model, lr=PEAK, weight_decay=0.1)))
    scheduler = schedule(optimizer)
    sim.guard(optimizer, plan, model)  # looks before every step
    found = steps(optimizer, scheduler)
    base = torch.optim.AdamW(make(16).parameters(), lr=PEAK)
    expected = steps(base, schedule(base))
    factors = [group["lr_factor"] for group in optimizer.param_groups]
    assert set(factors) == {1.0, 0.25}
    for rates, (rate,) in zip(found, expected, strict=True):
        assert rates == pytest.approx([rate * factor for factor in factors], rel=1e-12)
    assert (
        max(rate for (rate,) in expected) > 0.8 * PEAK
    )  # timm's cosine has begun to fall when the warm-up ends


@pytest.mark.parametrize("schedule", [Linear, timms_cosine], ids=["convention", "timm"])
def test_without_it_the_guard_stops_the_run(plan, schedule: Callable[..., Any]):
    model = plan.apply_(make(64))
    optimizer = torch.optim.AdamW(plan.groups(model, lr=PEAK))
    schedule(optimizer)  # warms up from one rate for all groups
    with pytest.raises(PlanError, match="do not stand in the plan's ratios"):
        sim.guard(optimizer, plan, model)


def test_a_group_is_rewritten_once(plan):
    groups = plan.groups(make(64), lr=torch.tensor(PEAK), weight_decay=0.1)
    rewritten = with_lr_scale(groups)
    assert [float(group["lr"]) for group in rewritten] == pytest.approx([PEAK] * len(groups))
    kept = ("params", "lr_factor", "weight_decay", "eps")
    assert all(
        a[key] == b[key] for a, b in zip(groups, rewritten, strict=True) for key in kept if key != "params"
    )
    assert all(a["params"] is b["params"] for a, b in zip(groups, rewritten, strict=True))
    with pytest.raises(
        PlanError, match=r"group 0 has lr_scale=.* already, and a scheduler would multiply its rate twice"
    ):
        with_lr_scale(rewritten)
    with pytest.raises(PlanError, match='group 0 has no "lr_factor"'):
        with_lr_scale([{"params": [], "lr": 0.1}])
