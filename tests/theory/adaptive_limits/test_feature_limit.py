"""The maximal update limit of shallow networks: a simulation by random units, the law of width, what is refused."""

import numpy as np
import pytest
import torch
from limit_nets import TARGETS, adam, family, feature_net, inputs, last, signed
from torch import nn

import similitude as sim
from similitude.core.errors import TheoryError
from similitude.core.verdict import Outcome
from similitude.theory.adaptive_limits.entrywise import Adaptive, Momentum
from similitude.theory.adaptive_limits.networks import table, train_networks
from similitude.theory.adaptive_limits.perceptron import read_perceptron

X = inputs()
RULES = [
    (last, Momentum(), 0.07),
    (signed(0.05), Adaptive((0, 0), 0.05, inside=True), 0.43),
    (adam(), Adaptive((0.9, 0.95), 0.05, inside=True), 0.34),
]


@pytest.mark.parametrize(("update", "rule", "change"), RULES)
def test_particles_move_as_very_many_random_units(update, rule, change):
    run = sim.theory.feature_limit(family(1), optimizer=rule).trajectory(X, TARGETS, steps=15, lr=0.05)
    f, moved = feature_net(X, 60_000, update, TARGETS, lr=0.05, steps=15, seed=0)
    assert np.abs(run.outputs.numpy() - f).max() < 5 / 60_000**0.5
    assert run.kernel_change == pytest.approx(moved, rel=0.04)
    assert run.kernel_change == pytest.approx(change, abs=0.01)  # claim 4 of the sheet
    assert run.error < 1e-3


def test_outputs_start_at_zero_and_draws_agree():
    runs = [
        sim.theory.feature_limit(family(1, nonlinearity=nn.ReLU), seed=s).trajectory(
            X, TARGETS, steps=5, lr=0.05
        )
        for s in (0, 1)
    ]
    assert runs[0].outputs[0].abs().max() < 1e-14
    off = float((runs[0].outputs - runs[1].outputs).abs().max())
    assert off < 6 * max(run.error for run in runs)


def test_networks_come_to_it_as_one_over_root_n_and_learn_features_alike():
    limit = sim.theory.feature_limit(family(1), optimizer=RULES[2][1])
    found = limit.compare(X, TARGETS, widths=(256, 1024, 4096), steps=10, lr=0.05)
    assert found.verdict.outcome is Outcome.CONSISTENT
    assert found.slope.value == pytest.approx(-0.5, abs=0.15)
    assert found.kernel_slope.value == pytest.approx(0, abs=0.06)
    assert found.limit_kernel_change == pytest.approx(
        float(found.networks[-1].kernel_change.mean()), rel=0.05
    )


def test_networks_of_many_seeds_are_each_as_alone():
    """The batched program against torch's optimizer on one module, drawn as the groups say."""
    for name, hidden in (("ntp", 2), ("mup", 1), ("mup", 3)):
        net = read_perceptron(family(hidden))
        rule = Adaptive((0.9, 0.95), eps=0.05)
        task = torch.from_numpy(X), torch.from_numpy(TARGETS)
        runs = train_networks(net, rule, table(net, name), task, width=32, seeds=3, steps=6, lr=0.1)
        off = {}
        for eps_scales in (True, False):
            model = family(hidden)(32).double()
            groups = sim.theory.limit_groups(
                family(hidden), model, lr=0.1, optimizer=rule, parametrization=name
            )
            draw = _generator(1, 32)
            for group in groups:
                for w in group["params"]:
                    w.data.normal_(generator=draw).mul_(group["std"])
            if not eps_scales:
                groups = [{**group, "eps": rule.eps} for group in groups]
            optimizer = torch.optim.Adam(groups, betas=rule.betas)
            outputs = []
            for _ in range(7):
                f = model(task[0])[:, 0]
                outputs.append(f.detach())
                optimizer.zero_grad()
                (0.5 * (f - task[1]).square().sum()).backward()
                optimizer.step()
            off[eps_scales] = float((torch.stack(outputs) - runs.outputs[1]).abs().max())
        assert off[True] < 1e-12
        assert off[False] > 1e-3  # an eps that stays is another optimizer


def _generator(seed, units):
    from similitude.core.seeding import torch_generator

    return torch_generator(seed, "networks beside the limit", units)


def test_groups_of_sgd_have_its_own_rates():
    model = family(2)(64)
    groups = sim.theory.limit_groups(family(2), model, lr=0.5, optimizer=Momentum())
    assert [g["lr"] for g in groups] == [0.5, 0.5 / 64**0.0 / 64, 0.5 / 64]
    assert all("eps" not in g for g in groups)


def test_groups_read_the_optimizer_as_the_limits_do():
    model = family(1)(16)
    named, read = (
        sim.theory.limit_groups(family(1), model, lr=0.5, optimizer=rule)
        for rule in ("adam", sim.theory.entrywise("adam"))
    )
    assert [(g["lr"], g["eps"], g["std"]) for g in named] == [(g["lr"], g["eps"], g["std"]) for g in read]


def test_targets_that_outputs_start_at_give_no_share():
    limit = sim.theory.feature_limit(family(1), optimizer="sgd", particles=64)
    found = limit.compare(X, np.zeros(len(X)), widths=(8, 32), steps=2, lr=0.1, seeds=2)
    assert "%" not in found.verdict.summary


def test_what_has_no_groups_is_told():
    inside = Adaptive(inside=True)
    with pytest.raises(TheoryError, match="under the root"):
        sim.theory.limit_groups(family(1), family(1)(8), lr=0.1, optimizer=inside)
    with pytest.raises(TheoryError, match="other parameters"):
        sim.theory.limit_groups(family(1), family(2)(8), lr=0.1, optimizer=Momentum())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("optimizer", ["sgd", "sign", "adam", "rmsprop"])
def test_zero_inputs_move_nothing_and_huge_ones_are_told(optimizer):
    limit = sim.theory.feature_limit(family(1, nonlinearity=nn.ReLU), optimizer=optimizer, particles=64)
    still = limit.trajectory(np.zeros((2, 4)), [1.0, -1.0], steps=3, lr=0.1)
    assert (still.outputs == 0).all()
    assert still.kernel_change == 0
    if optimizer == "sgd":
        with pytest.raises(TheoryError, match="diverges"):
            limit.trajectory(1e5 * X, 1e5 * TARGETS, steps=3, lr=1.0)


def test_deep_networks_are_refused_with_the_way_out():
    with pytest.raises(TheoryError, match=r"2 hidden layers .*nonlinear_kernel"):
        sim.theory.feature_limit(family(2))
    with pytest.raises(TheoryError, match="particles=8"):
        sim.theory.feature_limit(family(1), particles=8)
    with pytest.raises(TheoryError, match="diverges in step"):
        sim.theory.feature_limit(family(1, nonlinearity=nn.ReLU), optimizer="sgd").trajectory(
            X, TARGETS, steps=200, lr=50.0
        )
