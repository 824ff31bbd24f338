"""What a row gets for one optimizer: rule, multiplier, knob, own scale and decay together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from hand_plans import mlp_plan

from similitude.core.errors import PlanError
from similitude.scaling.factors import for_optimizer, is_matrix, training_factors
from similitude.scaling.knobs import Knob
from similitude.scaling.optimizers import OptimizerSpec, resolve
from similitude.scaling.records import PlanRow
from similitude.scaling.rules import ROLES, factors

ADAMW, SGD, MUON = (resolve(getattr(torch.optim, name)) for name in ("AdamW", "SGD", "Muon"))
SQUARE = {"r_in": 4.0, "r_out": 4.0, "shape": (256, 256), "base_shape": (64, 64)}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("spec", [ADAMW, SGD])
def test_without_multiplier_and_knob_it_is_the_rule(spec, role):
    f = training_factors("mup", role, spec, **SQUARE)
    rule = factors("mup", role, spec.family, r_in=4.0, r_out=4.0)
    assert (f.init, f.lr, f.eps, f.weight_decay, f.why) == (
        rule.init,
        rule.lr,
        rule.eps,
        rule.weight_decay,
        rule.why,
    )
    assert (f.family, f.scale) == (spec.family, 1.0)


def test_multiplier_and_knob_are_one_multiplier():
    a = training_factors("mup", "hidden", ADAMW, **SQUARE, multiplier=0.5, knob=Knob(multiplier=0.5))
    b = training_factors("mup", "hidden", ADAMW, **SQUARE, multiplier=0.25)
    assert (a.init, a.lr, a.eps, a.weight_decay, a.scale) == (b.init, b.lr, b.eps, b.weight_decay, b.scale)
    assert (a.init, a.lr, a.eps, a.weight_decay, a.scale) == (0.125, 0.0625, 1.0, 16.0, 0.25)


def test_knobs_of_lr_and_init_change_these_alone():
    plain = training_factors("mup", "lookup", ADAMW, **SQUARE)
    f = training_factors("mup", "lookup", ADAMW, **SQUARE, knob=Knob(lr=0.125, init=3.0))
    assert f.init == f.scale == 3.0
    assert f.lr == 0.125 * plain.lr
    assert (f.eps, f.weight_decay) == (plain.eps, plain.weight_decay)
    assert "lr x 0.125 by your knob" in f.why
    assert "init x 3 by your knob" in f.why


def test_where_the_rule_leaves_the_init_the_scale_is_what_remains():
    f = training_factors("sp", "hidden", ADAMW, **SQUARE, multiplier=0.5, knob=Knob(init=2.0))
    assert (f.init, f.scale, f.lr, f.weight_decay) == (None, 1.0, 0.5, 2.0)
    assert training_factors("sp", "hidden", ADAMW, **SQUARE, multiplier=0.5).scale == 0.5


@pytest.mark.parametrize("role", ["unused", "undecided"])
def test_a_role_outside_the_table_is_left_as_it_is(role):
    f = training_factors("mup", role, MUON, **SQUARE)
    assert (f.init, f.lr, f.eps, f.weight_decay, f.scale) == (None, 1.0, 1.0, 1.0, 1.0)
    assert f.why == f"{role}: left as it is"


def test_decay_inside_the_gradient_follows_the_multiplier_alone():
    adam = resolve(torch.optim.Adam)
    f = training_factors("mup", "hidden", adam, **SQUARE, multiplier=0.5)
    assert (f.lr, f.weight_decay) == (0.125, 4.0)
    assert "follows no rule of width" in f.why
    assert training_factors("mup", "hidden", adam, **SQUARE).weight_decay == 1.0


@pytest.mark.parametrize(
    ("role", "shape", "matrix"),
    [
        ("hidden", (8, 8), True),
        ("bottleneck", (2, 8), True),
        ("hidden", (4, 8, 8), False),
        ("hidden", (8, 8, 3, 3), False),
        ("output", (3, 8), False),
        ("lookup", (30, 8), False),
        ("input", (8, 5), False),
        ("vector", (8,), False),
        ("unused", (8, 8), False),
        (None, (8, 8), False),
    ],
)
def test_what_an_optimizer_of_matrices_trains(role, shape, matrix):
    assert is_matrix(role, shape) is matrix
    if role in ROLES:
        f = training_factors("mup", role, MUON, r_in=1, r_out=4, shape=shape, base_shape=shape)
        assert f.family == ("orthogonalized" if matrix else "entrywise")
        if not matrix:
            assert f.lr == factors("mup", role, "entrywise", r_in=1, r_out=4).lr


@pytest.mark.parametrize(
    ("adjust", "base_shape", "shape", "r_in", "r_out", "lr"),
    [
        ("original", (64, 64), (256, 256), 4, 4, 1.0),  # square: nothing to do
        ("original", (64, 64), (1024, 64), 1, 16, 1.0),  # Muon has sqrt(fan-out / fan-in) itself
        ("original", (64, 64), (64, 1024), 16, 1, 0.25),  # and not below 1
        ("match_rms_adamw", (64, 64), (256, 256), 4, 4, 0.5),  # 0.2 sqrt(n) would grow
    ],
)
def test_the_scale_of_the_optimizer_itself_is_taken_out(adjust, base_shape, shape, r_in, r_out, lr):
    spec = resolve(partial(torch.optim.Muon, adjust_lr_fn=adjust))
    shapes = {"shape": shape, "base_shape": base_shape}
    f = training_factors("mup", "hidden", spec, r_in=r_in, r_out=r_out, **shapes)
    assert f.lr == lr
    assert f.lr * f.weight_decay == 1.0  # Muon decays by the group's own rate
    assert ("itself scales the step" in f.why) is (spec.adjustment(base_shape, shape) != 1.0)


def _row(row: PlanRow, spec: OptimizerSpec) -> tuple[float, float, float]:
    f = training_factors(
        "mup",
        row.role,
        spec,
        r_in=row.fan_in_ratio,
        r_out=row.fan_out_ratio,
        shape=row.shape,
        base_shape=row.base_shape,
        fan_in=row.fan_in,
        fan_out=row.fan_out,
        multiplier=row.multiplier,
    )
    return f.lr, f.eps, f.weight_decay


def test_a_plan_for_another_optimizer():
    adam = mlp_plan()
    sgd = for_optimizer(adam, partial(torch.optim.SGD, momentum=0.9))
    assert (sgd.optimizer, sgd.family, sgd.decay, sgd.defaults["momentum"]) == ("SGD", "sgd", "shrink", 0.9)
    for row, other, expected in zip(sgd.rows, adam.rows, mlp_plan(family="sgd").rows, strict=True):
        assert (row.lr, row.eps, row.weight_decay) == (expected.lr, expected.eps, expected.weight_decay)
        assert (row.init, row.rescale, row.role) == (other.init, other.rescale, other.role)
        assert row.family == "sgd"
        assert "sgd" in row.reason
        assert row.reason.endswith("; own init" + other.reason.partition("; own init")[2])
    again = for_optimizer(sgd, torch.optim.AdamW)
    assert [(r.lr, r.eps, r.weight_decay) for r in again.rows] == [
        (r.lr, r.eps, r.weight_decay) for r in adam.rows
    ]


def test_a_plan_for_muon_trains_the_rest_by_adam():
    muon = for_optimizer(mlp_plan(), torch.optim.Muon)
    assert {row.name for row in muon.rows if row.family == "orthogonalized"} == {"2.weight"}
    assert {row.family for row in muon.rows} == {"orthogonalized", "entrywise"}
    for row in muon.rows:
        spec = MUON if row.family == "orthogonalized" else ADAMW
        assert (row.lr, row.eps, row.weight_decay) == _row(row, spec)


def test_multipliers_and_knobs_survive_a_change_of_optimizer():
    plan = mlp_plan(knobs={"output": {"multiplier": 0.5}, "hidden": {"lr": 0.25}})
    plan = replace(
        plan, rows=tuple(replace(r, multiplier=0.25) if r.role == "vector" else r for r in plan.rows)
    )
    rows = {row.name: row for row in for_optimizer(plan, torch.optim.SGD).rows}
    assert rows["4.weight"].lr == 0.25 * 0.5**2
    assert rows["2.weight"].lr == 0.25
    assert rows["2.weight"].weight_decay == 1.0
    assert rows["0.bias"].lr == 4 * 0.25**2


def test_notes_of_the_old_optimizer_go_and_those_of_the_new_one_come():
    plan = mlp_plan(optimizer="Adam", notes=("Adam normalizes weight decay ...", "5 matrices are narrow"))
    assert for_optimizer(plan, torch.optim.AdamW).notes == ("5 matrices are narrow",)
    notes = for_optimizer(plan, torch.optim.NAdam).notes
    assert notes[0] == "5 matrices are narrow"
    assert notes[1].startswith("NAdam normalizes")
    with pytest.raises(PlanError, match="LBFGS has no rule"):
        for_optimizer(plan, torch.optim.LBFGS)
