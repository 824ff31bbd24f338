"""The Gaussian process against scikit-learn's, its gradient, imagined observations, dimensions without order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from similitude.tuning.search import gaussian_process
from similitude.tuning.search.gaussian_process import GaussianProcess

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
Y = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + 0.05 * RNG.normal(size=30)
AT = RNG.normal(size=(7, 3))


def peer(process, noises):
    constant, linear, *_ = process.variances.tolist()
    matern = Matern(process.lengths.tolist(), nu=2.5)
    kernel = (
        ConstantKernel(constant)
        + ConstantKernel(linear) * DotProduct(0.0)
        + ConstantKernel(float(process.variances[2])) * matern
    )
    return GaussianProcessRegressor(kernel, alpha=noises + 1e-6, optimizer=None)


def test_mean_variance_and_covariance_are_those_of_scikit_learn():
    counts = np.arange(30) % 3 + 1
    process = GaussianProcess.fit(X, Y, counts)
    other = peer(process, process.noise / counts).fit(X, Y)
    mean, covariance = other.predict(AT, return_cov=True)
    found, variance = process.predict(AT)
    np.testing.assert_allclose(found, mean, atol=1e-8)
    np.testing.assert_allclose(variance, np.diag(covariance), atol=1e-8)
    joint_mean, joint = process.joint(AT)
    np.testing.assert_allclose(joint_mean, mean, atol=1e-8)
    np.testing.assert_allclose(joint, covariance, atol=1e-8)


def test_imagined_observations_condition_as_real_ones_do():
    process = GaussianProcess.fit(X, Y)
    more, values = RNG.normal(size=(4, 3)), np.array([1.0, -1.0, 0.5, 2.0])
    other = peer(process, np.full(34, process.noise)).fit(np.r_[X, more], np.r_[Y, values])
    mean, variance = process.imagined(more, values).predict(AT)
    expected, deviation = other.predict(AT, return_std=True)
    np.testing.assert_allclose(mean, expected, atol=1e-7)
    np.testing.assert_allclose(variance, deviation**2, atol=1e-7)


@pytest.mark.parametrize(
    "parts", [(), (np.array([True, False, False, False]), np.array([False, True, True, True]))]
)
def test_the_gradient_of_the_density_is_that_of_differences(monkeypatch, parts):
    caught = {}

    def catch(objective, start, **_):
        caught["f"], caught["x"] = objective, start
        return type("Found", (), {"x": start})

    monkeypatch.setattr(gaussian_process, "minimize", catch)
    points = np.c_[X, np.arange(30) % 3]
    kinds = np.array([False, False, False, True])
    GaussianProcess.fit(points, Y, np.arange(30) % 2 + 1, categorical=kinds, parts=parts)
    theta = caught["x"] + 0.3 * RNG.normal(size=len(caught["x"]))
    _, gradient = caught["f"](theta)
    step = 1e-5
    for j in range(len(theta)):
        apart = step * np.eye(len(theta))[j]
        difference = (caught["f"](theta + apart)[0] - caught["f"](theta - apart)[0]) / (2 * step)
        assert gradient[j] == pytest.approx(difference, rel=1e-5, abs=1e-6), j


def test_lengths_tell_what_matters():
    process = GaussianProcess.fit(X, np.sin(3 * X[:, 0]))
    assert process.lengths[0] < process.lengths[1]
    assert process.lengths[0] < process.lengths[2]


def test_dimensions_without_order_are_equal_or_not():
    points = np.c_[RNG.normal(size=(40, 1)), RNG.integers(0, 4, 40)]
    values = np.array([0.0, 3.0, -2.0, 1.0])[points[:, 1].astype(int)]
    process = GaussianProcess.fit(points, values, categorical=np.array([False, True]))
    mean, _ = process.predict(np.array([[0.0, level] for level in range(4)]))
    np.testing.assert_allclose(mean, [0.0, 3.0, -2.0, 1.0], atol=0.3)
    swapped = points.copy()
    swapped[:, 1] = np.array([2, 0, 3, 1])[points[:, 1].astype(int)]
    other = GaussianProcess.fit(swapped, values, categorical=np.array([False, True]))
    np.testing.assert_allclose(other.lengths, process.lengths, rtol=1e-3)  # names of levels mean nothing


def test_an_additive_function_is_continued_where_the_parts_are_told():
    # What is good at x = 0 is good at x = 3, where nothing but one point was tried.
    x = np.r_[np.c_[np.zeros(25), np.linspace(-2, 2, 25)], [[3.0, 2.0]]]
    values = 0.8 * x[:, 0] - (x[:, 1] - 0.5) ** 2
    parts = (np.array([True, False]), np.array([False, True]))
    scaled = (values - values.mean()) / values.std()
    grid = np.c_[np.full(41, 3.0), np.linspace(-2, 2, 41)]
    told, _ = GaussianProcess.fit(x, scaled, parts=parts).predict(grid)
    assert grid[np.argmax(told), 1] == pytest.approx(0.5, abs=0.25)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_observations_are_enough(n):
    mean, variance = GaussianProcess.fit(X[:n], Y[:n]).predict(AT)
    assert np.isfinite(mean).all()
    assert (variance > 0).all()


def test_equal_points_and_equal_values_are_no_trouble():
    process = GaussianProcess.fit(np.zeros((5, 2)), np.zeros(5))
    mean, _ = process.predict(np.zeros((1, 2)))
    assert mean[0] == pytest.approx(0, abs=1e-6)


def test_no_global_generator_or_type_is_touched():
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    GaussianProcess.fit(X, Y)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == dtype
    assert (np.random.get_state()[1] == before).all()
    assert math.isfinite(float(GaussianProcess.fit(X, Y).noise))
