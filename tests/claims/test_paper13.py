"""Claims of paper 13: their tools against brute force, and the statements on a small scale."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
import torch

from similitude.claims import depths, linear_nets, paper13, valley
from similitude.claims.depths import BRANCHES_ALONE, DepthTask, ShuffledDigits, memorised_digits
from similitude.claims.registry import Measured
from similitude.core.verdict import Outcome
from similitude.theory.linear_resnet import linear_resnet_limit
from similitude.training.result import RunResult


def test_shuffled_digits_are_the_same_every_time_and_random_by_label():
    one, two = ShuffledDigits(), ShuffledDigits()
    assert all(torch.equal(a, b) for a, b in zip(one.batch(3, 5), two.batch(3, 5), strict=True))
    images, labels = one.evaluation()
    assert images.shape == (1024, 8, 8)
    assert float(images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(images.std()) == pytest.approx(1, abs=1e-2)
    assert torch.bincount(labels, minlength=10).min() > 60
    means = torch.stack([images[labels == k].mean(0) for k in range(10)])
    assert float((means - images.mean(0)).abs().max()) < 0.5  # classes look alike


def test_plans_of_depth_have_the_exponents_that_they_are_named_by():
    task = dataclasses.replace(memorised_digits(), width=8, depths=(2, 8))
    made = {rule: task._plan(rule, 8) for rule in ("depth_mup", BRANCHES_ALONE, "complete_p", "sp")}
    inside = {rule: next(r for r in p.rows if r.name == "blocks.5.linear.weight") for rule, p in made.items()}
    # Branches x 4^-alpha are folded into the matrix, and so into the rate of an entrywise optimizer.
    assert inside["depth_mup"].lr == pytest.approx(4**-0.5 * 4**-0.5)
    assert inside[BRANCHES_ALONE].lr == pytest.approx(4**-0.5)
    assert inside["complete_p"].lr == pytest.approx(1 / 4)
    assert inside["sp"].lr == 1
    for made_plan in made.values():
        assert next(r for r in made_plan.rows if r.name == "stem.weight").lr == 1


def test_a_sweep_over_depths_finds_a_best_rate_at_each():
    task = DepthTask(
        ShuffledDigits(images=64, batch_size=32),
        width=12,
        depths=(2, 4),
        steps=30,
        lrs=tuple(2.0**k for k in (-9, -7, -5, -3)),
        seeds=(0, 1),
    )
    found = task.sweep("depth_mup")
    assert [curve.size for curve in found.curves] == [2, 4]
    assert found.dial == "depth"
    assert np.isfinite([curve.losses for curve in found.curves]).all()
    deep = task.sweep("sp").curves[0]
    assert deep == dataclasses.replace(found.curves[0])  # the base is the same under every rule


def test_the_best_losses_are_those_of_the_best_rate(monkeypatch):
    rates = (2.0**-20, 2.0**-6)
    small = DepthTask(
        ShuffledDigits(images=32, batch_size=32), width=12, depths=(2,), steps=30, lrs=rates, seeds=(0, 1)
    )
    monkeypatch.setattr(depths, "memorised_digits", lambda: small)
    best = depths.best_losses("abs", "act_last", depth=2)
    monkeypatch.setattr(depths, "memorised_digits", lambda: dataclasses.replace(small, lrs=rates[:1]))
    still = depths.best_losses("abs", "act_last", depth=2)
    assert best.shape == still.shape == (2,)
    assert still == pytest.approx(math.log(10), abs=0.01)  # a zero head that has not moved
    assert (best < still - 0.2).all()


def test_finals_are_grouped_by_setting():
    runs = [RunResult(np.array([float(k)]), float(k)) for k in range(6)]
    assert depths.by_setting(runs, 3) == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_the_networks_of_the_valley_train_their_branches_alone():
    net = valley.FrozenEnds(16, 2, block="two_layers", multiplier=0.5)
    assert {name.split(".")[0] for name, p in net.named_parameters() if p.requires_grad} == {"blocks"}
    assert not net.head.bias.any()
    assert all(block.branch == 0.5 for block in net.blocks)
    found = valley.branch_valley(
        "act_last",
        (1, 4),
        rates=(1.0, 2.0, 4.0),
        multipliers=(0.01, 1.0, 4.0, 1000.0),
        width=12,
        steps=10,
        seeds=(0, 1),
    )
    assert [one.points[0].lr for one in found.valleys] == [1 / 12, 1 / 24]
    assert found.valleys[1].multipliers[1] == 0.5


def test_finite_linear_networks_are_those_of_plain_loops():
    outputs = linear_nets.train_linear(
        width=8, depth=2, lr=0.3, seeds=3, generator=torch.Generator().manual_seed(5)
    )
    g = torch.Generator().manual_seed(5)
    stem, readout, weights = torch.randn(3, 8, 3, generator=g), torch.randn(3, 8, generator=g), None
    weights = torch.randn(2, 3, 8, 8, generator=g).double().numpy() / 8**0.5
    xi, y = linear_nets.example_task()
    c = 2**-0.5
    for s in range(3):
        u, v, (w1, w2) = stem[s].double().numpy(), readout[s].double().numpy() / 8, weights[:, s].copy()
        for t in range(len(y)):
            x0 = u @ xi[t]
            x1 = x0 + c * w1 @ x0
            f = v @ (x1 + c * w2 @ x1)
            assert outputs[s, t] == pytest.approx(f, abs=1e-4)
            error = f - y[t]
            back = v + c * w2.T @ v
            w2 -= 0.3 * error * c * np.outer(v, x1)
            w1 -= 0.3 * error * c * np.outer(back, x0)


def test_biases_are_differences_from_the_limit():
    mean, error = linear_nets.biases(width=32, depth=2, lr=0.2, seeds=400)
    limit = linear_resnet_limit(*linear_nets.example_task(), depth=2, lr=0.2).outputs
    assert np.abs(mean).max() < 0.05 + 4 * error.max()
    assert np.abs(limit).max() > 0.02
    assert mean.shape == error.shape == limit.shape


def red(measured: Measured) -> bool:
    return measured.verdict.outcome is Outcome.INCONSISTENT


def test_branches_of_another_exponent_turn_the_start_red(monkeypatch):
    assert paper13.init().verdict.ok
    right = paper13.size_at_init
    monkeypatch.setattr(paper13, "size_at_init", lambda alpha, depth: right(0.8 * alpha, depth))
    assert red(paper13.init())


def test_another_multiplier_turns_the_limit_of_depth_red(monkeypatch):
    assert paper13.linear_depth().verdict.ok
    right = paper13.linear_resnet_limit
    # Branches of L^-0.4 in place of L^-1/2.
    monkeypatch.setattr(
        paper13,
        "linear_resnet_limit",
        lambda *task, depth, lr: right(*task, depth=depth, lr=lr, multiplier=depth**0.1),
    )
    assert red(paper13.linear_depth())


def test_another_correlation_turns_diversity_red(monkeypatch):
    """Networks that are half as wide and a quarter as deep are measured once."""
    right = paper13.gradient_cosines
    once = functools.cache(lambda activation, block: right(activation, block, width=128, depth=24))
    monkeypatch.setattr(paper13, "gradient_cosines", once)
    assert paper13.gradient_diversity().verdict.ok
    correlation = paper13.phi_correlation
    for wrong in (
        lambda phi, std: correlation(phi, std=std) ** 1.3,
        lambda phi, std: correlation(phi, std=2 * std),
    ):
        monkeypatch.setattr(paper13, "phi_correlation", wrong)
        assert red(paper13.gradient_diversity())


def test_another_recursion_turns_mean_subtraction_red(monkeypatch):
    monkeypatch.setattr(paper13, "GROWTH_DEPTHS", (8, 96))
    monkeypatch.setattr(paper13, "growth", functools.cache(paper13.growth))
    assert paper13.mean_subtraction().verdict.ok
    right = paper13.stream_growth
    for change in ({"multiplier": 1.2}, {"alpha": 0.45}, {"centred": True}, {"centred": False}):
        monkeypatch.setattr(
            paper13, "stream_growth", lambda phi, change=change, **given: right(phi, **given | change)
        )
        assert red(paper13.mean_subtraction())


@pytest.mark.slow
def test_another_limit_turns_the_linear_width_red(monkeypatch):
    """Networks of widths 16 and 64 and depth 2 stand for those of 64 and 256: deviations still fall as 1 / width."""

    def smaller(*, width, depth, lr, seeds):
        return linear_nets.biases(width=width // 4, depth=2, lr=lr, seeds=4 * seeds)

    monkeypatch.setattr(paper13, "biases", smaller)
    assert paper13.linear_width().verdict.ok
    right = linear_nets.linear_resnet_limit
    monkeypatch.setattr(
        linear_nets, "linear_resnet_limit", lambda *task, depth, lr: right(*task, depth=depth, lr=0.8 * lr)
    )
    assert red(paper13.linear_width())


@pytest.mark.slow
def test_another_residual_exponent_turns_feature_diversity_red(monkeypatch):
    right = functools.cache(paper13.trained)
    monkeypatch.setattr(paper13, "trained", lambda alpha, depth: right(1.0, depth))
    assert red(paper13.feature_diversity())


def smaller_task() -> DepthTask:
    return DepthTask(
        ShuffledDigits(images=256, batch_size=64),
        width=24,
        depths=(2, 8),
        steps=80,
        lrs=tuple(2.0**k for k in range(-10, -2)),
        seeds=(0, 1),
    )


@pytest.mark.slow
def test_without_its_rule_transfer_over_depth_turns_red(monkeypatch):
    sweep = functools.cache(DepthTask.sweep)
    task = smaller_task()
    monkeypatch.setattr(DepthTask, "sweep", lambda self, rule: sweep(task, rule))
    assert paper13.depth_transfer().verdict.ok
    monkeypatch.setattr(
        DepthTask, "sweep", lambda self, rule: sweep(task, "sp" if rule == "depth_mup" else rule)
    )
    assert red(paper13.depth_transfer())
    assert red(paper13.wrong_exponents())


@pytest.mark.slow
def test_other_nonlinearities_turn_the_absolute_value_red(monkeypatch):
    """A few steps at one rate: that |z| is ahead takes longer, but ReLU in its place is no better than ReLU."""
    task = dataclasses.replace(smaller_task(), seeds=(0,), lrs=(2.0**-7, 2.0**-6), steps=30)
    monkeypatch.setattr(depths, "memorised_digits", lambda: task)
    right = functools.cache(paper13.best_losses)
    monkeypatch.setattr(
        paper13,
        "best_losses",
        lambda name, block, *, depth: right("relu" if name == "abs" else name, block, depth=depth),
    )
    found = paper13.absolute_value()
    assert red(found)
    assert found.value >= 1


@pytest.mark.slow
def test_blocks_of_one_matrix_turn_the_claim_on_two_red(monkeypatch):
    fewer = {"seeds": (0,), "width": 16, "steps": 60, "rates": (1.0, 2.0, 4.0)}
    monkeypatch.setattr(paper13, "VALLEY", {**paper13.VALLEY, **fewer})
    right = functools.cache(lambda: valley.branch_valley("act_last", (1, 16), **paper13.VALLEY))
    monkeypatch.setattr(paper13, "branch_valley", lambda block, sizes, **_: right())
    found = paper13.two_layers()
    assert red(found)
    assert found.value > -0.2  # no steeper at depth 1


def test_a_rate_that_is_not_found_is_no_confirmation():
    found = paper13._moved(False, {"depth_mup": (math.nan, None), "sp": (-0.4, (-0.5, -0.3))})
    assert found.verdict.outcome is Outcome.INCONSISTENT
    assert "-0.40 under sp" in found.verdict.summary
