"""`similitude tune` and `similitude worker`: programs and objectives, stored studies, wrong use."""

import csv
import json
import textwrap
from pathlib import Path

import optuna
import pytest

import similitude as sim
from similitude.tuning.study.stored import load_tuning

FILES = {
    "space.toml": """
        [lr]
        kind = "log"
        center = 0.003
        role = "transfer"

        [width]
        kind = "log"
        center = 32
        integer = true
        role = "scale"
    """,
    "train.py": """
        import json, math, sys
        given = dict(zip(sys.argv[1::2], map(float, sys.argv[2::2])))
        loss = (math.log10(given["--lr"]) + 2) ** 2 + 10 / given["--width"]
        print("training")
        print(json.dumps({"value": loss, "cost": given["--width"]}))
    """,
    "mine.py": """
        import math
        import similitude as sim

        space = sim.Space(lr=sim.Log(3e-3, role="transfer"), width=sim.Log(32, integer=True, role="scale"))
        not_a_space = 3

        def objective(trial):
            values = space.suggest(trial)
            trial.set_user_attr("cost", float(values["width"]))
            return (math.log10(values["lr"]) + 2) ** 2 + 10 / values["width"]

        def impatient(trial):
            if trial.number == 2:
                raise KeyboardInterrupt
            return objective(trial)

        def broken(trial):
            space.suggest(trial)
            raise ValueError("a bug of mine")

        def hopeless(trial):
            space.suggest(trial)
            trial.set_user_attr("cost", 1.0)
            return float("nan")

        def dear(values):
            return 2.0 * values["width"]
    """,
}


@pytest.fixture
def tune(cli):
    """Run `similitude` in a folder with a program, objectives and a space; `tune` runs in this process."""
    for name, text in FILES.items():
        Path(name).write_text(textwrap.dedent(text))

    def run(*arguments, name="study", space="mine.py:space"):
        return cli("tune", *arguments, "--space", space, "--engine", "inline", "--name", name)

    run.cli = cli
    return run


@pytest.fixture
def stored(tune):
    """A finished study of six trials named `study`."""
    assert tune("mine.py:objective", "--trials", "6").code == 0
    return tune.cli


def trials(name="study", storage="similitude-runs"):
    return load_tuning(storage, name)[0].trials


def test_a_program_is_tuned_and_its_costs_are_told(tune):
    ran = tune.cli(
        "tune", "train.py", "--space", "space.toml", "--trials", "3", "--engine", "inline", "--json"
    )
    assert ran.code == 0
    assert ran.json["study"] == "train"
    assert (ran.json["finished"], ran.json["failures"], ran.json["interrupted"]) == (3, {}, False)
    for trial in trials("train"):
        assert trial.user_attrs["cost"] == trial.params["width"]
    assert ran.json["spent"] == sum(t.params["width"] for t in trials("train"))


def test_every_trial_has_a_process_by_default(tune):
    ran = tune.cli("tune", "mine.py:objective", "--space", "mine.py:space", "--trials", "1", "--json")
    assert (ran.code, ran.json["study"], ran.json["finished"]) == (0, "objective", 1)


def test_the_same_command_goes_on(tune):
    assert tune("mine.py:objective", "--trials", "2").code == 0
    first = [t.params for t in trials()]
    assert tune("mine.py:objective", "--trials", "4").code == 0
    assert [t.params for t in trials()][:2] == first
    assert len(trials()) == 4


def test_the_budget_ends_the_study(tune):
    tune("mine.py:objective", "--budget", "100")
    costs = [t.user_attrs["cost"] for t in trials()]
    assert sum(costs) >= 100 > sum(costs[:-1])


def test_a_function_tells_the_cost(tune):
    tune("mine.py:objective", "--trials", "2", "--cost", "mine.py:dear")
    assert [t.user_attrs["cost"] for t in trials()] == [2.0 * t.params["width"] for t in trials()]
    assert tune.cli("tune", "resume", "study", "--trials", "3").code == 0
    assert trials()[2].user_attrs["cost"] == 2.0 * trials()[2].params["width"]


def test_an_interrupted_study_is_resumed(tune):
    ran = tune("mine.py:impatient", "--trials", "5")
    assert ran.code == 130
    assert "similitude tune resume study" in ran.out
    assert [t.state.name for t in trials()] == ["COMPLETE", "COMPLETE", "WAITING"]
    ran = tune.cli("tune", "resume", "study", "--target", "mine.py:objective", "--json")
    assert (ran.code, ran.json["finished"]) == (0, 5)
    tune("mine.py:objective", "--trials", "5", name="undisturbed")
    assert [(t.params, t.value) for t in trials()] == [(t.params, t.value) for t in trials("undisturbed")]


def test_resume_takes_a_larger_budget(tune):
    tune("mine.py:objective", "--budget", "60")
    before = len(trials())
    assert tune.cli("tune", "resume", "study", "--budget", "200").code == 0
    assert len(trials()) > before
    assert sum(t.user_attrs["cost"] for t in trials()) >= 200


@pytest.mark.parametrize(
    "wrong",
    [
        ("--engine", "slurm"),
        ("--target", "nothing.py"),
        ("--workers", "0"),
        ("--trials", "0"),
        ("--budget", "-1"),
        ("--budget", "200", "--per-trial", "300"),
    ],
)
def test_what_resume_refuses_is_not_kept_in_the_study(tune, wrong):
    assert tune("mine.py:objective", "--trials", "2", "--budget", "1000").code == 0
    ran = tune.cli("tune", "resume", "study", *wrong)
    assert ran.code == 2
    assert "unexpected" not in ran.message
    assert tune.cli("tune", "resume", "study", "--trials", "3").code == 0
    assert len(trials()) == 3


def test_a_worker_of_no_lease_is_refused(tune):
    assert tune("mine.py:objective", "--trials", "1").code == 0
    ran = tune.cli("worker", "--study", "similitude-runs", "--name", "study", "--lease", "0")
    assert ran.code == 2
    assert "lease=0.0: give the seconds" in ran.message


def test_costs_of_another_name_are_shown_and_exported(tune):
    Path("mine.py").write_text(Path("mine.py").read_text().replace('"cost"', '"flops"'))
    assert tune("mine.py:objective", "--trials", "3", "--cost", "flops").code == 0
    assert " at cost " in tune.cli("tune", "status", "study").out
    tune.cli("tune", "export", "study")
    with open("study.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["cost"]) for row in rows] == [t.user_attrs["flops"] for t in trials()]
    assert "flops" not in rows[0]


def test_without_a_value_there_is_not_enough_to_go_by(tune):
    ran = tune("mine.py:hopeless", "--trials", "2")
    assert ran.code == 3
    assert "2 gave no number" in ran.out
    assert tune.cli("tune", "status", "study").code == 3
    assert tune.cli("tune", "front", "study").code == 3


def test_code_that_never_works_is_shown(tune):
    ran = tune("mine.py:broken", "--trials", "3")
    assert ran.code == 2
    assert "ValueError: a bug of mine" in ran.err


def test_workers_join_a_study_that_was_only_made(tune):
    ran = tune("mine.py:objective", "--trials", "5", "--workers", "0")
    assert ran.code == 0
    assert "similitude worker --study similitude-runs --name study" in ran.out
    assert trials() == []
    some = tune.cli(
        "worker", "--study", "similitude-runs", "--name", "study", "--trials", "2", "--engine", "inline"
    )
    assert some.code == 0
    assert len(trials()) == 2
    tune.cli(
        "worker", "mine.py:objective", "--study", "similitude-runs", "--name", "study", "--engine", "inline"
    )
    assert [t.number for t in trials()] == [0, 1, 2, 3, 4]
    settings = json.loads(load_tuning("similitude-runs", "study")[0].user_attrs["similitude:run"])
    assert settings["target"] == f"{Path('mine.py').resolve()}:objective"


def test_a_study_of_the_users_own_making_can_be_joined(tune):
    study = optuna.create_study(
        study_name="own",
        storage="sqlite:///own.db",
        sampler=sim.CarbsSampler(sim.Space(lr=sim.Log(3e-3), width=sim.Log(32, integer=True))),
    )
    trial = study.ask()
    study.sampler.space.suggest(trial)
    trial.set_user_attr("cost", 1.0)
    study.tell(trial, 1.0)
    missing = tune.cli("worker", "--study", "sqlite:///own.db", "--name", "own", "--trials", "1")
    assert missing.code == 2
    assert "Name the objective" in missing.message
    ran = tune.cli(
        "worker", "mine.py:objective", "--study", "sqlite:///own.db", "--name", "own", "--trials", "2", "--engine",
        "inline", "--json",
    )  # fmt: skip
    assert (ran.code, ran.json["finished"]) == (0, 3)


def test_status_says_how_the_study_stands(stored):
    ran = stored("tune", "status", "study", "--json")
    done = trials()
    assert ran.code == 0
    assert ran.json["finished"] == 6
    assert ran.json["best"]["value"] == min(t.value for t in done)
    assert ran.json["spent"] == sum(t.user_attrs["cost"] for t in done)
    assert "6 with a value" in stored("tune", "status", "study").out


def test_front_says_what_to_use_at_which_cost(stored):
    front = stored("tune", "front", "study", "--json").json["front"]
    known = {json.dumps(t.params, sort_keys=True): t.user_attrs["cost"] for t in trials()}
    assert front
    for answer in front:
        assert known[json.dumps(answer["values"], sort_keys=True)] == pytest.approx(answer["cost"])
        assert answer["interval"][0] <= answer["value"] <= answer["interval"][1]
    values = [answer["value"] for answer in front]
    assert values == sorted(values, reverse=True)
    cheap = stored("tune", "front", "study", "--cost", str(front[0]["cost"]), "--json")
    assert cheap.json["front"] == front[:1]
    nothing = stored("tune", "front", "study", "--cost", "0.001")
    assert nothing.code == 3
    assert "No trial with a value cost at most 0.001" in nothing.message


def test_laws_need_more_trials_than_six(stored):
    ran = stored("tune", "laws", "study")
    assert ran.code == 3
    assert "at least 15" in ran.message
    assert ran.message.endswith("similitude tune resume study --storage similitude-runs --trials 15")
    assert stored("tune", "export", "study", "--out", "laws.html").code == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", "0"), "--at 0: give finite costs above 0"),
        (("--at", "nan"), "--at nan: give finite costs above 0"),
        (("--out", "laws.txt"), "--out laws.txt: the report of scaling laws is a .html file"),
    ],
)
def test_wrong_use_of_laws_is_said_before_anything_else(stored, arguments, message):
    ran = stored("tune", "laws", "study", *arguments)
    assert ran.code == 2
    assert message in ran.message
    assert ran.out == ""


@pytest.mark.slow
def test_laws_of_a_study_and_its_page(tune):
    tune("mine.py:objective", "--trials", "30")
    ran = tune.cli("tune", "laws", "study", "--at", "5000", "--out", "laws.html", "--json")
    assert ran.code in (0, 1, 3)
    assert ran.json["predictions"][0]["cost"] == 5000
    assert "<svg" in Path("laws.html").read_text()
    assert tune.cli("tune", "export", "study", "--out", "again.html").code == 0
    assert "At cost 5000" in tune.cli("tune", "laws", "study", "--at", "5000").out


def test_trials_are_exported_whole(stored):
    assert stored("tune", "export", "study").code == 0
    with open("study.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == [t.value for t in trials()]
    assert [float(row["lr"]) for row in rows] == [t.params["lr"] for t in trials()]
    assert stored("tune", "export", "study", "--out", "out/study.json").code == 0
    data = json.loads(Path("out/study.json").read_text())
    assert [trial["params"] for trial in data["trials"]] == [t.params for t in trials()]
    assert sim.Space.from_dict(data["space"]) == load_tuning("similitude-runs", "study")[0].sampler.space


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine.py:objective", "--space", "mine.py:space"), "no end"),
        (("mine.py:objective", "--space", "nothing.toml", "--trials", "1"), "cannot be read"),
        (
            ("mine.py:objective", "--space", "mine.py:not_a_space", "--trials", "1"),
            "is a int. Name a sim.Space",
        ),
        (("mine.py:nothing", "--space", "mine.py:space", "--trials", "1"), "has no 'nothing'"),
        (("nothing.py", "--space", "mine.py:space", "--trials", "1"), "There is no program"),
        (("mine.py:objective", "--space", "mine.py:space", "--trials", "0"), "of at least 1"),
        (("mine.py:objective", "--space", "mine.py:space", "--trials", "1", "--seed", "-1"), "seed=-1"),
        (
            ("mine.py:objective", "--space", "mine.py:space", "--trials", "1", "--workers", "-1"),
            "--workers -1",
        ),
        (("mine.py:objective", "--space", "mine.py:space", "--trials", "1", "--engine", "slurm"), "'slurm'"),
        (("mine.py:objective", "--space", "mine.py:space", "--budget", "-2"), "above 0"),
        (("mine.py:objective", "--space", "mine.py:space", "--trials", "1", "--direction", "up"), "up"),
        (("mine.py:objective", "--trials", "1"), "--space"),
        (
            (
                "mine.py:objective",
                "--space",
                "mine.py:space",
                "--budget",
                "1",
                "--unit",
                "gpu-hour",
                "--cost",
                "seconds",
            ),
            "measures time",
        ),
    ],
)
def test_wrong_use_is_said_and_makes_nothing(tune, arguments, message):
    ran = tune.cli("tune", *arguments)
    assert ran.code == 2
    assert message in ran.message
    assert not Path("similitude-runs").exists()


@pytest.mark.parametrize("command", ["status", "front", "laws", "resume", "export"])
def test_studies_that_are_not_there_are_said_with_those_that_are(stored, command):
    ran = stored("tune", command, "nothing")
    assert ran.code == 2
    assert "There is no study 'nothing'" in ran.message
    assert "'study'" in ran.message


def test_a_file_of_an_unknown_kind_is_not_written(stored):
    ran = stored("tune", "export", "study", "--out", "study.xlsx")
    assert ran.code == 2
    assert ".csv, .json or .html" in ran.message
