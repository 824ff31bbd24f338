"""Models under a plan in everything that moves models about: each time the losses are those of the plain one."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hand_plans import mlp, mlp_plan
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from similitude.core.errors import PlanError
from similitude.scaling.records import Hook, Plan

PLAN = mlp_plan(hooks=(Hook("4", 0.25, "the tied head cannot carry it"),))


def batches(steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    g = torch.Generator().manual_seed(1)
    for _ in range(steps):
        yield torch.randn(16, 6, generator=g), torch.randn(16, 3, generator=g)


def fresh(plan: Plan = PLAN) -> nn.Module:
    """The same draw of the target every time, with the plan applied."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return plan.apply_(mlp(128))


def adamw(model: nn.Module, plan: Plan = PLAN) -> torch.optim.AdamW:
    return torch.optim.AdamW(plan.groups(model, lr=0.01, weight_decay=0.1))


def losses(
    model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 4, *, skip: int = 0
) -> list[float]:
    found = []
    for x, y in list(batches(skip + steps))[skip:]:
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.fixture(scope="module")
def expected() -> list[float]:
    """Losses of the plain model; its hook and its rescaling both matter to them."""
    model = fresh()
    found = losses(model, adamw(model), steps=8)
    for plan in (mlp_plan(), mlp_plan(32, 128, rows=tuple(replace(r, rescale=1.0) for r in PLAN.rows))):
        other = fresh(plan)
        assert found != losses(other, adamw(other), steps=8)
    return found


def through_torch_save(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "move",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), through_torch_save],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_copies_keep_scale_and_hooks(move, expected):
    model = move(fresh())
    assert losses(model, adamw(model)) == expected[:4]


@pytest.mark.parametrize("assign", [False, True])
def test_a_state_dict_goes_into_a_model_under_the_same_plan(assign, expected):
    """The weights are folded already; only the hook must be there, which a state dict does not hold."""
    trained = fresh()
    assert losses(trained, adamw(trained)) == expected[:4]
    with torch.device("meta" if assign else "cpu"):
        other = mlp(128)
    PLAN.hook_(other)
    other.load_state_dict(copy.deepcopy(trained.state_dict()), assign=assign)
    PLAN.hook_(other)
    x = next(batches(1))[0]
    assert torch.equal(other(x), trained(x))
    assert losses(other, adamw(other)) == losses(trained, adamw(trained))


def test_without_hooks_a_plain_model_is_all_that_a_checkpoint_needs():
    plan, plain = mlp_plan(), mlp(128)
    model = fresh(plan)
    plain.load_state_dict(model.state_dict())
    assert losses(plain, adamw(plain, plan)) == losses(model, adamw(model, plan))


def test_a_meta_model_is_applied_once_it_has_values(expected):
    with torch.device("meta"):
        model = mlp(128)
    with pytest.raises(
        PlanError, match=r"has no values to rescale. Materialize and initialize the model first"
    ):
        PLAN.apply_(model)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    with pytest.raises(PlanError, match=r"'0.weight' has rms 0, but a fresh one has"):
        PLAN.apply_(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for module in model.children():
            if not isinstance(module, nn.Tanh):
                module.reset_parameters()
    PLAN.apply_(model)
    assert losses(model, adamw(model)) == expected[:4]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_models_train_alike(backend, expected):
    model = fresh()
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    assert losses(compiled, adamw(compiled)) == pytest.approx(expected[:4], rel=1e-5)
    torch._dynamo.reset()


def test_export_holds_the_hook():
    model = fresh().eval()
    x = next(batches(1))[0]
    exported = torch.export.export(model, (x,)).module()
    assert torch.equal(exported(x), model(x))


def test_averaged_models_follow():
    model = fresh()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.0))  # decay 0: the latest weights
    losses(model, adamw(model))
    average.update_parameters(model)
    x = next(batches(1))[0]
    assert torch.equal(average(x), model(x))


def test_mixed_precision_and_gradient_scaling(expected):
    model = fresh()
    optimizer, scaler = adamw(model), torch.amp.GradScaler("cpu", init_scale=2.0**10)
    found = []
    for x, y in batches(8):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (model(x).float() - y).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        found.append(loss.item())
    assert found == pytest.approx(expected, rel=0.05)
    assert [g["lr"] for g in optimizer.param_groups] == [
        0.01 * g["lr_factor"] for g in optimizer.param_groups
    ]


def test_training_resumes_from_state_dicts(expected):
    model = fresh()
    optimizer = adamw(model)
    assert losses(model, optimizer) == expected[:4]
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    other = PLAN.apply_(mlp(128))
    resumed = torch.optim.AdamW(PLAN.groups(other, lr=123.0))  # the state's own rates win
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    assert losses(other, resumed, skip=4) == expected[4:]
    assert [g["lr_factor"] for g in resumed.param_groups] == [g["lr_factor"] for g in optimizer.param_groups]


def test_parametrized_tensors_go_by_their_own_names():
    """Weight norm: what is scaled and trained are the tensors that the weight is computed from."""

    def make() -> nn.Module:
        model = mlp(128)
        nn.utils.parametrizations.weight_norm(model[2])
        return model

    gain, direction = (f"2.parametrizations.weight.original{i}" for i in (0, 1))
    plan = mlp_plan()
    rows = tuple(row for row in plan.rows if row.name != "2.weight")
    base = plan.rows[2]
    shapes = {gain: (128, 1), direction: (128, 128)}
    rows += tuple(
        type(base)(name, "vector", shape, shape, 1, 4, 1, 1.5, 0.5, 1, 1, "")
        for name, shape in shapes.items()
    )
    plan = mlp_plan(rows=rows)
    model = make()
    before = model[2].weight.detach().clone()
    plan.apply_(model)
    assert torch.allclose(model[2].weight, 1.5 * before)  # the gain counts, the direction's size does not
    groups = plan.groups(model, lr=0.1)
    assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in model.parameters()}


def test_wrapped_in_data_parallel_and_checkpointing(expected):
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    model = fresh()
    model[2] = checkpoint_wrapper(model[2])
    assert losses(model, adamw(nn.DataParallel(model))) == pytest.approx(expected[:4], rel=1e-6)


@pytest.fixture
def one_process(tmp_path) -> Iterator[None]:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("when", ["before", "after"])
def test_fully_sharded_models(when, expected, one_process):
    """FSDP2 makes every parameter a DTensor, which loses attributes but keeps its name."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (1,))
    if when == "after":
        model = fresh()
        fully_shard(model, mesh=mesh)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = mlp(128)
        fully_shard(model, mesh=mesh)
        PLAN.apply_(model)
    assert {type(p).__name__ for p in model.parameters()} == {"DTensor"}
    assert losses(model, adamw(model)) == pytest.approx(expected[:4], rel=1e-5)


def test_distributed_data_parallel(expected, one_process):
    model = fresh()
    wrapped = nn.parallel.DistributedDataParallel(model)
    PLAN.apply_(wrapped)
    assert losses(wrapped, adamw(wrapped)) == pytest.approx(expected[:4], rel=1e-6)
