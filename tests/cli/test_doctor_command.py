"""`similitude doctor`: the table, the exit code and the JSON object."""

import textwrap

import pytest

PROGRAM = """
    import torch
    from torch import nn

    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            return 3 * grad * ctx.saved_tensors[0].detach() ** 2

    class Cubed(nn.Module):
        def forward(self, x):
            return Hidden.apply(x)

    def plain(width):
        return nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 3))

    def hiding():
        return nn.Sequential(nn.Linear(6, 5), Cubed(), nn.Linear(5, 3))

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = plain(4)

        def forward(self, x):
            out = self.net(x)
            return {"loss": out.square().mean(), "logits": out}

    def failing():
        raise OSError("no such file")

    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    batch = (x, torch.arange(8) % 3)

    def loss(model, batch):
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
"""
GIVEN = ["--sample=nets.py:batch", "--loss=nets.py:loss", "--routes=vjp_grad"]


@pytest.fixture
def doctor(cli, tmp_path):
    """Run `similitude doctor` on small networks."""
    (tmp_path / "nets.py").write_text(textwrap.dedent(PROGRAM))
    return lambda factory, *options: cli("doctor", f"nets.py:{factory}", *options)


def test_a_right_model_leaves_with_0(doctor):
    ran = doctor("plain", *GIVEN, "--width=7")
    assert ran.code == 0
    assert "Doctor: 73 parameters in float32, 8 examples" in ran.out
    rows = [line.split() for line in ran.out.splitlines()]
    assert any(row[:3] == ["curvature", "(ours)", "ok,"] for row in rows)
    assert any(row[:2] == ["vjp_grad", "ok,"] for row in rows)


def test_a_wrong_model_leaves_with_1_and_says_where(doctor):
    ran = doctor("hiding", *GIVEN)
    assert ran.code == 1
    text = " ".join(ran.out.split())
    assert "inconsistent" in text
    assert "cause: Hidden in '1'" in text
    assert "Operations that break a route" in text


def test_json_has_everything(doctor):
    ran = doctor("hiding", *GIVEN, "--json")
    assert ran.code == 1
    assert ran.json["verdict"]["outcome"] == "inconsistent"
    assert {f["route"] for f in ran.json["findings"]} == {"curvature", "vjp_grad"}
    assert any(o["name"] == "Hidden" and o["custom"] for o in ran.json["operations"])
    assert any(p["operation"] == "Hidden" and p["result"] == "wrong" for p in ran.json["probes"])


def test_models_with_a_loss_of_their_own_need_none(doctor):
    ran = doctor("Own", "--sample=nets.py:x", "--routes=vjp_grad", "--json")
    assert ran.code == 0
    assert ran.json["verdict"]["ok"]


def test_a_data_set_brings_its_loss(cli):
    ran = cli("doctor", "user_models.py:make", "--width=8", "--data=digits", "--routes=vjp_grad", "--json")
    assert ran.code == 0
    assert ran.json["examples"] > 1


@pytest.mark.parametrize(
    ("factory", "options", "says"),
    [
        ("plain", GIVEN, "'nets.py:plain' takes the width. Give --width 64"),
        ("failing", GIVEN, "nets.py:failing() failed with OSError: no such file"),
        ("Hidden.forward", [*GIVEN, "--width=3"], "failed with"),
        ("plain", [*GIVEN[:2], "--width=4", "--routes=jvp"], "there is no route 'jvp'"),
        ("plain", ["--sample=nets.py:x", "--width=4"], "returns no loss of its own"),
        ("plain", ["--width=4"], "the doctor differentiates your loss twice, and nothing says on which data"),
        ("plain", [*GIVEN, "--width=4", "--timeout=0"], "not a positive number of seconds"),
    ],
)
def test_wrong_use_leaves_with_2(doctor, factory, options, says):
    ran = doctor(factory, *options)
    assert ran.code == 2
    assert says in ran.message
