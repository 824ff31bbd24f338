"""Plans on models: rescaling once, groups that cover everything once, bit-identity at the base."""

from __future__ import annotations

import copy
import pickle
import warnings
from functools import partial

import pytest
import torch
from torch import nn

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.plan import Plan, plan


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, 3)
    )


@pytest.fixture(scope="module")
def scaled() -> Plan:
    return plan(mlp, base=32, target=128)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 20) -> nn.Module:
    g = torch.Generator().manual_seed(1)
    x, y = torch.randn(16, 6, generator=g), torch.randn(16, 3, generator=g)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
    return model


OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.1}),
    "momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}),
    "adam": (torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-5, "weight_decay": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01}),
}


@pytest.mark.parametrize("rule", ["mup", "sp", "ntp"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_at_the_base_training_is_bit_identical(name, rule):
    cls, options = OPTIMIZERS[name]
    made = plan(mlp, base=32, target=32, optimizer=cls, rule=rule)
    plain = mlp(32)
    planned = made.apply_(copy.deepcopy(plain))
    groups = made.groups(planned, **options)
    assert len(groups) == 1
    train(plain, cls(plain.parameters(), **options))
    train(planned, cls(groups))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), planned.parameters(), strict=True))


def test_apply_multiplies_each_tensor_once(scaled):
    model = mlp(128)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    assert scaled.apply_(model) is model
    scaled.apply_(model)
    train(model, torch.optim.SGD(model.parameters(), lr=0.0), steps=1)
    scaled.apply_(model)
    for row in scaled.rows:
        assert torch.equal(model.get_parameter(row.name), before[row.name] * row.rescale), row.name
    assert {row.rescale for row in scaled.rows} == {1.0, 2.0, 0.5}
    assert not any(hasattr(p, "rescale") or p.__dict__ for p in model.parameters())


def test_the_size_of_every_tensor_is_what_the_plan_says(scaled):
    """Averaged over draws, rms(target) = init * rms(base) for tensors as they are."""
    squares: dict[str, list[float]] = {row.name: [0.0, 0.0] for row in scaled.rows}
    for _ in range(30):
        small, large = mlp(32), scaled.apply_(mlp(128))
        for row in scaled.rows:
            for i, model in enumerate((small, large)):
                squares[row.name][i] += float(model.get_parameter(row.name).detach().square().mean())
    for row in scaled.rows:
        small_square, large_square = squares[row.name]
        assert large_square == pytest.approx(row.init**2 * small_square, rel=0.3), row.name


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_a_scaled_model_train_alike_and_are_not_scaled_again(scaled, clone):
    model = scaled.apply_(mlp(128))
    twin = clone(model)
    train(model, torch.optim.AdamW(scaled.groups(model, lr=1e-3)), steps=3)
    with pytest.raises(PlanError, match="it was scaled by this plan already"):
        scaled.apply_(twin)
    train(twin, torch.optim.AdamW(scaled.groups(twin, lr=1e-3)), steps=3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_fresh_models_are_never_taken_for_trained_ones(scaled):
    for _ in range(50):
        scaled.apply_(mlp(128))


def test_a_trained_model_is_refused_by_name_and_numbers(scaled):
    model = mlp(128)
    train(model, torch.optim.Adam(model[3].parameters(), lr=0.01), steps=10)
    with pytest.raises(PlanError, match=r"'3.\w+' has rms [\d.]+, but a fresh one has \d .*: it was trained"):
        scaled.apply_(model)
    model = mlp(128)
    train(model, torch.optim.SGD([model[2].weight], lr=0.1), steps=1)
    with pytest.raises(
        PlanError, match=r"'2.weight' has an entry of size [\d.]+, but a fresh one stays below"
    ):
        scaled.apply_(model)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_cast_is_no_training(scaled, dtype):
    scaled.apply_(mlp(128).to(dtype))


def test_a_second_plan_on_a_scaled_model_is_refused(scaled):
    model = scaled.apply_(mlp(128))
    with pytest.raises(PlanError, match=r"already scaled by a plan from 32 to 128 \(mup\)"):
        plan(mlp, base=16, target=128).apply_(model)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (
            lambda: mlp(64),
            r"'0.weight' has shape \(64, 6\), as at width 64, but the plan is for \(128, 6\), width 128",
        ),
        (lambda: mlp(32), r"as at width 32, but the plan is for"),
        (lambda: mlp(128)[:3], r"it lacks '3.weight', '3.bias', '4.weight', '4.bias'"),
        (lambda: mlp(128).append(nn.Linear(3, 3)), r"it has '5.weight', '5.bias', which the plan lacks"),
        (lambda: mlp(128).to("meta"), r"is on the meta device and has no values"),
    ],
)
def test_another_model_is_told(scaled, model, text):
    with pytest.raises(PlanError, match=text):
        scaled.apply_(model())


def test_groups_hold_every_trainable_tensor_once_with_its_own_numbers(scaled):
    model = mlp(128)
    model[0].weight.requires_grad_(False)
    groups = scaled.groups(model, lr=0.01, weight_decay=0.1, eps=1e-6, betas=(0.5, 0.6))
    grouped = [p for group in groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(grouped) == 7
    numbers = {id(p): group for group in groups for p in group["params"]}
    for row in scaled.rows[1:]:
        group = numbers[id(model.get_parameter(row.name))]
        assert group["lr"] == 0.01 * row.lr
        assert group["eps"] == 1e-6 * row.eps
        assert group["weight_decay"] == 0.1 * row.weight_decay
        assert group["betas"] == (0.5, 0.6)
    assert len(groups) == 4
    assert {frozenset(group) for group in groups} == {
        frozenset({"params", "lr", "eps", "weight_decay", "betas"})
    }


def test_groups_start_from_the_defaults_of_the_optimizer():
    model = mlp(128)
    made = plan(mlp, base=32, target=128, optimizer=partial(torch.optim.AdamW, eps=1e-6, weight_decay=0.5))
    hidden = next(g for g in made.groups(model, lr=1.0) if g["lr"] == 0.25 and g["eps"] != 1e-6)
    assert (hidden["eps"], hidden["weight_decay"]) == (0.25e-6, 2.0)
    sgd = plan(mlp, base=32, target=128, optimizer=torch.optim.SGD).groups(model, lr=1.0)
    assert {frozenset(group) for group in sgd} == {frozenset({"params", "lr"})}
    assert {group["lr"] for group in sgd} == {4.0, 1.0, 0.25}


def test_adams_weight_decay_is_left_alone_with_a_warning():
    made = plan(mlp, base=32, target=128, optimizer=torch.optim.Adam)
    with pytest.warns(UserWarning, match=r"Adam adds weight_decay to the gradient.*Use torch.optim.AdamW"):
        groups = made.groups(mlp(128), lr=0.1, weight_decay=0.1)
    assert {group["weight_decay"] for group in groups} == {0.1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.groups(mlp(128), lr=0.1)


def test_wrapped_models_keep_their_names(scaled):
    model = scaled.apply_(mlp(128))
    assert len(scaled.groups(torch.compile(model), lr=0.1)) == len(scaled.groups(model, lr=0.1)) == 4
    assert len(scaled.groups(nn.DataParallel(model), lr=0.1)) == 4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lr": 0.0}, r"lr=0.0 is not a learning rate. Pass a positive number, as tuned at width 32"),
        ({"lr": float("nan")}, "is not a learning rate"),
        ({"lr": True}, "is not a learning rate"),
        ({"lr": 0.1, "momentum": 0.9}, r"AdamW takes no 'momentum'. A group may set lr, amsgrad, betas"),
        ({"lr": 0.1, "weight_decay": -1.0}, r"weight_decay=-1.0 is not a number of at least 0"),
        ({"lr": 0.1, "eps": None}, r"eps=None is not a number"),
    ],
)
def test_impossible_options_are_told(scaled, options, text):
    with pytest.raises(PlanError, match=text):
        scaled.groups(mlp(128), **options)


def test_refused_and_unplanned_tensors_are_named():
    def make(width: int) -> nn.Module:
        model = nn.Sequential(nn.Linear(width, width))
        model.register_parameter("pos", nn.Parameter(torch.randn(16, width)))
        return model

    made = plan(make, base=8, target=32)
    assert [r.name for r in made.refused] == ["pos"]
    with pytest.raises(
        RoleError, match=r"^1 tensor has no role.*'pos': Sequential pos of 16 x 8->32 grows along one"
    ):
        made.apply_(make(32))
    with pytest.raises(
        RoleError,
        match=r"^1 of 3 trainable tensors is in no group: 'pos'.*Name their roles: \S*\{\"pos\": \"input\"\}",
    ):
        made.groups(make(32), lr=0.1)
    named = plan(make, base=8, target=32, roles={"pos": "input"})
    assert sum(len(g["params"]) for g in named.groups(named.apply_(make(32)), lr=0.1)) == 3
    extra = make(32).append(nn.Linear(2, 2))
    with pytest.raises(PlanError, match=r"2 of 5 trainable tensors are in no group: '1.weight', '1.bias'"):
        named.groups(extra, lr=0.1)


def test_tied_tensors_are_scaled_and_grouped_once():
    def make(width: int) -> nn.Module:
        model = nn.Sequential(nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False))
        nn.init.normal_(model[0].weight)
        model[1].weight = model[0].weight
        return model

    made = plan(make, base=8, target=32)
    model = make(32)
    before = model[0].weight.detach().clone()
    made.apply_(model)
    assert torch.equal(model[1].weight, before * 0.5)
    assert [len(g["params"]) for g in made.groups(model, lr=0.1)] == [1]
    model[1].weight = nn.Parameter(before)
    with pytest.raises(PlanError, match=r"1.weight"):
        made.groups(model, lr=0.1)
