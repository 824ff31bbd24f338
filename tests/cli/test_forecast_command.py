"""`similitude forecast`: what a stored study says of a larger size, its exit code, and what it says when used wrongly."""

from pathlib import Path

import pytest

import similitude as sim


@pytest.fixture
def stored(transfer):
    """A tiny transfer study, stored as `make`."""
    assert transfer(rules="sp,mup", lr_min="2^-12", lr_max="2^-1", points=6).code in (0, 1, 3)


def test_it_prints_the_table_and_leaves_a_page(stored, cli):
    ran = cli("forecast", "make", "--to", "width=64")
    study = sim.read_study("similitude-runs", "make")
    found = sim.forecast(study, {"width": 64})
    assert ran.code == found.verdict.exit_code
    assert found.rule == "mup"
    assert "make under µP at width 64" in ran.out
    assert Path("similitude-runs/forecast.html").read_text().count("<svg") >= 1


def test_json_is_one_object_that_agrees_with_the_library(stored, cli):
    ran = cli("forecast", "make", "--to=width=64", "--rule=sp", "--report=here.html", "--json")
    found = sim.forecast(sim.read_study("similitude-runs", "make"), {"width": 64}, rule="sp")
    data = ran.json
    assert ran.code == found.verdict.exit_code
    assert data["rule"] == "sp"
    assert data["values"]["lr"]["by_transfer"] == found.values["lr"].transferred.to_dict()
    assert data["report"].endswith("here.html")


def test_wrong_use_says_what_to_do(stored, cli):
    for arguments, text in (
        (
            ["mak", "--to=width=64"],
            "there is no study 'mak' in 'similitude-runs'; studies there: 'make'. Did",
        ),
        (["make", "--to=width=16"], "width 16 is not beyond the largest one measured, 16"),
        (["make", "--to=tokens=1e9"], "the target names 'tokens', which is no dial of the study 'make'"),
        (["make", "--to=64"], "--to 64 has '64' without a name. Write e.g. --to width=1024"),
        (["make", "--to=width=64,width=65"], "names width twice"),
        (["make", "--to=width=-1"], "--to width -1 is not a positive number"),
        (["make", "--to=width=64", "--tolerance=nan"], "tolerance=nan: give a number of octaves"),
        (["make", "--to=width=64", "--tolerance=-1"], "tolerance=-1.0: give a number of octaves"),
        (["make", "--to=width=64", "--rule=ntp"], "holds no rule 'ntp'; it compares 'sp', 'mup'"),
    ):
        ran = cli("forecast", *arguments)
        assert ran.code == 2
        assert text in ran.message


def test_a_storage_that_is_not_there(cli):
    ran = cli("forecast", "make", "--to=width=64")
    assert ran.code == 2
    assert "similitude-runs" in ran.message


def test_a_tuning_study_is_forecast_by_its_laws(cli):
    import optuna

    from similitude.runs.storage import open_store
    from similitude.tuning.problems.chinchilla import ChinchillaLaw
    from similitude.tuning.problems.runs import continued
    from similitude.tuning.trials.history import SPACE_KEY

    law, store = ChinchillaLaw(), open_store("similitude-runs")
    store.create_study("p1")
    study = optuna.load_study(
        study_name="p1", storage=store.storage, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.set_user_attr(SPACE_KEY, law.space.to_dict())
    list(continued(law, study, seed=0, trials=60))
    store.create_study("few")
    few = optuna.load_study(study_name="few", storage=store.storage)
    few.set_user_attr(SPACE_KEY, law.space.to_dict())
    few.add_trials(study.trials[:3])
    assert cli("forecast", "few", "--to=cost=1e5").code == 3  # more trials are needed
    ran = cli("forecast", "p1", "--to=cost=1e5", "--json")
    assert ran.code == 1  # the learning rate of this law drifts
    data = ran.json
    assert data["verdict"] == "shifts"
    assert data["values"]["lr"]["exponent"]["value"] == pytest.approx(law.exponents["lr"], abs=0.03)
    next_run = data["values"]["lr"]["next_run"]["options"]
    assert next_run.startswith("similitude tune resume p1 --budget ")
    assert next_run.endswith(" --storage similitude-runs")
    assert data["values"]["lr"]["verdict_details"]["next"] == next_run
    assert "<svg" in Path(data["report"]).read_text()
    wrong = cli("forecast", "p1", "--to=width=64")
    assert wrong.code == 2
    assert "no scale dimension of the study 'p1'; it has parameters, tokens" in wrong.message
