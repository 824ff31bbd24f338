"""`similitude explain`: the derivation of a tensor's factors, from a file alone."""

import json

import pytest

from similitude.scaling.plan import Plan


@pytest.fixture
def saved(cli):
    """Save the plan of a small net, and of one that is refused."""
    for factory, name in (("make", "plan.json"), ("Parametrised", "refused.json")):
        cli(
            "plan", f"user_models.py:{factory}", "--base=8", "--target=32", "--sample=user_models.py:batch",
            "--knob.head=0.5", f"--save={name}",
        )  # fmt: skip
    return cli


def test_every_tensor_is_explained_as_by_the_library(saved):
    plan = Plan.load("plan.json")
    for row in plan.rows:
        ran = saved("explain", "plan.json", row.name)
        assert ran.code == 0
        assert ran.out.split() == str(plan.explain(row.name)).split()
        as_json = saved("explain", "plan.json", row.name, "--json")
        assert as_json.json == json.loads(json.dumps(plan.explain(row.name).to_dict()))


def test_formulas_and_knobs_are_shown(saved):
    out = saved("explain", "plan.json", "3.weight").out
    for text in (
        "3.weight: output, 10x8 -> 10x32 (mup, AdamW, width 8 -> 32)",
        "lr x0.125 = 0.25 x 0.5",
        "mup, output, entrywise: r_in^-1 = 4^-1",
        "your knob m = 0.5 of output tensors",
    ):
        assert text in out, text


def test_a_refused_tensor_says_why_and_how_to_name_its_role(saved):
    ran = saved("explain", "refused.json", "net.3.weight")
    assert ran.code == 1
    assert "refused: " in ran.out
    assert 'roles={"net.3.weight": "input"}' in ran.out
    assert "--role.net.3.weight input" in ran.out


@pytest.mark.parametrize(
    ("file", "tensor", "text"),
    [
        ("plan.json", "3.wieght", "Close names: '3.weight'"),
        ("nosuch.json", "3.weight", "the plan nosuch.json cannot be read: No such file"),
        ("user_models.py", "3.weight", "user_models.py is not a saved plan"),
    ],
)
def test_wrong_use(saved, file, tensor, text):
    ran = saved("explain", file, tensor)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.message


def test_a_damaged_file_names_the_row(saved):
    data = Plan.load("plan.json").to_dict()
    data["rows"][0]["lr"] = -1
    with open("damaged.json", "w") as file:
        json.dump(data, file)
    ran = saved("explain", "damaged.json", "1.weight")
    assert ran.code == 2
    assert "damaged.json: row '1.weight' has lr -1, but it must be a finite number above 0" in ran.message
