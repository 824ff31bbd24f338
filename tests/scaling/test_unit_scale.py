"""Unit-scaled muP: the base of unit scale, the rule's ratios, and what a check says of both."""

import copy

import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import PlanError, RoleError
from similitude.models import GPT, MLP
from similitude.scaling.rules import FAMILIES, ROLES, factors
from similitude.training.build import build_model
from similitude.training.losses import cross_entropy

TOKENS = torch.randint(0, 17, (8, 8), generator=torch.Generator().manual_seed(0))


def gpt(width, depth=1):
    return GPT(17, 8, width=width, depth=depth)


def mlp(width):
    return MLP(64, 10, width=width, depth=2)


def next_token(model, batch):
    return nn.functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def rms(tensor):
    return float(tensor.detach().square().mean().sqrt())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ROLES)
def test_only_tables_differ_from_mup(role, family):
    unit, mup = (factors(rule, role, family, r_in=1, r_out=16) for rule in ("u_mup", "mup"))
    assert (unit.init, unit.eps) == (mup.init, mup.eps)
    assert unit.lr == mup.lr * (0.25 if role == "lookup" else 1.0)
    assert ("falls with the width" in unit.why) == (role == "lookup")


@pytest.mark.parametrize("width", [32, 96])
def test_tensors_start_at_unit_scale(width):
    unit = sim.unit_scaled(gpt, base=32, sample=TOKENS)
    model = unit(width)
    for name, parameter in model.named_parameters():
        if name in ("tokens.weight", "positions.weight"):
            assert rms(parameter) == pytest.approx(1, rel=0.2)
        elif name == "head.weight":
            assert rms(parameter) == pytest.approx(1 / width, rel=0.2)
        elif name.endswith("weight") and parameter.ndim == 2:
            assert rms(parameter) == pytest.approx(parameter.shape[1] ** -0.5, rel=0.2)


def test_what_is_no_draw_stays():
    unit = sim.unit_scaled(lambda width: GPT(17, 8, width=width, zero_head=True), base=32, sample=TOKENS)
    model = unit(32)
    assert (model.norm.weight == 1).all()
    assert (model.norm.bias == 0).all()
    assert not model.head.weight.any()


def test_draws_follow_the_seed_of_the_build():
    unit = sim.unit_scaled(mlp, base=32, sample=torch.zeros(2, 64))
    one, same, other = (build_model(lambda: unit(32), seed) for seed in (0, 0, 1))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    plain = build_model(lambda: mlp(32), 0)
    assert torch.equal(one.hidden[0].bias, plain.hidden[0].bias)  # the first tensor that is left as it is


def test_hidden_signals_have_unit_size_at_every_width():
    make = lambda width: MLP(64, 10, width=width, depth=3, activation="linear", bias=False)  # noqa: E731
    unit = sim.unit_scaled(make, base=32, sample=torch.zeros(2, 64))
    x = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
    for width in (64, 512):
        torch.manual_seed(1)
        model = unit(width)
        signal = x
        for layer in model.hidden:
            signal = layer(signal)
        assert rms(signal) == pytest.approx(1, abs=0.25)


def test_a_plan_from_it_keeps_unit_scale():
    unit = sim.unit_scaled(gpt, base=32, sample=TOKENS)
    plan = sim.plan(unit, base=32, target=128, sample=TOKENS, rule="u_mup")
    model = plan.apply_(unit(128))
    assert rms(model.head.weight) == pytest.approx(1 / 128, rel=0.1)
    assert rms(model.tokens.weight) == pytest.approx(1, rel=0.1)
    assert rms(model.blocks[0].down.weight) == pytest.approx(512**-0.5, rel=0.1)
    lookup = next(row for row in plan.rows if row.name == "tokens.weight")
    assert (lookup.lr, lookup.eps) == (0.5, 0.25)
    assert any(note.startswith("u_mup has its ratios to your base") for note in plan.notes)


def test_other_depths_and_copies():
    unit = copy.deepcopy(sim.unit_scaled(gpt, base={"width": 32, "depth": 1}, sample=TOKENS))
    deep = unit(width=32, depth=3)
    assert rms(deep.blocks[2].attention.query.weight) == pytest.approx(32**-0.5, rel=0.2)
    with torch.device("meta"):
        assert unit(64).head.weight.is_meta

    def sequence(width, depth):
        inner = [nn.Linear(width, width) for _ in range(depth)]
        return nn.Sequential(nn.Linear(64, width), *inner, nn.Linear(width, 10))

    flat = sim.unit_scaled(sequence, base={"width": 16, "depth": 1}, sample=torch.zeros(2, 64))
    with pytest.raises(
        PlanError, match=r"'3.weight' of this size .* tensors of like names differ. Trace this size"
    ):
        flat(16, 2)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda width: GPT(17, 8, width=width, tie=True), PlanError, "an embedding and the head at once"),
        (lambda width: _Odd(width), RoleError, "'pos'"),
    ],
)
def test_what_has_no_unit_scale_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        sim.unit_scaled(make, base=32, sample=TOKENS)


class _Odd(nn.Module):
    """Adds the mean of a table to everything, which has no role."""

    def __init__(self, width):
        super().__init__()
        self.pos = nn.Parameter(torch.randn(3, width))
        self.body = gpt(width)

    def forward(self, tokens):
        return self.body(tokens) + self.pos.mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "batch", "loss"),
    [
        (
            mlp,
            (torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10),
            cross_entropy,
        ),
        (gpt, (TOKENS, TOKENS.roll(-1, 1)), next_token),
    ],
    ids=["MLP", "GPT"],
)
def test_the_check_passes(make, batch, loss):
    unit = sim.unit_scaled(make, base=64, sample=batch, loss=loss)
    found = sim.check(
        unit, "u_mup", widths=[64, 128, 256, 512], sample=batch, loss=loss, optimizer=torch.optim.AdamW
    )
    assert found.verdict.ok, found
