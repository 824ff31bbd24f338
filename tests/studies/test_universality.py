"""Nets beside kernel gradient descent: the two descents against each other where they must agree, and the study."""

import functools
import json
import math

import pytest
import torch
from torch import nn

from similitude.core.errors import BadVerdictError, GridError
from similitude.core.verdict import Outcome
from similitude.landscape.ntk import ntk_gram
from similitude.studies.universality import start_variances, universality
from similitude.studies.universality_nets import (
    ARCHITECTURES,
    CLASSES,
    WEIGHT_VARIANCE,
    digits_task,
    make_mlp,
)
from similitude.studies.universality_records import QUANTITIES
from similitude.studies.universality_runs import Task, batches_of, deviation, expected, net_descent
from tests.studies.universality_cases import relu_limit, study

TASK = digits_task(train=8, test=4)


def linear_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)).double()


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_a_model_that_is_linear_in_its_parameters_is_its_kernel(batch_size):
    task = Task(TASK.inputs.double(), TASK.targets.double())
    model, rates = linear_model(), {"1.weight": 0.5, "1.bias": 2.0}
    gram = ntk_gram(model, task.inputs, of="trace", rates=rates).matrix
    batches = batches_of(task, batch_size=batch_size, steps=30, seed=3)
    lr = 0.5 / float(torch.linalg.eigvalsh(gram)[-1])
    net = torch.stack(list(net_descent(model, task, rates=rates, lr=lr, batches=batches)))
    theory = expected(gram, net[0], task, lr=lr, batches=batches)
    assert len(net) == len(theory) == 31
    assert float((theory[-1] - theory[0]).abs().max()) > 0.1
    apart = deviation(net, theory, task)
    assert max(apart.test, apart.train) < 1e-12
    assert deviation(net, theory[:1].expand(31, -1, -1), task).train > 0.1


def test_deviations_are_the_largest_of_all_times_over_the_targets():
    task = Task(torch.zeros(3, 1), torch.tensor([[2.0]]))
    theory = torch.zeros(2, 3, 1)
    net = torch.tensor([[[1.0], [3.0], [1.0]], [[-3.0], [0.0], [0.0]]])
    apart = deviation(net, theory, task)
    assert (apart.test, apart.train) == pytest.approx((math.sqrt(5) / 2, 1.5))
    assert math.isnan(deviation(net * math.nan, theory, task).test)


def test_examples_come_in_the_same_order_at_every_width_and_all_of_them():
    batches = batches_of(TASK, batch_size=3, steps=8, seed=1)
    assert (
        batches
        == batches_of(TASK, batch_size=3, steps=8, seed=1)
        != batches_of(TASK, batch_size=3, steps=8, seed=2)
    )
    assert [len(set(batch)) for batch in batches] == [3] * 8
    one_by_one = batches_of(TASK, batch_size=1, steps=16, seed=1)
    assert sorted(i for (i,) in one_by_one) == sorted(list(range(8)) * 2)
    assert batches_of(TASK, batch_size=None, steps=2, seed=0) == [list(range(8))] * 2


def test_rates_are_the_variances_of_initial_values():
    found = start_variances(make_mlp, 64)
    fan_in = {name: p.shape[1] for name, p in make_mlp(64).named_parameters()}
    assert found.keys() == fan_in.keys()
    for name, variance in found.items():
        assert variance == pytest.approx(WEIGHT_VARIANCE / fan_in[name], rel=0.03)
    assert start_variances(lambda width: nn.LayerNorm(width), 8) == {"weight": 0.0, "bias": 0.0}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_reference_networks_are_drawn_alike_at_every_width(name):
    found = start_variances(ARCHITECTURES[name], 32, draws=16)
    model = ARCHITECTURES[name](32)
    for key, p in model.named_parameters():
        fan_in = 1 if isinstance(model.get_submodule(key.rpartition(".")[0]), nn.Embedding) else p[0].numel()
        assert found[key] * fan_in == pytest.approx(WEIGHT_VARIANCE, rel=0.2)
    assert model(TASK.inputs).shape == (12, CLASSES)


@functools.cache
def small():
    return universality(
        {"MLP": make_mlp},
        TASK,
        widths=(64, 256),
        steps=20,
        seeds=(0, 1, 2),
        limits={"MLP": relu_limit(TASK.inputs)},
    )


def test_nets_near_their_kernel_and_freeze_but_not_under_mup():
    found = small().architectures["MLP"]
    slopes = {name: found.exponents[name].value for name in QUANTITIES}
    for name in ("deviations", "train_deviations", "kernel_errors"):
        assert -0.9 < slopes[name] < -0.2
    assert slopes["kernel_changes"] < -0.5
    assert slopes["contrast_changes"] > -0.2
    assert 0 < found.lr < 10
    json.dumps(small().to_dict())


def test_a_wrong_limit_is_seen():
    limits = {"MLP": 1.5 * relu_limit(TASK.inputs)}
    found = universality(
        {"MLP": make_mlp}, TASK, widths=(64, 512), steps=20, seeds=(0, 1), limits=limits, contrast=None
    )
    assert found.architectures["MLP"].exponents["kernel_errors"].value > -0.2
    assert "contrast_changes" not in found.architectures["MLP"].exponents


@pytest.mark.parametrize(
    ("power", "outcome"),
    [(-0.5, Outcome.CONSISTENT), (-0.1, Outcome.INCONSISTENT), (-1.0, Outcome.INCONSISTENT)],
)
def test_the_power_of_the_width_is_the_verdict(power, outcome):
    found = study(power)
    assert found.verdict.outcome is outcome
    assert found.architectures["MLP"].exponents["deviations"].value == pytest.approx(power)
    if outcome is Outcome.INCONSISTENT:
        with pytest.raises(BadVerdictError, match="width to the"):
            found.raise_if_bad()


def test_noise_and_divergence_are_said():
    noisy = study(lambda width: {64: 0.4, 256: 0.05, 1024: 0.2}[width])
    assert noisy.verdict.outcome is Outcome.TOO_NOISY
    lost = study(lambda width: math.nan if width == 64 else width**-0.5)
    assert lost.verdict.outcome is Outcome.DIVERGED
    assert "3 of 9 nets diverged" in lost.verdict.summary


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (64,)}, "two different ones"),
        ({"widths": (64, 64)}, "two different ones"),
        ({"step_size": 2.0}, "diverges from 2"),
        ({"seeds": ()}, "at least one seed"),
        ({"steps": 0}, "optimizer steps"),
    ],
)
def test_what_is_no_study_is_refused(options, message):
    with pytest.raises(GridError, match=message):
        universality({"MLP": make_mlp}, TASK, limits={"MLP": torch.eye(12)}, **options)
