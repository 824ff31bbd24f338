"""Gaussian equivalence for given weights, against drawn samples of any covariance, and against the closed form."""

import math
import warnings

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.one_step.asymptotic import one_step_risk
from similitude.theory.one_step.equivalent import equivalent_risk, feature_spectrum
from similitude.theory.one_step.network import TwoLayer
from similitude.theory.one_step.task import GaussianTask
from tests.oracles.one_step_plain import gaussian_draw


@pytest.mark.parametrize("phi", [torch.tanh, torch.relu])
@pytest.mark.parametrize("eta", [0.0, 4.0])
def test_networks_that_are_drawn(phi, eta):
    rng = np.random.default_rng(5)
    sizes = {"n": 400, "width": 200, "dimension": 200, "noise": 1 / 16, "ridge": 0.01}
    pairs = []
    for _ in range(8):
        risk, weight, beta = gaussian_draw(phi, torch.relu, **sizes, eta=eta, rng=rng)
        task = GaussianTask.from_teacher(torch.relu, beta, noise=1 / 16)
        found = equivalent_risk(TwoLayer.of(weight, phi), task, n=400, ridge=0.01)
        pairs.append((risk, found.test - 1 / 16))
    measured, predicted = np.mean(pairs, 0)
    error = float(np.diff(pairs, axis=1).std(ddof=1)) / math.sqrt(len(pairs))
    assert abs(measured - predicted) < max(3 * error, 0.05 * predicted)
    closed = one_step_risk(phi, torch.relu, **sizes, eta=eta).risk
    assert predicted == pytest.approx(closed, rel=0.05)


def test_inputs_of_any_covariance_and_mean():
    """Colored inputs with a mean, biases, weights of many norms, and a task that is read from samples."""
    rng = np.random.default_rng(8)
    d, width, n = 150, 300, 400
    half = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.linspace(0.3, 1.7, d)
    mean = 0.5 * rng.standard_normal(d)
    weight = rng.standard_normal((width, d)) / math.sqrt(d) * rng.uniform(0.5, 1.5, (width, 1))
    layer = torch.nn.Linear(d, width).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(0.5 * rng.standard_normal(width)))
    net = TwoLayer.of(layer, torch.relu)
    beta = rng.standard_normal(d) / math.sqrt(d)

    def draw(count):
        x = mean + rng.standard_normal((count, d)) @ half.T
        score = (x - mean) @ beta
        return x, np.maximum(score, 0) + 0.3 * rng.standard_normal(count)

    task = GaussianTask.from_data(*draw(3000))
    found = [equivalent_risk(net, task, n=n, ridge=ridge).test for ridge in (0.01, 0.1, 1.0)]
    measured = []
    for _ in range(10):
        (x, y), (test, truth) = draw(n), draw(1500)
        made, seen = net.features(x) / math.sqrt(width), net.features(test) / math.sqrt(width)
        made, seen = made - made.mean(0), seen - made.mean(0)
        gram, aim = made.T @ made, made.T @ (y - y.mean())
        fits = [np.linalg.solve(gram + r * n / width * np.eye(width), aim) for r in (0.01, 0.1, 1.0)]
        measured.append([np.mean((seen @ fit + y.mean() - truth) ** 2) for fit in fits])
    assert found == pytest.approx(np.mean(measured, 0), rel=0.06)


def test_chance_correlations_are_taken_out():
    """Labels that are pure noise: few samples show correlations, none of which are there."""
    rng = np.random.default_rng(9)
    linear = []
    for _ in range(30):
        x, y = rng.standard_normal((120, 40)), rng.standard_normal(120)
        task = GaussianTask.from_data(x, y)
        linear.append(task.linear_risk / task.power)
    assert np.mean(linear) == pytest.approx(1, abs=0.06)  # 0.66 without


def test_a_dominant_direction_is_told():
    rng = np.random.default_rng(10)
    weight = rng.standard_normal((100, 50)) / math.sqrt(50)
    task = GaussianTask.from_teacher(torch.relu, np.ones(50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        equivalent_risk(TwoLayer.of(weight, torch.tanh), task, n=50, ridge=0.1)
    weight[:, 0] += 1
    with pytest.warns(UserWarning, match="along one direction of the inputs, more than 10 %"):
        equivalent_risk(TwoLayer.of(weight, torch.tanh), task, n=50, ridge=0.1)


@pytest.mark.parametrize("cases", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_odd_cases(cases):
    rng = np.random.default_rng(11)
    phis = (torch.relu, torch.tanh, torch.abs, torch.nn.Identity(), torch.sign, lambda z: z**2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "[0-9]+ % of the variance")
        for _ in range(cases):
            d, width, samples = rng.integers(1, 12), rng.integers(1, 30), rng.integers(15, 60)
            weight = rng.standard_normal((width, d)) * 10 ** rng.uniform(-4, 4)
            weight[rng.random(width) < 0.1] = 0
            weight[0, 0] = weight[0, 0] or 1.0
            x = rng.standard_normal((samples, d)) * 10 ** rng.uniform(-3, 3, d)
            x[:, -1] = x[:, rng.integers(0, d)]
            y = rng.standard_normal(samples) * 10 ** rng.uniform(-4, 4)
            net = TwoLayer.of(weight, phis[rng.integers(len(phis))])
            task = GaussianTask.from_data(x, y)
            ridge = rng.choice([0.0, 10 ** rng.uniform(-8, 8)])
            n = float(rng.choice([samples, width, rng.uniform(0.5, 100)]))
            found = equivalent_risk(net, task, n=n, ridge=ridge)
            assert found.test >= 0
            if not math.isfinite(found.test):
                assert ridge == 0
            spectrum, unexplained = feature_spectrum(net, task)
            assert spectrum.power + unexplained == pytest.approx(task.power, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GaussianTask.from_data(np.ones((5, 4)), np.arange(5.0)), "takes at least 7"),
        (lambda: GaussianTask.from_data(np.ones(5), np.arange(5.0)), "X has shape \\(5,\\)"),
        (lambda: GaussianTask.from_data(np.ones((9, 2)), np.ones(9)), "the same number for all samples"),
        (lambda: GaussianTask.from_data(np.ones((9, 2)), np.ones((9, 2))), "one against the rest"),
        (lambda: GaussianTask.from_teacher(torch.relu, np.zeros(3)), "direction is zero"),
        (lambda: GaussianTask.from_teacher(torch.ones_like, np.ones(3)), "teacher is constant"),
    ],
)
def test_bad_tasks(make, text):
    with pytest.raises(TheoryError, match=text):
        make()


@pytest.mark.parametrize(
    ("weight", "phi", "given", "text"),
    [
        (np.ones((3, 5)), torch.tanh, {}, "takes 5 inputs and the task has 4"),
        (np.zeros((3, 4)), torch.tanh, {}, "no feature varies"),
        (np.ones((3, 4)), torch.ones_like, {}, "no feature varies"),
        (np.eye(4), torch.tanh, {"n": 0}, "n=0 is not above 0"),
        (np.eye(4), torch.tanh, {"ridge": -1.0}, "ridge=-1"),
    ],
)
def test_bad_input(weight, phi, given, text):
    task = GaussianTask.from_teacher(torch.relu, np.ones(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(TheoryError, match=text):
            equivalent_risk(TwoLayer.of(weight, phi), task, **{"n": 10, "ridge": 0.1, **given})
