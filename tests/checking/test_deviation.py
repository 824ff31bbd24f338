"""Deviations of a plan from its rule, and how they are carried to other widths."""

import math

import pytest
from check_cases import edited, plan

from similitude.checking.deviation import carried, deviations
from similitude.core.errors import PlanError


def test_a_plan_as_made_has_none():
    assert deviations(plan(), plan()) == ()


def test_an_edited_factor_is_found_with_its_power_and_carried_as_one():
    wrong = edited(plan(), lambda row: row.role == "output", lr=lambda row: row.lr / 4)
    (found,) = deviations(wrong, plan())
    assert (found.name, found.field, found.power) == ("head.weight", "lr", pytest.approx(-1.0))
    assert "'head.weight' is 0.0625 in the plan; rule mup gives 0.25" in found.text("mup")
    at_128 = carried(plan(target=128), (found,))
    assert next(row.lr for row in at_128.rows if row.name == "head.weight") == pytest.approx(0.25)
    assert [r for r in at_128.rows if r.name != "head.weight"] == [
        r for r in plan(target=128).rows if r.name != "head.weight"
    ]


def test_an_initial_scale_moves_the_init_along():
    wrong = edited(plan(), lambda row: row.name == "hidden.1.weight", rescale=lambda row: row.rescale * 2)
    moved = carried(plan(), deviations(wrong, plan()))
    rows = {row.name: row for row in plan().rows}
    row = next(r for r in moved.rows if r.name == "hidden.1.weight")
    assert row.rescale == pytest.approx(2 * rows[row.name].rescale)
    assert row.init == pytest.approx(2 * rows[row.name].init)


def test_between_zero_and_another_scale_there_is_no_power_of_the_width():
    from dataclasses import replace

    zero = edited(plan(), lambda row: row.role == "output", rescale=lambda row: 0.0, init=lambda row: 0.0)
    assert deviations(zero, zero) == ()
    (lost,) = deviations(zero, plan())
    assert (lost.field, lost.given, lost.power) == ("rescale", 0.0, -math.inf)
    assert carried(plan(), (lost,)) == plan()
    wrong = edited(zero, lambda row: row.role == "output", lr=lambda row: row.lr / 4)
    (found,) = deviations(wrong, zero)
    moved = carried(zero, (found,))
    assert [row for row in moved.rows if row.role != "output"] == [
        row for row in zero.rows if row.role != "output"
    ]
    for row, before in zip(moved.rows, zero.rows, strict=True):
        if row.role == "output":
            assert row == replace(before, lr=pytest.approx(before.lr / 4))


def test_a_plan_of_another_model_is_an_error():
    from dataclasses import replace

    other = plan()
    strange = replace(other, rows=(replace(other.rows[0], name="other"), *other.rows[1:]))
    with pytest.raises(PlanError, match="'other' that make"):
        deviations(strange, other)
