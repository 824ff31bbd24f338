"""`similitude diff`: what two saved plans do not share, with an exit code for scripts."""

import pytest

from similitude.scaling.diff import diff
from similitude.scaling.plan import Plan


@pytest.fixture
def saved(cli):
    """Save three plans: two alike, one for another target and rule."""
    for name, options in (
        ("a.json", ["--target=32"]),
        ("same.json", ["--target=32"]),
        ("other.json", ["--target=64", "--optimizer=SGD", "--knob.head=2"]),
    ):
        cli(
            "plan",
            "user_models.py:make",
            "--base=8",
            "--sample=user_models.py:batch",
            f"--save={name}",
            *options,
        )
    return cli


def test_equal_plans_leave_with_0(saved):
    for other in ("a.json", "same.json"):
        ran = saved("diff", "a.json", other)
        assert (ran.code, ran.out) == (0, "the plans treat every tensor alike\n")
        assert saved("diff", "a.json", other, "--json").json["equal"] is True


def test_different_plans_leave_with_1_and_say_in_what(saved):
    ran = saved("diff", "a.json", "other.json")
    assert ran.code == 1
    for line in (
        "* optimizer: AdamW -> SGD",
        "* target: width 32 -> width 64",
        "* knobs: none -> output multiplier x2",
        "~ init x0.25 -> x0.25 (x1): '3.weight'",
        "~ r_in x4 -> x8 (x2): '3.weight'",
    ):
        assert (line in ran.out.splitlines()) == ("(x1)" not in line), line
    data = saved("diff", "a.json", "other.json", "--json")
    assert data.code == 1
    assert data.json == diff(Plan.load("a.json"), Plan.load("other.json")).to_dict()


def test_a_file_that_is_no_plan_is_wrong_use(saved):
    ran = saved("diff", "a.json", "nosuch.json")
    assert (ran.code, ran.out) == (2, "")
    assert "nosuch.json cannot be read" in ran.message
