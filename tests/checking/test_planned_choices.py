"""A check believes what the plan says of weight decay and of zero heads, and sees where training does otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from check_cases import batch, check, loss, mlp, plan

import similitude as sim
from similitude.checking.deviation import deviations
from similitude.core.errors import PlanError
from similitude.core.verdict import Outcome
from similitude.scaling.records import Plan


def decoupled() -> Plan:
    return sim.plan(mlp, base=64, target=256, sample=batch(), loss=loss, weight_decay="decoupled")


def test_decay_that_falls_with_the_rate_is_right_where_the_plan_says_so():
    made = decoupled()
    found = check(made, max_seeds=3)
    assert found.verdict.outcome is Outcome.OK, found.verdict
    assert "decay" not in {row.quantity for row in found.rows}
    wrong = deviations(replace(made, weight_decay="independent"), plan())
    assert {d.field for d in wrong} == {"weight_decay"}
    assert {d.name for d in wrong} == {row.name for row in made.rows if row.lr != 1.0}
    assert {round(d.power, 6) for d in wrong} == {-1.0}


def test_training_with_the_other_kind_of_decay_is_seen():
    independent = sim.plan(mlp, base=64, target=64, sample=batch(), loss=loss)

    def setup(made: Plan, model: torch.nn.Module) -> torch.optim.Optimizer:
        groups = made.groups(model, lr=2**-8, weight_decay=0.1)
        for group in groups:
            group["weight_decay"] = (
                0.1 / group["lr_factor"]
            )  # lr x weight decay stays, though the number should
        return torch.optim.AdamW(groups)

    found = check(decoupled(), setup=setup, max_seeds=3)
    (cause, *_) = found.verdict.causes
    assert "wrong weight decay" in cause
    assert check(independent, setup=setup, max_seeds=3).verdict.outcome is Outcome.OK


def test_a_rule_by_name_takes_the_kind_and_a_plan_has_its_own():
    found = check("mup", weight_decay="decoupled", knobs={"head": {"init": 0.0}}, max_seeds=3)
    assert found.verdict.outcome is Outcome.OK, found.verdict
    assert "init norm" not in {row.quantity for row in found.rows if row.role == "output"}
    with pytest.raises(PlanError, match="a plan has its own weight_decay, here 'independent'"):
        check(plan(), weight_decay="independent")
    with pytest.raises(PlanError, match="is no kind of weight decay"):
        check("mup", weight_decay="coupled")


def test_a_plan_with_a_zero_head_is_checked_as_it_is():
    made = sim.plan(mlp, base=64, target=256, sample=batch(), loss=loss, knobs={"head": {"init": 0.0}})
    found = check(made, max_seeds=3)
    assert found.verdict.outcome is Outcome.OK, found.verdict
    change = next(row for row in found.rows if row.quantity == "logits change")
    assert abs(change.slope) < 0.1
