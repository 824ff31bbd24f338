"""Spike and alignment against singular values of drawn networks, on Gaussian inputs and on digits."""

import math
import warnings

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.data import load
from similitude.theory.one_step.alignment import linear_teacher, one_step_alignment, squared_cosine, whitened
from similitude.theory.one_step.hermite import HermiteMoments, hermite_moments
from similitude.theory.one_step.network import TwoLayer
from similitude.theory.one_step.spike import one_step_spike
from tests.oracles.one_step_plain import gaussian_draw

RELU = hermite_moments(torch.relu)


def _top(weight):
    _, values, right = np.linalg.svd(weight, full_matrices=False)
    return values[0], right[0]


@pytest.mark.parametrize(("phi", "etas"), [(torch.tanh, (1.0, 5.0, 8.0)), (torch.relu, (1.0, 8.0))])
def test_networks_that_are_drawn(phi, etas):
    rng = np.random.default_rng(16)
    sizes = {"n": 900, "width": 450, "dimension": 300, "noise": 1 / 16}
    for eta in etas:
        found = one_step_spike(phi, torch.relu, **sizes, eta=eta)
        measured = []
        for _ in range(4):
            _, weight, beta = gaussian_draw(phi, torch.relu, **sizes, eta=eta, ridge=1.0, rng=rng, tests=2)
            value, direction = _top(weight)
            measured.append((value, (direction @ beta) ** 2))
        top, alignment = np.mean(measured, 0)
        assert abs(top - found.top) < 0.05 * found.top
        assert abs(alignment - found.alignment) < 0.05
        assert (found.alignment > 0) == (eta > found.threshold_eta)


def test_at_the_threshold_the_spike_leaves_the_bulk():
    sizes = {"n": 4.0, "width": 1.5, "dimension": 1.0, "noise": 0.1}
    edge = one_step_spike(torch.tanh, RELU, **sizes, eta=1.0).threshold_eta
    below, above = (one_step_spike(torch.tanh, RELU, **sizes, eta=edge * x) for x in (1 - 1e-6, 1 + 1e-6))
    assert below.top == below.bulk == pytest.approx(1 + math.sqrt(1.5))
    assert below.alignment == 0 < above.alignment < 1e-5
    assert above.top == pytest.approx(below.top, abs=1e-9)
    assert "no spike" in str(below)
    assert "squared cosine" in str(above)


def test_a_teacher_without_a_linear_part_is_not_found():
    found = one_step_spike(torch.tanh, lambda z: z**2 - 1, n=4, width=1, dimension=1, eta=1e3)
    assert found.alignment == pytest.approx(0, abs=1e-12)
    assert found.top > found.bulk  # noise of few samples pulls a value out all the same


def test_three_thousand_odd_cases():
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3000):
            student = HermiteMoments(0.0, *10 ** rng.uniform(-4, 4, 2))
            teacher = HermiteMoments(0.0, *(10 ** rng.uniform(-6, 6, 2) * (rng.random() < 0.8, 1)))
            n, width, dimension = 10 ** rng.uniform(-6, 9, 3)
            eta, noise = rng.choice([0.0, 10 ** rng.uniform(-9, 9), 1e150]), rng.choice([0.0, 1.0, 1e9])
            found = one_step_spike(
                student, teacher, n=n, width=width, dimension=dimension, eta=eta, noise=noise
            )
            assert 0 <= found.alignment <= 1
            assert found.bulk <= found.top * (1 + 1e-12)
            assert found.top <= (found.bulk + found.strength) * (1 + 1e-12)


def _digits(dimension):
    data = load("digits")
    images = np.concatenate([data.train_images, data.test_images]).reshape(1797, -1) / 255.0
    labels = np.concatenate([data.train_labels, data.test_labels]) % 2 * 2.0 - 1
    return whitened(images, dimension), labels - labels.mean()


@pytest.mark.parametrize("phi", [torch.tanh, torch.relu])
def test_real_images(phi):
    """Odd against even digits, whitened: direction and size of the spike are those of the step's own correlation."""
    x, y = _digits(40)
    net = TwoLayer.random(phi, width=400, dimension=40, seed=2)
    for eta in (12.0, 20.0, 60.0):
        found = one_step_alignment(net, x, y, eta=eta)
        top, direction = _top(net.step(x, y, eta=eta).weight)
        assert abs(top / found.top - 1) < 0.05
        assert abs(squared_cosine(direction, linear_teacher(x, y)) - found.alignment) < 0.05
    assert found.alignment > 0.9


def test_the_user_s_own_layers():
    """Weights of another size than the paper's, with biases and a large readout, as torch draws them."""
    g = torch.Generator().manual_seed(0)
    first, last = torch.nn.Linear(40, 400), torch.nn.Linear(400, 1)
    with torch.no_grad():
        for tensor in (first.weight, first.bias, last.weight):
            tensor.uniform_(-1, 1, generator=g).div_(math.sqrt(tensor.shape[-1]))
    net = TwoLayer.of(first, torch.relu, last)
    x, y = _digits(40)
    seen = []
    for eta in (0.02, 1.0, 3.0):
        found = one_step_alignment(net, x, y, eta=eta)
        top, direction = _top(net.step(x, y, eta=eta).weight)
        assert abs(top / found.top - 1) < 0.08
        # Below the threshold the top direction is any of 40.
        assert abs(squared_cosine(direction, linear_teacher(x, y)) - found.alignment) < (
            0.07 if seen else 0.2
        )
        seen.append(found.alignment)
    assert seen[0] == 0
    assert seen[-1] > 0.5


def test_alignment_to_another_direction():
    x, y = _digits(10)
    net = TwoLayer.random(torch.tanh, width=50, dimension=10, seed=0)
    away = np.linalg.svd(linear_teacher(x, y)[None])[2][1]
    assert one_step_alignment(net, x, y, eta=1e3, direction=away).alignment < 0.05


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"X": np.ones((5, 3))}, "the first layer takes 10 inputs"),
        ({"y": np.ones(4)}, "one number per sample is needed"),
        ({"y": np.zeros(1797)}, "fit of y on X is zero"),
        ({"direction": np.zeros(10)}, "not zero"),
        ({"direction": np.ones(3)}, "dimension 10"),
        ({"eta": -1.0}, "eta=-1"),
    ],
)
def test_bad_input(changes, text):
    x, y = _digits(10)
    net = TwoLayer.random(torch.tanh, width=5, dimension=10, seed=0)
    given = {"X": x, "y": y, "eta": 1.0, **changes}
    with pytest.raises(TheoryError, match=text):
        one_step_alignment(net, given.pop("X"), given.pop("y"), **given)


def test_whitening_says_how_many_directions_there_are():
    x = np.random.default_rng(0).standard_normal((30, 2)) @ np.ones((2, 5))
    with pytest.raises(TheoryError, match="vary along 1 directions"):
        whitened(x, 2)
    with pytest.raises(TheoryError, match="shape \\(3,\\)"):
        whitened(np.ones(3), 1)
