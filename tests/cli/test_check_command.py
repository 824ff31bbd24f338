"""`similitude check`: verdict, exit code, table and JSON."""

import json
import textwrap

import pytest

PROGRAM = """
    import torch
    from torch import nn

    def make(width):
        return nn.Sequential(nn.Linear(16, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 4))

    x = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    sample = (x, x.abs().argmax(-1) % 4)

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])
"""
GIVEN = ["checked.py:make", "--sample=checked.py:sample", "--loss=checked.py:loss"]


@pytest.fixture
def check(cli, tmp_path):
    """Run `similitude check` on a small network."""
    (tmp_path / "checked.py").write_text(textwrap.dedent(PROGRAM))
    return lambda *options: cli("check", *GIVEN, "--steps=3", *options)


def test_a_good_rule_leaves_with_0_and_has_every_row_in_json(check):
    ran = check("--json", "--save=check.json")
    assert ran.code == 0
    assert ran.json["verdict"]["outcome"] == "ok"
    assert {"name", "quantity", "slope", "low", "high", "expected", "ok"} <= set(ran.json["rows"][0])
    with open("check.json") as saved:
        assert json.load(saved) == ran.json


def test_a_bad_rule_leaves_with_1_and_shows_the_offender_first(check):
    ran = check("--rule=sp")
    assert ran.code == 1
    assert (
        ran.out.index("likely cause 1") < ran.out.index("Off, in the order") < ran.out.index("All exponents")
    )
    assert "2.weight" in ran.out


def test_a_saved_plan_is_checked_as_it_stands(check, cli):
    assert cli("plan", *GIVEN, "--base=64", "--target=256", "--save=plan.json").code == 0
    with open("plan.json") as saved:
        data = json.load(saved)
    next(row for row in data["rows"] if row["name"] == "4.weight")["lr"] = 1.0
    with open("plan.json", "w") as saved:
        json.dump(data, saved)
    ran = check("--plan=plan.json")
    assert ran.code == 1
    assert "lr factor of '4.weight' is 1 in the plan" in " ".join(ran.out.split())


def test_wrong_use_leaves_with_2(check, cli):
    assert "at least 3 different widths" in check("--widths=64,128").message
    assert "nothing says what the model is called with" in cli("check", "checked.py:make").message
    assert cli("plan", *GIVEN, "--base=64", "--target=256", "--save=plan.json").code == 0
    ran = check("--plan=plan.json", "--base=64")
    assert ran.code == 2
    assert "--base has no effect on --plan" in ran.message


DEEP = """
    import torch
    from torch import nn
    from similitude.models.resmlp import ResMLP

    def make(width, depth):
        return ResMLP(16, 4, width=width, depth=depth, block="act_first", activation="tanh", branch=0.5)

    x = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    sample = (x, x.abs().argmax(-1) % 4)

    def loss(model, batch):
        return nn.functional.cross_entropy(model(batch[0]), batch[1])
"""


@pytest.fixture
def deep(cli, tmp_path):
    """Run `similitude check` on a residual network of width 32."""
    (tmp_path / "deep.py").write_text(textwrap.dedent(DEEP))
    given = ["deep.py:make", "--sample=deep.py:sample", "--loss=deep.py:loss", "--widths=32", "--steps=2"]
    return lambda *options: cli("check", *given, *options)


def test_depths_are_given_one_by_one_or_with_commas(deep):
    ran = deep("--depths", "2", "4", "8", "--depth-rule=depth_mup", "--json", "--knob.head.init=0")
    assert ran.code == 0
    assert (ran.json["widths"], ran.json["depths"], ran.json["depth_rule"]) == ([32], [2, 4, 8], 0.5)
    assert {"stream", "stream change"} <= {row["quantity"] for row in ran.json["rows"]}
    # A head that starts at zero has no norm at the start: the knob reached the plan.
    assert not [r for r in ran.json["rows"] if (r["name"], r["quantity"]) == ("head.weight", "init norm")]
    without = deep("--depths=2,4,8", "--depth-rule=sp")
    assert without.code == 1
    assert "no depth rule" in without.out
    assert "d log(depth)" in without.out


def test_wrong_depths_leave_with_2(deep):
    assert "no depth rule to check: pass depth_rule='depth_mup'" in deep("--depths=2,4,8").message
    assert "'two' is not a whole number" in deep("--depths", "two").message
    assert "depth_rule 'deep' is unknown" in deep("--depths=2,4,8", "--depth-rule=deep").message
    assert "depth_rule=0.3 is outside [0.5, 1]" in deep("--depths=2,4,8", "--depth-rule=0.3").message
