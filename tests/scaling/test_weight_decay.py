"""The two meanings of decoupled weight decay, by what real optimizers do to a weight without a gradient."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hand_plans import mlp, mlp_plan
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.diff import diff
from similitude.scaling.factors import Setting, for_optimizer, training_factors
from similitude.scaling.knobs import Knob
from similitude.scaling.optimizers import resolve
from similitude.scaling.plan import Plan, Planner, plan
from similitude.scaling.rules import ROLES, RULES, WEIGHT_DECAYS, factors

LR, DECAY, SAMPLE = 0.125, 0.25, torch.zeros(4, 6)
SQUARE: dict[str, Any] = {"r_in": 4.0, "r_out": 4.0, "shape": (256, 256), "base_shape": (64, 64)}


def planned(kind: str, **more) -> Plan:
    return plan(mlp, base=16, target=64, sample=SAMPLE, weight_decay=kind, **more)


def shrinkage(made: Plan, optimizer) -> dict[str, float]:
    """By which share one step of a real optimizer shrinks every tensor of ones whose gradient is zero."""
    model = mlp(64).double()
    groups = made.groups(model, lr=LR, weight_decay=DECAY)
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    optimizer(groups).step()
    return {name: 1 - float(p.detach().flatten()[0]) for name, p in model.named_parameters()}


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_what_a_step_takes_from_a_weight(name):
    optimizer = getattr(torch.optim, name)
    independent = planned("independent", optimizer=optimizer)
    assert independent == plan(mlp, base=16, target=64, sample=SAMPLE, optimizer=optimizer)  # the default
    assert list(shrinkage(independent, optimizer).values()) == pytest.approx([LR * DECAY] * 8)
    decoupled = planned("decoupled", optimizer=optimizer)
    taken = shrinkage(decoupled, optimizer)
    # Learning rates of muP at four times the width, from Tables 3 and 8: by tensor, and 1 where not named.
    rates = {"2.weight": 0.25, "4.weight": 0.25}
    if name == "SGD":
        rates = {"4.weight": 0.25} | dict.fromkeys(
            ("0.weight", "0.bias", "2.bias", "3.weight", "3.bias"), 4.0
        )
    assert taken == pytest.approx({tensor: LR * rates.get(tensor, 1.0) * DECAY for tensor in taken})
    assert {g["weight_decay"] for g in decoupled.groups(mlp(64), lr=LR, weight_decay=DECAY)} == {DECAY}
    for a, b in zip(independent.rows, decoupled.rows, strict=True):
        assert (a.init, a.rescale, a.lr, a.eps) == (b.init, b.rescale, b.lr, b.eps)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("family", ["sgd", "entrywise", "orthogonalized"])
def test_the_number_stays_in_every_cell_of_the_table(rule, role, family):
    independent, decoupled = (
        factors(rule, role, family, r_in=4, r_out=2, weight_decay=kind) for kind in WEIGHT_DECAYS
    )
    assert decoupled.weight_decay == 1.0
    assert independent.lr * independent.weight_decay == pytest.approx(1.0)
    assert (decoupled.init, decoupled.lr, decoupled.eps) == (
        independent.init,
        independent.lr,
        independent.eps,
    )
    assert ("decoupled" in decoupled.why) is (rule != "sp")


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
@pytest.mark.parametrize("part", ["multiplier", "knob"])
def test_a_folded_multiplier_decays_as_an_explicit_one(name, part):
    """M = m W must be m times W after every step, also in its decay, whatever the number means over widths."""
    m, optimizer = 0.5, getattr(torch.optim, name)
    more: dict[str, Any] = {"multiplier": m} if part == "multiplier" else {"knob": Knob(multiplier=m)}
    plain, folded = (
        training_factors(
            "mup",
            "hidden",
            resolve(optimizer),
            **SQUARE,
            **extra,
            setting=Setting(weight_decay="decoupled"),
        )
        for extra in ({}, more)
    )
    assert plain.weight_decay == 1.0
    draw = torch.Generator().manual_seed(0)
    w = torch.randn(3, 4, generator=draw, dtype=torch.float64).requires_grad_()
    big = (m * w.detach()).requires_grad_()
    x = torch.randn(4, 5, generator=draw, dtype=torch.float64)
    makes = [
        optimizer([t], lr=LR * f.lr, weight_decay=DECAY * f.weight_decay)
        for t, f in ((w, plain), (big, folded))
    ]
    for _ in range(5):
        for made, value in zip(makes, (m * w @ x, big @ x), strict=True):
            made.zero_grad()
            (value - 1).square().mean().backward()
            made.step()
    torch.testing.assert_close(big, m * w, rtol=1e-6 if name == "AdamW" else 1e-12, atol=1e-12)  # eps of 1e-8


def test_muon_decays_by_the_rate_of_its_group():
    spec = resolve(partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw"))
    made = {
        kind: training_factors("mup", "hidden", spec, **SQUARE, setting=Setting(weight_decay=kind))
        for kind in WEIGHT_DECAYS
    }
    # 0.2 sqrt(n) would double the step at four times the width.
    assert [f.lr for f in made.values()] == [0.5, 0.5]
    assert (made["independent"].weight_decay, made["decoupled"].weight_decay) == (2.0, 1.0)


@pytest.mark.parametrize("kind", WEIGHT_DECAYS)
def test_decay_inside_the_gradient_follows_neither_and_is_warned_of(kind):
    made = planned(kind, optimizer=torch.optim.Adam)
    assert {row.weight_decay for row in made.rows} == {1.0}
    assert any("normalizes weight decay together with the gradient" in note for note in made.notes)
    with pytest.warns(UserWarning, match="no factor makes it transfer"):
        made.groups(mlp(64), lr=LR, weight_decay=DECAY)


def test_the_kind_survives_files_targets_rules_and_optimizers(tmp_path):
    made = planned("decoupled")
    assert Plan.load(made.save(tmp_path / "plan.json")) == made
    assert "decoupled weight decay" in str(made).splitlines()[0]
    assert "weight decay" not in str(planned("independent")).splitlines()[0]
    assert for_optimizer(made, torch.optim.SGD).rows == planned("decoupled", optimizer=torch.optim.SGD).rows
    planner = Planner(mlp, base=16, sample=SAMPLE, weight_decay="decoupled")
    assert planner.plan(64) == made
    assert planner.plan(64, rule="ntp").weight_decay == "decoupled"
    assert {row.weight_decay for row in planner.plan(16).rows} == {1.0}
    old = {k: v for k, v in planned("independent").to_dict().items() if k != "weight_decay"}
    assert Plan.from_dict(old) == planned("independent")  # a file of before there were two kinds
    with pytest.raises(
        PlanError, match="weight_decay 'coupled', but it must be one of independent, decoupled"
    ):
        Plan.from_dict({**made.to_dict(), "weight_decay": "coupled"})


def test_differences_and_explanations_name_the_kind():
    independent, decoupled = planned("independent"), planned("decoupled")
    found = diff(independent, decoupled)
    assert "* weight decay over widths: independent -> decoupled" in str(found)
    assert {change.factor for change in found.factors} == {"weight decay"}
    assert diff(mlp_plan(), replace(mlp_plan(), weight_decay="decoupled")).settings[0].new == "decoupled"
    (decay,) = (d for d in decoupled.explain("2.weight").derivations if d.factor == "weight decay")
    assert (decay.value, [step.value for step in decay.steps]) == (1.0, [1.0])
    assert (
        decay.steps[0].why
        == "decoupled: the number stays, so that lr x weight decay goes x0.25 with the rule's lr"
    )


@pytest.mark.parametrize("kind", ["coupled", 0.1, None])
def test_another_kind_is_told_and_a_number_sent_where_it_belongs(kind):
    with pytest.raises(
        PlanError, match=r"no kind of weight decay.*plan\.groups\(model, lr=\.\.\., weight_decay=0\.1\)"
    ):
        planned(kind)
