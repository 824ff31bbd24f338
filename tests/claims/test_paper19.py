"""Claims of paper 19: the nets they train, and laws whose change turns them red."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch

from similitude.claims import paper19
from similitude.claims.bottleneck_nets import Nets
from similitude.claims.registry import select
from similitude.core.verdict import Outcome
from similitude.runs.engine import InProcess
from similitude.studies import bottleneck_runs
from similitude.theory.bottleneck.limit import WideKernels


def test_batched_nets_are_nets():
    """Each is trained as it would be by itself, and its kernel is that of its own gradients."""
    x, y = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.ones(3, 2)
    batch = Nets(3, bottleneck=2, width=16, nets=4, seed=0, outputs=2)
    starts, kernels = batch.starts(x), batch.kernels(x)
    weights = [w[1].double().clone().requires_grad_() for w in batch.weights]

    def one(x):
        W1, W2, U, v = weights
        h = torch.relu(x.double() @ W1 * math.sqrt(2 / 3)) @ W2 / 4
        return h, torch.erf(h @ U / math.sqrt(2)) @ v / 4

    h, head = starts[1]
    torch.testing.assert_close(h, one(x)[0].detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(head(h), one(x)[1].detach(), rtol=1e-5, atol=1e-5)
    rows = []
    for f in one(x)[1][:, 0]:
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(f, weights, retain_graph=True)]))
    J = torch.stack(rows)
    torch.testing.assert_close(kernels[1], J @ J.T, rtol=1e-4, atol=1e-4)
    out = batch.train(x, y, lr=0.1, steps=4, kept=(0, 4))
    for _ in range(4):
        loss = 0.5 * (one(x[:3])[1] - y).square().sum()
        for w, g in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            w.data -= 0.1 * g
    torch.testing.assert_close(out[1, 1], one(x)[1].detach(), rtol=1e-4, atol=1e-4)
    assert out.shape == (2, 4, 5, 2)


def smaller(monkeypatch) -> None:
    monkeypatch.setattr(paper19, "WIDTHS", (128, 1024))
    monkeypatch.setattr(paper19, "SEEDS", 3)
    monkeypatch.setattr(paper19, "STEPS", 40)
    monkeypatch.setattr(paper19, "engine_here", InProcess)


@pytest.mark.parametrize("factor", [1.0, 1.4])
def test_a_kernel_of_another_size_turns_function_space_red(monkeypatch, factor):
    smaller(monkeypatch)
    real = bottleneck_runs.train_bottlenecks
    monkeypatch.setattr(
        bottleneck_runs, "train_bottlenecks", lambda ntk, *a, **k: real(factor * ntk, *a, **k)
    )
    x = torch.randn(10, 10, generator=torch.Generator().manual_seed(1))
    got = paper19._powers({"d = 2": paper19._study(x, 1.5 * x[:6, 0], 2, paper19.WIDTHS)}, "test data")
    assert got.verdict.ok is (factor == 1.0)
    assert [one.label for one in got.figures[0].series] == ["d = 2", "kernel at the start, d = 2"]


def fewer(monkeypatch, most: int, width: int) -> None:
    """Let claims train fewer and smaller nets than they ask for."""

    def made(*args, **options):
        return Nets(*args, **options | {"nets": min(options["nets"], most), "width": width})

    monkeypatch.setattr(paper19, "Nets", made)


@pytest.mark.parametrize("gain", [1.0, 1.6])
def test_the_linear_law(monkeypatch, gain):
    fewer(monkeypatch, 16, 512)
    real = paper19.linear_speed_up

    def law(norm: float, d: int, **options):
        return real(gain * norm, d, **options)

    monkeypatch.setattr(paper19, "linear_speed_up", law)
    monkeypatch.setattr(paper19, "_LINEAR", ((16,), (2.0,)))
    assert paper19.linear_law().verdict.ok is (gain == 1.0)


@pytest.mark.parametrize("factor", [1.0, 1.4])
@pytest.mark.slow
def test_missed_directions(monkeypatch, factor):
    fewer(monkeypatch, 128, 512)
    real = paper19.linear_speed_up

    def law(*args, **options):
        found = real(*args, **options)
        return dataclasses.replace(found, missed=factor * found.missed)

    monkeypatch.setattr(paper19, "linear_speed_up", law)
    assert paper19.missed_directions().verdict.ok is (factor == 1.0)


@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_the_limit_of_wide_bottlenecks(monkeypatch, factor):
    fewer(monkeypatch, 8, 1024)
    real = paper19.without_bottleneck
    monkeypatch.setattr(
        paper19,
        "without_bottleneck",
        lambda *a, **k: WideKernels(real(*a, **k).nngp, factor * real(*a, **k).ntk),
    )
    assert paper19.wide_bottleneck().verdict.ok is (factor == 1.0)


def scaled(factor: float) -> Callable:
    real = paper19.train_bottlenecks
    return lambda ntk, *a, **k: real(factor * ntk, *a, **k)


@pytest.mark.parametrize(
    ("claim", "factor"),
    [("feature_learning", 2.0), pytest.param("acceleration", 1.6, marks=pytest.mark.slow)],
)
def test_function_space_with_another_kernel_turns_claims_red(monkeypatch, claim, factor):
    fewer(monkeypatch, 4, 256)
    monkeypatch.setattr(paper19, "LARGE", 64)
    monkeypatch.setattr(paper19, "train_bottlenecks", scaled(factor))
    got = getattr(paper19, claim)()
    assert got.verdict.outcome is Outcome.INCONSISTENT
    ratio = next(row for row in got.verdict.evidence if "function space" in row.name)
    assert ratio.value is not None
    assert abs(ratio.value - 1) > 0.15


def test_the_claims_are_registered():
    assert {entry.name.partition(".")[2] for entry in select(["19"])} == {
        "function_space", "digits", "feature_learning", "acceleration", "linear_law", "missed_directions",
        "wide_bottleneck", "performance",
    }  # fmt: skip
