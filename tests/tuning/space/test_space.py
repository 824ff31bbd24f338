"""Spaces: points of configurations, conditions, trials of any sampler, failures, files, and what is refused."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

import similitude as sim
from similitude.core.errors import TuningError
from similitude.tuning.trials.failures import FAILURE_KEY

SPACE = sim.Space(
    lr=sim.Log(1e-3, role="transfer"),
    optimizer=sim.Choice("adam", "sgd", "nesterov"),
    momentum=sim.Logit(0.9, when={"optimizer": ("sgd", "nesterov")}),
    width=sim.Log(64, low=8, high=1024, integer=True, role="scale"),
)


def test_what_is_not_there_lies_at_its_center():
    point = SPACE.point({"lr": 1e-2, "optimizer": "adam", "width": 64})
    assert point.tolist() == [pytest.approx(1), 0, 0, 0]
    assert "momentum" not in SPACE.values_at(point)
    assert "momentum" in SPACE.values_at(SPACE.point({**SPACE.center, "optimizer": "sgd", "momentum": 0.99}))


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_snapping_twice_is_snapping_once(units):
    once = SPACE.snapped(np.array(units))
    np.testing.assert_allclose(SPACE.snapped(once), once, atol=1e-12)
    assert SPACE.point(SPACE.values_at(once)) == pytest.approx(once, abs=1e-12)


@pytest.mark.parametrize(
    "sampler", [optuna.samplers.RandomSampler(seed=0), optuna.samplers.TPESampler(seed=0)]
)
def test_any_sampler_of_optuna_gives_configurations(sampler):
    study = optuna.create_study(sampler=sampler)
    for _ in range(20):
        trial = study.ask()
        values = SPACE.suggest(trial)
        assert set(values) == set(SPACE.active(values))
        assert 8 <= values["width"] <= 1024
        study.tell(trial, values["lr"])


def test_a_failure_names_its_kind_and_a_plain_study_goes_on():
    study = optuna.create_study()

    def objective(trial):
        SPACE.suggest(trial)
        SPACE.fail(trial, "oom", "17 GB of 16")

    study.optimize(objective, n_trials=2)
    assert [t.state.name for t in study.trials] == ["PRUNED", "PRUNED"]
    assert study.trials[0].user_attrs[FAILURE_KEY] == "oom"
    assert "17 GB of 16" in study.trials[0].user_attrs.values()
    with pytest.raises(TuningError, match="'crash' is no kind of failure"):
        SPACE.fail(study.ask(), "crash")


def test_a_space_is_read_from_a_file(tmp_path):
    (tmp_path / "space.toml").write_text(
        '[lr]\nkind = "log"\ncenter = 1e-3\nrole = "transfer"\n'
        '[optimizer]\nkind = "choice"\nvalues = ["adam", "sgd", "nesterov"]\n'
        '[momentum]\nkind = "logit"\ncenter = 0.9\nwhen = {optimizer = ["sgd", "nesterov"]}\n'
        '[width]\nkind = "log"\ncenter = 64\nlow = 8\nhigh = 1024\ninteger = true\nrole = "scale"\n'
    )
    assert sim.Space.read(tmp_path / "space.toml") == SPACE
    assert sim.Space.from_dict(SPACE.to_dict()) == SPACE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = 0.001", "lr = 0.001 is no dimension: give a table"),
        ("[lr", "is no TOML file"),
        ('[lr]\nkind = "log"\ncenter = "0.1"', "lr: log dimension: center='0.1' is no finite number"),
        ("", "The space is empty"),
    ],
)
def test_a_malformed_file_is_told(tmp_path, text, message):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(TuningError, match=message) as told:
        sim.Space.read(path)
    assert str(path) in str(told.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(TuningError, match="cannot be read: No such file"):
        sim.Space.read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sim.Space(), "The space is empty"),
        (lambda: sim.Space(sim.Log(1.0)), "give every dimension its name"),
        (lambda: sim.Space(lr=1e-3), "lr=0.001 is no dimension"),
        (lambda: sim.Space({"lr": sim.Log(1.0)}, lr=sim.Log(1.0)), "has lr twice"),
        (
            lambda: sim.Space(m=sim.Log(1.0, when={"o": "sgd"}), o=sim.Choice("sgd")),
            "there is no o before it",
        ),
        (
            lambda: sim.Space(o=sim.Choice("sgd"), m=sim.Log(1.0, when={"o": "adam"})),
            "m is there when o is 'adam'",
        ),
        (lambda: SPACE.point({"lr": 1e-3}), "lacks optimizer, width"),
        (lambda: SPACE.point({**SPACE.center, "lr": -1.0}), "lr: -1.0 is no value of a log dimension"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(TuningError, match=message):
        make()


def test_many_points_are_snapped_as_one_by_one():
    points = np.random.default_rng(0).normal(size=(200, 4)) * 1.5
    expected = [SPACE.point(SPACE.values_at(p)) for p in points]
    np.testing.assert_allclose(SPACE.snapped(points), expected, atol=1e-9)
