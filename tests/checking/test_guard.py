"""The guard: what keeps ratios passes, what flattens them is stopped at the first wrong step."""

from functools import partial
from typing import Any, cast

import pytest
import torch
from check_cases import batch, loss, mlp, plan
from torch import nn
from torch.optim import lr_scheduler

import similitude as sim
from similitude.core.errors import PlanError


def _made(optimizer: Any = torch.optim.AdamW, **options):
    made = plan(optimizer)
    model = made.apply_(mlp(256))
    return made, model, optimizer(made.groups(model, lr=0.01, **options))


def _run(optimizer, scheduler, model, steps=20):
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(model, batch())
        value.backward()
        optimizer.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(1.0)
        else:
            scheduler.step()


RELATIVE = {
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "warmup": lambda o: lr_scheduler.LinearLR(o, 1e-3, total_iters=5),
    "cosine to 0": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=20),
    "one cycle, list": lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=[g["lr"] for g in o.param_groups], total_steps=25
    ),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=1),
}
ABSOLUTE = {
    "one cycle, number": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=25),
    "cosine to a number": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=20, eta_min=0.001),
    "plateau, least": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, min_lr=0.004),
}


@pytest.mark.parametrize("name", RELATIVE)
def test_relative_schedules_pass(name):
    made, model, optimizer = _made()
    sim.guard(optimizer, made, model)
    _run(optimizer, RELATIVE[name](optimizer), model)


@pytest.mark.parametrize("name", ABSOLUTE)
def test_absolute_schedules_are_stopped(name):
    made, model, optimizer = _made()
    sim.guard(optimizer, made, model)
    with pytest.raises(PlanError, match=r"learning rates of \d groups do not stand in the plan's ratios"):
        _run(optimizer, ABSOLUTE[name](optimizer), model)


def test_without_plan_and_model_the_groups_say_their_factor():
    _, _, optimizer = _made()
    handle = sim.guard(optimizer)
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    with pytest.raises(PlanError, match=r'x1, where the plan gives x4.*x \* group\["lr_factor"\]'):
        optimizer.step()
    handle.remove()
    optimizer.step()
    with pytest.raises(PlanError, match="do not stand"):
        sim.guard(optimizer)  # the call looks too


def test_groups_without_a_factor_cannot_be_guarded():
    with pytest.raises(PlanError, match='group 0 of the optimizer has no "lr_factor"'):
        sim.guard(torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1))


def test_one_group_for_everything_is_named_with_its_factors():
    made, model, _ = _made()
    with pytest.raises(PlanError, match=r"group 0 .* differ: 0\.25 and 1\."):
        sim.guard(torch.optim.AdamW(model.parameters(), lr=0.01), made, model)


def test_a_flattened_weight_decay_is_stopped_and_none_at_all_is_a_choice():
    made, model, optimizer = _made(weight_decay=0.1)
    optimizer.param_groups[0]["weight_decay"] = 0.0
    sim.guard(optimizer, made, model)
    optimizer.step()
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.1
    with pytest.raises(PlanError, match="the weight decays of"):
        optimizer.step()


def test_the_parts_of_a_split_optimizer_have_rates_of_their_own():
    made = plan(torch.optim.Muon, target=128)
    model = made.apply_(mlp(128))
    optimizer = sim.split(made, model, lr=0.02, rest_lr=0.003)
    sim.guard(optimizer, made, model)
    sim.guard(optimizer)
    _run(optimizer, lr_scheduler.ExponentialLR(optimizer, 0.9), model, steps=3)
    optimizer.param_groups[-1]["lr"] = 1.0
    with pytest.raises(PlanError, match="learning rates"):
        optimizer.step()


class Tied(nn.Module):
    """A tied head without a norm before it: its multiplier needs a hook."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table, self.up, self.head = nn.Embedding(7, width), nn.Linear(width, width), nn.Linear(width, 7)
        self.head.weight = self.table.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.table(x)
        return self.head(h + torch.relu(self.up(h)))


def test_a_model_without_the_plans_hooks_is_stopped():
    tokens = torch.arange(7)[None]
    made = sim.plan(Tied, base=16, target=64, sample=tokens)
    assert made.hooks
    optimizer = partial(torch.optim.AdamW, lr=0.01)
    model = made.apply_(Tied(64))
    sim.guard(optimizer(made.groups(model, lr=0.01)), made, model)
    bare = Tied(64)
    with pytest.raises(PlanError, match=r"scales the input of 'head'.*no hook there.*plan\.hook_"):
        sim.guard(optimizer(made.groups(bare, lr=0.01)), made, bare)
    compiled = cast(nn.Module, torch.compile(Tied(64), backend="eager"))
    with pytest.raises(PlanError, match="compiled"):
        sim.guard(optimizer(made.groups(compiled, lr=0.01)), made, compiled)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_rate_that_is_not_finite_is_stopped_in_any_group(value, which):
    made, model, optimizer = _made()
    sim.guard(optimizer, made, model)
    optimizer.param_groups[which]["lr"] = value
    with pytest.raises(PlanError, match=rf"lr={value}, which is not finite"):
        optimizer.step()


def test_an_optimizer_of_another_model_is_told():
    made, _, optimizer = _made()
    with pytest.raises(PlanError, match=r"has none of the model's 8 trainable tensors"):
        sim.guard(optimizer, made, made.apply_(mlp(256)))
    with pytest.raises(PlanError, match="not the one that the plan was made for"):
        sim.guard(optimizer, made, nn.Linear(2, 2))
    with pytest.raises(PlanError, match=r"the plan is for"):
        sim.guard(optimizer, made, mlp(64))


def test_tensors_that_no_group_trains_are_named_unless_they_are_frozen():
    made, model, _ = _made()
    groups = made.groups(model, lr=0.01)
    optimizer = torch.optim.AdamW(groups[:1])
    with pytest.raises(
        PlanError, match=r"of 8 trainable tensors .* in no group of the optimizer: '.*weight'"
    ):
        sim.guard(optimizer, made, model)
    for group in groups[1:]:
        for parameter in group["params"]:
            parameter.requires_grad_(False)
    sim.guard(optimizer, made, model)


def test_wrong_arguments_are_told():
    made, model, optimizer = _made()
    with pytest.raises(PlanError, match="optimizer is a int"):
        sim.guard(cast(torch.optim.Optimizer, 5))
    with pytest.raises(PlanError, match=r"plan is a MLP\. Pass guard\(optimizer, plan, model\)"):
        sim.guard(optimizer, cast(sim.Plan, model), cast(nn.Module, made))
    with pytest.raises(PlanError, match="the plan was passed without the model"):
        sim.guard(optimizer, made)
    with pytest.raises(PlanError, match="the model was passed without the plan"):
        sim.guard(optimizer, model=model)


def test_an_option_of_several_numbers_is_not_compared():
    """Adafactor's eps is a pair, and half of it may be None."""
    made, model, optimizer = _made(torch.optim.Adafactor)
    assert isinstance(optimizer.param_groups[0]["eps"], tuple)
    sim.guard(optimizer, made, model)
    optimizer.param_groups[0]["lr"] *= 3
    with pytest.raises(PlanError, match="learning rates of"):
        optimizer.step()


def test_a_rearranged_split_is_noticed():
    made = plan()
    model = made.apply_(mlp(256))
    optimizer = sim.split(made, model, lr=0.02, rest_lr=0.003)
    sim.guard(optimizer, made, model)
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": []})
    with pytest.raises(PlanError, match="rearranged by hand"):
        optimizer.step()
    with pytest.raises(PlanError, match="rearranged by hand"):
        sim.guard(optimizer, made, model)


def test_one_number_for_all_groups_of_a_split_is_stopped():
    made = plan(target=128)  # narrow: torch's Muon multiplies in bfloat16, which many processors emulate
    model = made.apply_(mlp(128))
    optimizer = sim.split(made, model, lr=0.02, rest_lr=0.003)
    sim.guard(optimizer, made, model)
    peaks = [group["lr"] for group in optimizer.param_groups]
    one_cycle = partial(lr_scheduler.OneCycleLR, total_steps=25, cycle_momentum=False)
    _run(optimizer, one_cycle(optimizer, max_lr=peaks), model, steps=10)
    with pytest.raises(PlanError, match=r"on similitude\.split with cycle_momentum=False"):
        _run(optimizer, one_cycle(optimizer, max_lr=0.01), model)
