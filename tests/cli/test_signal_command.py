"""`similitude signal`: exit codes, JSON, and what it says when it is used wrongly."""

import textwrap

import pytest

PROGRAM = """
    import torch
    from torch import nn
    from similitude.theory.batch_norm.network import batch_norm_net

    x = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))

    def make(depth):
        return batch_norm_net(16, 4, width=16, depth=depth)

    def relu(depth):
        return batch_norm_net(16, 4, width=16, depth=depth, activation=torch.relu, exponent=0)

    def one():
        return nn.Linear(16, 4)
"""


@pytest.fixture
def signal(cli, tmp_path):
    """Run `similitude signal` on a function of a small file."""
    (tmp_path / "deep.py").write_text(textwrap.dedent(PROGRAM))
    return lambda name, *options: cli(
        "signal", f"deep.py:{name}", "--sample=deep.py:x", "--seeds=1", *options
    )


def test_the_construction_is_good(signal):
    ran = signal("make", "--depths=10,30,60", "--json")
    assert ran.code == 0, ran.message
    assert ran.json["verdict"]["outcome"] == "ok"
    assert ran.json["depths"] == [10, 30, 60]
    assert len(ran.json["layers"]) == 61


def test_gradients_that_explode_leave_with_1(signal):
    ran = signal("relu", "--depths=10,60")
    assert ran.code == 1, ran.message
    assert "gradients explode" in ran.out
    assert "next:" in ran.out


def test_one_layer_cannot_tell(signal):
    assert signal("one").code == 3


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("make", (), "make() failed"),
        ("make", ("--depths=3",), "two different ones"),
        ("make", ("--depths=a,b",), "--depths"),
        ("make", ("--depths=3,5", "--seeds=0"), "--seeds"),
    ],
)
def test_wrong_use_is_named(signal, name, options, words):
    ran = signal(name, *options)
    assert ran.code == 2
    assert words in " ".join(ran.message.split())
