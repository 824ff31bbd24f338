"""`--engine`: every study command computes the same wherever it computes, and says what cannot be."""

from contextlib import nullcontext

import pytest

from similitude.runs.engine import InProcess
from similitude.runs.ray import RayEngine

TRANSFER = ("user_models.py:make", "--data=digits", "--batch-size=8", "--steps=4", "--seeds=2", "--json")
COMMANDS = {
    "transfer": ("transfer", *TRANSFER, "--widths=8,16", "--points=3"),
    "gamma": (
        "gamma",
        *TRANSFER,
        "--base=8",
        "--gammas=0.1,10",
        "--lr-min=2^-6",
        "--lr-max=2^2",
        "--points=5",
    ),
    "family": (
        "tune",
        "family",
        *TRANSFER,
        "--widths=8,16",
        "--target=32",
        "--trials=3",
        "--points=5",
        "--verify=lr",
    ),
    "consistency": (
        "consistency",
        *TRANSFER,
        "--widths=8,16",
        "--every=2",
        "--lr=0.1",
        "--rules=mup",
        "--windows=0-0,0.5-1",
    ),
}


def findings(data):
    """Return what a study found, without where, when and how long."""
    if isinstance(data, dict):
        hidden = {"seconds", "report", "storage", "name", "cells_run", "cells_found", "found", "run"}
        return {key: findings(value) for key, value in data.items() if key not in hidden}
    return [findings(value) for value in data] if isinstance(data, list) else data


def test_the_engine_that_is_named_computes_the_study(cli, monkeypatch):
    """Without a cluster; tests of engines and of tuning start one."""
    taken = []

    def map_here(self, function, jobs, **options):
        taken.append((self, len(jobs)))
        InProcess().map(function, jobs, **options)

    inline = cli(*COMMANDS["transfer"], "--engine=inline", "--storage=inline")
    monkeypatch.setattr(RayEngine, "map", map_here)
    monkeypatch.setattr("similitude.runs.ray.connected", lambda address: nullcontext())
    ran = cli(*COMMANDS["transfer"], "--engine=ray:num_cpus=0.5", "--storage=ray")
    assert ran.code == inline.code != 2, ran.err
    assert findings(ran.json) == findings(inline.json)
    assert {engine.num_cpus for engine, _ in taken} == {0.5}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_study_on_ray_finds_what_it_finds_in_this_process(cli, ray_engine, command):
    ran = {
        engine: cli(*COMMANDS[command], f"--engine={engine}", f"--storage={engine}")
        for engine in ("inline", "ray")
    }
    assert ran["ray"].code == ran["inline"].code != 2, ran["ray"].err
    assert findings(ran["ray"].json) == findings(ran["inline"].json)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--engine=dask"], "--engine dask is none: inline (this process), process"),
        (["--engine=inline", "--workers=2"], "--workers 2 were asked for. Drop one of them."),
        (["--engine=ray", "--workers=0"], "--workers 0 is too small"),
        (["--engine=ray:cores=2"], "'cores' is no setting of it; address, num_cpus, num_gpus"),
        (["--engine=ray:num_gpus=all"], "'all' is no number for num_gpus"),
        (["--engine=ray:num_cpus=-1"], "num_cpus is at least 0"),
        (["--engine=ray:address=127.0.0.1:1"], "No Ray cluster at 127.0.0.1:1: ConnectionRefusedError"),
    ],
)
@pytest.mark.parametrize("command", ["transfer", "gamma", "consistency", "family"])
def test_wrong_engines(cli, monkeypatch, command, options, text):
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # as in a process of its own
    ran = cli(*COMMANDS[command], *options)
    assert (ran.code, text in ran.message) == (2, True), ran.message
