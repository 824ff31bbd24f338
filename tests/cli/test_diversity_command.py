"""`similitude diversity`: numbers, exit code and JSON."""

import json
import textwrap

import pytest

PROGRAM = """
    import torch
    from similitude.models import ResMLP

    def make(width, depth):
        return ResMLP(16, 4, width=width, depth=depth, branch=depth**-0.5)

    x = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    sample = (x, x.abs().argmax(-1) % 4)

    def loss(model, batch):
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
"""
GIVEN = ["--sample=deep.py:sample", "--loss=deep.py:loss", "--seeds=2"]


@pytest.fixture
def diversity(cli, tmp_path):
    """Run `similitude diversity` on a small residual network."""
    (tmp_path / "deep.py").write_text(textwrap.dedent(PROGRAM))
    return lambda *options: cli("diversity", "deep.py:make", *GIVEN, *options)


def test_numbers_are_shown_and_saved(diversity):
    ran = diversity("--base=width=64,depth=16", "--steps=0", "--json", "--save=d.json")
    assert ran.code == 0
    assert ran.json["branches"] == 16
    assert ran.json["gradient_near"] == pytest.approx(0.5, abs=0.1)
    with open("d.json") as saved:
        assert json.load(saved) == ran.json


def test_training_that_is_too_short_leaves_with_3(diversity):
    ran = diversity("--base=width=32,depth=8", "--steps=1", "--lr=1e-6")
    assert ran.code == 3
    assert "moved the stream's end by 0 % alone" in " ".join(ran.out.split())


def test_a_shallow_model_is_wrong_use(diversity):
    ran = diversity("--base=width=32,depth=2")
    assert ran.code == 2
    assert "has 2 branches" in ran.err


def test_labels_without_a_loss_are_wrong_use(cli, tmp_path):
    (tmp_path / "deep.py").write_text(textwrap.dedent(PROGRAM))
    ran = cli("diversity", "deep.py:make", "--sample=deep.py:sample", "--base=width=16,depth=4")
    assert ran.code == 2
    assert "Pass loss= (--loss), or a sample that the model can be called with" in ran.message


def test_muon_trains_the_matrices_of_a_function(diversity):
    ran = diversity("--base=width=16,depth=4", "--steps=2", "--lr=0.01", "--optimizer=Muon")
    assert ran.code in (0, 3)
    assert "4 branches" in " ".join(ran.out.split())
