"""Plans on models: rescaling once, hooks, groups that cover everything once, errors that name what is wrong."""

from __future__ import annotations

import copy
import pickle
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from hand_plans import mlp, mlp_plan
from torch import nn

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.hooks import ScaleInput
from similitude.scaling.plan import plan as make_plan
from similitude.scaling.records import Hook, Plan, PlanRow, Refusal
from similitude.scaling.rules import RULES


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
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-5}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_at_the_base_training_is_bit_identical(name):
    cls, options = OPTIMIZERS[name]
    made = mlp_plan(32, 32, family="entrywise" if cls is torch.optim.AdamW else "sgd")
    assert made.is_identity
    plain = mlp(32)
    planned = made.apply_(copy.deepcopy(plain))
    groups = made.groups(planned, **options)
    assert len(groups) == 1
    train(plain, cls(plain.parameters(), **options))
    train(planned, cls(groups))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), planned.parameters(), strict=True))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_at_the_base_so_do_plans_of_the_planner(name, rule):
    cls, options = OPTIMIZERS[name]
    made = make_plan(mlp, base=32, target=32, sample=torch.zeros(2, 6), optimizer=cls, rule=rule)
    assert made.is_identity
    plain = mlp(32)
    planned = made.apply_(copy.deepcopy(plain))
    train(plain, cls(plain.parameters(), **options), steps=5)
    train(planned, cls(made.groups(planned, **options)), steps=5)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), planned.parameters(), strict=True))


@pytest.mark.parametrize("family", ["entrywise", "sgd"])
def test_the_planner_finds_what_is_written_by_hand(family):
    cls = torch.optim.SGD if family == "sgd" else torch.optim.AdamW
    made = make_plan(mlp, base=32, target=128, sample=torch.zeros(2, 6), optimizer=cls)
    expected = mlp_plan(family=family)
    for row, mine in zip(made.rows, expected.rows, strict=True):
        for field in ("name", "role", "shape", "base_shape", "family"):
            assert getattr(row, field) == getattr(mine, field), mine.name
        for field in (
            "fan_in_ratio", "fan_out_ratio", "init", "rescale", "lr", "eps", "weight_decay", "own_rms",
        ):  # fmt: skip
            if getattr(mine, field) is not None:
                assert getattr(row, field) == pytest.approx(getattr(mine, field), rel=0.02), (
                    mine.name,
                    field,
                )


def test_apply_multiplies_each_tensor_once():
    plan, model = mlp_plan(), mlp(128)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    assert plan.apply_(model) is model
    plan.apply_(model)
    train(model, torch.optim.SGD(model.parameters(), lr=0.0), steps=1)
    plan.apply_(model)
    for row in plan.rows:
        assert torch.equal(model.get_parameter(row.name), before[row.name] * row.rescale), row.name
    assert {row.rescale for row in plan.rows} == {1.0, 2.0, 0.5}
    assert not any(hasattr(p, "rescale") or p.__dict__ for p in model.parameters())


def test_the_size_of_every_tensor_is_what_the_plan_says():
    """Averaged over draws, rms(target) = init * rms(base) for tensors as they are."""
    plan = mlp_plan()
    squares: dict[str, list[float]] = {row.name: [0.0, 0.0] for row in plan.rows}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # 300 numbers per draw of the smallest tensor: 4 standard errors are 0.3
        for _ in range(100):
            small, large = mlp(32), plan.apply_(mlp(128))
            for row in plan.rows:
                for i, model in enumerate((small, large)):
                    squares[row.name][i] += float(model.get_parameter(row.name).detach().square().mean())
    for row in plan.rows:
        small_square, large_square = squares[row.name]
        assert large_square == pytest.approx(row.init**2 * small_square, rel=0.3), row.name


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_of_a_scaled_model_train_alike_and_are_not_scaled_again(clone):
    plan = mlp_plan()
    model = plan.apply_(mlp(128))
    twin = clone(model)
    train(model, torch.optim.AdamW(plan.groups(model, lr=1e-3)), steps=3)
    with pytest.raises(PlanError, match="it was scaled by this plan already"):
        plan.apply_(twin)
    train(twin, torch.optim.AdamW(plan.groups(twin, lr=1e-3)), steps=3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_fresh_models_are_never_taken_for_trained_ones():
    for _ in range(50):
        mlp_plan().apply_(mlp(128))


def test_a_trained_model_is_refused_by_name_and_numbers():
    plan, model = mlp_plan(), mlp(128)
    train(model, torch.optim.Adam(model[3].parameters(), lr=0.01), steps=10)
    with pytest.raises(PlanError, match=r"'3.\w+' has rms [\d.]+, but a fresh one has \d .*: it was trained"):
        plan.apply_(model)
    model = mlp(128)
    train(model, torch.optim.SGD([model[2].weight], lr=0.1), steps=1)
    with pytest.raises(
        PlanError, match=r"'2.weight' has an entry of size [\d.]+, but a fresh one stays below"
    ):
        plan.apply_(model)


def test_a_refused_model_is_left_as_it_was():
    plan, model = mlp_plan(), mlp(128)
    with torch.no_grad():
        model[4].weight.mul_(0.4)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(PlanError, match=r"'4.weight' has rms"):
        plan.apply_(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_cast_is_no_training(dtype):
    mlp_plan().apply_(mlp(128).to(dtype))


def test_a_second_plan_on_a_scaled_model_is_refused():
    model = mlp_plan().apply_(mlp(128))
    text = r"already scaled by a plan for width 32 -> 128 \(mup\). Build a new one with make\(128\)"
    with pytest.raises(PlanError, match=text):
        mlp_plan(16, 128).apply_(model)


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
def test_another_model_is_told(model, text):
    with pytest.raises(PlanError, match=text):
        mlp_plan().apply_(model())


def hooked(factor: float = 0.25) -> Plan:
    return mlp_plan(hooks=(Hook("4", factor, "the tied head cannot carry it"),))


def test_hooks_scale_the_input_of_their_module_once():
    plan, model = hooked(), mlp(128)
    reference = mlp_plan().apply_(copy.deepcopy(model))
    x = torch.randn(5, 6)
    plan.apply_(model)
    plan.apply_(model)
    head, body = reference[4], reference[:4]
    assert torch.equal(model(x), head(body(x) * 0.25))
    assert [repr(h) for h in model[4]._forward_pre_hooks.values()] == ["ScaleInput(0.25)"]
    assert model.state_dict().keys() == reference.state_dict().keys()


def test_hooks_that_are_there_already_are_told_apart():
    plan = replace(hooked(), rows=tuple(replace(r, rescale=1.0) for r in mlp_plan().rows))
    twin = copy.deepcopy(plan.apply_(mlp(128)))  # a copy that nothing but its hook marks as applied
    plan.apply_(twin)
    assert len(twin[4]._forward_pre_hooks) == 1
    with pytest.raises(
        PlanError, match=r"the input of '4' is scaled x0.25 by another plan, .* scales it x0.5"
    ):
        replace(plan, hooks=(Hook("4", 0.5, ""),)).apply_(copy.deepcopy(twin))
    with pytest.raises(PlanError, match=r"no module 'lm_head', whose input the plan scales x0.5"):
        replace(plan, hooks=(Hook("lm_head", 0.5, ""),)).apply_(mlp(128))


def test_a_module_called_by_keyword_alone_cannot_be_scaled_silently():
    module = nn.Linear(2, 2)
    module.register_forward_pre_hook(ScaleInput(0.5))
    with pytest.raises(PlanError, match=r"a Linear whose input the plan scales x0.5 was called with keyword"):
        module(input=torch.ones(2))


@pytest.mark.parametrize(
    "compiled",
    [
        lambda m: torch.compile(m, backend="eager"),
        lambda m: m.compile(backend="eager") or m,
        lambda m: m.insert(4, torch.compile(m.pop(4), backend="eager")),
    ],
)
def test_hooks_on_a_compiled_model_are_refused_and_scaling_is_not(compiled):
    with pytest.raises(PlanError, match=r"scales the input of '4' .* Apply the plan before torch.compile"):
        hooked().apply_(compiled(mlp(128)))
    mlp_plan().apply_(compiled(mlp(128)))


def test_a_plan_is_applied_once_through_any_wrapper():
    plan, model = mlp_plan(), mlp(128)
    compiled = torch.compile(plan.apply_(model), backend="eager")
    before = copy.deepcopy(model.state_dict())
    assert plan.apply_(compiled) is compiled
    plan.apply_(nn.DataParallel(compiled))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for wrapped in (compiled, nn.DataParallel(model), nn.DataParallel(compiled)):
        assert len(plan.groups(wrapped, lr=0.1)) == len(plan.groups(model, lr=0.1)) == 4


def test_groups_hold_every_trainable_tensor_once_with_its_own_numbers():
    plan, model = mlp_plan(), mlp(128)
    model[0].weight.requires_grad_(False)
    groups = plan.groups(model, lr=0.01, weight_decay=0.1, eps=1e-6, betas=(0.5, 0.6))
    grouped = [p for group in groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(grouped) == 7
    numbers = {id(p): group for group in groups for p in group["params"]}
    for row in plan.rows[1:]:
        group = numbers[id(model.get_parameter(row.name))]
        assert group["lr"] == 0.01 * row.lr
        assert group["lr_factor"] == row.lr
        assert group["eps"] == 1e-6 * row.eps
        assert group["weight_decay"] == 0.1 * row.weight_decay
        assert group["betas"] == (0.5, 0.6)
    assert len(groups) == 4
    assert {frozenset(group) for group in groups} == {
        frozenset({"params", "lr", "lr_factor", "eps", "weight_decay", "betas"})
    }


def test_groups_start_from_the_defaults_of_the_optimizer():
    model = mlp(128)
    made = mlp_plan(defaults={"eps": 1e-6, "weight_decay": 0.5, "betas": [0.9, 0.99]})
    hidden = next(g for g in made.groups(model, lr=1.0) if g["lr"] == 0.25 and g["eps"] != 1e-6)
    assert (hidden["eps"], hidden["weight_decay"]) == (0.25e-6, 2.0)
    sgd = mlp_plan(family="sgd").groups(model, lr=1.0)
    assert {frozenset(group) for group in sgd} == {frozenset({"params", "lr", "lr_factor"})}
    assert {group["lr"] for group in sgd} == {4.0, 1.0, 0.25}


def test_a_rate_may_be_a_tensor_and_every_group_has_its_own():
    plan, model = mlp_plan(), mlp(128)
    groups = plan.groups(model, lr=torch.tensor(0.01))
    assert all(isinstance(g["lr"], torch.Tensor) and g["lr"].shape == () for g in groups)
    assert [g["lr"].item() for g in groups] == pytest.approx([0.01 * g["lr_factor"] for g in groups])
    assert len({g["lr"].data_ptr() for g in groups}) == len(groups)
    optimizer = torch.optim.AdamW(groups, capturable=False, foreach=False)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    train(model, optimizer, steps=1)
    schedule.step()
    assert [float(g["lr"]) for g in optimizer.param_groups] == pytest.approx(
        [0.005 * g["lr_factor"] for g in groups]
    )
    for lr in (torch.tensor(0.0), torch.tensor([0.1, 0.1])):
        with pytest.raises(PlanError, match="is not a learning rate"):
            plan.groups(mlp(128), lr=lr)


def test_a_plan_for_matrices_needs_a_second_optimizer():
    rows = tuple(
        replace(r, family="orthogonalized" if r.role == "hidden" else "entrywise") for r in mlp_plan().rows
    )
    plan = mlp_plan(
        family="orthogonalized", optimizer="Muon", rows=rows, defaults={"weight_decay": 0.1, "momentum": 0.95}
    )
    with pytest.raises(
        PlanError,
        match=r"^7 of 8 trainable tensors are not for Muon, .*: '0.weight', '0.bias', .* and 3 more. .*"
        r"similitude.split\(plan, model, matrix=torch.optim.Muon, rest=torch.optim.AdamW, lr=..., rest_lr=...\)",
    ):
        plan.groups(mlp(128), lr=0.02)
    model = mlp(128)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == "2.weight")
    (group,) = plan.groups(model, lr=0.02, momentum=0.9)
    assert (group["params"], group["momentum"]) == ([model[2].weight], 0.9)


def test_the_remedy_names_a_class_of_torch_as_such_and_no_other():
    rows = tuple(replace(r, family="entrywise") for r in mlp_plan().rows)
    plan = mlp_plan(family="orthogonalized", optimizer="RowNorm", rows=rows)
    with pytest.raises(
        PlanError, match=r"law, and so factors, for the matrices .*matrix=RowNorm, rest=torch.optim"
    ):
        plan.groups(mlp(128), lr=0.02)


@pytest.mark.parametrize(
    ("make", "chosen"),
    [
        (partial(torch.optim.AdamW, betas=(0.8, 0.9), weight_decay=0.0), {"betas": (0.8, 0.9), "weight_decay": 0.0}),
        (partial(torch.optim.SGD, momentum=0.9, nesterov=True, foreach=False), {"momentum": 0.9, "nesterov": True}),
        (torch.optim.AdamW, {}),
    ],
)  # fmt: skip
def test_groups_hold_the_options_that_are_not_the_classs_own(make, chosen):
    plan = make_plan(mlp, base=64, target=64, sample=torch.zeros(2, 6), optimizer=make)
    assert set(plan.chosen) == set(chosen)
    assert Plan.from_dict(plan.to_dict()).chosen == plan.chosen
    groups = plan.groups(mlp(64), lr=0.1)
    assert [{name: group[name] for name in chosen} for group in groups] == [chosen] * len(groups)
    assert set(groups[0]) - {"params", "lr", "lr_factor", "eps", "weight_decay"} == set(chosen) - {
        "weight_decay"
    }
    # At the base the class, given the groups, trains as the partial does, bit for bit.
    cls = make.func if isinstance(make, partial) else make
    states = []
    for build in (
        lambda model: make(model.parameters(), lr=0.1),
        lambda model: cls(plan.groups(model, lr=0.1)),
    ):
        torch.manual_seed(0)
        model = mlp(64)
        train(model, build(model), steps=3)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_unused_tensors_are_grouped_by_factor_one():
    plan = mlp_plan()
    idle = PlanRow("5.weight", "unused", (3, 3), (3, 3), 1, 1, 1, 1, 1, 1, 1, "not reached by the sample")
    plan = replace(plan, rows=(*plan.rows, idle))
    model = mlp(128).append(nn.Linear(3, 3, bias=False))
    before = model[5].weight.detach().clone()
    groups = plan.groups(plan.apply_(model), lr=0.1)
    assert torch.equal(model[5].weight, before)
    assert [g["lr"] for g in groups if any(p is model[5].weight for p in g["params"])] == [0.1]


def test_adams_weight_decay_is_left_alone_with_a_warning():
    rows = tuple(replace(r, weight_decay=1.0) for r in mlp_plan().rows)
    made = mlp_plan(
        optimizer="Adam", decay="gradient", rows=rows, defaults={"eps": 1e-8, "weight_decay": 0.0}
    )
    with pytest.warns(
        UserWarning, match=r"Adam adds weight_decay to the gradient.*Use torch.optim.AdamW"
    ) as seen:
        groups = made.groups(mlp(128), lr=0.1, weight_decay=0.1)
    assert seen[0].filename == __file__
    assert {group["weight_decay"] for group in groups} == {0.1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.groups(mlp(128), lr=0.1)


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
def test_impossible_options_are_told(options, text):
    with pytest.raises(PlanError, match=text):
        mlp_plan().groups(mlp(128), **options)


def test_refused_and_unplanned_tensors_are_named():
    def make() -> nn.Module:
        model = mlp(128)
        model.register_parameter("pos", nn.Parameter(torch.randn(16, 128)))
        return model

    plan = mlp_plan(refused=(Refusal("pos", (16, 128), "grows along one dimension"),))
    plan.to_dict()
    with pytest.raises(RoleError, match=r"^1 tensor has no role.*'pos': grows along one dimension"):
        plan.apply_(make())
    with pytest.raises(
        RoleError,
        match=r"^1 of 9 trainable tensors is in no group: 'pos'.*Name their roles: \S*\{\"pos\": \"input\"\}",
    ):
        plan.groups(make(), lr=0.1)
    extra = mlp(128).append(nn.Linear(2, 2))
    with pytest.raises(PlanError, match=r"2 of 10 trainable tensors are in no group: '5.weight', '5.bias'"):
        mlp_plan().groups(extra, lr=0.1)


def test_tied_tensors_are_scaled_and_grouped_once():
    row = PlanRow(
        "0.weight", "hidden", (32, 32), (8, 8), 4, 4, 0.5, 0.5, 0.25, 0.25, 4, "tied", ("1.weight",)
    )
    plan = mlp_plan(8, 32, rows=(row,))

    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False))
        model[1].weight = model[0].weight
        return model

    model = make()
    before = model[0].weight.detach().clone()
    plan.apply_(model)
    assert torch.equal(model[1].weight, before * 0.5)
    assert [len(g["params"]) for g in plan.groups(model, lr=0.1)] == [1]
    model[1].weight = nn.Parameter(before)
    with pytest.raises(PlanError, match=r"1.weight"):
        plan.groups(model, lr=0.1)
