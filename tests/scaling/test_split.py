"""One optimizer of two: the same steps as two by hand, and everything that torch expects of an optimizer."""

from __future__ import annotations

import copy
import io
import math
import pickle
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hand_plans import mlp, mlp_plan
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

import similitude as sim
from similitude.core.errors import PlanError, RoleError
from similitude.scaling.factors import for_optimizer
from similitude.scaling.records import Refusal
from similitude.scaling.split import SplitOptimizer, split

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(1))
Y = torch.randn(16, 3, generator=torch.Generator().manual_seed(2))
MATRIX = "2.weight"


def model(seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return mlp(128).to(dtype)


def loss_of(net: nn.Module) -> torch.Tensor:
    return (net(X.to(next(net.parameters()).dtype)) - Y).square().mean()


def train(net: Any, *optimizers: torch.optim.Optimizer, steps: int = 5) -> list[float]:
    trace = []
    for _ in range(steps):
        loss = loss_of(net)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        trace.append(loss.item())
    return trace


def made(net: Any, **changes: Any) -> SplitOptimizer:
    options: dict[str, Any] = {"lr": 0.02, "rest_lr": 3e-3}
    return split(mlp_plan(), net, **(options | changes))


def test_it_is_public():
    assert sim.split is split


def test_it_makes_the_steps_of_two_optimizers_by_hand():
    """The plan's factors are in closed form: r = 4, a square matrix for Muon, AdamW for everything else."""
    one, two = model(), model()
    optimizer = made(one, matrix_options={"momentum": 0.9}, rest_options={"weight_decay": 0.1, "eps": 1e-6})
    named = dict(two.named_parameters())
    rows = {row.name: row for row in mlp_plan().rows}
    muon = torch.optim.Muon([named.pop(MATRIX)], lr=0.02, momentum=0.9)
    adamw = torch.optim.AdamW(
        [
            {
                "params": [p],
                "lr": 3e-3 * rows[n].lr,
                "eps": 1e-6 * rows[n].eps,
                "weight_decay": 0.1 / rows[n].lr,
            }
            for n, p in named.items()
        ]
    )
    assert train(one, optimizer) == train(two, muon, adamw)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_groups_cover_every_tensor_once_with_the_plans_factors():
    net = model()
    optimizer = made(net)
    names = {id(p): name for name, p in net.named_parameters()}
    held = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(names.values())
    assert len(optimizer.param_groups) <= 5
    rows = {row.name: row for row in for_optimizer(mlp_plan(), torch.optim.AdamW).rows}
    for group in optimizer.param_groups:
        for p in group["params"]:
            if names[id(p)] == MATRIX:
                assert (group["lr"], group["lr_factor"], group["weight_decay"]) == (0.02, 1.0, 0.1)
                assert "momentum" in group
            else:
                row = rows[names[id(p)]]
                assert group["lr"] == 3e-3 * group["lr_factor"] == 3e-3 * row.lr
                assert group["eps"] == 1e-8 * row.eps
                assert "betas" in group


def test_the_scale_of_muon_follows_its_options():
    """match_rms_adamw multiplies a step by 0.2 sqrt(n): the factor is 1 / sqrt(r), and the decay keeps lr x wd."""
    for changes in (
        {"matrix_options": {"adjust_lr_fn": "match_rms_adamw"}},
        {"matrix": partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")},
    ):
        group = made(model(), **changes).param_groups[0]
        assert (group["lr"], group["weight_decay"]) == (0.01, 0.2)


def test_defaults_go_to_whichever_takes_them():
    rows = {row.name: row for row in for_optimizer(mlp_plan(), torch.optim.AdamW).rows}
    optimizer = made(
        model(), weight_decay=0.3, momentum=0.8, betas=(0.8, 0.9), rest_options={"betas": (0.7, 0.9)}
    )
    muon, *rest = optimizer.param_groups
    assert (muon["weight_decay"], muon["momentum"]) == (0.3, 0.8)
    assert {group["betas"] for group in rest} == {(0.7, 0.9)}
    assert all(group["weight_decay"] == pytest.approx(0.3 / group["lr_factor"]) for group in rest)
    assert {group["lr_factor"] for group in rest} == {row.lr for n, row in rows.items() if n != MATRIX}
    with pytest.raises(PlanError, match="neither optimizer takes 'momenta'"):
        made(model(), momenta=0.8)


def test_parts_with_modes_are_switched_together():
    """Schedule-free optimizers train in one mode and are evaluated in another."""
    schedulefree = pytest.importorskip("schedulefree")
    net = model()
    optimizer = made(net, rest=schedulefree.AdamWScheduleFree)
    with pytest.raises(Exception, match="not in train mode"):
        train(net, optimizer, steps=1)
    optimizer.train()
    train(net, optimizer)
    here = copy.deepcopy(net.state_dict())
    optimizer.eval()
    moved = [not torch.equal(here[name], value) for name, value in net.state_dict().items()]
    assert moved == [name != MATRIX for name in here]
    optimizer.train()
    assert all(torch.allclose(here[name], value, atol=1e-6) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    "kind",
    [
        "Muon",
        pytest.param("NorMuon", marks=pytest.mark.slow),
        pytest.param("Shampoo", marks=pytest.mark.slow),
        "NovoGrad",
    ],
)
def test_other_optimizers_of_matrices_train_and_resume(kind):
    cls = getattr(pytest.importorskip("pytorch_optimizer"), kind)

    def matrix(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        marked = {"use_muon": True} if kind.endswith("Muon") else {}
        return cls([{**group, **marked} for group in groups])

    net, other = model(), model(seed=1)
    optimizer = made(net, matrix=matrix)
    scheduler = LambdaLR(optimizer, lambda step: 0.5**step)
    losses = train(net, optimizer)
    assert losses[-1] < losses[0]
    scheduler.step()
    saved = copy.deepcopy((net.state_dict(), optimizer.state_dict()))
    expected = train(net, optimizer)
    resumed = made(other, matrix=matrix)
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert resumed.param_groups[0]["lr"] == 0.5 * 0.02 * resumed.param_groups[0]["lr_factor"]
    assert train(other, resumed) == expected


def test_any_pair_of_optimizers():
    for matrix, rest in ((torch.optim.SGD, torch.optim.SGD), (torch.optim.AdamW, torch.optim.Adagrad)):
        trace = train(model(), made(model(), matrix=matrix, rest=rest))
        assert all(map(math.isfinite, trace))
    net = model()
    for p in (p for n, p in net.named_parameters() if n != MATRIX):
        p.requires_grad_(False)
    alone = made(net)
    assert len(alone.param_groups) == 1
    assert train(net, alone, steps=3)[-1] < train(model(), alone, steps=1)[0]


def test_the_plans_own_optimizer_does_not_matter():
    a, b = model(), model()
    for_muon = for_optimizer(mlp_plan(), torch.optim.Muon)
    assert train(a, made(a)) == train(b, split(for_muon, b, lr=0.02, rest_lr=3e-3))


def test_a_scheduler_moves_every_group_by_the_same_factor():
    net = model()
    optimizer = made(net)
    before = [group["lr"] for group in optimizer.param_groups]
    scheduler = LambdaLR(optimizer, lambda step: 0.5**step)
    for expected in (0.5, 0.25):
        train(net, optimizer, steps=1)
        scheduler.step()
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([lr * expected for lr in before])
    still = copy.deepcopy(net.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    train(net, optimizer, steps=1)
    assert all(torch.equal(still[k], v) for k, v in net.state_dict().items())


def test_other_schedulers_take_it():
    net = model()
    optimizer = made(net)
    rates = [group["lr"] for group in optimizer.param_groups]
    OneCycleLR(optimizer, max_lr=rates, total_steps=10, cycle_momentum=False)
    ReduceLROnPlateau(made(net)).step(1.0)


def test_a_closure_is_called_once():
    net, other = model(), model()
    optimizer, calls = made(net), []

    def closure() -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = loss_of(net)
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert calls == [True]
    assert loss.item() == train(other, made(other), steps=1)[0]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    assert optimizer.step() is None


@pytest.mark.parametrize("rest", [torch.optim.AdamW, torch.optim.Adagrad, torch.optim.SGD])
def test_training_resumes_from_a_state_dict(rest):
    """Through bytes, into a new optimizer: the same losses to the last bit."""
    net = model()
    optimizer = made(net, rest=rest)
    train(net, optimizer)
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file)
    expected = train(net, optimizer)
    other = model(seed=1)
    resumed = made(other, rest=rest, lr=9.0)
    other.load_state_dict(saved["net"])
    resumed.load_state_dict(saved["optimizer"])
    assert resumed.param_groups[0]["lr"] == 0.02
    assert train(other, resumed) == expected
    scheduler = LambdaLR(resumed, lambda step: 0.0)
    before = [p.clone() for p in other.parameters()]
    train(other, resumed, steps=1)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
    assert scheduler.get_last_lr() == [0.0] * len(resumed.param_groups)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_trains_on_by_itself(how):
    net = model()
    optimizer = made(net)
    train(net, optimizer)
    net2, optimizer2 = how((net, optimizer))
    optimizer2.param_groups[0]["lr"] *= 1.0
    assert optimizer2.param_groups[0] is not optimizer.param_groups[0]
    assert train(net2, optimizer2) == train(net, optimizer)


def test_a_gradient_scaler_steps_and_skips():
    net, plain = model(), model()
    optimizer, scaler = made(net), torch.amp.GradScaler("cpu", init_scale=2.0**10)
    expected = train(plain, made(plain), steps=2)
    for i in range(3):
        optimizer.zero_grad()
        loss = loss_of(net)
        scaler.scale(loss).backward()
        if i == 2:
            next(net.parameters()).grad[0, 0] = math.inf  # type: ignore[index]
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        if i < 2:
            assert loss.item() == pytest.approx(expected[i], rel=1e-5)
    for a, b in zip(net.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert scaler.get_scale() == 2.0**9


def test_a_compiled_model_trains_alike():
    net, other = model(), model()
    compiled = torch.compile(other, backend="eager")
    assert train(net, made(net)) == train(compiled, made(compiled))


def test_hooks_and_repr():
    net = model()
    optimizer, seen = made(net), []
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    train(net, optimizer, steps=2)
    assert seen == [1, 1]
    assert "lr_factor" in repr(optimizer)


def test_a_later_group_is_refused():
    with pytest.raises(PlanError, match=r"split between Muon and AdamW: a group that is added later"):
        made(model()).add_param_group({"params": [nn.Parameter(torch.zeros(2))]})


def test_what_cannot_be_split_is_told():
    net = model()
    vectors = replace(
        mlp_plan(), rows=tuple(replace(r, role="input") if r.name == MATRIX else r for r in mlp_plan().rows)
    )
    with pytest.raises(PlanError, match="none of the 8 trainable tensors is a matrix inside the network"):
        split(vectors, net, lr=0.02, rest_lr=3e-3)
    rows, refused = mlp_plan().rows[1:], (Refusal("0.weight", (128, 6), "no idea"),)
    with pytest.raises(RoleError, match="no idea"):
        split(mlp_plan(rows=rows, refused=refused), net, lr=0.02, rest_lr=3e-3)
    with pytest.raises(PlanError, match="rest=Muon takes matrices only"):
        made(net, rest=torch.optim.Muon)
    with pytest.raises(PlanError, match=r"'2\.weight' has shape"):
        made(
            nn.Sequential(
                nn.Linear(6, 128), nn.Tanh(), nn.Linear(128, 64), nn.LayerNorm(128), nn.Linear(128, 3)
            )
        )
    with pytest.raises(PlanError, match="lr=-1 is not a learning rate"):
        made(net, lr=-1)
    with pytest.raises(PlanError, match=r"cannot be built from parameters alone.*moment"):
        made(net, matrix_options={"moment": 0.9})
    with pytest.raises(PlanError, match="a learning rate among the options has no effect"):
        made(net, rest_options={"lr": 0.1})
    with pytest.raises(PlanError, match="LBFGS has no rule"):
        made(net, rest=torch.optim.LBFGS)
    with pytest.raises(PlanError, match=r"the optimizer AdamW is made already.*Pass the class AdamW"):
        made(net, rest=torch.optim.AdamW(net.parameters()))


def test_an_old_torch_without_muon_is_told(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(PlanError, match=r"has no torch\.optim\.Muon, which came with 2\.9"):
        made(model())


@pytest.mark.parametrize("rate", [-1, 0.0, math.nan, True, "fast", torch.tensor(-1.0)])
def test_a_wrong_rate_of_the_rest_is_named(rate):
    with pytest.raises(PlanError, match=r"^rest_lr=.* is not a learning rate"):
        made(model(), rest_lr=rate)


def test_groups_rearranged_by_hand_are_refused():
    """What is in no part's own groups would silently not be trained."""

    def appended(optimizer: SplitOptimizer) -> None:
        first = optimizer.param_groups[-1]
        optimizer.param_groups.append({**first, "params": [first["params"].pop()]})

    def replaced(optimizer: SplitOptimizer) -> None:
        optimizer.param_groups = [{**group} for group in optimizer.param_groups]

    def popped(optimizer: SplitOptimizer) -> None:
        optimizer.param_groups[-1]["params"] = optimizer.param_groups[-1]["params"][:-1]

    def swapped(optimizer: SplitOptimizer) -> None:
        optimizer.param_groups.reverse()

    for rearrange in (appended, replaced, popped, swapped):
        net = model()
        optimizer = made(net)
        rearrange(optimizer)
        with pytest.raises(PlanError, match=r"rearranged by hand: .*no_decay=\[names\]"):
            train(net, optimizer, steps=1)
        with pytest.raises(PlanError, match="rearranged by hand"):
            optimizer.state_dict()


@pytest.mark.parametrize("how", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_and_loaded_states_are_not_taken_for_rearranged(how):
    net = model()
    optimizer = made(net)
    optimizer.param_groups[0]["lr"] *= 0.5
    train(net, optimizer, steps=1)
    twin = how(optimizer)
    twin.load_state_dict(optimizer.state_dict())
    twin.step()
    assert twin.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]


def test_named_tensors_have_no_weight_decay_and_are_trained():
    net = model()
    vectors = [name for name, p in net.named_parameters() if p.ndim < 2]
    optimizer = made(net, no_decay=vectors, weight_decay=0.1)
    without = {id(p) for g in optimizer.param_groups if g["weight_decay"] == 0.0 for p in g["params"]}
    assert without == {id(net.get_parameter(name)) for name in vectors}
    plain = {
        id(p): (g["lr"], g["weight_decay"])
        for g in made(net, weight_decay=0.1).param_groups
        for p in g["params"]
    }
    for group in optimizer.param_groups:
        for p in group["params"]:
            assert (group["lr"], group["weight_decay"] or plain[id(p)][1]) == plain[id(p)]
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    sim.guard(optimizer, mlp_plan(), net)
    train(net, optimizer, steps=2)
    assert all(not torch.equal(before[name], p) for name, p in net.named_parameters())
    resumed = made(net, no_decay=vectors, weight_decay=0.1)
    resumed.load_state_dict(optimizer.state_dict())
    with pytest.raises(PlanError, match="no_decay names 'none', which the model does not have"):
        made(net, no_decay=["none"])
    with pytest.raises(PlanError, match=r"is one string. Pass a list of names: no_decay=\['2.bias'\]"):
        made(net, no_decay="2.bias")
