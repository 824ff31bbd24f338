"""Tensors of several depths, paired by kind."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from check_cases import plan

from similitude.checking.depth_expected import DepthPromise, depth_exponent, promised_in_depth
from similitude.checking.deviation import Deviation, by_kind
from similitude.checking.kinds import kinds_of
from similitude.checking.ladder import Rung
from similitude.checking.short_run import ShortRun
from similitude.scaling.records import Branch, Plan


def _plan(depth: int, alpha: float | None, *, lr: float = 1.0) -> Plan:
    """Two stages of `depth` and 2 blocks; each block has two experts and ends in one of them."""
    row = plan().rows[0]
    rows, branches = [replace(row, name="stem.weight")], []
    for stage, blocks in ((0, depth), (1, 2)):
        ratio = depth / 2 if stage == 0 else 1.0
        for block in range(blocks):
            names = [f"stages.{stage}.blocks.{block}.experts.{i}" for i in (0, 1)]
            m = 1.0 if alpha is None else ratio**-alpha
            rows += [
                replace(row, name=names[0], role="hidden", depth_ratio=ratio, lr=lr, multiplier=1.0),
                replace(row, name=names[1], role="hidden", depth_ratio=ratio, lr=lr * m, multiplier=m),
            ]
            branches.append(Branch((names[1],), tuple(names)))
    return replace(
        plan(),
        base={"width": 8, "depth": 2},
        target={"width": 8, "depth": depth},
        rows=tuple(rows),
        branches=tuple(branches),
        depth_rule=alpha,
    )


def test_numbers_that_the_depth_changes_are_left_out_and_no_others():
    kinds = kinds_of([_plan(2, 0.5), _plan(4, 0.5)])
    assert set(kinds.names[1].values()) == {
        "stem.weight",
        "stages.0.blocks.*.experts.0",
        "stages.0.blocks.*.experts.1",
        *(f"stages.1.blocks.{b}.experts.{e}" for b in (0, 1) for e in (0, 1)),
    }
    assert kinds.partial == ()


def test_runs_are_root_mean_squares_over_blocks_and_mean_rates():
    plans = [_plan(2, 0.5), _plan(4, 0.5)]
    kinds = kinds_of(plans)
    names = [f"stages.0.blocks.{b}.experts.0" for b in range(4)]
    measures = {(name, "update", "contract"): float(b) for b, name in enumerate(names)}
    run = ShortRun([1.0], dict.fromkeys(names, 2.0), dict.fromkeys(names, 0.5), dict.fromkeys(names, 0.0))
    (kind,) = {kinds.names[1][name] for name in names}
    seen = kinds.rung(Rung(measures, run, frozenset({(names[0], "contract")})), 1)
    assert seen.measures == {(kind, "update", "contract"): pytest.approx(math.sqrt(14 / 4))}
    assert (seen.run.gradients, seen.run.rates, seen.run.decays) == ({kind: 2.0}, {kind: 0.5}, {kind: 0.0})
    assert seen.outer == {(kind, "contract")}
    # One block that the optimizer leaves out leaves its kind without a rate, so that it is told.
    del run.rates[names[2]]
    assert kinds.rung(Rung({}, run), 1).run.rates == {}


@pytest.mark.parametrize("alpha", [0.5, 0.75, 1.0])
def test_promises_follow_the_ratio_of_the_own_stage(alpha):
    plans = [_plan(depth, alpha) for depth in (2, 4, 8)]
    kinds = kinds_of(plans)
    promises = promised_in_depth([kinds.plan(p, i) for i, p in enumerate(plans)])
    inner, end = promises["stages.0.blocks.*.experts.0"], promises["stages.0.blocks.*.experts.1"]
    assert (inner.update, inner.change, inner.norm) == pytest.approx((alpha - 1, 0.0, 0.0))
    assert (end.update, end.change, end.norm) == pytest.approx((-1.0, -alpha, -alpha))
    # The second stage does not grow with the depth, and the stem is in no branch.
    assert promises["stages.1.blocks.1.experts.1"] == promises["stem.weight"] == DepthPromise()


def test_without_a_rule_nothing_is_promised_inside():
    plans = [_plan(depth, None) for depth in (2, 4, 8)]
    kinds = kinds_of(plans)
    promises = promised_in_depth([kinds.plan(p, i) for i, p in enumerate(plans)])
    assert promises["stages.0.blocks.*.experts.0"] == DepthPromise(None, None, None)
    assert promises["stem.weight"] == DepthPromise()


def test_quantities_have_the_promise_that_is_theirs():
    promise = DepthPromise(update=-0.5, change=-0.25, norm=-0.75)
    found = {
        q: depth_exponent(q, promise, tied=False) for q in ("update", "update norm", "change", "init norm")
    }
    assert found == {"update": -0.5, "update norm": -0.5, "change": -0.25, "init norm": -0.75}
    assert depth_exponent("stream change", promise, tied=False) == 0.0
    assert depth_exponent("logits", promise, tied=False) is None
    assert depth_exponent("init norm", promise, tied=True) is None


def test_a_deviation_of_all_blocks_is_one_of_the_kind():
    kinds = kinds_of([_plan(2, 0.5), _plan(4, 0.5)]).names[1]
    names = [name for name, kind in kinds.items() if kind == "stages.0.blocks.*.experts.0"]
    found = tuple(Deviation(name, "lr", 1.0, 0.5, 0.5, "depth") for name in names)
    (whole,) = by_kind(found, kinds)
    assert whole.name == "stages.0.blocks.*.experts.0"
    assert "wrong by depth^+0.50" in whole.text("mup")
    assert by_kind(found[:2], kinds) == found[:2]
