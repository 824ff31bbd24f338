"""Diversity of layers: closed forms of its measures, and what networks of each kind are found to be."""

from __future__ import annotations

import copy
import math

import pytest
import torch

import similitude as sim
from similitude.checking.diversity import cosines, distances
from similitude.checking.diversity_records import Distances, Diversity, judge_diversity, redundancy
from similitude.core.errors import NotEnoughEvidenceError, PlanError
from similitude.models import GPT, ResMLP
from similitude.theory.depth import phi_correlation
from similitude.training.losses import cross_entropy

X = torch.randn(128, 16, generator=torch.Generator().manual_seed(0))
Y = torch.randint(10, (128,), generator=torch.Generator().manual_seed(1))


def family(alpha: float, **dials):
    return lambda width, depth: ResMLP(16, 10, width=width, depth=depth, branch=depth**-alpha, **dials)


def tokens(width: int) -> dict[str, torch.Tensor]:
    return torch.randint(11, (4, 8), generator=torch.Generator().manual_seed(width))


def test_a_random_walk_has_exponent_one_half_and_a_line_one():
    g = torch.Generator().manual_seed(0)
    steps = torch.randn(64, 2000, generator=g, dtype=torch.float64)
    walk = [torch.zeros(2000, dtype=torch.float64), *steps.cumsum(0)]
    one, sixteen = distances(walk, [1, 16])
    assert sixteen / one == pytest.approx(4, rel=0.03)
    line = [torch.tensor([1.0, -2.0]) * t for t in range(65)]
    one, sixteen = distances(line, [1, 16])
    assert sixteen / one == pytest.approx(16)
    assert one == pytest.approx(1 / 64)


def test_cosines_leave_out_what_cannot_be_compared():
    a, b = torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])
    assert cosines([a, b, None, torch.zeros(2), torch.ones(3)], 1) == pytest.approx([24 / 25])
    assert cosines([a, b, a], 2) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("activation", "phi"), [("relu", torch.relu), ("abs", torch.abs), ("tanh", torch.tanh)]
)
def test_gradients_are_as_diverse_as_theory_says(activation, phi):
    found = sim.diversity(
        family(0.5, activation=activation), X, base={"width": 128, "depth": 32}, steps=0, seeds=2
    )
    assert found.gradient_near == pytest.approx(phi_correlation(phi, std=1.1), abs=0.04)
    assert found.at_init.slope == pytest.approx(0.5, abs=0.03)
    assert found.trained is None
    assert found.redundant is None


def test_gradients_are_alike_where_branches_end_in_a_matrix():
    found = sim.diversity(
        family(0.5, activation="abs", block="act_first"), X, base={"width": 64, "depth": 16}, steps=0, seeds=1
    )
    assert found.gradient_near > 0.9
    assert found.seeds == (0,)


@pytest.mark.slow
def test_training_tells_diverse_layers_from_redundant_ones():
    shared = {"loss": cross_entropy, "optimizer": torch.optim.Adam, "steps": 50, "seeds": 2}
    diverse = sim.diversity(family(0.5), (X, Y), base={"width": 48, "depth": 32}, lr=0.0005, **shared)
    smooth = sim.diversity(family(1.0), (X, Y), base={"width": 48, "depth": 64}, lr=0.005, **shared)
    assert diverse.trained.slope < 0.59
    assert min(diverse.moved, smooth.moved) > 0.5
    assert diverse.redundant is False
    assert diverse.verdict.ok
    assert "diverse layers" in str(diverse)
    assert smooth.redundant is True
    assert smooth.verdict.ok
    assert "redundant layers" in str(smooth)


def test_a_model_is_measured_as_it_stands_and_left_so():
    model = family(0.5)(16, 8)
    before = copy.deepcopy(model.state_dict())
    found = sim.diversity(model, (X, Y), loss=cross_entropy, steps=2)
    assert found.seeds == (0,)
    assert found.lr > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_transformer_without_a_loss_is_measured_on_random_targets():
    found = sim.diversity(
        lambda width, depth: GPT(11, 8, width=width, depth=depth, head_dim=8),
        tokens,
        base={"width": 16, "depth": 2},
        steps=0,
    )
    assert found.branches == 4
    assert found.gaps == (1, 2)
    assert any("random targets" in note for note in found.notes)


def test_a_plan_trains_the_model_at_its_target():
    make = lambda width: ResMLP(16, 10, width=width, depth=8, branch=0.3)  # noqa: E731
    plan = sim.plan(make, base=16, target=32, sample=X, optimizer=torch.optim.AdamW)
    found = sim.diversity(make, (X, Y), plan=plan, loss=cross_entropy, lr=0.01, steps=3, seeds=1)
    assert found.branches == 8
    assert found.moved > 0
    with pytest.raises(PlanError, match=r"base=\{'width': 16\} is not the size"):
        sim.diversity(make, (X, Y), base=16, plan=plan, loss=cross_entropy)


def test_branches_that_start_at_zero_are_measured_after_training():
    def make(width: int, depth: int) -> ResMLP:
        model = ResMLP(16, 10, width=width, depth=depth, block="two_layers")
        for block in model.blocks:
            torch.nn.init.zeros_(block.linear.weight)
        return model

    found = sim.diversity(make, (X, Y), base={"width": 16, "depth": 8}, loss=cross_entropy, lr=0.01, steps=5)
    assert found.at_init is None
    assert found.growth == pytest.approx(1)
    assert found.trained.values[0] > 0
    assert Diversity.from_dict(found.to_dict()).at_init is None


def test_numbers_survive_json(tmp_path):
    found = sim.diversity(family(0.5), (X, Y), base={"width": 16, "depth": 8}, loss=cross_entropy, steps=2)
    read = Diversity.from_dict(found.to_dict())
    assert read.to_dict() == found.to_dict()
    assert '"branches": 8' in found.save(tmp_path / "d.json").read_text()
    with pytest.raises(PlanError, match="this is no diversity"):
        Diversity.from_dict({"branches": 8})


def judged(**change):
    given = {
        "growth": 1.3,
        "near": 0.5,
        "far": 0.45,
        "at_init": Distances(0.5, 0.49, 0.51, ()),
        "trained": Distances(0.55, 0.53, 0.57, ()),
        "moved": 1.0,
        "steps": 30,
    }
    return judge_diversity(**{**given, **change})


@pytest.mark.parametrize(
    ("change", "outcome", "words"),
    [
        ({}, "ok", "diverse layers"),
        ({"trained": Distances(0.9, 0.85, 0.95, ())}, "ok", "redundant layers"),
        ({"trained": Distances(0.66, 0.65, 0.67, ())}, "cannot_tell", "between independent layers"),
        ({"moved": 0.03}, "cannot_tell", "moved the stream's end by 3 % alone"),
        ({"trained": None}, "diverged", "diverged within 30 steps"),
        ({"near": None, "far": None, "at_init": None}, "ok", "gradients were not compared"),
        ({"steps": 0, "trained": None}, "ok", "nothing was trained"),
    ],
)
def test_verdicts(change, outcome, words):
    verdict = judged(**change)
    assert verdict.outcome == outcome
    assert words in verdict.summary


def test_what_cannot_be_told_says_what_would_tell():
    assert "twice the depth" in judged(trained=Distances(0.66, 0.65, 0.67, ())).next
    assert "more steps" in judged(moved=0.03).next
    assert "depth_mup" in judged(trained=Distances(0.9, 0.85, 0.95, ())).next


def test_redundancy_needs_an_interval_on_its_side():
    assert redundancy(Distances(0.58, 0.4, 0.76, ())) is None
    assert redundancy(Distances(0.8, -math.inf, math.inf, ())) is None
    with pytest.raises(NotEnoughEvidenceError):
        judged(trained=Distances(0.58, 0.4, 0.76, ())).raise_if_bad()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, X), "the first argument is a int"),
        ((family(0.5), X), "Pass base="),
        ((family(0.5)(8, 8), tokens), "a model has none"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(PlanError, match=message):
        sim.diversity(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": {"width": 8, "depth": 2}}, "has 2 branches, and an exponent of distances needs 4"),
        ({"base": {"width": 8, "depth": 8}, "steps": -1}, "steps=-1: pass a whole number of at least 0"),
        ({"base": {"width": 8, "depth": 8}, "lr": 0.0}, "lr=0.0 is not a learning rate"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(PlanError, match=message):
        sim.diversity(family(0.5), (X, Y), loss=cross_entropy, **options)


def test_an_optimizer_of_matrices_needs_the_function_or_a_plan_for_it():
    make, size = family(0.5), {"width": 16, "depth": 4}
    with pytest.raises(PlanError, match="read off the function that builds the model"):
        sim.diversity(make(**size), X, optimizer=torch.optim.Muon)
    plan = sim.plan(make, base=size, target=size, sample=X)
    with pytest.raises(PlanError, match="made for AdamW, and Muon takes matrices alone"):
        sim.diversity(make, X, plan=plan, optimizer=torch.optim.Muon)
