"""A study of a second: measurements against dense Hessians of runs by hand, resuming, engines, kills, refusals."""

import dataclasses
import functools
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call, hessian, jacrev

import similitude as sim
from similitude.core.errors import CurvatureError, DataError, GridError, StudyError
from similitude.core.verdict import Outcome
from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.report.consistency_page import render_consistency_page
from similitude.report.figures import figures
from similitude.runs.ledger import Ledger
from similitude.studies import consistency_jobs as jobs_module
from similitude.studies.consistency import RATE, run_consistency
from similitude.studies.experiment import BASE
from similitude.studies.windows import FRACTIONS
from tests.cases import TeacherBatches
from tests.studies import consistency_program
from tests.studies.consistency_cases import small_net, small_study

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PYTHONPATH": str(ROOT)}
LR = 0.5
CELLS = 10  # 2 seeds at the base, 2 rules x 2 sizes x 2 seeds
QUANTITIES = ("loss", "eta_lambda", "top_1", "top_2", "gauss_newton", "residual", "ntk")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The small study, finished: its folder and its result."""
    folder = tmp_path_factory.mktemp("done")
    return folder, run_consistency(small_study(), folder, lr=LR)


def result(study):
    """Everything a study says but for what differs from run to run."""
    data = study.to_dict()
    for key in ("seconds", "cells_found", "cells_run"):
        del data[key]
    return json.dumps(data, sort_keys=True)


TOLERANCES = {"loss": 1e-9, "eta_lambda": 2e-3, "residual": 1e-1}


def by_hand(experiment, rule, width, seed):
    """Train one network in a plain loop on the centred squared error, and measure it by dense matrices."""
    plan = experiment.plans()[rule][width]
    cell = experiment.grid([LR], every=2)[0]
    cell = type(cell).of(**dict(cell.params) | {"width": width, "seed": seed})
    model = experiment.build(cell, plan)
    rates = {id(p): group["lr"] for group in plan.groups(model, lr=LR) for p in group["params"]}
    params = {name: p.detach().clone() for name, p in model.named_parameters()}
    lrs = {name: rates[id(p)] for name, p in model.named_parameters()}
    x, labels = TeacherBatches(size=12).batch(0, 0)
    targets = torch.eye(4, dtype=torch.float64)[labels] - 0.25
    sizes = [p.numel() for p in params.values()]
    scale = torch.cat([torch.full_like(p, lrs[name] ** 0.5).flatten() for name, p in params.items()])
    start = functional_call(model, params, x).detach()

    def outputs(flat):
        parts = {n: v.view(p.shape) for v, (n, p) in zip(flat.split(sizes), params.items(), strict=True)}
        return functional_call(model, parts, x) - start

    def loss(flat):
        return 0.5 * ((outputs(flat) - targets) ** 2).sum(-1).mean()

    flat, rows = torch.cat([p.flatten() for p in params.values()]), []
    for step in range(experiment.steps + 1):
        if step % 2 == 0:
            h = scale[:, None] * hessian(loss)(flat) * scale
            j = jacrev(outputs)(flat).flatten(0, 1) * scale
            gn = j.T @ j / len(x)  # the loss's second derivative in the outputs is 1 over the examples
            top = torch.linalg.eigvalsh(h)
            rows.append(
                {
                    "loss": float(loss(flat)),
                    "eta_lambda": float(top[-1]),
                    "top_1": float(top[-1]),
                    "top_2": float(top[-2]),
                    "gauss_newton": float(torch.linalg.eigvalsh(gn)[-1]),
                    "residual": float(torch.linalg.eigvalsh(h - gn)[-1]),
                    "ntk": float(torch.linalg.eigvalsh(j @ j.T / len(x))[-1]),
                }
            )
        flat = flat - scale**2 * torch.func.grad(loss)(flat)
    return rows


@pytest.mark.parametrize(("rule", "width"), [("mup", 4), ("mup", 8), ("ntp", 8)])
def test_what_is_measured_is_what_dense_matrices_have(done, rule, width):
    _, study = done
    curves = next(c for c in study.rules[rule].curves if c.size == width)
    assert curves.steps == (0, 2, 4, 6, 8)
    rows = by_hand(small_study(), rule, width, 1)
    for name in QUANTITIES:
        thorough = name not in ("loss", "eta_lambda")
        hand = [row[name] for row in rows]
        tolerance = TOLERANCES.get(name, 5e-2)
        measured = curves.series[name][1]
        assert np.isfinite(measured).any()
        for mine, theirs in zip(measured, hand, strict=True):
            assert (thorough and math.isnan(mine)) or mine == pytest.approx(theirs, rel=tolerance)


def test_the_sharpness_alone_is_what_it_is_beside_everything_else(done, tmp_path):
    _, study = done
    alone = run_consistency(small_study(top=0), tmp_path, lr=LR)
    for rule, found in alone.rules.items():
        assert found.spreads == study.rules[rule].spreads
        assert found.growths == study.rules[rule].growths
        for curves in found.curves:
            assert not {"top_1", "gauss_newton", "residual", "ntk"} & set(curves.series)
    drawn = [figure.key for figure in figures(alone)]
    assert drawn == ["sharpness", "spreads", "distances", "loss"]
    assert [figure.key for figure in figures(study)] == [*drawn, "spectra", "ntk", "parts"]
    assert "was not measured" not in render_consistency_page(alone)


def test_rules_agree_at_the_smallest_size_and_share_its_runs(done):
    folder, study = done
    first, second = (rule.curves[0] for rule in study.rules.values())
    assert first.size == second.size == 4
    assert result_of(first) == result_of(second)
    cells = Ledger.open(folder, "small", create=False).finished()
    assert len(cells) == CELLS == study.cells_run
    assert sum(cell["rule"] == BASE for cell in cells) == 2


def result_of(curves):
    return json.dumps(curves.to_dict())


def test_edges_and_words(done):
    _, study = done
    assert study.rules["mup"].threshold == 2
    assert list(study.rules) == ["mup", "ntp"]
    assert study.verdict is study.rules["mup"].verdict
    assert study.verdict.outcome in (Outcome.CANNOT_TELL, Outcome.INCONSISTENT)  # two seeds
    assert str(study.rate) == "0.5, as given"
    with pytest.raises(sim.SimilitudeError):
        study.raise_if_bad()


def test_a_second_run_finds_everything_and_another_loss_is_another_study(done):
    folder, study = done
    again = run_consistency(small_study(), folder, lr=LR)
    assert (again.cells_found, again.cells_run) == (CELLS, 0)
    assert result(again) == result(study)
    with pytest.raises(StudyError, match="centred was True, is now False"):
        run_consistency(small_study(centre=False), folder, lr=LR)
    more = run_consistency(small_study(seeds=(0, 1, 2)), folder, lr=LR)
    assert more.cells_run == 5


@pytest.mark.slow
def test_processes_compute_the_same(tmp_path):
    short = small_study(widths=(4, 8), seeds=(0,), steps=2, windows=((0, 1),))
    alone, pooled = (
        run_consistency(short, tmp_path / str(i), lr=LR, engine=engine)
        for i, engine in enumerate((sim.InProcess(), sim.ProcessPool(workers=2)))
    )
    assert result(pooled) == result(alone)


def test_an_interrupted_study_goes_on_where_it_was(done, tmp_path, monkeypatch):
    _, study = done
    calls, train = [], jobs_module.measured_run

    def stops(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(jobs_module, "measured_run", stops)
    with pytest.raises(KeyboardInterrupt):
        run_consistency(small_study(), tmp_path, lr=LR)
    monkeypatch.undo()
    resumed = run_consistency(small_study(), tmp_path, lr=LR)
    assert (resumed.cells_found, resumed.cells_run) == (3, CELLS - 3)
    assert result(resumed) == result(study)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_leave_whole_cells_that_are_not_run_again(done, tmp_path):
    _, study = done
    command = [sys.executable, str(consistency_program.__file__), str(tmp_path), "2"]
    process = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=True
    )
    assert process.stdout.split() == [str(-signal.SIGKILL)] * 2
    before = len(Ledger.open(tmp_path, "small").finished())
    assert 0 < before < CELLS
    resumed = run_consistency(small_study(), tmp_path, lr=LR)
    assert (resumed.cells_found, resumed.cells_run) == (before, CELLS - before)
    assert result(resumed) == result(study)


def test_the_learning_rate_is_found_once_and_kept(tmp_path):
    study = run_consistency(small_study(seeds=(0,), steps=4, windows=((0, 0), (1, 1))), tmp_path)
    assert study.rate.stable is not None
    assert study.rate.lr <= study.rate.stable / 4
    stored = json.loads(Ledger.open(tmp_path, "small").study.user_attrs[RATE])
    assert stored["lr"] == study.rate.lr
    again = run_consistency(small_study(seeds=(0,), steps=4, windows=((0, 0), (1, 1))), tmp_path)
    assert (again.rate, again.cells_run) == (study.rate, 0)


def test_a_transfer_beside_the_study_shares_its_base_and_is_not_measured(tmp_path):
    small = small_study(widths=(4, 8), steps=4, windows=((0, 0), (1, 1)))
    study = run_consistency(small, tmp_path, lr=LR, transfer=(LR / 4, LR, 4 * LR))
    assert list(study.transfers) == ["mup", "ntp"]
    for transfer in study.transfers.values():
        assert [curve.lrs for curve in transfer.curves] == [(LR / 4, LR, 4 * LR)] * 2
    measured, swept = 6, 12
    assert study.cells_run == measured + swept
    ledger = Ledger.open(tmp_path, "small")
    assert {len(ledger.curve(c).columns) for c in ledger.finished() if c["every"] == 0} == {2}


def test_adam_has_units_from_its_first_step_on(tmp_path):
    adam = functools.partial(torch.optim.AdamW, betas=(0.9, 0.99))
    small = small_study(optimizer=adam, widths=(4, 8), seeds=(0,), rules=("mup",))
    study = run_consistency(small, tmp_path, lr=0.01)
    rule = study.rules["mup"]
    assert rule.threshold == pytest.approx(38, rel=0.01)
    for curves in rule.curves:
        (row,) = curves.series["eta_lambda"]
        assert math.isnan(row[0])
        assert all(math.isfinite(value) for value in row[1:])
    assert rule.spreads[0].value is None  # the start, where Adam has seen no gradient
    assert rule.verdict.outcome is Outcome.CANNOT_TELL


def test_minibatches_are_measured_on_the_probe_that_is_given(tmp_path):
    probe = TeacherBatches(size=20).batch(3, 3)
    small = small_study(
        full_batch=False, probe=probe, widths=(4, 8), seeds=(0,), steps=2, every=1, windows=((0, 1),)
    )
    study = run_consistency(small, tmp_path, lr=LR)
    targets = torch.eye(4, dtype=torch.float64)[probe[1]] - 0.25
    start = 0.5 * (targets**2).sum(-1).mean()  # the centred network says 0
    for curves in study.rules["mup"].curves:
        assert curves.series["loss"][0][0] == pytest.approx(float(start))
    with pytest.raises(StudyError, match="probe"):
        run_consistency(dataclasses.replace(small, probe=(probe[0] + 1, probe[1])), tmp_path, lr=LR)


def test_a_run_that_diverges_is_seen_and_its_measurements_end(tmp_path):
    study = run_consistency(small_study(seeds=(0,), steps=40, every=5, loss=quartic), tmp_path, lr=1e3)
    rule = study.rules["mup"]
    assert rule.diverged
    assert rule.verdict.outcome in (Outcome.DIVERGED, Outcome.CANNOT_TELL, Outcome.INCONSISTENT)
    lost = next(c for c in rule.curves if c.size in rule.diverged)
    assert math.isfinite(lost.series["loss"][0][0])
    assert math.isnan(lost.series["loss"][0][-1])


def quartic(model, batch):
    """A loss that runs away."""
    return (model(batch[0]) - 1).pow(4).sum(-1).mean()


def test_a_full_batch_has_distinct_examples():
    digits = ImageBatches(load("digits"), batch_size=300)
    small = small_study(batches=digits)
    images, labels = small.trained_on.batch(5, 7)
    assert torch.equal(images, small.probed()[0])
    assert torch.equal(labels, digits.distinct()[1])
    pairs = {(image.tobytes(), int(label)) for image, label in zip(images.numpy(), labels, strict=True)}
    drawn = digits.batch(0, 0)[0].numpy()
    assert len({image.tobytes() for image in drawn}) < len(pairs)
    assert small.fingerprint()["examples"] == "distinct"
    assert "examples" not in small_study().fingerprint()


def frozen(width):
    """A network that nothing trains."""
    return small_net(width).requires_grad_(False)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"top": 999_999}, CurvatureError, r"top=999999 .* width 4 has 104 trainable numbers"),
        ({"make": frozen}, CurvatureError, "width 4 has no trainable parameter"),
        (
            {"batches": ImageBatches(load("digits"), batch_size=10**9)},
            DataError,
            "1000000000 different images",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_trained(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        run_consistency(small_study(**changes), tmp_path, lr=LR)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (4,)}, "a comparison needs at least 2"),
        ({"windows": FRACTIONS, "steps": 2, "every": 1}, "2 steps measured every 1 are 3 measurements"),
        ({"depths": (2, 4)}, "one dial changes at a time"),
        ({"every": 0}, "every=0"),
        ({"top": -1}, "top=-1"),
        ({"seeds": ()}, "at least one seed"),
        ({"windows": ((0.6, 0.5),)}, "no part of a run"),
        ({"rules": ("mup", "mup")}, "each once"),
        ({"depth_rule": "depth_mup"}, "has no effect where the width changes"),
    ],
)
def test_what_is_no_study_is_refused(changes, message):
    with pytest.raises(GridError, match=message):
        small_study(**changes)


def test_the_function_takes_what_the_experiment_does(tmp_path):
    study = sim.consistency(
        small_net,
        TeacherBatches(size=12),
        widths=[4, 8],
        rules="mup",
        lr=LR,
        loss=quartic,
        steps=2,
        every=1,
        seeds=[0],
        windows=[(0, 0), (1, 1)],
        storage=tmp_path,
    )
    assert isinstance(study, sim.Consistency)
    assert study.settings["loss"].endswith("quartic")
    assert list(study.rules) == ["mup"]
    json.dumps(study.to_dict(), allow_nan=True)
