"""`similitude valley`: numbers, exit code, JSON, and what it says when it is used wrongly."""

import json
import textwrap

import pytest

PROGRAM = """
    from similitude.models import ResMLP

    def make(width, depth, multiplier):
        return ResMLP(64, 10, width=width, depth=depth, branch=multiplier)

    def without(width, depth):
        return make(width, depth, 1.0)
"""
GIVEN = {
    "--data": "digits",
    "--base": "width=8,depth=1",
    "--lrs": "2^-7,2^-6,2^-5",
    "--multipliers": "0.5,1,2",
    "--steps": "2",
    "--seeds": "2",
}


@pytest.fixture
def valley(cli, tmp_path):
    """Run a tiny `similitude valley`; options given to it win over the tiny ones."""
    (tmp_path / "deep.py").write_text(textwrap.dedent(PROGRAM))

    def run(*options, factory="deep.py:make"):
        named = {option.partition("=")[0] for option in options}
        tiny = [f"{name}={value}" for name, value in GIVEN.items() if name not in named]
        return cli("valley", factory, *tiny, *options)

    return run


def test_numbers_are_shown_and_saved(valley):
    ran = valley("--depths=1,4", "--json", "--save=v.json")
    assert ran.code in (0, 1, 3)
    data = ran.json
    assert [one["size"]["depth"] for one in data["valleys"]] == [1, 4]
    assert data["valleys"][1]["multipliers"] == [0.25, 0.5, 1.0]
    assert [point["lr"] for point in data["valleys"][1]["points"]] == [2**-8, 2**-7, 2**-6]
    assert data["settings"]["steps"] == 2
    with open("v.json") as saved:
        assert json.load(saved) == data


def test_two_steps_are_no_evidence(valley):
    ran = valley()
    assert ran.code == 3
    assert "Valley at width 8, depth 1" in ran.out


@pytest.mark.parametrize(
    ("options", "factory", "message"),
    [
        (["--multipliers=1,2"], "deep.py:make", "the multipliers 1, 2 bracket no best one"),
        (["--multipliers=1,x,2"], "deep.py:make", "--multipliers x is not a positive multiplier"),
        (["--lrs=1,2"], "deep.py:make", "the grid has 2 learning rates"),
        (["--lrs=1,2"], "deep.py:make", "Next: --lrs 2^-9"),
        (["--save=/no/such/folder/x.json"], "deep.py:make", "there is no folder /no/such/folder"),
        ([], "deep.py:without", "takes width, depth and no multiplier"),
        (["--seeds=0"], "deep.py:make", "--seeds 0 is too small"),
    ],
)
def test_wrong_use(valley, options, factory, message):
    ran = valley(*options, factory=factory)
    assert ran.code == 2
    assert message in " ".join(ran.err.split())
