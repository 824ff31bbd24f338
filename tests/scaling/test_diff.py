"""What two plans have in common and where they differ."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hand_plans import SGD, mlp_plan

from similitude.scaling.diff import FactorChange, diff
from similitude.scaling.records import Hook, Plan, Refusal


def changed(name: str, plan: Plan | None = None, **changes) -> Plan:
    plan = plan or mlp_plan()
    return replace(plan, rows=tuple(replace(r, **changes) if r.name == name else r for r in plan.rows))


def test_equal_plans_have_an_empty_difference(tmp_path):
    plan = mlp_plan()
    for other in (plan, mlp_plan(), Plan.load(plan.save(tmp_path / "plan.json"))):
        found = diff(plan, other)
        assert not found
        assert found == diff(other, plan)
        assert str(found) == "the plans treat every tensor alike"
        assert found.to_dict()["equal"] is True


def test_chance_and_texts_are_no_difference():
    assert not diff(
        mlp_plan(), changed("2.weight", own_rms=0.3, own_tolerance=0.5, evidence="else", reason="other")
    )
    assert not diff(mlp_plan(), mlp_plan(notes=("a note",)))
    assert not diff(mlp_plan(), changed("2.weight", lr=0.25 * (1 + 1e-12)))


@pytest.mark.parametrize(
    ("field", "label", "value"),
    [
        ("fan_in_ratio", "r_in", 8.0), ("fan_out_ratio", "r_out", 1.0), ("init", "init", 0.25), ("rescale", "apply", 2.0),
        ("lr", "lr", 0.5), ("eps", "eps", 1.0), ("weight_decay", "weight decay", 2.0),
    ],
)  # fmt: skip
def test_every_factor_is_compared_with_old_new_and_ratio(field, label, value):
    old = next(getattr(row, field) for row in mlp_plan().rows if row.name == "2.weight")
    found = diff(mlp_plan(), changed("2.weight", **{field: value}))
    assert found.factors == (FactorChange("2.weight", label, old, value),)
    assert found.factors[0].ratio == value / old
    assert (found.settings, found.added, found.removed, found.roles) == ((), (), (), ())
    assert str(found) == f"~ {label} x{old:.6g} -> x{value:.6g} (x{value / old:.6g}): '2.weight'"


def test_tensors_come_and_go_and_are_refused():
    plan = mlp_plan()
    without = replace(plan, rows=plan.rows[:-1])
    assert diff(plan, without).removed == ("4.bias",)
    assert diff(without, plan).added == ("4.bias",)
    refused = replace(without, refused=(Refusal("4.bias", (3,), "no reason"),))
    (change,) = diff(refused, plan).roles
    assert (change.name, change.what, change.old, change.new) == ("4.bias", "role", "refused", "finite")
    assert not diff(refused, refused)


def test_roles_ties_and_hooks():
    (change,) = diff(mlp_plan(), changed("2.weight", role="output")).roles
    assert (change.what, change.old, change.new) == ("role", "hidden", "output")
    (change,) = diff(mlp_plan(), changed("2.weight", aliases=("5.weight",))).roles
    assert (change.what, change.old, change.new) == ("tied to", "none", "5.weight")
    hooked = mlp_plan(hooks=(Hook("4", 0.25, "tied"),))
    assert diff(mlp_plan(), hooked).factors == (FactorChange("4", "hook", 1.0, 0.25),)
    assert diff(hooked, mlp_plan()).factors == (FactorChange("4", "hook", 0.25, 1.0),)


def test_settings_are_compared():
    text = str(diff(mlp_plan(), mlp_plan(family="sgd", target=256, knobs={"output": {"lr": 2.0}})))
    for line in (
        "* optimizer: AdamW -> SGD",
        "* target: width 128 -> width 256",
        "* knobs: none -> output lr x2",
        "~ trained as entrywise -> sgd: '0.weight', '0.bias', '2.weight', '2.bias' and 4 more",
    ):
        assert line in text.splitlines()
    (change,) = diff(
        mlp_plan(family="sgd"), mlp_plan(family="sgd", defaults=SGD | {"momentum": 0.9})
    ).settings
    assert (change.what, change.old, change.new) == (
        "defaults of the optimizer",
        "momentum=0",
        "momentum=0.9",
    )


def test_the_difference_is_json():
    data = diff(mlp_plan(), mlp_plan(target=256)).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["equal"] is False
    assert {f["factor"] for f in data["factors"]} == {
        "r_in",
        "r_out",
        "init",
        "apply",
        "lr",
        "eps",
        "weight decay",
    }
