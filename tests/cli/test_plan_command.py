"""`similitude plan`: the plan of the user's own model, and what is wrong with it."""

from pathlib import Path

import pytest

from similitude.scaling.plan import Plan, plan


def run(cli, factory="user_models.py:make", *options, base=8, target=32):
    return cli("plan", factory, f"--base={base}", f"--target={target}", *options)


def test_the_plan_is_that_of_the_library(cli):
    ran = run(cli, "user_models.py:make", "--json", "--optimizer=Adam", "--save=deep/plan.json")
    assert ran.code == 0
    import torch
    import user_models  # pyright: ignore[reportMissingImports]

    expected = plan(user_models.make, base=8, target=32, optimizer=torch.optim.Adam)
    assert ran.json == expected.to_dict()
    assert Plan.load("deep/plan.json") == expected


def test_the_table_names_every_tensor(cli):
    ran = run(cli)
    assert ran.code == 0
    for name in ("1.weight", "1.bias", "3.weight", "3.bias", "input", "vector", "output"):
        assert name in ran.out


def test_a_refused_tensor_is_a_bad_verdict_until_its_role_is_named(cli):
    refused = run(cli, "user_models.py:Table", "--json")
    assert refused.code == 1
    assert [r["name"] for r in refused.json["refused"]] == ["pos"]
    named = run(cli, "user_models.py:Table", "--role.pos", "input", "--json")
    assert named.code == 0
    assert {row["name"]: row["role"] for row in named.json["rows"]}["pos"] == "input"


@pytest.mark.parametrize(
    ("factory", "options", "text"),
    [
        ("nosuch:make", [], "there is no module 'nosuch'"),
        ("nosuch.py:make", [], "there is no file 'nosuch.py'"),
        ("user_models.py:maker", [], "Did you mean user_models.py:make?"),
        ("user_models.py:no_argument", [], "make must take the width alone"),
        ("user_models.py:two_arguments", [], "'depth'"),
        ("user_models.py:no_module", [], "returned a list, not an nn.Module"),
        ("user_models.py:deeper", [], "so their depth differs"),
        ("user_models.py:fixed", [], "have the same shapes"),
        ("user_models.py:make", ["--optimizer=Adamax9"], "torch.optim has no optimizer 'Adamax9'"),
        ("user_models.py:make", ["--role.nosuch=input"], "nosuch"),
        ("user_models.py:make", ["--role.1.weight=middle"], "middle"),
        ("user_models.py:make", ["--save=user_models.py/plan.json"], "the plan cannot be written to"),
    ],
)
def test_wrong_use(cli, factory, options, text):
    ran = run(cli, factory, *options)
    assert ran.code == 2
    assert text in ran.message


@pytest.mark.parametrize("width", [0, -8])
def test_widths_are_positive(cli, width):
    ran = run(cli, base=width)
    assert (ran.code, f"base={width} is not a width" in ran.message) == (2, True)


def test_nothing_is_written_unasked(cli):
    run(cli)
    assert {p.name for p in Path().iterdir()} <= {"user_models.py", "__pycache__"}
