"""`similitude report`: stored studies, those of sub-folders, and places that have none."""

import shutil
from pathlib import Path

import pytest

import similitude as sim
from similitude.runs.ledger import Ledger
from tests.cases import tiny_experiment


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two studies in folder `a`, one in folder `b`."""
    folder = tmp_path_factory.mktemp("stored")
    for place, name in (("a", "one"), ("a", "two"), ("b", "three")):
        sim.run(tiny_experiment(name=name, lrs=(0.01, 0.02, 0.04), steps=2), folder / place)
    return folder


@pytest.fixture
def runs(cli, stored):
    """The studies as `runs/a` and `runs/b`, none in `runs` itself."""
    shutil.copytree(stored, "runs")
    return cli


def names(ran):
    return [experiment["name"] for experiment in ran.json["experiments"]]


def test_all_studies_of_a_folder(runs):
    ran = runs("report", "runs/a", "--json")
    assert (ran.code, names(ran)) == (0, ["one", "two"])
    assert ran.json["report"] == str(Path("runs/a/report.html").resolve())
    assert Path(ran.json["report"]).stat().st_size > 10_000


def test_named_studies_in_their_order_and_the_file_to_write(runs):
    ran = runs("report", "runs/a", "two", "one", "--out", "page.html", "--json")
    assert names(ran) == ["two", "one"]
    assert ran.json["report"] == str(Path("page.html").resolve())


def test_figures_are_written_on_request(runs):
    ran = runs("report", "runs/a", "one", "--figures", "pictures")
    assert ran.code == 0
    saved = {path.name for path in Path("pictures").iterdir()}
    assert "one-optima.svg" in saved
    assert all(name in ran.out for name in saved)


def test_a_folder_of_folders_stands_for_them_all(runs):
    assert names(runs("report", "runs", "--json")) == ["one", "two", "three"]
    assert names(runs("report", "runs", "three", "--json")) == ["three"]


def test_what_is_no_transfer_study_is_left_out_and_said(runs):
    Ledger.open("runs/b", "mine", fingerprint={"a": 1})
    ran = runs("report", "runs/b", "--json")
    assert (ran.code, names(ran)) == (0, ["three"])
    assert "Left out: study 'mine'" in ran.message


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "there is no folder 'nowhere'"),
        (["user_models.py"], "there is no folder 'user_models.py'"),
        (["."], "no transfer studies in '.'"),
        (["runs/a", "onne"], "no study 'onne' in 'runs/a'; studies there: 'one', 'two'. Did you mean one?"),
        (["runs/a", "--out", "runs"], "it is a folder"),
        (["runs/a", "--out", "user_models.py/x.html"], "a part of the path is a file"),
        (["sqlite:///no.db"], "There is no database no.db"),
    ],
)  # fmt: skip
def test_wrong_use(runs, arguments, text):
    ran = runs("report", *arguments)
    assert (ran.code, ran.out.count("Report:")) == (2, 0)
    assert text in ran.message


def test_an_empty_folder_says_what_to_run_first(cli):
    Path("similitude-runs").mkdir()
    ran = cli("report")
    assert ran.code == 2
    assert "Run one first, e.g. similitude quickstart" in ran.message
    assert not list(Path("similitude-runs").iterdir())


def test_a_corrupt_study_is_named(runs):
    Path("runs/b/study.journal").write_text("{\n")
    ran = runs("report", "runs/b")
    assert ran.code == 2
    assert "study.journal is corrupt at line 1" in ran.message
