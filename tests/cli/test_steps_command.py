"""`similitude steps`: table, prediction, exit codes, JSON, log, and what it says when it is used wrongly."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

ENCODERS = """
    import torch
    from torch import nn

    gammas = torch.tensor([1.0, 0.5, 0.2])
    scores = torch.linalg.qr(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))[0] * 50**0.5
    views = (scores * gammas.sqrt(), scores * gammas.sqrt())

    def own():
        return views

    def make():
        net = nn.Linear(3, 3, bias=False)
        nn.init.eye_(net.weight)
        net.weight.data *= 1e-3
        return net

    def large():
        return nn.Linear(3, 3, bias=False)

    def images(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 3))

    def tokens():
        return torch.ones(6, 3).long(), torch.ones(6, 3).long()

    def mine(a, b):
        return ((a.T @ b / len(a) - torch.eye(a.shape[1])) ** 2).sum()
"""


@pytest.fixture
def encoders(tmp_path, cli):
    (tmp_path / "enc.py").write_text(textwrap.dedent(ENCODERS))
    return cli


def test_times_are_those_of_the_prediction(encoders):
    ran = encoders(
        "steps",
        "enc.py:make",
        "--pairs=enc.py:own",
        "--lr=2e-2",
        "--steps=700",
        "--predict",
        "--json",
        "--log=all.jsonl",
    )
    assert ran.code == 0, ran.message
    data = ran.json
    times = [step["time"] for step in data["steps"]]
    # -log(gamma s^2) / (8 gamma) with gamma s^2 = 1e-6 gamma
    assert times == pytest.approx([-np.log(1e-6 * g) / (8 * g) for g in (1.0, 0.5, 0.2)], rel=0.1)
    assert data["predicted"]["times"] == pytest.approx(
        [-np.log(1e-6 * g) / (8 * g) for g in (1.0, 0.5, 0.2)], rel=1e-3
    )
    page = Path(data["report"]).read_text()
    assert page.count("<svg") == 3
    assert "Marks are training, lines what the kernel at the start predicts" in page
    assert "kernel at the start" in page
    assert encoders("staircase", "all.jsonl", "--columns=eigenvalue_1,eigenvalue_2,eigenvalue_3").code == 0


def test_the_table_and_a_loss_of_ones_own(encoders):
    ran = encoders(
        "steps",
        "enc.py:make",
        "--pairs=enc.py:views",
        "--lr=2e-2",
        "--steps=700",
        "--loss=enc.py:mine",
        "--examples=9",
    )
    assert ran.code == 0, ran.message
    assert "3 of 3 dimensions switched on in 3 separate steps" in ran.out
    assert "next dimension then" in ran.out
    assert "kernel at the start" not in ran.out
    assert "Note: --examples has no effect" in ran.out + ran.message
    assert "kernel at the start" not in Path("steps.html").read_text()


def test_exit_codes(encoders):
    assert encoders("steps", "enc.py:make", "--pairs=enc.py:own", "--steps=5").code == 3
    diverged = encoders("steps", "enc.py:large", "--pairs=enc.py:own", "--lr=5", "--steps=99")
    assert diverged.code == 1
    assert "not finite" in diverged.out


def test_images_get_two_views(encoders):
    ran = encoders(
        "steps",
        "enc.py:images",
        "--width=8",
        "--data=digits",
        "--examples=32",
        "--steps=10",
        "--optimizer=Adam",
        "--json",
    )
    assert ran.code == 3, ran.message
    assert ran.json["times"] == [0, 5, 10]
    assert np.isfinite(ran.json["losses"]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Give either --data NAME of images"),
        (("--pairs=enc.py:own", "--data=digits"), "Give either --data NAME of images"),
        (("--pairs=enc.py:gammas",), "is no pair of tensors of one shape"),
        (("--data=text",), "has no images"),
        (("--pairs=enc.py:own", "--loss=byol"), "choose one of barlow_twins"),
        (("--pairs=enc.py:own", "--loss=vicreg", "--predict"), "--predict: theory is of"),
        (("--pairs=enc.py:tokens",), "Linear fails on views of shape (12, 3) and torch.int64"),
        (("--pairs=enc.py:own", "--steps=0"), "--steps 0 is too small"),
        (("--pairs=enc.py:own", "--lr=-1"), "--lr"),
    ],
)
def test_wrong_use_is_named(encoders, options, words):
    ran = encoders("steps", "enc.py:make", *options)
    assert ran.code == 2
    assert words in " ".join(ran.message.split())
