"""Escape directions against brute force, closed forms, training and networks that the theory is not of."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import TheoryError
from similitude.theory.saddle_escape.direction import escape, escape_of, speed_of
from similitude.theory.saddle_escape.task import homogeneous_task, origin_gradient, relu_task


def data(samples=12, features=2, outputs=1, seed=0):
    drawn = np.random.default_rng(seed)
    return drawn.standard_normal((samples, features)), drawn.standard_normal((samples, outputs))


def one_unit_speed(X, Y, angles=20_000):
    """The largest |sum_i G_i relu(x_i w)| over unit vectors w of the plane: what one hidden unit can do."""
    turns = np.linspace(0, 2 * np.pi, angles, endpoint=False)
    hidden = np.maximum(X @ np.stack([np.cos(turns), np.sin(turns)]), 0)
    return float(np.linalg.norm(Y.T @ hidden / len(X), axis=0).max())


@pytest.mark.parametrize("seed", range(2))
def test_two_layers_with_one_unit_by_brute_force(seed):
    X, Y = data(seed=seed, outputs=1 + seed % 2)
    assert escape(2, 1, (X, Y), starts=16, steps=500).speed == pytest.approx(one_unit_speed(X, Y), rel=2e-4)


@pytest.mark.parametrize("seed", range(2))
def test_more_units_are_no_faster_with_two_layers_and_one_output(seed):
    """|W_2| |W_1| bounds a sum of units by the best one: Cauchy-Schwarz."""
    X, Y = data(seed=seed)
    assert escape(2, 16, (X, Y), starts=16, steps=500).speed == pytest.approx(one_unit_speed(X, Y), rel=2e-4)


def test_one_layer_is_the_gradient():
    X, Y = data(features=5, outputs=3)
    found = escape(1, (), (X, Y), starts=2, steps=300)
    gradient = Y.T @ X / len(X)
    assert found.speed == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
    np.testing.assert_allclose(
        found.weights["W1.weight"].numpy(), gradient / np.linalg.norm(gradient), atol=1e-3
    )


@pytest.mark.slow
def test_circle_with_alternating_gradients():
    angles = np.arange(8) * np.pi / 4
    circle = np.stack([np.cos(angles), np.sin(angles)], 1), 8.0 * np.array([1.0, -1.0] * 4)
    two, three = (escape(depth, 12, circle, steps=1000) for depth in (2, 3))
    assert two.speed == pytest.approx(math.sqrt(2) - 1, abs=1e-3)
    assert three.speed == pytest.approx(0.5, abs=1e-3)
    assert three.layers[0].ratio < 1.05 < 10 < three.layers[1].ratio
    assert 0 < three.reached < 1
    assert three.speeds[0] == three.speed
    assert (np.diff(three.speeds) <= 0).all()


def test_direction_is_stationary_on_the_spheres():
    """The gradient of L_0 in a layer is -speed times the layer, which also Euler's theorem asks of its length."""
    found = escape(3, 8, data(40, 5), starts=8)
    weights = {name: w.clone().requires_grad_() for name, w in found.weights.items()}
    found.task.leading_loss(weights).backward()
    for name, w in weights.items():
        assert float((w.detach() * w.grad).sum()) == pytest.approx(-found.speed, rel=1e-9)
        assert float(w.detach().norm()) == pytest.approx(1, rel=1e-12)
        assert float((w.grad + found.speed * found.weights[name]).norm()) < 0.05 * found.speed


def test_users_network_is_as_the_same_network_by_depth_and_is_left_alone():
    X, Y = data(20, 4, 2)
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False))
    before = [p.detach().clone() for p in net.parameters()]
    torch.manual_seed(7)
    state = torch.get_rng_state()
    own = escape_of(net, (X, Y), steps=400)
    assert torch.equal(state, torch.get_rng_state())
    assert own.speed == pytest.approx(escape(2, 6, (X, Y), steps=400).speed, rel=1e-3)
    assert all(
        torch.equal(a, p) and p.dtype == torch.float32 for a, p in zip(before, net.parameters(), strict=True)
    )
    assert own.share(own.weights) == pytest.approx(1)
    assert own.share({name: 3 * w for name, w in own.weights.items()}) == pytest.approx(1)


def test_convolutions_and_pooling():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3, bias=False)
    )
    X = np.random.default_rng(0).standard_normal((10, 1, 8, 8))
    found = escape_of(net, (X, np.arange(10) % 3), loss="cross_entropy", starts=4, steps=200)
    assert found.speed > 0
    assert [layer.name for layer in found.layers] == ["0.weight", "4.weight"]
    assert len(found.layers[0].activation) == 4


def test_classes_and_functions_as_losses():
    X, _ = data(30, 3)
    classes = np.arange(30) % 3
    by_name = escape(2, 8, (X, classes), loss="cross_entropy", starts=8, steps=300)
    onehot = np.eye(3)[classes]
    gradient = (np.full((30, 3), 1 / 3) - onehot) / 30
    np.testing.assert_allclose(by_name.task.gradient.numpy(), gradient, atol=1e-15)
    by_function = escape(
        2, 8, (X, onehot - 1 / 3), loss=lambda f, t: -(f * t).sum(1).mean(), starts=8, steps=300
    )
    assert by_function.speed == pytest.approx(by_name.speed, rel=1e-12)
    own = escape(2, 8, (X, classes), loss=nn.functional.cross_entropy, starts=8, steps=300)
    assert own.speed == by_name.speed


class Backwards(nn.Module):
    """Layers that are made in another order than they are used in, an output without a side of its own."""

    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(6, 1, bias=False), nn.Linear(4, 6, bias=False)

    def forward(self, x):
        return self.last(self.first(x).relu()).squeeze(-1)


def test_layers_stand_in_the_order_of_the_forward_pass_and_targets_do_not_broadcast():
    X, Y = data(20, 4)
    expected = escape(2, 6, (X, Y), starts=16, steps=300)
    for targets in (Y, Y[:, 0]):
        found = escape_of(Backwards(), (X, targets), starts=16, steps=300)
        assert [layer.name for layer in found.layers] == ["first.weight", "last.weight"]
        assert found.speed == pytest.approx(expected.speed, rel=1e-3)
    assert len(found.layers[0].activation) == 6


class Bare(nn.Module):
    """Parameters without modules of their own."""

    def __init__(self):
        super().__init__()
        self.b, self.a = nn.Parameter(torch.ones(1, 6)), nn.Parameter(torch.ones(6, 4))

    def forward(self, x):
        return (x @ self.a.T).relu() @ self.b.T


def test_activations_of_parameters_without_modules_are_not_known():
    found = escape_of(Bare(), data(20, 4), starts=4, steps=100)
    assert [(layer.name, layer.activation, layer.truncation) for layer in found.layers] == [
        ("a", None, None),
        ("b", None, None),
    ]
    assert found.rank == 1  # of the weights


def test_frozen_layers_are_part_of_the_network_and_not_of_the_direction():
    X, Y = data(20, 4)
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False))
    net[0].requires_grad_(False)
    found = escape_of(net, (X, Y), starts=3, steps=200)
    with torch.no_grad():
        features = net[1](net[0](torch.tensor(X).float())).double().numpy()
    assert found.depth == 1
    assert found.speed == pytest.approx(np.linalg.norm(Y.T @ features / 20), rel=1e-5)
    assert found.verdict().ok


def test_verdicts_say_whether_starts_agree():
    X, Y = data(20, 4)
    agreed = escape(2, 6, (X, Y), starts=16, steps=400).verdict()
    assert agreed.ok
    assert agreed.evidence[0].value >= 3
    hasty = escape(3, 8, (X, Y), starts=16, steps=3)
    assert str(hasty.verdict().outcome) == "cannot_tell"
    assert "starts=64" in hasty.verdict().next
    assert "Too few agree" in str(hasty)


def test_share_of_a_network_and_of_weights():
    net = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False))
    found = escape_of(net, data(20, 4), starts=8, steps=300)
    net.load_state_dict({name: 2.5 * w for name, w in found.weights.items()})
    assert found.share(net) == pytest.approx(1, rel=1e-6)
    assert found.share(dict(net.named_parameters())) == pytest.approx(1, rel=1e-6)
    weights = dict(found.weights)
    for wrong, words in (
        ({}, "weights lack '0.weight': there are none"),
        (weights | {"0.weight": torch.ones(3, 3)}, r"shape \(3, 3\), and in the task's network \(6, 4\)"),
        (weights | {"0.weight": torch.full((6, 4), math.nan)}, "not finite"),
    ):
        with pytest.raises(TheoryError, match=words):
            found.share(wrong)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3, bias=False)
        self.out = nn.Linear(3, 1, bias=False)

    def forward(self, x):
        return self.out(x + self.inner(x).relu())


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1, bias=False)), r"'0\.\w+'"),
        (nn.Sequential(nn.Linear(3, 8, bias=False), nn.Tanh(), nn.Linear(8, 1, bias=False)), r"'0\.weight'"),
        (
            nn.Sequential(nn.Linear(3, 8, bias=False), nn.LayerNorm(8), nn.Linear(8, 1, bias=False)),
            r"'0\.weight'",
        ),
        (Residual(), r"'inner\.weight'"),
    ],
)
def test_networks_that_are_not_homogeneous_are_refused_by_name(net, name):
    with pytest.raises(TheoryError, match=f"not homogeneous of degree 1 in {name}"):
        escape_of(net, data(8, 3))


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.spare, self.used = nn.Parameter(torch.ones(2)), nn.Linear(3, 1, bias=False)

    def forward(self, x):
        return self.used(x)


X8, Y8 = data(8, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: escape(2, 4, (X8, 0 * Y8)), "gradient of the loss at outputs zero is zero"),
        (lambda: escape(2, 4, (X8, np.full((8, 1), np.nan))), "targets.*not finite|not finite"),
        (lambda: escape(2, 4, (X8, Y8[:5])), "one target per sample"),
        (lambda: escape(2, 4, (X8[:, 0], Y8)), "one row of features"),
        (lambda: escape(2, 4, X8), "Pass a pair"),
        (lambda: escape(3, (4, 4, 4), (X8, Y8)), "3 widths and depth 3"),
        (lambda: escape(0, 4, (X8, Y8)), "depth=0"),
        (lambda: escape(2, 0, (X8, Y8)), "width=0"),
        (lambda: escape(2, 4, (X8, Y8), starts=0), "starts=0"),
        (lambda: escape(2, 4, (X8, Y8), steps=1.5), "steps=1.5"),
        (lambda: escape(2, 4, (X8, Y8), loss="hinge"), "Choose 'mse' or 'cross_entropy'"),
        (lambda: escape(2, 4, (X8, Y8[:, 0] - 9), loss="cross_entropy"), "no classes"),
        (lambda: escape(2, 4, (0 * X8, Y8)), "none of 48 starts"),
        (lambda: escape_of(nn.ReLU(), (X8, Y8)), "no parameters"),
        (lambda: escape_of(nn.Linear(7, 1, bias=False), (X8, Y8)), "Linear fails on inputs"),
        (
            lambda: escape_of(nn.Linear(3, 2, bias=False), (X8, np.ones((8, 3)))),
            r"\(8, 2\) and targets \(8, 3\)",
        ),
        (
            lambda: escape_of(nn.Linear(3, 3, bias=False), (X8, Y8)),
            r"outputs have shape \(8, 3\) and targets \(8, 1\)",
        ),
        (
            lambda: escape_of(nn.Linear(3, 2, bias=False), (X8, np.arange(8)), loss="cross_entropy"),
            "cannot be taken",
        ),
        (lambda: escape(2, 4, (X8, np.ones((8, 1))), loss="cross_entropy"), "one probability per sample"),
        (lambda: escape(2, 4.0, (X8, Y8)), "width=4.0"),
        (
            lambda: escape_of(nn.Linear(3, 1, bias=False).requires_grad_(False), (X8, Y8)),
            "no parameters that",
        ),
        (lambda: escape_of(nn.LSTM(3, 1, bias=False), (X8, Y8)), "gives tuple"),
        (
            lambda: escape_of(
                nn.Sequential(nn.Linear(3, 8, bias=False), nn.Dropout(), nn.Linear(8, 1, bias=False)),
                (X8, Y8),
            ),
            r"other outputs at every call.*network\.eval\(\)",
        ),
        (lambda: escape_of(Unused(), (X8, Y8)), "'spare' has no part in the outputs"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(TheoryError, match=message):
        call()


def test_no_way_out_of_inputs_that_switch_every_unit_off():
    """Non-negative gradients on the positive axis: f can only grow where it should fall, unless its last layer turns."""
    net = relu_task(2, 4, (X8, Y8))
    assert (
        speed_of(net, {"W1.weight": torch.zeros(4, 3).double(), "W2.weight": torch.ones(1, 4).double()})
        == 0.0
    )


def test_gradient_at_the_origin_by_differences():
    targets = torch.tensor([0, 2, 1])
    outputs = torch.zeros(3, 3, dtype=torch.float64)
    found = origin_gradient(nn.functional.cross_entropy, outputs, targets)
    for place in np.ndindex(3, 3):
        moved = outputs.clone()
        moved[place] = 1e-6
        change = nn.functional.cross_entropy(moved, targets) - nn.functional.cross_entropy(-moved, targets)
        assert float(found[place]) == pytest.approx(float(change) / 2e-6, abs=1e-9)


def test_many_odd_tasks_without_warnings():
    drawn, speeds, refusals = np.random.default_rng(5), [], []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(40):
            depth, width = int(drawn.integers(1, 5)), int(drawn.integers(1, 6))
            X, Y = data(
                int(drawn.integers(1, 9)), int(drawn.integers(1, 5)), int(drawn.integers(1, 4)), depth
            )
            size = 10.0 ** drawn.integers(-8, 9)
            try:
                found = escape(depth, width, (X * size, Y), starts=8, steps=20)
            except TheoryError as refused:  # narrow networks whose units are all off on the few samples
                refusals.append(str(refused))
                continue
            speeds.append(found.speed)
    assert len(speeds) > 25
    assert all(math.isfinite(speed) and speed > 0 for speed in speeds)
    assert all("none of 8 starts" in refusal for refusal in refusals)


def test_public_names():
    assert sim.theory.escape is escape
    assert sim.theory.homogeneous_task is homogeneous_task
