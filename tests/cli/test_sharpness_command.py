"""`similitude sharpness`: table, exit code, report, JSON, log, and what it says when it is used wrongly."""

import math

import pytest
import torch
from torch import nn

from similitude.landscape.tracker_records import SharpnessHistory

GIVEN = {
    "--data": "digits", "--width": "8", "--steps": "6", "--every": "2", "--examples": "32", "--lr": "0.1", "--top": "3",
}  # fmt: skip


@pytest.fixture
def sharpness(cli):
    """Run a tiny `similitude sharpness`; options given to it win over the tiny ones."""

    def run(*options, factory="user_models.py:make", drop=()):
        named = {option.partition("=")[0] for option in options} | set(drop)
        tiny = [f"{name}={value}" for name, value in GIVEN.items() if name not in named]
        return cli("sharpness", factory, *tiny, *options)

    return run


def test_it_prints_the_table_and_leaves_a_report(sharpness, tmp_path):
    ran = sharpness()
    assert ran.code == 0, ran.message
    for heading in ("lr x sharpness", "largest eigenvalues", "Gauss-Newton", "below the edge"):
        assert heading in ran.out
    page = (tmp_path / "sharpness.html").read_text()
    assert page.count("<svg") == 5


def test_json_is_one_object_with_every_number(sharpness):
    data = sharpness("--json", "--full-batch", "--report=here.html", "--log=all.jsonl", "--directional").json
    assert [r["step"] for r in data["records"]] == [0, 2, 4, 6]
    assert data["edge"] == "below the edge"
    assert len(data["losses"]) == 6
    assert data["losses"][0] == pytest.approx(data["records"][0]["loss"], rel=1e-6)  # the probe is trained on
    for record in data["records"]:
        assert record["eta_lambda"] == pytest.approx(0.1 * record["value"])
        assert record["margin"] == pytest.approx(record["eta_lambda"] / 2)
    assert data["records"][-1]["directional"] is not None
    portrait = data["portrait"]
    assert portrait["top"][0] == pytest.approx(data["records"][-1]["value"], rel=3e-3)
    assert portrait["split"]["hessian"] == pytest.approx(portrait["top"][0], rel=2e-2)
    assert data["report"].endswith("here.html")
    assert [r.to_dict() for r in SharpnessHistory.load("all.jsonl").records] == data["records"]


def test_an_untrained_model_is_measured_alone(sharpness):
    ran = sharpness("--steps=0", "--no-density", "--no-split", "--json")
    assert ran.code == 0
    assert len(ran.json["records"]) == 1
    assert "was not trained" in ran.json["verdict"]["summary"]
    assert ran.json["portrait"]["density"] is None


def test_options_of_the_optimizer_set_its_threshold(sharpness):
    data = sharpness("--kwarg.momentum=0.5", "--json", "--no-density").json
    assert {r["threshold"] for r in data["records"]} == {3.0}
    data = sharpness("--optimizer=Adam", "--kwarg.betas=0.5,0.9", "--lr=0.001", "--json", "--no-density").json
    assert data["records"][0]["threshold"] is None  # no state yet
    assert data["records"][-1]["threshold"] == pytest.approx(6.0)


def test_a_learning_rate_that_is_too_large_leaves_with_1(sharpness):
    ran = sharpness("--lr=1e30", "--no-density")
    assert ran.code == 1
    assert "the run diverged after step" in " ".join(ran.out.split())


def test_a_run_that_blows_up_and_stays_finite_leaves_with_1(sharpness):
    ran = sharpness("--lr=500", "--full-batch", "--steps=40", "--every=5", "--json", "--no-density")
    assert ran.code == 1
    assert all(math.isfinite(loss) for loss in ran.json["losses"])
    assert (ran.json["edge"], ran.json["verdict"]["outcome"]) == ("diverged", "diverged")


def test_data_is_asked_for(sharpness):
    assert "and none is given. Give --data NAME" in sharpness(drop=["--data"]).message


def test_a_checkpoint_is_measured(sharpness, tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    torch.save({"epoch": 3, "model": model.state_dict()}, tmp_path / "weights.pt")
    data = sharpness("--steps=0", "--checkpoint=weights.pt", "--json", "--no-density").json
    same = sharpness("--steps=0", "--seed=1", "--json", "--no-density").json
    assert data["records"][0]["value"] != same["records"][0]["value"]
    ran = sharpness("--steps=0", "--checkpoint=weights.pt", "--width=16")
    assert ran.code == 2
    assert "--checkpoint weights.pt is of another model" in ran.message
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    assert "cannot be read" in sharpness("--checkpoint=broken.pt").message
    torch.save([1, 2], tmp_path / "list.pt")
    assert "without a state dict" in sharpness("--checkpoint=list.pt").message


def test_a_sample_is_trained_on_as_it_is(sharpness):
    ran = sharpness(
        "--sample=user_models.py:of_width",
        "--loss=user_models.py:mean_loss",
        "--json",
        "--no-density",
        drop=["--data"],
    )
    assert ran.code == 0, ran.message
    assert ran.json["portrait"]["examples"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--every=0"], "--every 0 is too small"),
        (["--top=0"], "--top 0 is too small"),
        (["--top=999999"], "top=999999: the Hessian of 610 trainable parameters has 610 eigenvalues"),
        (["--steps=-1"], "--steps -1 is too small"),
        (["--lr=fast"], "--lr fast is not a positive learning rate"),
        (["--kwarg.speed=3"], "SGD(parameters, lr=0.1, speed=3) failed with TypeError"),
        (["--optimizer=Sgd"], "Did you mean SGD?"),
        (["--sample=user_models.py:batch"], "both say what the model is traced with"),
        (["--loss=user_models.py:nan_loss"], "the loss is nan"),
        (["--checkpoint=absent.pt"], "absent.pt cannot be read"),
    ],
)
def test_wrong_use_leaves_with_2(sharpness, options, message):
    ran = sharpness(*options)
    assert ran.code == 2, ran.out
    assert message in ran.message


def test_a_function_of_the_width_needs_one(sharpness):
    assert "takes the width" in sharpness(drop=["--width"]).message


def test_help_says_what_is_measured(cli):
    said = " ".join(cli("sharpness", "--help").out.split())
    assert "--full-batch" in said
    assert "at the edge of stability?" in cli("--help").out
