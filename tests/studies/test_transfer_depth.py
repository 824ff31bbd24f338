"""Transfer studies over depth: losses against hand-scaled loops, names of the dial everywhere, real data."""

from __future__ import annotations

import dataclasses
import io
import json
import math

import numpy as np
import pytest
import torch
from rich.console import Console

import similitude as sim
from similitude.core.errors import GridError
from similitude.core.seeding import derive, seeded
from similitude.core.verdict import Outcome
from similitude.models import ResMLP
from similitude.report.html import render
from similitude.report.terminal import transfer_summary
from similitude.runs.ledger import Ledger
from similitude.studies import reference
from similitude.studies.experiment import BASE
from similitude.studies.shift import transfer
from similitude.training.loop import train
from similitude.training.losses import cross_entropy
from tests.cases import TeacherBatches, tiny_experiment
from tests.studies.loss_curves import bowl, drawn

RULES = ("sp", "depth_mup", 1.0)
RATIO = 2.0


def make(width, depth):
    """Importable, so that its name and its code are the same in every process."""
    return ResMLP(16, 4, width=width, depth=depth).double()


def experiment(**changes):
    settings = {
        "make": make, "batches": TeacherBatches(size=16), "widths": (), "depths": (2, 4), "base": 8,
        "depth_rule": RULES, "name": "deep", "steps": 6,
    }  # fmt: skip
    return tiny_experiment(**{**settings, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The tiny study over depth, finished: its folder and its result."""
    folder = tmp_path_factory.mktemp("deep")
    return folder, sim.run(experiment(), folder)


def by_hand(depth, seed, lr, alpha):
    """Train with explicit branch multipliers and rates, without a plan; alpha None leaves the model as it is."""
    r = 1.0 if alpha is None else depth / 2
    power = 1.0 if alpha is None else alpha
    with seeded(derive(seed, "init")):
        model = ResMLP(16, 4, width=8, depth=depth, branch=r**-power).double()
    inside = [p for name, p in model.named_parameters() if name.startswith("blocks")]
    outside = [p for name, p in model.named_parameters() if not name.startswith("blocks")]
    groups = [
        {"params": inside, "lr": lr * r ** (power - 1), "eps": 1e-8 * r**-power},
        {"params": outside, "lr": lr},
    ]
    return train(
        model, torch.optim.Adam(groups), batches=TeacherBatches(size=16), loss=cross_entropy, steps=6, seed=seed
    ).final  # fmt: skip


@pytest.mark.parametrize(("name", "alpha"), [("sp", None), ("depth_mup", 0.5), ("1", 1.0)])
def test_losses_are_those_of_branches_scaled_by_hand(done, name, alpha):
    found = done[1].transfers[name]
    for curve in found.curves:
        for lr, losses in zip(curve.lrs, curve.losses, strict=True):
            wanted = [by_hand(curve.size, seed, lr, alpha) for seed in (0, 1)]
            assert list(losses) == pytest.approx(wanted, rel=1e-9)


def test_rules_share_the_base_and_differ_above_it(done):
    folder, study = done
    curves = [found.curves for found in study.transfers.values()]
    assert [c.size for c in curves[0]] == [2, 4]
    assert curves[0][0] == curves[1][0] == curves[2][0]
    assert len({c[1].losses for c in curves}) == 3
    cells = Ledger.open(folder, "deep", create=False).cells()
    assert [(c["rule"], c["depth"]) for c in cells].count((BASE, 2)) == 8
    assert {c["rule"] for c in cells if c["depth"] == 4} == {"sp", "depth_mup", "1"}


def test_plans_are_those_of_the_depth_rules(done):
    plans = done[1].plans
    assert [plans[name].depth_rule for name in ("sp", "depth_mup", "1")] == [None, 0.5, 1.0]
    assert plans["depth_mup"].base == {"width": 8, "depth": 2}
    assert plans["depth_mup"].target == {"width": 8, "depth": 4}
    ratios = {row.name: row.depth_ratio for row in plans["depth_mup"].rows}
    assert ratios["blocks.3.linear.weight"] == RATIO
    assert ratios["stem.weight"] == 1.0
    assert all((row.lr, row.init) == (1.0, 1.0) for row in plans["sp"].rows)


def test_what_is_stored_says_the_dial(done):
    folder, study = done
    data = study.to_dict()
    assert (data["settings"]["base depth"], data["settings"]["width"]) == (2, 8)
    rule = data["rules"]["depth_mup"]
    assert (rule["dial"], list(rule["optima"])) == ("depth", ["2", "4"])
    assert [row["depth"] for row in rule["curves"]] == [2, 4]
    assert [row["depth"] for row in rule["optima_details"]] == [2, 4]
    read = sim.read_study(folder, "deep").to_dict()
    assert json.dumps(read["rules"], sort_keys=True) == json.dumps(data["rules"], sort_keys=True)


def test_a_second_run_finds_every_cell_and_a_width_is_another_experiment(done):
    folder, study = done
    cells = study.cells_run
    again = sim.transfer(
        make, TeacherBatches(size=16), depths=[4, 2], base={"width": 8, "depth": 2}, depth_rule="depth_mup",
        lrs=experiment().lrs, steps=6, seeds=(0, 1), name="deep", storage=folder,
    )  # fmt: skip
    assert (cells, again.cells_found, again.cells_run, list(again.transfers)) == (32, 16, 0, ["depth_mup"])
    with pytest.raises(sim.SimilitudeError, match="width was 8, is now 16"):
        sim.run(experiment(base=16), folder)


@pytest.mark.slow
def test_processes_give_the_same_losses(done, tmp_path):
    pooled = sim.run(experiment(depth_rule="depth_mup"), tmp_path, engine=sim.ProcessPool(workers=2))
    assert pooled.transfers["depth_mup"].curves == done[1].transfers["depth_mup"].curves


def test_knobs_reach_the_base_of_a_depth_study(tmp_path):
    study = sim.run(experiment(knobs={"head": {"init": 0.0}}, depth_rule="sp"), tmp_path)
    rows = {row.name: row for row in study.plans["sp"].rows}
    assert rows["head.weight"].rescale == 0.0
    assert len(study.transfers["sp"].curves) == 2


def family(centres, *, depths=(4, 8, 16), noise=0.01):
    generator = np.random.default_rng(0)
    for depth, centre in zip(depths, centres, strict=True):
        curve = drawn(bowl, generator, centre=centre, noise=noise)
        yield dataclasses.replace(curve, size=depth, dial="depth")


def test_verdicts_speak_of_the_depth():
    found = transfer("sp", list(family([0, -1, -2])), dial="depth")
    assert found.verdict.outcome is Outcome.SHIFTS
    assert found.shift == pytest.approx(-1, abs=0.15)
    assert "octaves per doubling of depth; the rate tuned at depth 4" in found.verdict.summary
    assert found.verdict.next.startswith("--depth-rule depth_mup")
    assert "branch" in found.verdict.causes[0]
    other = transfer("0.75", list(family([0, -1, -2])), dial="depth")
    assert "two or more matrices" in other.verdict.causes[0]
    assert other.verdict.next == "--depths 8,16,32"
    text = json.dumps([other.to_dict(), found.to_dict()])
    assert "width" not in text


def test_a_depth_without_results_is_asked_for_by_its_name():
    assert transfer("sp", [], dial="depth").verdict.next == "--depths 4,8,16"
    one = transfer("sp", list(family([0], depths=(6,))), dial="depth")
    assert (one.verdict.summary, one.verdict.next) == (
        "only depth 6 has results, a shift needs at least 2 depths",
        "--depths 6,12,24",
    )


def test_curves_of_two_dials_are_refused():
    with pytest.raises(GridError, match="a curve of depth 4 is among those over the width"):
        transfer("sp", list(family([0, 0, 0])))


def test_reports_name_the_depth(done):
    screen = io.StringIO()
    Console(width=200, file=screen).print(transfer_summary(done[1]))
    terminal = screen.getvalue()
    assert "octaves per doubling of depth" in terminal
    assert "width" not in terminal
    page = render(done[1])
    assert "Best learning rate against depth" in page
    assert "final loss at the largest depth" in page
    assert "Depth-µP" in page
    for line in ("Best learning rate against width", "doubling of width", "width 4", "smallest width"):
        assert line not in page


@pytest.mark.slow
def test_the_rate_transfers_over_depth_on_real_data(tmp_path):
    """Blocks of one matrix, AdamW, digits with noise: under Depth-muP the best rate stays, depth 4 to 16."""
    found = sim.run(dataclasses.replace(reference.resmlp(), depth_rule="depth_mup"), tmp_path).transfers[
        "depth_mup"
    ]
    assert [best.size for best in found.optima] == [4, 8, 16]
    assert found.shift is not None
    assert abs(found.shift) <= 0.15
    assert found.verdict.ok
    assert found.loss_at_best is not None
    assert math.log(10) > found.loss_at_best > 0.1
