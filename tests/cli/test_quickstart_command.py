"""`similitude quickstart` around its experiments, which are tiny here; the true ones are a slow test."""

import pytest

from similitude.studies import reference
from similitude.studies.run import StudyInterrupted, run
from tests.cases import tiny_experiment


@pytest.fixture
def small(monkeypatch):
    """Replace both experiments by tiny ones."""
    monkeypatch.setattr(reference, "mlp", lambda images: tiny_experiment(name="mlp", steps=2))
    monkeypatch.setattr(reference, "gpt", lambda: tiny_experiment(name="gpt", steps=2))


RULE = {"optima", "shift", "shift_interval", "verdict", "loss_at_transferred", "loss_at_best"}


def test_everything_is_in_the_json(cli, small, tmp_path):
    ran = cli("quickstart", "--workers=1", "--json")
    assert ran.code == 0
    data = ran.json
    assert set(data) == {"experiments", "interrupted", "seconds", "report"}
    assert [e["name"] for e in data["experiments"]] == ["mlp", "gpt"]
    for experiment in data["experiments"]:
        assert set(experiment["rules"]) == {"sp", "mup"}
        for rule in experiment["rules"].values():
            assert set(rule) >= RULE
            assert set(rule["optima"]) == {"8", "16"}
    assert data["report"] == str(tmp_path / "similitude-runs/quickstart/report.html")
    again = cli("quickstart", "--workers=1", "--json").json
    assert [e["cells_run"] for e in again["experiments"]] == [0, 0]


def test_it_says_what_it_does(cli, small):
    command = ("quickstart", "--workers=1", "--only", "mlp", "--out", "elsewhere")
    ran = cli(*command)
    assert ran.code == 0
    assert "[mlp] linear teacher" in ran.out
    assert "24 runs in" in ran.out
    assert "elsewhere/quickstart/report.html" in ran.out.replace("\n", "")
    assert "24 finished runs found and not repeated" in cli(*command).out


@pytest.mark.parametrize(
    ("images", "text"), [("digit", "Did you mean 'digits'?"), ("text", "the MLP learns images")]
)
def test_images_that_are_none(cli, images, text):
    ran = cli("quickstart", "--workers=1", "--images", images)
    assert (ran.code, text in ran.message) == (2, True)


@pytest.mark.parametrize(
    ("where", "reported"), [("in its runs", ["mlp", "gpt"]), ("before its runs", ["mlp"])]
)
def test_ctrl_c_in_the_second_experiment_still_reports_the_first(cli, small, monkeypatch, where, reported):
    def interrupted(experiment, *arguments, **options):
        study = run(experiment, *arguments, **options)
        if experiment.name == "gpt":
            raise StudyInterrupted(study)
        return study

    def at_once(*arguments):
        raise KeyboardInterrupt

    if where == "in its runs":
        monkeypatch.setattr("similitude.studies.run.run", interrupted)
    else:
        monkeypatch.setattr(reference, "gpt", at_once)
    ran = cli("quickstart", "--workers=1", "--json")
    assert (ran.code, ran.json["interrupted"]) == (130, True)
    assert [e["name"] for e in ran.json["experiments"]] == reported
    assert ran.json["report"] is not None


def test_ctrl_c_before_anything(cli, monkeypatch):
    def at_once(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(reference, "mlp", at_once)
    ran = cli("quickstart", "--workers=1")
    assert (ran.code, "similitude: interrupted" in ran.err) == (130, True)


def test_a_folder_below_a_file(cli, small):
    ran = cli("quickstart", "--workers=1", "--out", "user_models.py")
    assert ran.code == 2
    assert "cannot hold a study" in ran.message


@pytest.mark.slow
def test_the_true_experiments(cli):
    data = cli("quickstart", "--json").json
    mlp = data["experiments"][0]["rules"]
    assert mlp["sp"]["shift"] <= -0.25
    assert mlp["mup"]["verdict"] == "transfers"
