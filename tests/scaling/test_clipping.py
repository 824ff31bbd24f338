"""Clipping: with folded multipliers as beside explicit ones, in base units the same number at every width."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from hand_plans import mlp, mlp_plan
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize

import similitude as sim
from similitude.core.errors import PlanError
from similitude.models import GPT
from similitude.scaling.clipping import clip_grad_norm_, gradient_scales
from similitude.scaling.factors import for_optimizer
from similitude.scaling.records import Plan

MAX_NORM = 0.3
TOKENS = torch.randint(20, (4, 12), generator=torch.Generator().manual_seed(0))


class Tied(nn.Module):
    """A tied language model with a fixed number of heads: the final norm and the queries carry multipliers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(20, width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.before, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.head = nn.Linear(width, 20, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens)
        h = self.before(x)
        q, k, v = (m(h).unflatten(-1, (2, -1)).transpose(1, 2) for m in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head(self.norm(x + self.out(mixed.transpose(1, 2).flatten(-2))))


class Times(nn.Module):
    """The explicit multiplier: m W in the forward pass, W the parameter."""

    def __init__(self, m: float) -> None:
        super().__init__()
        self.m = m

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.m * x

    def right_inverse(self, x: torch.Tensor) -> torch.Tensor:
        return x / self.m


OPTIMIZERS = {
    "momentum": partial(torch.optim.SGD, lr=0.3, momentum=0.9, weight_decay=0.01),
    "adamw": partial(torch.optim.AdamW, lr=0.01, eps=1e-3, weight_decay=0.1),
}


def tied_plan(make: Callable[..., torch.optim.Optimizer]) -> Plan:
    return sim.plan(Tied, base=8, target=24, sample=TOKENS, optimizer=make)


def scaled(plan: Plan) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return plan.apply_(Tied(24)).double()


def trajectory(
    model: nn.Module, optimizer: torch.optim.Optimizer, clip: Callable[[], torch.Tensor]
) -> tuple[list[float], list[float]]:
    losses, norms = [], []
    for _ in range(12):
        optimizer.zero_grad()
        loss = cross_entropy(model(TOKENS)[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten())
        loss.backward()
        norms.append(float(clip()))
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_unfolded_units_are_those_of_explicit_multipliers(name):
    make = OPTIMIZERS[name]
    plan = tied_plan(make)
    carriers = {row.name: row.multiplier for row in plan.rows if row.multiplier != 1.0}
    assert {"norm.weight", "norm.bias", "query.weight", "query.bias"} == set(carriers)
    folded, explicit = scaled(plan), scaled(plan)
    for carrier, m in carriers.items():
        module, _, tensor = carrier.rpartition(".")
        parametrize.register_parametrization(explicit.get_submodule(module), tensor, Times(m))
    # The same plan without multipliers trains the tensors beside explicit ones.
    plain = for_optimizer(replace(plan, rows=tuple(replace(r, multiplier=1.0) for r in plan.rows)), make)
    rows, options = {row.name: row for row in plain.rows}, make.keywords
    groups = []
    for parameter_name, parameter in explicit.named_parameters():
        row = rows[parameter_name.replace("parametrizations.", "").replace(".original", "")]
        group = {"params": [parameter], "lr": options["lr"] * row.lr}
        group["weight_decay"] = options["weight_decay"] * row.weight_decay
        groups.append(group | ({"eps": options["eps"] * row.eps} if "eps" in options else {}))
    expected = trajectory(
        explicit,
        make(groups),
        lambda: nn.utils.clip_grad_norm_(explicit.parameters(), MAX_NORM),
    )
    assert min(expected[1][:4]) > 2 * MAX_NORM  # the clip matters

    def run(clip: Callable[[nn.Module], torch.Tensor]) -> tuple[list[float], list[float]]:
        model = copy.deepcopy(folded)
        optimizer = make(plan.groups(model, **{k: v for k, v in options.items() if k != "momentum"}))
        return trajectory(model, optimizer, lambda: clip(model))

    mine = run(lambda model: clip_grad_norm_(plan, model, MAX_NORM, units="unfolded"))
    for found, wanted in zip(mine, expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-12)
    torchs = run(lambda model: nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM))
    assert max(abs(a - b) for a, b in zip(torchs[0], expected[0], strict=True)) > 1e-4


@pytest.mark.parametrize("units", ["base", "unfolded"])
def test_at_the_base_it_is_torchs_own_clip(units):
    plan = mlp_plan(32, 32)
    model = mlp(32)
    model(torch.ones(4, 6)).square().sum().backward()
    twin = copy.deepcopy(model)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert p.grad is not None
        q.grad = p.grad.clone()
    for max_norm in (100.0, 0.5):
        total = clip_grad_norm_(plan, model, max_norm, units=units)
        assert torch.equal(total, nn.utils.clip_grad_norm_(twin.parameters(), max_norm))
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert torch.equal(p.grad, q.grad)


def _norms(make: Callable[[int], nn.Module], width: int, units: str) -> float:
    plan = sim.plan(make, base=32, target=width, sample=TOKENS, optimizer=torch.optim.SGD)
    found = []
    for seed in range(3):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = plan.apply_(make(width))
        optimizer = torch.optim.SGD(plan.groups(model, lr=0.1))
        for _ in range(4):
            optimizer.zero_grad()
            cross_entropy(model(TOKENS)[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten()).backward()
            if units == "torch":
                norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf)
            else:
                norm = clip_grad_norm_(plan, model, 1e9, units=units)  # pyright: ignore[reportArgumentType]
            found.append(math.log2(float(norm)))
            optimizer.step()
    return sum(found) / len(found)


@pytest.mark.parametrize("tied", [True, False])
def test_the_norm_in_base_units_does_not_depend_on_the_width(tied):
    make: Callable[[int], nn.Module] = Tied if tied else lambda width: GPT(20, 12, width=width, depth=1)
    drift = {units: _norms(make, 256, units) - _norms(make, 32, units) for units in ("base", "torch")}
    assert abs(drift["base"]) < 0.3  # octaves over eight times the width
    assert abs(drift["torch"]) > 2 * abs(drift["base"])


def test_scales_follow_what_the_plan_expects_of_gradients():
    scales = gradient_scales(mlp_plan(32, 128))
    # Entries fall as 1 / fan-out behind a growing layer and stay behind the loss; norms add their number.
    assert scales == pytest.approx({
        "0.weight": 2, "0.bias": 2, "2.weight": 1, "2.bias": 2, "3.weight": 2, "3.bias": 2, "4.weight": 0.5, "4.bias": 1,
    })  # fmt: skip
    assert set(gradient_scales(mlp_plan(32, 128), units="unfolded").values()) == {1.0}


def test_frozen_and_unused_tensors_count_nothing():
    plan, model = mlp_plan(), mlp(128)
    assert float(clip_grad_norm_(plan, model, 1.0)) == 0.0
    model[0].requires_grad_(False)
    model(torch.ones(4, 6)).sum().backward()
    assert float(clip_grad_norm_(plan, model, 1.0)) > 0
    assert model[0].weight.grad is None


def test_wrong_use_is_told():
    plan, model = mlp_plan(), mlp(128)
    with pytest.raises(PlanError, match=r"units='target' do not exist. Choose one of 'base', 'unfolded'"):
        clip_grad_norm_(plan, model, 1.0, units="target")  # pyright: ignore[reportArgumentType]
    for value in (0.0, -1.0, True, "1"):
        with pytest.raises(PlanError, match=r"is not a norm. Pass a positive number, as tuned at the base"):
            clip_grad_norm_(plan, model, value)  # pyright: ignore[reportArgumentType]
    with pytest.raises(PlanError, match="as at width 64, but the plan is for"):
        clip_grad_norm_(plan, mlp(64), 1.0)
    first = model.get_parameter("0.weight")
    first.grad = torch.full_like(first, torch.inf)
    assert math.isinf(clip_grad_norm_(plan, model, 1.0))
    first.grad = torch.full_like(first, torch.inf)
    with pytest.raises(PlanError, match="the gradients have norm inf"):
        clip_grad_norm_(plan, model, 1.0, error_if_nonfinite=True)


def test_two_plans_for_one_model_are_told_apart():
    """What is remembered of a model belongs to the plan and the units that it was worked out for."""
    model = mlp(128)
    model(torch.ones(4, 6)).sum().backward()
    first, second = mlp_plan(32, 128), mlp_plan(64, 128)
    values = [float(clip_grad_norm_(plan, model, 1e9)) for plan in (first, second, first)]
    assert values[0] == values[2] != values[1]
    assert float(clip_grad_norm_(first, model, 1e9, units="unfolded")) not in values


@pytest.mark.parametrize("alpha", [0.5, pytest.param(1.0, marks=pytest.mark.slow)])
def test_the_norm_in_base_units_does_not_depend_on_the_depth(alpha):
    def norms(depth: int) -> dict[str, float]:
        plan = sim.plan(
            lambda width, depth: GPT(20, 12, width=width, depth=depth), base={"width": 32, "depth": 2},
            target={"width": 32, "depth": depth}, sample=TOKENS, depth_rule=alpha,
        )  # fmt: skip
        found: dict[str, list[float]] = {"base": [], "torch": []}
        for seed in range(2):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = plan.apply_(GPT(20, 12, width=32, depth=depth))
            optimizer = torch.optim.AdamW(plan.groups(model, lr=3e-3))
            for _ in range(4):
                optimizer.zero_grad()
                cross_entropy(model(TOKENS)[:, :-1].flatten(0, 1), TOKENS[:, 1:].flatten()).backward()
                found["torch"].append(float(nn.utils.clip_grad_norm_(model.parameters(), math.inf)))
                found["base"].append(float(clip_grad_norm_(plan, model, 1e9)))
                optimizer.step()
        return {units: sum(map(math.log2, values)) / len(values) for units, values in found.items()}

    shallow, deep = norms(2), norms(16)
    drift = {units: deep[units] - shallow[units] for units in shallow}
    assert shallow["base"] == pytest.approx(shallow["torch"], abs=1e-6)
    assert abs(drift["base"]) < 0.3  # octaves over eight times the depth
    assert drift["torch"] > 2 * abs(drift["base"])


def test_what_is_no_plan_or_no_model_is_named():
    plan, model = mlp_plan(), mlp(128)
    with pytest.raises(PlanError, match=r"plan is a Sequential, not a plan. Pass what similitude.plan"):
        clip_grad_norm_(model, plan, 1.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(PlanError, match=r"model is a generator, not an nn.Module. Pass the model itself"):
        clip_grad_norm_(plan, model.parameters(), 1.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(PlanError, match=r"model is the class Linear, .* Pass an instance: Linear\(...\)"):
        plan.apply_(nn.Linear)  # pyright: ignore[reportArgumentType]
