"""Explanations: every factor is the product of its steps, and every kind of tensor says what it is."""

from __future__ import annotations

import io
import itertools
import json
import math
from dataclasses import replace

import pytest
import torch
from hand_plans import mlp_plan

from similitude import models
from similitude.core.errors import PlanError
from similitude.scaling.factors import training_factors
from similitude.scaling.knobs import Knob, parse_knobs
from similitude.scaling.optimizers import resolve
from similitude.scaling.plan import plan
from similitude.scaling.records import Branch, Hook, Plan, PlanRow, Refusal
from similitude.scaling.rules import ROLES, RULES

UNEXPLAINED = "not by the rule"
KNOBS = {"output": {"multiplier": 0.5, "lr": 3.0}, "hidden": {"init": 0.75}, "vector": {"multiplier": 4.0}}
OPTIMIZERS = [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Muon]


def row_of(rule: str, role: str, spec, multiplier: float, *, own: float, draws: bool) -> PlanRow:
    """A row as a planner makes it, from the factors of the rule; `own` is the ratio of the own init."""
    fans = {"fan_in": (24.0, 96.0), "fan_out": (16.0, 32.0)}
    shapes = {"shape": (32, 96), "base_shape": (16, 24)}
    new = training_factors(
        rule, role, spec, r_in=4.0, r_out=2.0, multiplier=multiplier, knob=parse_knobs(KNOBS).get(role, Knob()),
        **fans, **shapes,
    )  # fmt: skip
    init = new.init if new.init is not None and draws else own * new.scale
    return PlanRow(
        name="w", role=role, fan_in_ratio=4.0, fan_out_ratio=2.0, init=init, rescale=init / own, lr=new.lr,
        eps=new.eps, weight_decay=new.weight_decay, reason=new.why, family=new.family, multiplier=multiplier,
        **fans, **shapes,
    )  # fmt: skip


def plan_of(rule: str, spec, row: PlanRow) -> Plan:
    return Plan(
        rule, spec.name, spec.family, {"width": 8}, {"width": 32}, (row,), decay=spec.decay, defaults=spec.defaults,
        knobs=KNOBS,
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.__name__)
@pytest.mark.parametrize("rule", RULES)
def test_every_factor_is_the_product_of_its_steps_and_none_is_left_unexplained(rule, optimizer):
    spec = resolve(optimizer)
    for role, multiplier, draws in itertools.product((*ROLES, "unused"), (1.0, 0.3), (True, False)):
        row = row_of(rule, role, spec, multiplier, own=0.6, draws=draws)
        plan = plan_of(rule, spec, row)
        found = plan.explain("w")
        values = {d.factor: d for d in found.derivations}
        assert set(values) == {"init", "apply", "lr", "weight decay"} | (
            {"eps"} if row.family != "sgd" else set()
        )
        for label, field in (
            ("init", "init"), ("apply", "rescale"), ("lr", "lr"), ("eps", "eps"), ("weight decay", "weight_decay"),
        ):  # fmt: skip
            if label not in values:
                continue
            assert values[label].value == getattr(row, field)
            product = math.prod(step.value for step in values[label].steps)
            assert product == pytest.approx(getattr(row, field), rel=1e-9), (role, label)
        assert UNEXPLAINED not in str(found), (role, multiplier, str(found))


def test_formulas_come_with_their_numbers():
    text = str(mlp_plan().explain("2.weight"))
    for line in (
        "2.weight: hidden, 32x32 -> 128x128 (mup, AdamW, width 32 -> 128)",
        "seen: hidden of the hand-written net",
        "fan-in: 32 -> 128, r_in = 4",
        "  0.5: mup, hidden, entrywise: r_in^-0.5 = 4^-0.5",
        "  0.25: mup, hidden, entrywise: r_in^-1 = 4^-1",
        "  0.25: mup, hidden, entrywise: r_out^-1 = 4^-1",
        "  4: 1 / 0.25, so that lr x weight decay stays",
        "  1: init x0.5 over the x0.5 that your own init gives from base to target",
    ):
        assert line in text.splitlines(), line


def test_a_carried_multiplier_enters_every_factor_by_its_power():
    for family, powers in (("sgd", (1, 2, -2)), ("entrywise", (1, 1, -1))):
        plan = mlp_plan(family=family)
        m = 0.1
        rows = tuple(
            replace(
                r, multiplier=m, init=r.init * m, rescale=r.rescale * m, lr=r.lr * m ** powers[1],
                weight_decay=r.weight_decay * m ** powers[2], eps=r.eps if family == "sgd" else r.eps / m,
                carries=("attention 1/d: x0.1",),
            )
            if r.name == "2.weight" else r
            for r in plan.rows
        )  # fmt: skip
        text = str(replace(plan, rows=rows).explain("2.weight"))
        assert "carries: attention 1/d: x0.1" in text
        assert f"m^{powers[1]} for the carried multiplier m = 0.1, folded by the abc-symmetry" in text
        assert f"m^{powers[2]} for the carried" in text
        assert UNEXPLAINED not in text


def test_a_number_that_was_changed_by_hand_is_said_to_be():
    plan = mlp_plan()
    edited = replace(plan, rows=tuple(replace(r, lr=7.0) if r.name == "0.bias" else r for r in plan.rows))
    (lr,) = [d for d in edited.explain("0.bias").derivations if d.factor == "lr"]
    assert lr.steps[-1].value == 7.0
    assert UNEXPLAINED in lr.steps[-1].why


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: o.__name__)
@pytest.mark.parametrize("rule", ["mup", "spectral", "sp"])
def test_plans_of_the_planner_are_explained_whole_and_survive_json(rule, optimizer):
    """A tied GPT whose head size grows: carried multipliers, a head through the final norm, knobs."""
    made = plan(
        lambda width: models.GPT(7, 4, width=width, depth=1, head_dim=width // 2, tie=True), base=16, target=64,
        sample=torch.zeros(2, 4, dtype=torch.long), optimizer=optimizer, rule=rule,
        knobs={"head": 0.5, "matrix": {"lr": 2}},
    )  # fmt: skip
    assert Plan.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    for row in made.rows:
        text = str(made.explain(row.name))
        assert UNEXPLAINED not in text, text
        assert all(f"carries: {sentence}" in text for sentence in row.carries)
    if rule == "mup":
        assert sum(row.multiplier != 1.0 for row in made.rows) >= 4


def test_ties_branches_and_hooks_are_named():
    plan = mlp_plan()
    plan = replace(
        plan,
        rows=tuple(replace(r, aliases=("head.weight",)) if r.name == "2.weight" else r for r in plan.rows),
        branches=(Branch(("0.weight",), ("0.weight",)), Branch(("4.weight",), ("2.weight", "4.weight"))),
        hooks=(Hook("head", 0.25, "no norm before the tied head"),),
    )
    for name, other in (("2.weight", "head.weight"), ("head.weight", "2.weight")):
        text = str(plan.explain(name))
        assert text.startswith(f"{name}: hidden")
        assert f"one tensor with '{other}'" in text
        assert "is inside residual branch 2 of 2" in text
        assert "the input of 'head' is scaled x0.25 by a hook: no norm before the tied head" in text
    assert "ends residual branch 2 of 2" in str(plan.explain("4.weight"))


def test_a_refused_tensor_gives_the_reason_and_the_line_that_names_its_role():
    plan = mlp_plan(refused=(Refusal("pos.table", (16, 128), "added to nothing that was traced"),))
    found = plan.explain("pos.table")
    assert found.refused
    assert found.evidence == "added to nothing that was traced"
    assert 'roles={"pos.table": "input"}' in found.override
    assert "--role.pos.table input" in str(found)
    assert not plan.explain("0.weight").refused


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("2.wieght", r"the plan has no tensor '2.wieght' among its 8. Close names: '2.weight'"),
        ("zzz", r"It has '0.weight', '0.bias', '2.weight', '2.bias' and 4 more"),
        ("", r"the plan has no tensor ''"),
    ],
)
def test_unknown_names_are_told_with_close_ones(name, text):
    with pytest.raises(PlanError, match=text):
        mlp_plan().explain(name)


def test_explanations_are_plain_data_and_rich():
    from rich.console import Console

    found = mlp_plan().explain("4.weight")
    data = found.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert [d["factor"] for d in data["derivations"]] == ["init", "apply", "lr", "eps", "weight decay"]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(found)
    assert [line.rstrip() for line in console.export_text().splitlines()] == str(found).splitlines()


def test_an_explanation_is_a_function_of_the_file(tmp_path):
    plan = mlp_plan()
    loaded = Plan.load(plan.save(tmp_path / "plan.json"))
    assert [str(loaded.explain(r.name)) for r in loaded.rows] == [
        str(plan.explain(r.name)) for r in plan.rows
    ]
