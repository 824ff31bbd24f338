"""Whole checks in depth: depth rules pass, no rule fails with what is missing, and wrong factors are named."""

from __future__ import annotations

import functools
import json

import pytest
import torch
import torch.nn.functional as F
from check_cases import edited
from depth_cases import DEPTHS, check_depth, one, plan, slope, two
from torch import Tensor, nn

import similitude as sim
from similitude.core.errors import PlanError
from similitude.models.gpt import GPT
from similitude.models.resmlp import ResMLP

OPTIMIZERS = [torch.optim.AdamW, torch.optim.SGD, torch.optim.Muon]
EXTRA = [(0.5, torch.optim.Muon), (1.0, torch.optim.SGD)]
INNER, END = "blocks.*.inner.weight", "blocks.*.linear.weight"


@functools.cache
def _checked(alpha: float, optimizer: type[torch.optim.Optimizer]) -> sim.Check:
    return check_depth(two, depth_rule=alpha, optimizer=optimizer)


# Each rule and each optimizer is quick; pairs beyond that are slow.
@pytest.mark.parametrize(
    ("alpha", "optimizer"),
    [
        pytest.param(alpha, optimizer, marks=[pytest.mark.slow] * ((alpha, optimizer) in EXTRA))
        for alpha in (0.5, 1.0)
        for optimizer in OPTIMIZERS
    ],
)
def test_updates_shrink_as_the_rule_derives_and_the_stream_stays(alpha, optimizer):
    found = _checked(alpha, optimizer)
    assert found.verdict.ok, str(found)
    assert (found.widths, found.depths, found.depth_rule) == ((32,), DEPTHS, alpha)
    expected = {(r.name, r.quantity): r.expected for r in found.rows}
    # The L aligned changes of the stream are each branch multiplier (L^-alpha) x own change: own = L^(alpha - 1).
    assert expected[INNER, "update"] == pytest.approx(alpha - 1)
    assert expected[END, "update"] == pytest.approx(-1)
    assert expected[END, "init norm"] == pytest.approx(-alpha)
    # Norms of normalized updates do not feel that the untrained stream settles (see the allowance in `settling`).
    sure = "update norm" if optimizer is not torch.optim.SGD else "update"
    tolerance = 0.12 if alpha == 0.5 or optimizer is not torch.optim.SGD else 0.35
    assert slope(found, INNER, sure) == pytest.approx(alpha - 1, abs=tolerance)
    assert slope(found, END, sure) == pytest.approx(-1, abs=tolerance)
    if alpha == 0.5:
        assert abs(slope(found, END, "stream change")) <= 0.15
    else:
        assert -0.35 <= slope(found, END, "stream change") <= 0.05


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:2])
def test_without_a_rule_the_stream_grows_and_the_missing_exponents_are_told(optimizer):
    found = check_depth(one, depth_rule="sp", optimizer=optimizer)
    assert found.verdict.outcome == "grows"
    assert slope(found, END, "stream change") >= 0.4
    lr = {torch.optim.AdamW: "depth^-0.5;", torch.optim.SGD: "depth^0;"}[optimizer]
    first = found.verdict.causes[0]
    assert first.startswith("no depth rule: the branches' aligned changes add up")
    assert (
        f"depth_rule='depth_mup' multiplies branches by depth^-0.5 and learning rates inside by {lr}" in first
    )
    assert {row.name for row in found.observed} >= {END}  # nothing is promised inside a branch


def test_a_rate_that_lacks_its_depth_factor_is_named_by_kind_and_reason():
    wrong = edited(plan(two, "depth_mup"), lambda row: "inner" in row.name, lr=lambda row: 1.0)
    found = check_depth(two, wrong)
    assert found.verdict.outcome == "grows"
    assert found.verdict.causes[0].startswith(
        f"the lr factor of {INNER!r} is 1 in the plan; rule mup gives 0.5 (wrong by depth^+0.50)"
    )
    assert slope(found, INNER, "update norm") == pytest.approx(0.0, abs=0.12)
    assert slope(found, END, "update norm") == pytest.approx(-1.0, abs=0.12)


def test_the_same_mistake_in_code_that_makes_the_optimizer_is_measured():
    def setup(made: sim.Plan, model: nn.Module) -> torch.optim.Optimizer:
        groups = made.groups(model, lr=0.002)
        inner = {id(p) for name, p in model.named_parameters() if "inner" in name}
        for group in groups:
            if any(id(p) in inner for p in group["params"]):
                group["lr"] = 0.002
        return torch.optim.AdamW(groups)

    found = check_depth(two, plan(two, "depth_mup"), setup=setup)
    assert found.verdict.outcome == "grows"
    assert (
        f"the learning rate of {INNER!r} goes with depth^+0.50 beside its factor" in found.verdict.causes[0]
    )
    wrong = [row for row in found.offenders if row.name == INNER and row.quantity == "update norm"]
    assert [row.expected for row in wrong] == [pytest.approx(-0.5)]


def test_a_plan_that_grows_in_both_is_checked_in_each():
    made = plan(two, "complete_p", width=64)
    in_depth = check_depth(two, made)
    assert in_depth.verdict.ok, str(in_depth)
    assert in_depth.widths == (32,)
    in_width = check_depth(two, made, depths=None, widths=(32, 64, 128))
    assert in_width.dial == "width"
    assert in_width.depths == ()
    assert {row.name for row in in_width.rows} >= {"blocks.0.inner.weight", "blocks.1.linear.weight"}
    assert not any(cause.startswith("the lr factor") for cause in in_width.verdict.causes)


def test_branches_whose_mean_is_not_zero_pile_up():
    def make(width: int, depth: int) -> nn.Module:
        return ResMLP(16, 4, width=width, depth=depth, block="act_last", center=False)

    found = check_depth(make, depth_rule="depth_mup", depths=(4, 8, 16))
    assert found.verdict.outcome == "grows"
    assert slope(found, END, "stream") > 0.2
    assert any("branches whose mean is not zero" in cause for cause in found.verdict.causes)


def test_a_stack_without_numbered_blocks_alone_is_paired_by_place():
    class Flat(nn.Module):
        """Stem, blocks and head in one list, so that the head's name depends on the depth."""

        def __init__(self, width: int, depth: int) -> None:
            super().__init__()
            sizes = [(16, width), *[(width, width)] * depth, (width, 4)]
            self.layers = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in sizes)

        def forward(self, x: Tensor) -> Tensor:
            x = self.layers[0](x)
            for layer in list(self.layers)[1:-1]:
                x = x + 0.5 * layer(torch.tanh(x))
            return self.layers[-1](x)

    found = check_depth(Flat, depth_rule="depth_mup")
    assert {row.name for row in found.rows} == {
        "layers.*.weight (input, outside)",
        "layers.*.weight (hidden, ends a branch)",
        "layers.*.weight (output, outside)",
    }
    ends = next(r for r in found.rows if "ends a branch" in r.name and r.quantity == "update")
    assert ends.expected == pytest.approx(-1.0)
    assert found.verdict.ok, str(found)


def test_checks_in_depth_survive_json_and_say_their_sizes():
    found = _checked(0.5, torch.optim.AdamW)
    assert sim.Check.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert "width 32, depths 2, 4, 8, alpha 0.5" in str(found).splitlines()[0]
    older = {k: v for k, v in found.to_dict().items() if k not in ("depths", "depth_rule")}
    assert sim.Check.from_dict(older).dial == "width"


def test_a_plan_with_a_rule_of_its_own_takes_no_other():
    with pytest.raises(PlanError, match=r"a plan has its own depth rule, here 0\.5"):
        check_depth(one, plan(one, "depth_mup"), depth_rule="complete_p")


def test_what_cannot_be_planned_in_depth_is_refused():
    def make(width: int, depth: int) -> nn.Module:
        return ResMLP(16, 4, width=width, depth=depth, activation="gelu", block="act_last", center=False)

    found = check_depth(make, depth_rule="depth_mup")
    assert found.verdict.outcome == "refused"
    assert found.depths == DEPTHS


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_transformer_of_4_to_32_blocks_learns_alike_under_depth_mup(optimizer):
    tokens = torch.randint(0, 32, (8, 17), generator=torch.Generator().manual_seed(0))

    def next_token(model: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(given[0]).flatten(0, 1), given[1].flatten())

    found = sim.check(
        lambda width, depth: GPT(32, 16, width=width, depth=depth),
        "mup",
        widths=32,
        depths=(4, 8, 16, 32),
        depth_rule="depth_mup",
        sample=(tokens[:, :-1], tokens[:, 1:]),
        loss=next_token,
        optimizer=optimizer,
        max_seeds=3,
    )
    assert found.verdict.ok, str(found)
    assert abs(slope(found, "norm.weight", "change")) <= 0.1
    assert abs(slope(found, "blocks.*.down.weight", "stream change")) <= 0.1
