"""Where models lie among the abc-parametrizations: exponents of real models, tied heads, knobs, and what is refused."""

from fractions import Fraction

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

import similitude as sim
from similitude.core.errors import PlanError
from similitude.models import GPT, MLP, ResNet
from similitude.scaling.abc import exponent
from similitude.scaling.abcd import abcd
from similitude.scaling.plan import Planner, for_optimizer
from similitude.scaling.regime import classify

BATCH = torch.zeros(2, 64)
TOKENS = torch.zeros(2, 8, dtype=torch.long)
HALF = Fraction(1, 2)


def mlp(width):
    return MLP(64, 10, width=width, depth=2, bias=False)


def gpt2(width):
    config = GPT2Config(
        vocab_size=32,
        n_positions=8,
        n_embd=width,
        n_layer=1,
        n_head=width // 16,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


def by_role(regime):
    return {
        layer.role: (layer, r) for layer, r in zip(regime.parametrization.layers, regime.change, strict=True)
    }


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("rule", ["sp", "mup", "ntp"])
def test_a_perceptron_is_the_named_parametrization(rule, optimizer):
    """Torch's own init is fan-in^-1/2, so that the exponents are those of the paper without multipliers."""
    found = sim.abc(mlp, base=32, sample=BATCH, optimizer=optimizer, rule=rule)
    family = "sgd" if optimizer is torch.optim.SGD else "entrywise"
    named = abcd(rule, family).folded()
    for mine, paper in zip(found.parametrization.layers, named.layers, strict=True):
        assert (mine.role, mine.a, mine.b) == (paper.role, 0, paper.b)
        assert mine.c - (0 if mine.family == "entrywise" else mine.d) == paper.c - (
            paper.d if family == "sgd" else 0
        )
        assert family == "sgd" or mine.d == paper.d
    expected = classify(named)
    assert (found.kind, found.r, found.slowdown) == (expected.kind, expected.r, expected.slowdown)


def test_models_of_every_kind_learn_features_under_mup_and_not_as_written():
    families = {
        "tied GPT-2": (gpt2, 32, {"input_ids": TOKENS}),
        "ResNet": (lambda width: ResNet(3, 10, width=width), 16, torch.zeros(2, 3, 8, 8)),
    }
    kinds = {"sp": "unstable", "mup": "feature learning", "ntp": "kernel"}
    for name, (make, base, sample) in families.items():
        planner = Planner(make, base=base, sample=sample)
        for rule, kind in kinds.items():
            plan = planner.plan(4 * base, rule=rule)
            for optimizer in (torch.optim.SGD, torch.optim.AdamW, torch.optim.Muon):
                assert sim.abc_of(for_optimizer(plan, optimizer)).kind == kind, (name, rule, optimizer)


def test_a_constant_init_and_a_tied_head_are_told_apart():
    found = by_role(sim.abc(gpt2, base=32, sample={"input_ids": TOKENS}))
    hidden, head = found["hidden"][0], found["output"][0]
    assert (hidden.b, hidden.signal) == (0, -HALF)  # GPT-2 draws with 0.02 at every width
    assert (head.names, head.a, head.signal) == (("transformer.wte.weight",), 0, -HALF)
    scaled = by_role(sim.abc(gpt2, base=32, sample={"input_ids": TOKENS}, rule="mup"))
    assert (scaled["output"][0].a, scaled["output"][0].signal) == (1, HALF)
    assert scaled["hidden"][0].b == HALF


def test_knobs_and_carried_multipliers_are_no_exponents():
    make = lambda width: GPT(17, 8, width=width, depth=1, head_dim=width // 2)  # noqa: E731
    options = {"base": 32, "target": 128, "sample": TOKENS}
    plain = sim.plan(make, **options)
    assert any(row.multiplier != 1 for row in plain.rows)  # queries carry (head_dim / base's)^-1/2
    turned = sim.plan(make, knobs={"output": 0.3, "lookup": {"lr": 3.0, "init": 0.1}}, **options)
    assert sim.abc_of(turned) == sim.abc_of(plain)
    assert sim.abc_of(plain).kind == "feature learning"


def test_zero_heads_have_no_init():
    found = by_role(sim.abc(lambda n: MLP(64, 10, width=n, depth=1, zero_head=True), base=16, sample=BATCH))
    assert found["output"][0].b is None
    knob = sim.plan(mlp, base=16, target=64, sample=BATCH, knobs={"head": {"init": 0}})
    assert by_role(sim.abc_of(knob))["output"][0].b is None


def test_muon_that_matches_adams_rms_grows_with_the_width():
    def matching(params):
        return torch.optim.Muon(params, adjust_lr_fn="match_rms_adamw")

    for optimizer, rule, r in (
        (torch.optim.Muon, "sp", 0),
        (matching, "sp", -HALF),
        (matching, "mup", 0),
    ):
        found = by_role(sim.abc(mlp, base=32, sample=BATCH, optimizer=optimizer, rule=rule))
        assert found["hidden"][1] == r


def test_a_model_without_a_head_and_a_given_role():
    body = lambda n: nn.Sequential(nn.Linear(64, n, bias=False), nn.Linear(n, n, bias=False))  # noqa: E731
    assert sim.abc(body, base=16, sample=BATCH, rule="mup").readout is None
    given = sim.abc(mlp, base=16, sample=BATCH, roles={"head.weight": "bottleneck"})
    assert "output" not in by_role(given)


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ({"base": 16, "target": 16, "sample": BATCH}, "both widths are the same"),
        ({"base": 16, "target": 64, "sample": BATCH, "gamma": 4.0}, "gamma=4"),
        ({"base": 16, "target": 64, "rule": "sp"}, "the role of no tensor"),
    ],
)
def test_plans_without_exponents_are_refused(plan, text):
    with pytest.raises(PlanError, match=text):
        sim.abc_of(sim.plan(mlp, **plan))


def test_the_depth_must_stay():
    make = lambda width, depth: MLP(64, 10, width=width, depth=depth)  # noqa: E731
    with pytest.raises(PlanError):
        sim.abc(make, base={"width": 16, "depth": 1}, target={"width": 64, "depth": 2}, sample=BATCH)
    assert sim.abc(make, base={"width": 16, "depth": 2}, sample=BATCH).kind == "unstable"


@pytest.mark.parametrize(
    ("factor", "ratio", "power"),
    [
        (0.5, 4, -HALF),
        (8.0, 4, Fraction(3, 2)),
        (1.0, 7, Fraction(0)),
        (2**0.3, 2, Fraction(3, 10)),
        (4.05, 4, Fraction(1)),
    ],
)
def test_exponents_are_simple_fractions_where_they_can_be(factor, ratio, power):
    assert exponent(factor, ratio) == power


def test_what_is_no_plan_is_named():
    with pytest.raises(PlanError, match=r"plan is 3, not a plan"):
        sim.abc_of(3)  # pyright: ignore[reportArgumentType]
