"""The digits demo: its cost against torch's count, its training, its front, and the script from end to end."""

from __future__ import annotations

import sys

import digits_front
import numpy as np
import optuna
import pytest
import torch
from digits_front import CAP, batches, gigaflop, objective, space, train
from torch.nn import functional as F

import similitude as sim
from similitude.tuning.trials.flops import count_flops


@pytest.mark.parametrize("width", [4, 33])
def test_the_cost_is_what_torch_counts(width):
    model = sim.models.MLP(64, 10, width=width, depth=1)
    images, labels = batches().batch(0, 0)
    counted = count_flops(lambda: F.cross_entropy(model(images), labels).backward())
    assert gigaflop(width, 7) == pytest.approx(7 * counted / 1e9)


def test_training_learns_is_the_same_twice_and_diverges_at_a_large_rate():
    settings = {"width": 16, "momentum": 0.5, "activation": "tanh", "seed": 3}
    few, many = (train(steps=steps, lr=0.1, **settings) for steps in (10, 200))
    assert many < 0.5 < few
    assert train(steps=10, lr=0.1, **settings) == few
    assert not train(steps=50, lr=1e3, **(settings | {"activation": "relu"})) < 2 * np.log(10)


def test_the_objective_tells_costs_and_failures():
    study = optuna.create_study()
    good = space.center | {"steps": 10}
    bad = good | {"lr": 10.0, "activation": "relu", "momentum": 0.99}
    for values in (good, bad, good | {"width": 256, "steps": 3000}):
        study.enqueue_trial(values)
    study.optimize(objective, n_trials=3)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert study.trials[0].user_attrs["cost"] == gigaflop(8, 10)
    assert [t.user_attrs.get("similitude:failure") for t in study.trials] == [None, "diverged", "cap"]
    assert study.trials[2].user_attrs["cost"] == CAP


def test_the_script_tunes_continues_and_draws(tmp_path, monkeypatch, capsys):
    figure = tmp_path / "front.svg"
    for trials in (3, 5):
        monkeypatch.setattr(
            sys,
            "argv",
            ["digits_front.py", "--trials", str(trials), "--folder", str(tmp_path), "--figure", str(figure)],
        )
        digits_front.main()
        assert f"{trials} runs and 0 failures" in capsys.readouterr().out
    assert figure.read_text().startswith("<?xml")
    assert torch.get_num_threads() == 1
