"""Function-space training: exactly a linear net's gradient descent, nearly that of a wide one, and its errors."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from similitude.core.errors import TheoryError
from similitude.theory.bottleneck.heads import Head, wide_head
from similitude.theory.bottleneck.limit import bottleneck_start
from similitude.theory.bottleneck.run import steps_to
from similitude.theory.bottleneck.segment import Segment
from similitude.theory.bottleneck.training import train_bottlenecks
from tests.theory.bottleneck.bottleneck_nets import LinearNet, WideNet, descend, tangent_kernel

N, P = 5, 8


def inputs(features: int = 4) -> Tensor:
    return torch.randn(P, features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def differences(segment: Segment) -> Segment:
    """The segment with a kernel that autograd cannot see into, as those of `similitude.kernel` are."""
    return Segment(lambda h, other: segment.kernel(h.detach(), other), segment.start)


@pytest.mark.parametrize("widths", [(1,), (3,), (3, 2)])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("opaque", [False, True])
def test_linear_nets_are_trained_exactly(widths, outputs, opaque):
    """Linear layers between finite bottlenecks have exact kernels, so that both descents are one."""
    x, net = inputs(), LinearNet(4, (*widths, outputs), seed=2)
    y = torch.randn(N, outputs, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    segments = [differences(s) if opaque else s for s in net.segments()]
    kernel_before = tangent_kernel(net, x)
    run = train_bottlenecks(net.first_kernel(x), net.first(x), segments, y, lr=0.05, steps=25, every=10)
    trained = descend(net, x, y, lr=0.05, steps=25)
    torch.testing.assert_close(run.outputs, trained, rtol=1e-7, atol=1e-7)
    assert list(run.kernels) == [0, 10, 20, 25]
    torch.testing.assert_close(run.kernels[0], kernel_before[:, : N * outputs], rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(
        run.kernels[25], tangent_kernel(net, x)[:, : N * outputs], rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(run.bottlenecks[0][-1], net.first(x), rtol=1e-7, atol=1e-7)
    assert len(run.bottlenecks) == len(widths)


def test_any_loss():
    x, net = inputs(), LinearNet(4, (2, 3), seed=4)
    labels = torch.tensor([0, 1, 2, 1, 0])
    y = torch.eye(3, dtype=torch.float64)[labels]

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return -(outputs.log_softmax(1) * targets).sum()

    run = train_bottlenecks(net.first_kernel(x), net.first(x), net.segments(), y, lr=0.1, steps=20, loss=loss)
    torch.testing.assert_close(
        run.outputs, descend(net, x, y, lr=0.1, steps=20, loss=loss), rtol=1e-9, atol=1e-9
    )
    assert run.losses[-1] < run.losses[0]


@pytest.mark.parametrize(("d", "phi"), [(2, "erf"), (8, "erf"), (2, "relu")])
def test_wide_nets_follow(d, phi):
    """rms(net - theory) sqrt(n) is of order 1, and the frozen kernel is wrong."""
    x = inputs(10)
    y = 1.5 * torch.sin(2 * x[:N].sum(1, keepdim=True) / math.sqrt(10))
    off, frozen = [], []
    for seed in range(3):
        net = WideNet(10, d, 2048, phi=phi, seed=seed)
        head = wide_head(d, phi=phi)
        start = tangent_kernel(net, x)
        run = train_bottlenecks(
            net.first_kernel(x), net.first(x), Segment(head.kernel, net.head()), y, lr=0.03, steps=60
        )
        f = run.outputs[0].clone()
        for _ in range(60):
            f = f - 0.03 * start[:, :N] @ (f[:N] - y)
        found = descend(net, x, y, lr=0.03, steps=60)
        off.append(float((found - run.outputs).square().mean((1, 2)).sqrt().max()))
        frozen.append(float((found[-1] - f).square().mean().sqrt()))
        assert run.moved[0] > 0.05
    assert np.mean(off) * math.sqrt(2048) < 2.5
    assert np.mean(frozen) > 2 * np.mean(off)


def test_what_a_run_says():
    x, head = inputs(), wide_head(2, width=256)
    gram = x @ x.T / 4
    start = bottleneck_start(gram, 2)
    y = 2 * torch.sin(x[:N, 0])
    run = train_bottlenecks(gram, start, head, y, lr=0.1, steps=60)
    assert (run.train.shape, run.test.shape) == ((61, N, 1), (61, P - N, 1))
    first = run.kernels[0][:N]
    expected = float(y @ first @ y) / float(first.norm() * y @ y)
    assert run.alignment[0] == pytest.approx(expected, rel=1e-9)
    assert run.growth == pytest.approx(float(y @ run.kernels[60][:N] @ y / (y @ first @ y)))
    assert run.stability[0] == pytest.approx(0.1 * np.linalg.eigvalsh(first.numpy())[-1])
    share = [2 * loss / float(y @ y) for loss in run.losses]
    t = run.steps_to(0.5)
    assert share[math.ceil(t)] <= 0.5 < share[math.ceil(t) - 1]
    assert run.steps_to(1e-9) == math.inf
    assert run.steps_to(2 * share[0]) == 0
    # Half as many columns, for the points of training alone, say the same.
    less = train_bottlenecks(gram[:, :N], start, head, y, lr=0.1, steps=60)
    torch.testing.assert_close(less.outputs, run.outputs)


def test_an_exponential_is_timed_between_steps():
    outputs = 1 - 0.8 ** torch.arange(10, dtype=torch.float64).reshape(-1, 1, 1)
    assert steps_to(outputs, torch.ones(1, 1), 0.3) == pytest.approx(math.log(0.3) / (2 * math.log(0.8)))


GRAM = [[1.0, 0.2], [0.2, 1.0]]
HEAD = Segment(lambda h, other: h @ other.T, lambda h: h[:, :1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ntk": [[1.0, 0.2]]}, r"ntk has shape \(1, 2\), for 2 examples of which 2"),
        ({"ntk": [[1.0, 0.2], [0.4, 1.0]]}, "ntk is not symmetric: entries differ by up to 0.2"),
        ({"ntk": [[1.0, math.nan], [0.4, 1.0]]}, r"ntk\[0, 1\] is nan: 1 of 4 numbers"),
        ({"start": [[1.0]]}, "2 targets for 1 rows of start"),
        ({"start": 1.0}, r"start has shape \(\). Pass the bottleneck"),
        ({"start": "no"}, "start is no array of numbers"),
        ({"start": np.ones((2, 1)) * 1j}, "start is complex"),
        ({"targets": [[1.0, 2.0], [0.0, 1.0]]}, "the net has 1 outputs and targets has 2 per example"),
        ({"targets": [math.inf, 1.0]}, r"targets\[0\] is inf"),
        ({"ntk": [[-1.0, 0.0], [0.0, 1.0]]}, "ntk has the eigenvalue -1, its largest entry is 1"),
        ({"segments": []}, "segments is empty"),
        ({"segments": "erf"}, r"segments\[0\] is a str"),
        ({"segments": wide_head(2, width=8)}, r"segments\[0\] fails on points of shape \(2, 1\)"),
        ({"loss": lambda outputs, targets: (outputs * math.nan).sum()}, "the loss at step 0 is nan"),
        ({"loss": lambda outputs, targets: (outputs - outputs.detach()).sqrt().sum()}, "slopes reach inf"),
        ({"lr": 0.0}, "lr=0: pass a finite number above 0"),
        ({"steps": -1}, "steps=-1: pass a whole number of at least 0"),
        ({"every": 0}, "every=0"),
        ({"loss": "mae"}, "loss='mae': pass 'mse' or a function"),
        ({"loss": lambda outputs, targets: 1.0}, "loss gives no number with a gradient"),
        ({"segments": Segment(lambda h, other: h, HEAD.start)}, r"the kernel of segments\[0\] gives shape"),
        ({"segments": Segment(HEAD.kernel, lambda h: h[:, 0])}, r"the start of segments\[0\] gives \(2,\)"),
        ({"segments": Segment(HEAD.kernel, lambda h: h.detach())}, "has no gradient with respect to its input"),
        ({"lr": 50.0, "steps": 100}, "outputs left all bounds at step .* where 2 is the limit.*Pass a smaller lr"),
        ({"segments": Segment(HEAD.kernel, lambda h: h * 1e308 * 1e308)}, "outputs at the start reach inf"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(change, words):
    given = {
        "ntk": GRAM,
        "start": [[1.0], [0.5]],
        "segments": HEAD,
        "targets": [1.0, -1.0],
        "lr": 0.1,
        "steps": 3,
    }
    given |= change
    with pytest.raises(TheoryError, match=words):
        train_bottlenecks(**given)


def test_a_kernel_beyond_memory_is_refused():
    start = torch.zeros(2000, 1)
    with pytest.raises(TheoryError, match=r"2000 and 2000 examples of 20 outputs has 1.6e\+09 numbers"):
        train_bottlenecks(
            torch.eye(2000),
            start,
            Segment(lambda h, other: h @ other.T, lambda h: h.expand(-1, 20)),
            torch.ones(2000, 20),
            lr=0.1,
            steps=1,
        )


def test_targets_that_say_nothing():
    run = train_bottlenecks(GRAM, [[1.0], [0.5]], HEAD, [0.0, 0.0], lr=0.1, steps=2)
    with pytest.raises(TheoryError, match="the targets are zero"):
        run.growth  # noqa: B018
    with pytest.raises(TheoryError, match="pass a fraction above 0, and targets other than 0"):
        run.steps_to(0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_three_thousand_random_cases():
    """Whatever the sizes and scales, training ends with finite outputs, or with an error of ours."""
    draw, refused = np.random.default_rng(0), 0
    for _ in range(3000):
        points, d, outputs = (int(k) for k in draw.integers(1, 5, 3))
        train = int(draw.integers(1, points + 1))
        root = 10.0 ** draw.uniform(-6, 3) * draw.standard_normal((points, int(draw.integers(1, 4))))
        phi = get_args(Head)[int(draw.integers(3))]
        head = wide_head(d, outputs, phi=phi, width=16, seed=int(draw.integers(9)))
        head = differences(head) if draw.random() < 0.3 else head
        targets = 10.0 ** draw.uniform(-3, 3) * draw.standard_normal((train, outputs))
        start = bottleneck_start(root @ root.T, d)
        lr = 10.0 ** draw.uniform(-4, 0) / max(float((root**2).sum()), 1.0)
        try:
            run = train_bottlenecks(root @ root.T, start, head, targets, lr=lr, steps=3)
        except TheoryError as error:
            assert "left all bounds" in str(error)  # noqa: PT017
            refused += 1
        else:
            assert all(bool(part.isfinite().all()) for part in (run.outputs, *run.kernels.values()))
            assert all(math.isfinite(x) for x in run.losses)
    assert refused < 600
