"""Growth laws against integration, and training from small starts against plain gradient descent."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import nn

from similitude.core.errors import TheoryError
from similitude.theory.saddle_escape.direction import escape
from similitude.theory.saddle_escape.layer_ranks import LayerRank, bottleneck_rank, layer_ranks
from similitude.theory.saddle_escape.norm_law import escape_scale, escape_time
from similitude.theory.saddle_escape.path import from_small_start
from similitude.theory.saddle_escape.task import homogeneous_task, relu_task


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7])
def test_growth_by_integration(depth):
    speed, start = 0.37, 0.4
    end = 0.8 * escape_time(start, speed=speed, depth=depth, end=2.0)
    path = solve_ivp(lambda _, c: speed * c ** (depth - 1), (0, end), [start], rtol=1e-10, atol=1e-12)
    found = escape_scale(end, start, speed=speed, depth=depth)
    assert found == pytest.approx(path.y[0, -1], rel=1e-7)
    assert escape_time(start, speed=speed, depth=depth, end=found) == pytest.approx(end, rel=1e-9)


def test_growth_of_odd_numbers():
    drawn = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3000):
            depth = int(drawn.integers(1, 40))
            start, speed, time = (10.0 ** drawn.uniform(-6, 3) for _ in range(3))
            scale = escape_scale(time, start, speed=speed, depth=depth)
            assert scale >= start * (1 - 1e-12)
            assert escape_time(start, speed=speed, depth=depth, end=scale) >= 0
    assert escape_time(0.1, speed=1.0, depth=4, end=math.inf) == pytest.approx(50.0)
    # beyond the range of floats
    assert escape_scale(1.0, 1e-9, speed=1.0, depth=40) == 1e-9
    assert escape_time(1e-9, speed=1.0, depth=40) == math.inf
    assert escape_scale(1e6, 1e-3, speed=1.0, depth=2) == math.inf
    assert escape_scale(1.0, 1e9, speed=1.0, depth=40) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: escape_scale(-1.0, 0.1, speed=1.0, depth=2), "time=-1"),
        (lambda: escape_scale(1.0, 0.0, speed=1.0, depth=2), "start=0"),
        (lambda: escape_scale(1.0, 0.1, speed=math.nan, depth=2), "speed=nan"),
        (lambda: escape_scale(1.0, 0.1, speed=1.0, depth=0), "depth=0"),
        (lambda: escape_time(0.5, speed=1.0, depth=3, end=0.1), "end=0.1 and start=0.5"),
    ],
)
def test_bad_numbers(call, message):
    with pytest.raises(TheoryError, match=message):
        call()


def small_task(depth=2):
    drawn = np.random.default_rng(1)
    X = drawn.standard_normal((20, 3))
    return relu_task(depth, 5, (X, np.maximum(X @ [1.0, -1.0, 0.5], 0)))


def test_path_is_that_of_plain_gradient_descent():
    """Times and losses at the levels, against a hundred thousand steps of one length written in NumPy."""
    task = small_task()
    run = from_small_start(task, levels=(0.9, 0.5), scale=0.05, step=2e-3)
    W1, W2 = (run.start.weights[name].numpy().copy() for name in ("W1.weight", "W2.weight"))
    X, Y = task.inputs.numpy(), task.targets.numpy()
    origin, rate, times = float((Y**2).mean() / 2), 1e-3, {}
    for step in range(100_000):
        z = X @ W1.T
        h = np.maximum(z, 0)
        error = (h @ W2.T - Y) / len(X)
        loss = float(((h @ W2.T - Y) ** 2).mean() / 2) / origin
        for level in (0.9, 0.5):
            if loss <= level and level not in times:
                times[level] = step * rate
        if len(times) == 2:
            break
        g2, g1 = error.T @ h, ((error @ W2) * (z > 0)).T @ X
        W1, W2 = W1 - rate * g1, W2 - rate * g2
    assert [p.level for p in run.passages] == [0.9, 0.5]
    for passage in run.passages:
        assert passage.time == pytest.approx(times[passage.level], rel=0.01)
    np.testing.assert_allclose(run.passages[1].weights["W1.weight"].numpy(), W1, atol=0.02)
    assert (np.diff(run.times) > 0).all()


def test_small_starts_of_deep_networks_come_near_the_fastest_escape():
    task = small_task(4)
    run = from_small_start(task, levels=(0.97,), scale=0.02, steps=20_000)
    best = escape(4, 5, (task.inputs, task.targets), steps=400)
    share = run.passages[0].speed / best.speed
    assert 0.8 < share <= 1 + 1e-6
    assert run.start.speed / best.speed < 0.3
    assert run.passages[0].rank == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": ()}, r"levels=\[\]"),
        ({"levels": (0.5, 0.9)}, "that fall"),
        ({"levels": (1.5,)}, "that fall"),
        ({"scale": 0.0}, "scale=0"),
        ({"step": -1.0}, "step=-1"),
        ({"steps": 3}, "after 3 steps the loss is"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(TheoryError, match=message):
        from_small_start(small_task(), **options)


def test_ranks_of_layers_by_hand():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    task = homogeneous_task(net, (X, np.ones(3)))
    weights = {
        "0.weight": torch.diag(torch.tensor([3.0, 1.0]).double()),
        "2.weight": torch.ones(1, 2).double(),
    }
    first, last = layer_ranks(task, weights)
    assert first.weight.tolist() == pytest.approx([3, 1])
    assert first.activation.tolist() == pytest.approx([3, 1])  # relu of diag(3, 1) and of (-3, 0)
    assert first.truncation == pytest.approx(9 / 19)
    assert (first.ratio, first.weight_tail, first.activation_tail) == pytest.approx((3, 0.1, 0.1))
    assert last.ratio == math.inf
    assert last.activation.tolist() == pytest.approx([math.sqrt(10)])
    assert bottleneck_rank((first, last)) == 2
    assert bottleneck_rank((first, last), tolerance=0.5) == 1


def test_activations_are_what_the_next_layer_is_given():
    """In-place ReLUs, and networks without any: there a product of one direction stays of rank one."""
    X = np.random.default_rng(0).standard_normal((12, 3))

    def first(*between):
        net = nn.Sequential(nn.Linear(3, 4, bias=False), *between, nn.Linear(4, 1, bias=False))
        task = homogeneous_task(net, (X, np.ones(12)))
        one = torch.outer(torch.tensor([1.0, -1.0, 2.0, 0.5]), torch.tensor([1.0, 2.0, 3.0]))
        return layer_ranks(task, {"0.weight": one, f"{len(net) - 1}.weight": torch.ones(1, 4)})[0]

    z = X @ np.outer([1.0, -1.0, 2.0, 0.5], [1.0, 2.0, 3.0]).T
    lost = (np.minimum(z, 0) ** 2).sum() / (z**2).sum()
    for relu in (nn.ReLU(), nn.ReLU(inplace=True)):
        layer = first(relu)
        assert layer.truncation == pytest.approx(lost)
        np.testing.assert_allclose(
            layer.activation, np.linalg.svd(np.maximum(z, 0), compute_uv=False), atol=1e-9
        )
        assert layer.activation[1] > 0.1
    linear = first(nn.Identity())
    assert linear.truncation == 0
    np.testing.assert_allclose(linear.activation[1:], 0, atol=1e-9)


def test_three_features_are_three_plateaus_of_rising_rank():
    """Each sample has one of three features; the loss that any of them leave is known."""
    drawn, rows = np.random.default_rng(0), np.repeat(np.arange(3), 20)
    X = np.zeros((60, 3))
    X[np.arange(60), rows] = np.abs(drawn.standard_normal(60))
    Y = X * [4.0, 2.0, 1.0]
    run = from_small_start(relu_task(3, 24, (X, Y)), levels=(0.9, 0.001), scale=0.05)
    shares = (Y**2).sum(0) / (Y**2).sum()
    assert [saddle.rank for saddle in run.saddles] == [1, 2]
    assert run.saddles[0].loss == pytest.approx(1 - shares[0], rel=0.02)
    assert min(abs(run.saddles[1].loss / x - 1) for x in shares[1:]) < 0.02
    assert run.passages[-1].rank == 3
    assert run.missed == ()
    assert len(run.slopes) == len(run.times)
    assert (np.diff(run.losses) < 0).mean() > 0.95
    assert str(run).count("saddle: loss") == 2


def test_levels_that_were_not_reached_are_told():
    run = from_small_start(small_task(), levels=(0.9, 1e-9), scale=0.3, steps=60)
    assert run.missed == (1e-9,)
    assert "not reached in 60 steps: 1e-09. Raise steps=" in str(run)


def test_a_start_without_gradient_is_told():
    task = relu_task(2, 1, (np.array([[1.0]]), np.array([1.0])))
    messages = []
    for seed in range(6):
        try:
            from_small_start(task, seed=seed, steps=2000)
        except TheoryError as error:
            messages.append(str(error))
    assert messages
    assert all("every ReLU is off: choose another seed=" in message for message in messages)


def test_rank_without_activations_is_that_of_weights():
    layers = [
        LayerRank("a", depth, np.array(values), None, None)
        for depth, values in ((1, [1.0, 0.9]), (2, [1.0, 0.01]))
    ]
    assert bottleneck_rank(layers) == 1
    assert layers[0].activation_tail is None
