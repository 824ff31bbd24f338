"""Heads and queries that start at zero or scaled by a knob: from the plan to the model, and what it is good for."""

from __future__ import annotations

import copy
import json
import math

import growth_oracle as oracle
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from similitude import models
from similitude.core.errors import PlanError
from similitude.core.seeding import seeded
from similitude.scaling.diff import diff
from similitude.scaling.plan import Plan, Planner, for_optimizer, plan

TOKENS = torch.randint(0, 17, (8, 8), generator=torch.Generator().manual_seed(0))
QUERY = ("blocks.0.attention.query.weight", "blocks.0.attention.query.bias")
ZERO = {"head": {"init": 0.0}, "query": {"init": 0.0}}


def gpt(width: int, **more) -> nn.Module:
    return models.GPT(17, 8, width=width, depth=1, head_dim=16, **more)


def planned(target: int = 64, **more) -> Plan:
    return plan(gpt, base=32, target=target, sample=TOKENS, **more)


def built(width: int, seed: int = 0) -> nn.Module:
    with seeded(seed):
        return gpt(width)


@pytest.mark.parametrize("target", [32, 64])
def test_heads_and_queries_are_zero_and_all_else_is_as_without_knobs(target):
    with_knobs, without = planned(target, knobs=ZERO), planned(target)
    zeroed = []
    for row, other in zip(with_knobs.rows, without.rows, strict=True):
        assert row.query is (row.name in QUERY)
        assert (row.lr, row.eps, row.weight_decay) == (other.lr, other.eps, other.weight_decay)
        if row.rescale != other.rescale:
            assert row.rescale == row.init == 0.0
            zeroed.append(row.name)
    assert set(zeroed) == {*QUERY, "head.weight"}  # the head's bias has no side that grows: it is finite
    model, fresh = with_knobs.apply_(built(target)), without.apply_(built(target))
    for (name, tensor), other in zip(model.named_parameters(), fresh.parameters(), strict=True):
        assert torch.equal(tensor, torch.zeros_like(other) if name in zeroed else other)


def test_applying_twice_changes_nothing_and_a_trained_model_is_refused():
    zero = planned(knobs=ZERO)
    model = zero.apply_(built(64))
    before = copy.deepcopy(model.state_dict())
    zero.apply_(model)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    with pytest.raises(PlanError, match="was scaled by this plan already"):
        zero.apply_(copy.deepcopy(model))  # which is no longer known as applied
    trained = built(64)
    with torch.no_grad():
        for tensor in trained.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)))
    with pytest.raises(PlanError, match="trained, loaded or changed"):
        zero.apply_(trained)


def test_a_head_that_is_zero_already_stays_and_can_be_planned():
    zero = plan(lambda w: gpt(w, zero_head=True), base=32, target=64, sample=TOKENS, knobs=ZERO)
    assert next(row for row in zero.rows if row.name == "head.weight").rescale == 0.0
    model = zero.apply_(gpt(64, zero_head=True))
    assert not model.get_parameter("head.weight").any()


@pytest.mark.parametrize("rule", ["mup", "sp"])
def test_scaled_queries_by_role_and_by_query_together(rule):
    rows = {row.name: row for row in planned(rule=rule).rows}
    knobs = {
        "matrix": {"init": 3.0, "lr": 2.0},
        "query": {"init": 0.5, "multiplier": 4.0},
        "vector": {"lr": 5.0},
    }
    turned = {row.name: row for row in planned(rule=rule, knobs=knobs).rows}
    weight, bias, key = QUERY[0], QUERY[1], "blocks.0.attention.key.weight"
    assert turned[weight].rescale == pytest.approx(rows[weight].rescale * 3.0 * 0.5 * 4.0)
    assert turned[weight].lr == pytest.approx(rows[weight].lr * 2.0 * 4.0)
    assert turned[weight].eps == pytest.approx(rows[weight].eps / 4.0)
    assert turned[weight].weight_decay == pytest.approx(rows[weight].weight_decay / 4.0)
    assert turned[bias].rescale == pytest.approx(rows[bias].rescale * 0.5 * 4.0)
    assert turned[bias].lr == pytest.approx(rows[bias].lr * 5.0 * 4.0)
    assert (turned[key].rescale, turned[key].lr) == (rows[key].rescale * 3.0, rows[key].lr * 2.0)
    assert rows[weight].init == pytest.approx(0.5**0.5)
    assert rows[weight].rescale == pytest.approx(1.0)


def test_knobs_of_queries_survive_files_and_other_optimizers(tmp_path):
    knobs = {"head": {"init": 0.0}, "query": {"init": 0.0, "multiplier": 2.0, "lr": 3.0}}
    made = planned(knobs=knobs)
    loaded = Plan.load(made.save(tmp_path / "plan.json"))
    assert loaded == made
    direct = planned(knobs=knobs, optimizer=torch.optim.SGD)
    derived = for_optimizer(loaded, torch.optim.SGD)
    assert [(r.name, r.rescale, r.lr, r.eps, r.weight_decay) for r in derived.rows] == [
        (r.name, r.rescale, r.lr, r.eps, r.weight_decay) for r in direct.rows
    ]
    row = next(r for r in direct.rows if r.name == QUERY[0])
    assert (row.lr, row.rescale) == (1.0 * 2.0**2 * 3.0, 0.0)
    data = made.to_dict()
    old = {**data, "rows": [{k: v for k, v in row.items() if k != "query"} for row in data["rows"]]}
    assert not any(row.query for row in Plan.from_dict(old).rows)  # a file of before there were such knobs


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"rescale": -1.0}, "rescale -1.0, but it must be a finite number of at least 0"),
        ({"query": 1}, "query 1, but it must be true or false"),
    ],
)
def test_files_are_held_against_the_laws_of_zero(change, text):
    data = planned(knobs=ZERO).to_dict()
    data["rows"][0] |= change
    with pytest.raises(PlanError, match=text):
        Plan.from_dict(data)
    data = planned(knobs=ZERO).to_dict()
    data["knobs"]["query"]["lr"] = 0.0
    with pytest.raises(PlanError, match="must be a finite number above 0"):
        Plan.from_dict(data)


@pytest.mark.parametrize("rule", ["mup", "sp"])
def test_every_step_of_a_zeroed_tensor_is_explained(rule):
    knobs = {"matrix": {"lr": 0.5}, "query": {"init": 0.0, "lr": 3.0, "multiplier": 2.0}}
    made = planned(knobs=knobs, rule=rule)
    explained = made.explain(QUERY[0])
    for derivation in explained.derivations:
        assert math.prod(step.value for step in derivation.steps) == pytest.approx(derivation.value)
        assert not any("by hand" in step.why for step in derivation.steps)
    text = str(explained)
    for line in (
        "makes the queries of attention",
        "  0: your knob of the init of the queries",
        "  0: init x0: the tensor starts at zero, whatever your own init gives",
        "  3: your knob of the learning rate of the queries",
        "  0.5: your knob of the learning rate of hidden tensors",
        "  2: m^1 for your knob m = 2 of the queries, folded by the abc-symmetry",
    ):
        assert line in text.splitlines()
    json.dumps(explained.to_dict())
    assert "queries" not in str(made.explain("blocks.0.attention.key.weight"))


def test_a_difference_from_zero_has_no_ratio():
    found = diff(planned(knobs=ZERO), planned())
    text = str(found)
    assert "* knobs: output init x0, query init x0 -> none" in text
    assert "apply x0 -> x1: " in text
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["equal"] is False
    assert not diff(planned(knobs=ZERO), planned(knobs=ZERO))


def test_knobs_that_turn_nothing_are_told():
    def net(n: int) -> nn.Module:
        return nn.Sequential(nn.Linear(6, n), nn.Tanh(), nn.Linear(n, 3))

    sample = torch.zeros(2, 6)
    with pytest.raises(PlanError, match=r"the role 'lookup', but no tensor .* finite, input, output, vector"):
        plan(net, base=8, target=16, sample=sample, knobs={"embedding": 2.0})
    with pytest.raises(PlanError, match="has no attention"):
        plan(net, base=8, target=16, sample=sample, knobs={"query": {"init": 0}})
    same = plan(net, base=8, target=16, sample=sample, knobs={"embedding": 1.0, "query": 1.0})
    assert same.rows == plan(net, base=8, target=16, sample=sample).rows  # a knob of 1 asks for nothing
    with pytest.raises(PlanError, match=r"the head is the table 'tokens\.weight' itself"):
        plan(lambda w: gpt(w, tie=True), base=32, target=64, sample=TOKENS, knobs=ZERO)
    with pytest.raises(PlanError, match="plan needs a sample"):
        plan(net, base=8, target=16, rule="sp", knobs={"head": 2.0})

    def fused(width: int) -> nn.Module:
        layer = nn.TransformerEncoderLayer(width, 2, 16, batch_first=True)
        return nn.Sequential(nn.Linear(6, width), nn.TransformerEncoder(layer, 1), nn.Linear(width, 3))

    with pytest.raises(PlanError, match=r"in_proj_weight.* make keys, .* a layer of their own"):
        plan(fused, base=8, target=16, sample=torch.zeros(2, 4, 6), knobs={"query": {"init": 0}})


def test_a_knob_that_weight_norm_hides_is_noted():
    def normed(width: int) -> nn.Module:
        inner = nn.utils.parametrizations.weight_norm(nn.Linear(width, width))
        return nn.Sequential(nn.Linear(6, width), inner, nn.Linear(width, 3))

    made = plan(normed, base=8, target=16, sample=torch.zeros(2, 6), knobs={"matrix": {"init": 0.5}})
    assert any("do not scale '1.parametrizations.weight.original1'" in note for note in made.notes)


def logits_growth(knobs: dict | None) -> float:
    """Slope over log width of the size of the logits after two steps of Adam, from first principles."""
    widths, sizes = (32, 64, 128, 256), []
    planner = Planner(gpt, base=32, sample=TOKENS, optimizer=torch.optim.Adam, knobs=knobs)
    for width in widths:
        square = 0.0
        made = planner.plan(width)
        for seed in range(3):
            model = made.apply_(built(width, seed))
            optimizer = torch.optim.Adam(made.groups(model, lr=2**-8))
            for _ in range(2):
                optimizer.zero_grad()
                F.cross_entropy(model(TOKENS).flatten(0, 1), TOKENS.roll(-1, 1).flatten()).backward()
                optimizer.step()
            square += float(model(TOKENS).detach().square().mean())
        sizes.append(math.log(square) / 2)
    return oracle.slope(widths, sizes)


def test_with_zero_heads_and_queries_the_logits_are_alike_at_every_width_from_the_start():
    assert abs(logits_growth(ZERO)) < 0.1
    assert (
        logits_growth(None) < -0.25
    )  # a random head's part vanishes as n^-1/2, so small widths see a transient
