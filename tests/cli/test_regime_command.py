"""`similitude regime`: verdicts, exit codes, the table and JSON."""

from __future__ import annotations

import textwrap

import pytest

PROGRAM = """
    import torch
    from similitude.models import MLP, ResMLP

    x = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))

    def scaled(width, depth):
        return ResMLP(16, 4, width=width, depth=depth, block="act_first", branch=depth**-0.5)

    def plain_sums(width, depth):
        return ResMLP(16, 4, width=width, depth=depth, block="act_first")

    def wide():
        return MLP(16, 4, width=256, depth=1)

    class Two(MLP):
        def forward(self, x):
            y = super().forward(x)
            return {"y": y, "z": y.square()}

    def two():
        return Two(16, 4, width=64, depth=1)

    def digits(width):
        return MLP(64, 10, width=width, depth=1)
"""


@pytest.fixture
def regime(cli, tmp_path):
    """Run `similitude regime` on a network of the program."""
    (tmp_path / "nets.py").write_text(textwrap.dedent(PROGRAM))
    return lambda name, *options: cli("regime", f"nets.py:{name}", *options)


def test_a_wide_network_leaves_with_0(regime):
    ran = regime("wide", "--sample=nets.py:x", "--seeds=10", "--json")
    assert ran.code == 0
    assert ran.json["verdict"]["outcome"] == "ok"
    assert [layer["width"] for layer in ran.json["layers"]] == [256, 4]
    assert ran.json["depth_over_width"] == pytest.approx(1 / 256)


def test_branches_without_a_multiplier_leave_with_1(regime):
    size = "--width=width=64,depth=8"
    ran = regime("plain_sums", "--sample=nets.py:x", "--seeds=5", "--tangent=0", size)
    assert ran.code == 1
    text = " ".join(ran.out.split())
    assert "not those of a limit of infinite depth: branches go as L^-gamma with gamma" in text
    assert "cosine of two examples" in text


def test_scaled_branches_are_compared_at_two_depths(regime):
    size = "--width=width=64,depth=8"
    ran = regime("scaled", "--sample=nets.py:x", "--seeds=8", "--tangent=0", "--limit=0.5", "--json", size)
    assert ran.code == 0
    assert ran.json["profile"]["compared"] == 2
    assert ran.json["profile"]["exponent"] == pytest.approx(0.5, abs=0.06)


def test_too_few_networks_leave_with_3(regime):
    ran = regime("digits", "--data=digits", "--seeds=3", "--width=24", "--limit=0.02")
    assert ran.code == 3
    assert "too_noisy" in ran.out or "too noisy" in ran.out


def test_wrong_use_leaves_with_2(regime):
    ran = regime("scaled", "--sample=nets.py:x")
    assert ran.code == 2
    assert "takes the width. Give --width 64" in ran.message
    assert regime("wide").code == 2
    assert regime("wide", "--sample=nets.py:x", "--seeds=1").code == 2


def test_one_of_several_outputs_is_named(regime):
    options = ("--sample=nets.py:x", "--seeds=3", "--tangent=1")
    ran = regime("two", *options)
    assert ran.code == 2
    assert "Pass outputs=" in " ".join(ran.err.split())
    ran = regime("two", *options, "--outputs=z", "--json")
    assert ran.json["kernel"]["value"] > 0
    ran = regime("two", *options, "--outputs=logits")
    assert ran.code == 2
    assert "--outputs logits: the model returns a dict without it" in " ".join(ran.err.split())


def test_kernels_stand_beside_those_at_infinite_width(regime):
    ran = regime("wide", "--sample=nets.py:x", "--seeds=4")
    text = " ".join(ran.out.split())
    assert "tangent kernel beside that at infinite width: squared deviation 0." in text
    ran = regime("wide", "--sample=nets.py:x", "--seeds=4", "--no-infinite", "--json")
    assert ran.json["limits"] == []
