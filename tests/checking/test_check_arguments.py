"""Arguments of a check: forms that are taken, and errors that say what to pass."""

from __future__ import annotations

import math

import pytest
import torch
from check_cases import WIDTHS, batch, check, loss, plan
from torch import nn
from torch.optim import lr_scheduler

import similitude as sim
from similitude.checking.arguments import MOST_SEEDS, Climb, climb_of, seeds_of
from similitude.core.errors import PlanError

QUICK = {"steps": 1, "max_seeds": 3}


@pytest.mark.parametrize("given", [None, 5, {}, ("mup",)])
def test_what_is_checked_is_a_plan_or_the_name_of_a_rule(given):
    with pytest.raises(PlanError, match=rf"a {type(given).__name__}\. Pass a plan .* or the name of a rule"):
        check(given)


def test_widths_are_read_once_from_any_iterable():
    assert climb_of((w for w in (256, 64, 128, 64)), None) == Climb("width", WIDTHS)
    assert climb_of(torch.tensor(WIDTHS), None) == Climb("width", WIDTHS)  # type: ignore[arg-type]


@pytest.mark.parametrize("widths", ["64,128,256", (64.5, 128, 256), 64, (64, None, 256), (True, 2, 3)])
def test_widths_are_whole_numbers(widths):
    with pytest.raises(PlanError, match="pass at least 3 different whole numbers"):
        check("mup", widths=widths)


def test_the_widths_that_a_generator_gave_are_shown():
    with pytest.raises(PlanError, match=r"widths=\(64, 128\): an exponent"):
        check("mup", widths=(w for w in (64, 128)))


@pytest.mark.parametrize("width", [64, [64], (64, 64)])
def test_depths_go_with_one_width(width):
    climb = climb_of(width, (8, 2, 4))
    assert climb == Climb("depth", (2, 4, 8), 64)
    assert climb.sizes({"width": 32, "depth": 1})[-1] == {"width": 64, "depth": 8}
    assert climb_of(None, (2, 4, 8)).sizes({"width": 32, "depth": 1})[0] == {"width": 32, "depth": 2}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"widths": None}, r"nothing grows: pass widths=\(64, 128, 256\), or depths="),
        ({"depths": (2, 4)}, r"depths=\(2, 4\): an exponent .* at least 3 different depths"),
        ({"depths": "248"}, "depths='248': pass at least 3 different whole numbers"),
        ({"depths": (2, 4, 8)}, r"widths=\(64, 128, 256\) and depths=\(2, 4, 8\): one dial grows at a time"),
        ({"depths": (2, 4, 8), "widths": 64}, "no depth rule to check: pass depth_rule='depth_mup'"),
        (
            {"depths": (2, 4, 8), "widths": None, "depth_rule": "sp"},
            "no width: pass the width of every model",
        ),
        ({"depths": (2, 4, 8), "widths": 64, "depth_rule": "sp", "base": 64}, "have no depth"),
        ({"depth_rule": "complete_p"}, "depth_rule='complete_p' has no effect where the width grows"),
    ],
)
def test_one_dial_grows_and_a_depth_rule_is_named(options, text):
    with pytest.raises(PlanError, match=text):
        check("mup", **options)


def test_a_plan_without_depth_cannot_be_checked_in_depth():
    with pytest.raises(PlanError, match="'width': 64} have no depth"):
        check(plan(), depths=(2, 4, 8), widths=None, depth_rule="sp")


def test_seeds_are_a_number_or_numbers_in_any_iterable():
    assert seeds_of(3, None) == (list(range(MOST_SEEDS)), 3)
    assert seeds_of(10, None) == (list(range(10)), 10)
    assert seeds_of(2, 4) == ([0, 1, 2, 3], 2)
    assert seeds_of((s for s in (1, 5)), None) == ([1, 5], 2)
    assert seeds_of([1, 5], 4) == ([1, 5, 0, 2], 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seeds": "3"}, "how many seeds to begin with"),
        ({"seeds": 2.5}, "how many seeds to begin with"),
        ({"seeds": True}, "how many seeds to begin with"),
        ({"seeds": 3, "max_seeds": 2}, "max_seeds=2 is less than the 3 seeds"),
        ({"seeds": (4, 9), "max_seeds": 1}, "max_seeds=1 is less than the 2 seeds"),
        ({"max_seeds": 2.5}, "pass one whole number"),
        ({"steps": 1.5}, r"steps=1\.5"),
        ({"lr": 0.0}, r"lr=0\.0 is not a learning rate"),
        ({"lr": -1.0}, r"lr=-1\.0 is not"),
        ({"lr": math.nan}, "lr=nan is not"),
        ({"lr": "2^-8"}, r"lr='2\^-8' is not"),
        ({"rest_lr": 0.0}, r"rest_lr=0\.0 is not"),
        ({"setup": 5}, "setup is a int"),
        (
            {"setup": lambda made, model: (torch.optim.SGD(model.parameters()), 7)},
            "a int beside the optimizer",
        ),
        ({"loss": lambda model, pair: {"loss": loss(model, pair)}}, "one differentiable number, got a dict"),
    ],
)
def test_wrong_values_are_told(options, text):
    with pytest.raises(PlanError, match=text):
        check("mup", **options)


def test_the_plan_of_another_model_is_told_as_that():
    def make(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(16, width), nn.Tanh(), nn.Linear(width, 4))

    with pytest.raises(PlanError, match=r"the plan is for another model: it has 'hidden.*builds '0\.weight'"):
        check(plan(), make=make)


def test_a_list_of_tensors_that_fails_is_explained():
    with pytest.raises(
        PlanError, match=r"IndexError.*a list of 2 tensors, and a list is several batches.*tuple"
    ):
        check("mup", sample=list(batch()), **QUICK)


def test_what_setup_makes_idle_is_said():
    def setup(made: sim.Plan, model: nn.Module):
        optimizer = torch.optim.AdamW(made.groups(model, lr=0.002))
        return optimizer, lr_scheduler.ReduceLROnPlateau(optimizer)

    found = check(plan(), setup=setup, lr=0.1, optimizer=torch.optim.AdamW, **QUICK)
    assert "setup makes the optimizer, so lr=0.1 had no effect" in found.notes
    assert any("optimizer= chose the factors of the plan" in note for note in found.notes)
    assert not any("setup" in note for note in check(plan(), setup=setup, **QUICK).notes)


def test_a_sample_that_is_not_finite_is_not_blamed_on_the_learning_rate():
    x, labels = batch()
    found = check("mup", sample=(x * math.nan, labels), **QUICK)
    assert found.verdict.outcome == "diverged"
    assert any(
        "nan before the first step" in note and "not the learning rate" in note for note in found.notes
    )
