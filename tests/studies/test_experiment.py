"""What an experiment hands to the planner, and what makes it another experiment."""

from __future__ import annotations

import functools

import torch

import similitude as sim
from similitude.studies.experiment import planner_of
from tests.cases import TeacherBatches, tiny_experiment, toy_mlp

ADAMW = functools.partial(torch.optim.AdamW, weight_decay=0.1)


def test_knobs_and_the_kind_of_weight_decay_reach_the_planner():
    knobs = {"head": {"init": 0.0}}
    made = planner_of(tiny_experiment(optimizer=ADAMW, knobs=knobs, weight_decay="decoupled")).plan(16)
    assert made.weight_decay == "decoupled"
    assert {row.weight_decay for row in made.rows} == {1.0}
    assert [row.name for row in made.rows if row.rescale == 0.0] == ["4.weight"]


def test_another_kind_of_weight_decay_is_another_experiment():
    plain = tiny_experiment(optimizer=ADAMW).fingerprint()
    assert tiny_experiment(optimizer=ADAMW, weight_decay="independent").fingerprint() == plain
    other = tiny_experiment(optimizer=ADAMW, weight_decay="decoupled").fingerprint()
    assert other == {**plain, "weight decay over widths": "decoupled"}


def test_a_transfer_trains_by_the_kind_that_it_is_given(tmp_path):
    finals = {}
    for kind in ("independent", "decoupled"):
        study = sim.transfer(
            toy_mlp, TeacherBatches(size=16), widths=(8, 32), lrs=(2**-9, 2**-7, 2**-5), rules=("mup",), steps=4,
            optimizer=functools.partial(torch.optim.AdamW, weight_decay=2.0), seeds=(0,), weight_decay=kind, name=kind,
            storage=tmp_path,
        )  # fmt: skip
        finals[kind] = [curve.losses for curve in study.transfers["mup"].curves]
    assert finals["independent"][0] == finals["decoupled"][0]  # at the base both are one
    assert finals["independent"][1] != finals["decoupled"][1]
