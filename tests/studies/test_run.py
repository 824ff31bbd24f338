"""Running transfer studies: the numbers, resuming, engines, kills, interrupts, and what is refused."""

import functools
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import DataError, FactoryError, GridError, RoleError, StudyError
from similitude.core.verdict import Outcome
from similitude.runs.ledger import Ledger, Status
from similitude.studies.experiment import BASE, planner_of
from similitude.studies.jobs import Progress
from similitude.training.build import build_model
from similitude.training.loop import train
from tests.cases import TeacherBatches, tiny_experiment, toy_mlp
from tests.studies import study_program

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PYTHONPATH": str(ROOT)}
CELLS = 24  # of the tiny experiment: 4 rates x 2 seeds at the base, and again under each of 2 rules


def result(study):
    """Everything a study says but for what differs from run to run."""
    data = study.to_dict()
    for key in ("seconds", "cells_found", "cells_run"):
        del data[key]
    return json.dumps(data, sort_keys=True)


def curves(folder, name):
    ledger = Ledger.open(folder, name, create=False)
    return {cell.key: ledger.curve(cell)["loss"].to_list() for cell in ledger.finished()}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The tiny study, finished: its folder and its result."""
    folder = tmp_path_factory.mktemp("done")
    return folder, sim.run(tiny_experiment(), folder)


def test_losses_are_those_of_plain_loops(done):
    experiment, (_, study) = tiny_experiment(), done
    assert (study.cells_found, study.cells_run, study.cells_missing) == (0, CELLS, 0)
    for rule, transfer in study.transfers.items():
        assert [curve.size for curve in transfer.curves] == [8, 16]
        for curve in transfer.curves:
            made = planner_of(experiment).plan(curve.size, rule=rule)
            for lr, losses in zip(curve.lrs, curve.losses, strict=True):
                for seed, loss in zip(experiment.seeds, losses, strict=True):
                    model = build_model(functools.partial(experiment.make, curve.size), seed, made)
                    optimizer = torch.optim.Adam(made.groups(model, lr=lr))
                    alone = train(
                        model,
                        optimizer,
                        batches=experiment.batches,
                        loss=experiment.loss,
                        steps=experiment.steps,
                        seed=seed,
                    )
                    assert loss == pytest.approx(alone.final, rel=1e-10)


def test_rules_differ_and_share_the_cells_of_the_base(done):
    folder, study = done
    sp, mup = study.transfers["sp"], study.transfers["mup"]
    assert sp.curves[0] == mup.curves[0]
    assert sp.curves[1] != mup.curves[1]
    cells = Ledger.open(folder, "tiny", create=False).cells()
    assert [(c["rule"], c["width"]) for c in cells].count((BASE, 8)) == CELLS // 3
    assert {c["rule"] for c in cells if c["width"] == 16} == {"sp", "mup"}


def test_a_second_run_finds_every_cell(done):
    folder, study = done

    def must_not_run(progress):
        raise AssertionError(progress)

    again = sim.run(tiny_experiment(), folder, on_progress=must_not_run)
    assert (again.cells_found, again.cells_run, again.cells_missing) == (CELLS, 0, 0)
    assert result(again) == result(study)


def test_reading_gives_what_running_gave(done):
    folder, study = done
    assert result(sim.read_study(folder, "tiny")) == result(study)


def test_a_study_that_is_not_there_is_named_with_those_that_are(done, tmp_path):
    with pytest.raises(StudyError, match=r"no study 'tinny'.*'tiny'"):
        sim.read_study(done[0], "tinny")
    Ledger.open(tmp_path, "other", fingerprint={"a": 1})
    with pytest.raises(StudyError, match=r"'other'.* is no transfer study: it has 0 cells and no plans"):
        sim.read_study(tmp_path, "other")


def test_a_grid_can_grow(done, tmp_path):
    small = sim.run(tiny_experiment(lrs=tiny_experiment().lrs[:3]), tmp_path)
    grown = sim.run(tiny_experiment(), tmp_path)
    assert (small.cells_run, grown.cells_found, grown.cells_run) == (18, 18, 6)
    assert result(grown) == result(done[1])


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_processes_give_the_same_bits(done, tmp_path, workers):
    pooled = sim.run(tiny_experiment(), tmp_path, engine=sim.ProcessPool(workers=workers))
    assert result(pooled) == result(done[1])
    assert curves(tmp_path, "tiny") == curves(done[0], "tiny")


def test_transfer_is_run_of_an_experiment(done, tmp_path):
    e = tiny_experiment()
    study = sim.transfer(
        e.make,
        e.batches,
        widths=e.widths,
        lrs=e.lrs,
        steps=e.steps,
        seeds=e.seeds,
        name="tiny",
        storage=tmp_path,
    )
    assert result(study) == result(done[1])
    alone = sim.transfer(
        e.make, e.batches, widths=[16, 8], lrs=e.lrs, rules="mup", steps=e.steps, seeds=e.seeds, name="tiny",
        storage=tmp_path,
    )  # fmt: skip
    assert (alone.cells_run, list(alone.transfers)) == (0, ["mup"])


def test_progress_counts_up_to_the_whole(tmp_path):
    seen: list[Progress] = []
    sim.run(tiny_experiment(), tmp_path, on_progress=seen.append)
    shares = [p.work_done for p in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert seen[-1].cells_done == seen[-1].cells == CELLS
    labels = list(dict.fromkeys(p.label for p in seen))
    assert labels == ["starting", "base width 8", "sp width 16", "mup width 16"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_in_a_row_then_the_study_is_as_if_nothing_happened(tmp_path, kills):
    killed, quiet = tmp_path / "killed", tmp_path / "quiet"
    command = [sys.executable, str(study_program.__file__), str(killed), str(kills)]
    process = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=True
    )
    assert process.stdout.split() == [str(-signal.SIGKILL)] * kills
    before = Ledger.open(killed, "tiny").finished()
    experiment = study_program.experiment(kills)
    grid = experiment.grid()
    assert 0 < len(before) < len(grid), "the kills did not hit the work; change their moments"

    resumed = sim.run(experiment, killed)
    assert (resumed.cells_found, resumed.cells_run) == (len(before), len(grid) - len(before))
    uninterrupted = sim.run(experiment, quiet)
    assert result(resumed) == result(uninterrupted)
    assert curves(killed, "tiny") == curves(quiet, "tiny")
    ledger = Ledger.open(killed, "tiny")
    assert ledger.status() == Status(waiting=0, running=0, finished=len(grid), failed=0)
    complete = [t.user_attrs["similitude:cell"] for t in ledger.study.trials if t.state.name == "COMPLETE"]
    assert sorted(complete) == sorted(cell.key for cell in grid)


class Interrupting(TeacherBatches):
    """Batches during which the user presses Ctrl-C."""

    def __init__(self, after: int) -> None:
        super().__init__(size=16)
        self.left = after

    def batch(self, seed, step):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)
        return super().batch(seed, step)


def test_ctrl_c_keeps_finished_cells_and_gives_the_study_so_far(done, tmp_path):
    batches = Interrupting(
        after=1 + 2 * 6 + 5
    )  # one to probe, 2 seeds x 6 steps at the base, then the next width
    with pytest.raises(sim.StudyInterrupted) as caught:
        sim.run(tiny_experiment(batches=batches), tmp_path)
    study = caught.value.study
    assert (study.cells_run, study.cells_missing) == (8, 16)
    assert [len(t.curves) for t in study.transfers.values()] == [1, 1]
    assert Ledger.open(tmp_path, "tiny").status().running == 0
    resumed = sim.run(tiny_experiment(batches=batches), tmp_path)
    assert (resumed.cells_found, resumed.cells_run) == (8, 16)
    assert result(resumed) == result(done[1])


def nan_loss(model, batch):
    return model(batch[0]).sum() * math.nan


def test_nan_at_every_rate_is_a_verdict(tmp_path):
    study = sim.run(tiny_experiment(loss=nan_loss), tmp_path)
    for transfer in study.transfers.values():
        assert transfer.verdict.outcome is Outcome.DIVERGED
        assert transfer.verdict.exit_code == 1
    with pytest.raises(sim.SimilitudeError, match="diverged"):
        study.raise_if_bad()
    json.dumps([c.to_dict() for c in study.transfers["mup"].curves], allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps": 7}, "steps was 6, is now 7"),
        ({"loss": nan_loss}, "loss was similitude.training.losses.cross_entropy, is now"),
        ({"optimizer": torch.optim.SGD}, "optimizer was Adam, is now SGD"),
        ({"optimizer": functools.partial(torch.optim.Adam, eps=1e-6)}, "options.eps was 1e-08, is now 1e-06"),
        ({"batches": TeacherBatches(size=17)}, "batch_size was 16, is now 17"),
        ({"make": functools.partial(toy_mlp, classes=5)}, "code of the model was"),
        ({"widths": (16, 32)}, "base width was 8, is now 16"),
        ({"roles": {"0.weight": "input"}}, "roles.0.weight was not set, is now input"),
    ],
)
def test_another_experiment_in_the_same_place_is_refused_by_what_differs(done, changes, named):
    folder, study = done
    with pytest.raises(StudyError, match="holds results of something else") as caught:
        sim.run(tiny_experiment(**changes), folder)
    assert named in str(caught.value)
    assert result(sim.read_study(folder, "tiny")) == result(study)


class FailsIn(nn.Module):
    """A model that raises in forward, at every width or from one on."""

    def __init__(self, width, least=0):
        super().__init__()
        self.net, self.broken = toy_mlp(width), width >= least

    def forward(self, x):
        if self.broken:
            raise RuntimeError("a bug of mine")
        return self.net(x)


def test_a_model_that_raises_is_named_before_anything_is_stored(tmp_path):
    with pytest.raises(
        StudyError, match=r"'\w*\.?test_run\.FailsIn' at width 8 .*RuntimeError: a bug of mine"
    ):
        sim.run(tiny_experiment(make=FailsIn), tmp_path / "study")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    "engine", [sim.InProcess(), pytest.param(sim.ProcessPool(workers=1), marks=pytest.mark.slow)]
)
def test_a_model_that_raises_later_leaves_what_was_finished_and_no_lease(tmp_path, engine):
    make = functools.partial(FailsIn, least=16)
    with pytest.raises(StudyError, match=r"FailsIn.* at width 16 .*a bug of mine"):
        sim.run(tiny_experiment(make=make), tmp_path, engine=engine)
    assert Ledger.open(tmp_path, "tiny").status() == Status(waiting=16, running=0, finished=8, failed=0)


def test_a_result_that_cannot_be_stored_gives_its_cell_back(tmp_path, monkeypatch):
    stored = []

    def refuse_the_third(self, lease, *args, **options):
        if len(stored) == 2:
            raise StudyError("the disk is full")
        stored.append(lease.cell)
        finish(self, lease, *args, **options)

    finish = Ledger.finish
    monkeypatch.setattr(Ledger, "finish", refuse_the_third)
    with pytest.raises(StudyError, match="the disk is full"):
        sim.run(tiny_experiment(), tmp_path)
    monkeypatch.undo()
    assert Ledger.open(tmp_path, "tiny").status() == Status(waiting=22, running=0, finished=2, failed=0)
    assert sim.run(tiny_experiment(), tmp_path).cells_found == 2


class Positional(nn.Module):
    """A parameter that no rule covers: its mean over the width is added."""

    def __init__(self, width):
        super().__init__()
        self.table = nn.Parameter(torch.ones(width, width, dtype=torch.float64) / width)
        self.net = toy_mlp(width)

    def forward(self, x):
        return self.net(x) + self.table.mean()


def test_a_refused_tensor_stops_the_study_before_anything_is_trained(tmp_path):
    with pytest.raises(RoleError, match=r"'table'.*reduced by mean"):
        sim.run(tiny_experiment(make=Positional), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_roles_reach_the_plans(tmp_path):
    study = sim.run(tiny_experiment(make=Positional, roles={"table": "input"}, rules=("mup",)), tmp_path)
    roles = {row.name: row.role for row in study.plans["mup"].rows}
    assert roles["table"] == "input"


class NoDescribe:
    def batch(self, seed, step):
        return None

    def evaluation(self):
        return None


class DescribesByNumber(TeacherBatches):
    def describe(self):
        return 3


class CannotDescribe(TeacherBatches):
    def describe(self):
        raise OSError("gone")


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"lrs": (0.1,)}, GridError, "1 learning rate"),
        ({"lrs": (0.0, 0.1, 0.2)}, GridError, "not positive"),
        ({"lrs": (-0.1, 0.1, 0.2)}, GridError, "not positive"),
        ({"lrs": (0.1, 0.2, math.nan)}, GridError, "not positive and finite"),
        ({"widths": (8,)}, GridError, "a comparison needs at least 2"),
        ({"widths": (8, 8)}, GridError, "more than once"),
        ({"widths": (0, 8)}, GridError, "not a positive whole number"),
        ({"rules": ()}, GridError, "at least one rule"),
        ({"rules": ("mup", "mup")}, GridError, "each once"),
        ({"seeds": ()}, GridError, "at least one seed"),
        ({"seeds": (0.5,)}, GridError, "0.5 is not a whole number"),
        ({"steps": 0}, GridError, "at least 1"),
        ({"steps": 2.5}, GridError, "whole number of optimizer steps"),
        ({"batches": NoDescribe()}, DataError, r"NoDescribe and has no describe\(\)"),
        ({"batches": DescribesByNumber()}, DataError, r"describe\(\) gives a int"),
        ({"batches": CannotDescribe()}, DataError, r"describe\(\) failed: OSError: gone"),
        ({"batches": TeacherBatches}, DataError, "TeacherBatches is a class"),
        ({"make": lambda: None}, FactoryError, r"make\(8\) failed"),
        ({"rules": ("mupp",)}, sim.SimilitudeError, "rule 'mupp' is unknown"),
        ({"loss": lambda model, batch: model(batch[0])}, StudyError, r"a tensor of shape \(16, 4\)"),
        ({"loss": lambda model, batch: 1.0}, StudyError, "the loss is float"),
    ],
)
def test_what_is_no_study_is_refused_and_leaves_nothing(tmp_path, changes, error, text):
    with pytest.raises(error, match=text):
        sim.run(tiny_experiment(**changes), tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_global_generators_are_left_alone(tmp_path):
    before = torch.random.get_rng_state()
    sim.run(tiny_experiment(), tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)
