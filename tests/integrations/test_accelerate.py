"""Accelerate under a plan: model, optimizer and scheduler as they are, and the losses of a plain loop."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import similitude as sim
from similitude.core.errors import PlanError
from similitude.scaling.records import Plan

STEPS, BATCH, PARTS, CLIP = 4, 16, 2, 0.05


def make(width: int) -> nn.Module:
    return sim.models.MLP(64, 10, width=width)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return sim.plan(make, base=32, target=128, sample=torch.zeros(2, 64))


def digits() -> TensorDataset:
    data = sim.data.load("digits")
    number = STEPS * BATCH
    images = torch.tensor(data.train_images[:number].reshape(-1, 64) / 255.0, dtype=torch.float32)
    return TensorDataset(images, torch.tensor(data.train_labels[:number]))


def made(plan: Plan) -> tuple[nn.Module, torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = plan.apply_(make(128))
    optimizer = torch.optim.AdamW(plan.groups(model, lr=0.02, weight_decay=0.1))
    sim.guard(optimizer, plan, model)
    return model, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)


def by_hand(plan: Plan) -> list[float]:
    model, optimizer, schedule = made(plan)
    found = []
    for images, labels in DataLoader(digits(), BATCH):
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        assert float(sim.clip_grad_norm_(plan, model, CLIP)) > CLIP
        optimizer.step()
        schedule.step()
        found.append(loss.item())
    return found


def test_losses_are_those_of_a_plain_loop(plan):
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=PARTS)
    data = DataLoader(digits(), BATCH // PARTS)
    model, optimizer, schedule = made(plan)
    model, optimizer, data, schedule = accelerator.prepare(model, optimizer, data, schedule)
    found = []
    for images, labels in data:
        with accelerator.accumulate(model):
            loss = cross_entropy(model(images), labels)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.unscale_gradients()
                sim.clip_grad_norm_(plan, model, CLIP)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        found.append(loss.item())
    whole = [sum(found[i : i + PARTS]) / PARTS for i in range(0, len(found), PARTS)]
    assert whole == pytest.approx(by_hand(plan), rel=1e-5)


def test_the_guard_is_still_on(plan):
    accelerator = Accelerator(cpu=True)
    model, optimizer, _ = made(plan)
    model, optimizer = accelerator.prepare(model, optimizer)
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    accelerator.backward(model(torch.ones(2, 64)).sum())
    with pytest.raises(PlanError, match="do not stand in the plan's ratios"):
        optimizer.step()
