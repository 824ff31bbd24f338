"""A stacked run equals the plain loop's run with a torch optimizer, replica by replica."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

from similitude.core.errors import GridError, PlanError
from similitude.data import load
from similitude.data.batches import TextBatches
from similitude.models import GPT, ConvNet, ViT
from similitude.scaling.plan import plan
from similitude.training.build import build_model, build_optimizer
from similitude.training.ensemble import Replica, stack_size, train_ensemble
from similitude.training.loop import train
from similitude.training.losses import cross_entropy
from similitude.training.schedule import WarmupCosine
from tests.cases import OPTIMIZERS, TeacherBatches, toy_mlp

STEPS = 50


def alone(make, replica, *, batches, optimizer, made=None, steps=STEPS, **options):
    """The oracle: one model, one torch optimizer, the plain loop."""
    model = build_model(make, replica.seed, made)
    if made is not None:
        groups = made.groups(model, lr=replica.lr, **replica.options)
    else:
        groups = [{"params": list(model.parameters()), "lr": replica.lr, **replica.options}]
    return train(
        model,
        build_optimizer(optimizer, groups),
        batches=batches,
        loss=cross_entropy,
        steps=steps,
        seed=replica.seed,
        **options,
    )


def largest_difference(stacked, single):
    return max(
        max(np.abs(a.losses - b.losses).max(), abs(a.final - b.final))
        for a, b in zip(stacked, single, strict=True)
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_the_plain_loop(name, dtype, tolerance):
    optimizer, best = OPTIMIZERS[name]
    batches = TeacherBatches(dtype=dtype)
    make = functools.partial(toy_mlp, dtype=dtype)
    replicas = [Replica(seed, lr) for lr in (best / 4, best / 2, best) for seed in (0, 1, 2)]
    stacked = train_ensemble(
        make, replicas, batches=batches, loss=cross_entropy, steps=STEPS, optimizer=optimizer
    )
    single = [alone(make, r, batches=batches, optimizer=optimizer) for r in replicas]
    assert largest_difference(stacked, single) < tolerance
    assert all(r.losses[-1] < r.losses[0] for r in stacked)  # they did train


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.filterwarnings("ignore:Adam adds weight_decay")
@pytest.mark.parametrize("rule", ["mup", "ntp"])
def test_equals_the_plain_loop_under_a_plan_and_a_schedule(name, rule):
    optimizer, best = OPTIMIZERS[name]
    made = plan(
        toy_mlp,
        base=8,
        target=24,
        optimizer=optimizer,
        rule=rule,
        sample=torch.zeros(2, 16, dtype=torch.float64),
    )
    batches = TeacherBatches()
    replicas = [Replica(seed, lr) for lr in (best / 2, best) for seed in (0, 1)]
    options = {"schedule": WarmupCosine(STEPS, warmup=5)}
    make = functools.partial(toy_mlp, 24)
    stacked = train_ensemble(
        make,
        replicas,
        batches=batches,
        loss=cross_entropy,
        steps=STEPS,
        optimizer=optimizer,
        plan=made,
        **options,
    )
    single = [alone(make, r, batches=batches, optimizer=optimizer, made=made, **options) for r in replicas]
    assert largest_difference(stacked, single) < 1e-10


def test_a_transformer_equals_the_plain_loop():
    def make():
        return GPT(40, 12, width=32, depth=2, head_dim=16, zero_head=True).double()

    batches = TextBatches(load("text"), batch_size=4, context=12, vocabulary=40, evaluate=8)
    replicas = [Replica(seed, lr) for lr in (1e-3, 4e-3) for seed in (0, 1)]
    stacked = train_ensemble(make, replicas, batches=batches, loss=cross_entropy, steps=STEPS)
    single = [alone(make, r, batches=batches, optimizer=torch.optim.Adam) for r in replicas]
    assert largest_difference(stacked, single) < 1e-10


def test_replicas_may_differ_in_every_scalar_hyperparameter():
    batches = TeacherBatches()
    for optimizer, options in (
        (
            torch.optim.SGD,
            [{}, {"momentum": 0.9}, {"momentum": 0.5, "nesterov": True}, {"weight_decay": 0.1}],
        ),
        (torch.optim.AdamW, [{}, {"betas": (0.5, 0.9)}, {"eps": 1e-2}, {"weight_decay": 0.5}]),
    ):
        replicas = [Replica(0, 0.01, o) for o in options]
        stacked = train_ensemble(
            toy_mlp, replicas, batches=batches, loss=cross_entropy, steps=20, optimizer=optimizer
        )
        single = [alone(toy_mlp, r, batches=batches, optimizer=optimizer, steps=20) for r in replicas]
        assert largest_difference(stacked, single) < 1e-10
        assert len({r.final for r in stacked}) == len(options)


def test_batch_norm_keeps_its_running_statistics_per_replica():
    def make():
        norm = nn.BatchNorm1d(24, affine=False)
        return nn.Sequential(nn.Linear(16, 24, bias=False), norm, nn.ReLU(), nn.Linear(24, 4)).double()

    batches = TeacherBatches()
    replicas = [Replica(0, 0.01), Replica(1, 0.03)]
    stacked = train_ensemble(make, replicas, batches=batches, loss=cross_entropy, steps=20)
    single = [alone(make, r, batches=batches, optimizer=torch.optim.Adam, steps=20) for r in replicas]
    assert largest_difference(stacked, single) < 1e-10


def test_a_diverging_replica_disturbs_no_other():
    batches = TeacherBatches()
    good = [Replica(0, 0.1), Replica(1, 0.1)]
    options = {"batches": batches, "loss": cross_entropy, "steps": 30, "optimizer": torch.optim.SGD}
    mixed = train_ensemble(toy_mlp, [good[0], Replica(0, 1e200), good[1]], stack=3, **options)
    without = train_ensemble(toy_mlp, good, stack=2, **options)
    assert mixed[1].diverged
    assert mixed[1].final == float("inf")
    assert np.isnan(mixed[1].losses[-1])
    for a, b in zip((mixed[0], mixed[2]), without, strict=True):
        assert not a.diverged
        np.testing.assert_array_equal(a.losses, b.losses)


def test_results_do_not_depend_on_how_many_runs_are_stacked():
    batches = TeacherBatches(dtype=torch.float32)
    make = functools.partial(toy_mlp, dtype=torch.float32)
    replicas = [Replica(seed, lr) for lr in (0.003, 0.01, 0.03) for seed in (0, 1)]
    options = {"batches": batches, "loss": cross_entropy, "steps": 20}
    whole = train_ensemble(make, replicas, stack=6, **options)
    for size in (1, 2, 4):
        parts = train_ensemble(make, replicas, stack=size, **options)
        for a, b in zip(whole, parts, strict=True):
            np.testing.assert_array_equal(a.losses, b.losses)
            assert a.final == b.final


def test_a_run_does_not_depend_on_its_place_in_the_stack():
    """Twelve runs are more than a processor's lanes: the last ones are computed by other instructions."""
    replicas = [Replica(seed, lr) for lr in (0.003, 0.01, 0.03, 0.1) for seed in (0, 1, 2)]
    options = {"batches": TeacherBatches(), "loss": cross_entropy, "steps": 60}
    whole = train_ensemble(toy_mlp, replicas, **options)
    for first in range(1, len(replicas)):
        for a, b in zip(whole[first:], train_ensemble(toy_mlp, replicas[first:], **options), strict=True):
            np.testing.assert_array_equal(a.losses, b.losses)


def test_other_optimizers_run_in_the_plain_loop():
    batches = TeacherBatches()
    replicas = [Replica(0, 0.01), Replica(1, 0.01)]
    options = {"batches": batches, "loss": cross_entropy, "steps": 10, "optimizer": torch.optim.RMSprop}
    results = train_ensemble(toy_mlp, replicas, **options)
    single = [alone(toy_mlp, r, batches=batches, optimizer=torch.optim.RMSprop, steps=10) for r in replicas]
    assert largest_difference(results, single) == 0


def test_global_generators_and_threads_are_left_alone():
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    def make():
        return nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 4)).double()

    train_ensemble(
        make, [Replica(0, 0.01), Replica(1, 0.01)], batches=TeacherBatches(), loss=cross_entropy, steps=3
    )
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_frozen_parameters_stay():
    def make():
        model = toy_mlp()
        model[0].weight.requires_grad_(False)
        return model

    batches = TeacherBatches()
    replica = Replica(0, 0.1)
    stacked = train_ensemble(
        make, [replica], batches=batches, loss=cross_entropy, steps=10, optimizer=torch.optim.SGD
    )
    single = alone(make, replica, batches=batches, optimizer=torch.optim.SGD, steps=10)
    assert largest_difference(stacked, [single]) < 1e-12


def test_wrong_use_says_what_to_do():
    options = {"batches": TeacherBatches(), "loss": cross_entropy}
    with pytest.raises(GridError, match="at least 1 optimizer step"):
        train_ensemble(toy_mlp, [Replica(0, 0.1)], steps=0, **options)
    with pytest.raises(GridError, match="no runs"):
        train_ensemble(toy_mlp, [], steps=1, **options)
    with pytest.raises(PlanError, match=r"Adam has no option momentum"):
        train_ensemble(toy_mlp, [Replica(0, 0.1, {"momentum": 0.9})], steps=1, **options)


def test_stacks_are_of_nearly_equal_size_and_never_too_small():
    small, large = nn.Linear(8, 8), nn.Linear(1500, 1500)
    assert stack_size(small, 33) == 33
    assert stack_size(large, 33) == 4
    assert stack_size(large, 2) == 2


class Images:
    """Noise of some size, with labels by chance."""

    def __init__(self, rows):
        self.rows = rows

    def batch(self, seed, step):
        draws = torch.Generator().manual_seed(1000 * seed + step)
        images = torch.randn(16, 1, self.rows, self.rows, generator=draws)
        return images, torch.randint(4, (16,), generator=draws)

    def evaluation(self):
        return self.batch(77, 0)

    def describe(self):
        return {"rows": self.rows}


def test_convolutions_of_large_images_train_alone_and_those_of_tiny_ones_in_a_stack():
    make = functools.partial(ConvNet, 1, 4, width=32, norm="batch")
    replicas = [Replica(0, 0.01), Replica(1, 0.02)]

    def differs(make, rows):
        options = {"batches": Images(rows), "optimizer": torch.optim.Adam, "steps": 3}
        found = train_ensemble(make, replicas, loss=cross_entropy, on_step=calls, **options)
        return largest_difference(found, [alone(make, r, **options) for r in replicas])

    runs = []
    calls = lambda step, count: runs.append(count)  # noqa: E731
    assert differs(make, 32) == 0  # bit for bit, batch norm's buffers too
    assert set(runs) == {1}
    runs.clear()
    assert differs(make, 8) < 1e-4
    assert set(runs) == {2}
    runs.clear()
    # Patches do not overlap: their convolution is a matrix.
    assert differs(functools.partial(ViT, 32, 1, 4, patch=4, width=16, depth=1), 32) < 1e-4
    assert set(runs) == {2}


class Branching(nn.Module):
    """Its path depends on the data, which cannot be batched."""

    def __init__(self):
        super().__init__()
        self.inner = toy_mlp()

    def forward(self, x):
        return self.inner(x) if x.sum().item() > 0 else self.inner(2 * x)


def test_a_model_that_cannot_be_stacked_trains_one_run_after_another():
    batches = TeacherBatches()
    replicas = [Replica(0, 0.01), Replica(1, 0.01)]
    results = train_ensemble(Branching, replicas, batches=batches, loss=cross_entropy, steps=10)
    single = [alone(Branching, r, batches=batches, optimizer=torch.optim.Adam, steps=10) for r in replicas]
    assert largest_difference(results, single) == 0
