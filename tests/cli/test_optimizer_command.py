"""`similitude optimizer`: what is measured, what follows, and refusals."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from similitude.scaling.doubling import doublings
from similitude.scaling.geometry import measure_optimizer
from similitude.scaling.optimizers import resolve

THEIRS = """
import torch

class Ours(torch.optim.SGD):
    def __init__(self, params, lr=0.1, power=0.0, betas=(0.9, 0.99), kind="plain"):
        super().__init__(params, lr=lr)
        self.power, self.betas, self.kind = power, betas, kind

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad.sign() * p.grad.abs() ** self.power)
"""


@pytest.fixture
def theirs(cli, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "theirs", raising=False)  # of another folder
    (tmp_path / "theirs.py").write_text(THEIRS)
    return cli


def test_a_class_of_torch_shows_points_and_factors(cli):
    ran = cli("optimizer", "torch.optim:AdamW")
    assert ran.code == 0
    for text in (
        "AdamW: entrywise",
        "fan_out",
        "hidden matrix 64x64 -> 128x128",
        "x0.7071",
        "x0.5",
        "in a branch",
    ):
        assert text in ran.out, text


# Muon's products in bfloat16, which many processors emulate, take seconds.
@pytest.mark.parametrize(
    ("name", "family"),
    [("AdamW", "entrywise"), pytest.param("Muon", "orthogonalized", marks=pytest.mark.slow)],
)
def test_json_is_the_librarys(cli, name, family):
    optimizer = getattr(torch.optim, name)
    data = cli("optimizer", name, "--json", "--depth-rule", "depth_mup").json
    assert data["measured"] == json.loads(json.dumps(measure_optimizer(optimizer).to_dict()))
    rows = doublings(resolve(optimizer), depth_rule="depth_mup")
    assert [(r["dial"], r["tensor"], r["lr"]) for r in data["factors"]] == [
        (row.dial, row.tensor, row.factors.lr) for row in rows
    ]
    assert (data["family"], data["refused"], data["relative"]) == (family, "", False)
    deep = {row["tensor"]: row["lr"] for row in data["factors"] if row["dial"] == "depth"}
    assert deep["hidden matrix 64x64 in a branch"] == pytest.approx(2**-0.5)


def test_options_reach_the_optimizer(theirs):
    options = ("--kwarg.power", "1.0", "--kwarg.kind", "fancy", "--json")
    assert theirs("optimizer", "theirs.py:Ours", *options).json["family"] == "sgd"
    assert theirs("optimizer", "theirs.py:Ours", "--kwarg", "power=0", "--json").json["family"] == "entrywise"
    assert theirs("optimizer", "theirs.py:Ours", "--kwarg", "kind").code == 2


def test_rules_change_the_factors(cli):
    hidden = {
        rule: cli("optimizer", "SGD", "--rule", rule, "--json").json["factors"][0]["lr"]
        for rule in ("mup", "ntp")
    }
    assert hidden == {"mup": 1.0, "ntp": 0.5}
    assert "depth_rule" in cli("optimizer", "SGD", "--depth-rule", "deep").message


def test_what_no_rule_fits_has_exit_code_1_and_its_reason(theirs):
    ran = theirs("optimizer", "theirs.py:Ours", "--kwarg.power", "0.5")
    assert ran.code == 1
    assert "gradient's size to the power 0.50" in " ".join(ran.out.split())
    data = theirs("optimizer", "LBFGS", "--json")
    assert (data.code, data.json["family"], data.json["factors"]) == (1, None, [])
    assert "needs a closure" in data.json["refused"]


def test_a_law_that_is_known_needs_no_measurement_and_errors_name_the_class(cli):
    ran = cli("optimizer", "AdamW", "--kwarg.capturable", "True")
    shown = " ".join(ran.out.split())
    assert ran.code == 0
    assert shown.startswith("AdamW could not be measured here: it makes no step")
    assert "refused" not in shown
    assert "hidden matrix" in shown
    wrong = cli("optimizer", "AdamW", "--kwarg.betaz", "3")
    assert wrong.code == 2
    assert "optimizer AdamW cannot be built" in wrong.message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Adamm", "torch.optim has no optimizer 'Adamm'"),
        ("user_models.py:a_number", "cannot be called"),
        ("user_models.py:make", "cannot be built from parameters alone"),
    ],
)
def test_wrong_use(cli, name, text):
    ran = cli("optimizer", name)
    assert ran.code == 2
    assert text in ran.message
