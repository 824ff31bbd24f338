"""`similitude richness`: map, exit code, page, JSON, and what it says when it is used wrongly."""

import pytest

GIVEN = {"--base": "8", "--steps": "12", "--seeds": "2", "--batch-size": "16"}
GRID = ["--gammas=0.1,1,10", "--lr-min=2^-6", "--lr-max=2^2", "--points=5"]


@pytest.fixture
def richness(cli):
    """Run a tiny `similitude richness`; options given to it win over the tiny ones."""

    def run(*options, factory="make"):
        named = {option.partition("=")[0] for option in options}
        tiny = [f"{name}={value}" for name, value in GIVEN.items() if name not in named]
        return cli("richness", f"user_models.py:{factory}", *tiny, *options)

    return run


def test_it_prints_the_map_and_leaves_a_page(richness, cli, tmp_path):
    ran = richness(*GRID)
    assert ran.code in (0, 1, 3)
    assert "Phases, by gamma" in ran.out
    assert "x diverged (" in ran.out
    assert "The best gamma by steps" in ran.out
    page = (tmp_path / "similitude-runs" / "richness.html").read_text()
    assert "The (gamma, learning rate) plane" in page
    same = cli(
        "gamma", "user_models.py:make", "--data=digits", *[f"{k}={v}" for k, v in GIVEN.items()], *GRID
    )
    assert "30 found, 0 run" in same.out


def test_json_is_one_object_that_agrees_with_the_exit_code(richness):
    ran = richness(*GRID, "--json", "--report=here.html", "--budgets=4,12")
    data = ran.json
    assert len(data["cells"]) == 15
    assert [budget["steps"] for budget in data["budgets"]] == [4, 12]
    assert data["report"].endswith("here.html")
    assert (data["verdict"] == "not_bracketed") == (ran.code == 3 and bool(data["open_ends"]))


def test_a_grid_below_the_edge_says_which_way_to_extend_it(richness):
    ran = richness("--gammas=1,100", "--lr-min=2^-12", "--lr-max=2^-8", "--points=3", "--seeds=1")
    assert ran.code == 3
    assert "gamma 100 needs rates larger than 0.00391" in " ".join(ran.out.split())
    assert "--lr-max" in ran.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gammas=1"], "compares at least two"),
        (["--gammas=0,1"], "--gammas 0 is not a positive gamma"),
        (["--gammas=-1,1"], "--gammas -1 is not a positive gamma"),
        (["--lr-min=0.1"], "--lr-max is missing"),
        (["--steps=0"], "--steps 0 is too small"),
        (["--budgets=13"], "of the 12 steps"),
        (["--layers=0"], "layers=0"),
        (["--optimizer=Muon"], "Muon takes matrices alone"),
    ],
)
def test_wrong_use_leaves_with_2(richness, options, message):
    ran = richness(*options)
    assert ran.code == 2
    assert message in ran.message


def test_help_says_the_exit_codes(cli):
    said = " ".join(cli("richness", "--help").out.split())
    assert "The exit code is 1 where rates do not follow the law" in said
