"""The report on one's own data: digits, samples from a known teacher, and what it refuses."""

import numpy as np
import pytest
import torch

from similitude.core.errors import NotEnoughEvidenceError, TheoryError
from similitude.core.verdict import Outcome
from similitude.data import load
from similitude.theory.one_step.alignment import whitened
from similitude.theory.one_step.network import TwoLayer
from similitude.theory.one_step.report import one_step_report, pool_spectrum, ridge_errors
from similitude.theory.ridge.spectrum import Spectrum


@pytest.fixture(scope="module")
def digits():
    data = load("digits")
    images = data.train_images.reshape(len(data.train_images), -1) / 255.0
    return whitened(images, 40), data.train_labels % 2 * 2.0 - 1


def test_a_large_step_on_digits(digits):
    net = TwoLayer.random(torch.relu, width=200, dimension=40, seed=1)
    found = one_step_report(net, *digits, eta=200**0.5, n=500, draws=3, ridges=(0.01, 0.1, 1.0))
    assert found.verdict.outcome is Outcome.OK, found
    assert found.after.measured.mean(0).min() < 0.95 * found.before.measured.mean(0).min()
    for side in (found.before, found.after):
        # The features' own spectrum is near; Gaussian inputs with these correlations would do worse than real ones.
        assert side.pooled[1:] == pytest.approx(side.measured.mean(0)[1:], rel=0.1)
        assert (side.gaussian > side.measured.mean(0)).all()
    assert found.top == pytest.approx(found.predicted_top, rel=0.05)
    assert found.alignment.mean() == pytest.approx(found.predicted_alignment.mean(), abs=0.05)
    assert "linear regression has" in str(found)


def test_no_step_says_nothing(digits):
    net = TwoLayer.random(torch.tanh, width=60, dimension=40, seed=1)
    found = one_step_report(net, *digits, eta=0.0, n=300, draws=2, ridges=(0.1,))
    assert np.array_equal(found.before.measured, found.after.measured)
    with pytest.raises(NotEnoughEvidenceError, match="does not clearly change"):
        found.raise_if_bad()


def test_gaussian_inputs_are_as_predicted():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 60))
    y = np.maximum(x[:, 0], 0) + 0.25 * rng.standard_normal(3000)
    net = TwoLayer.random(torch.tanh, width=120, dimension=60, seed=0)
    found = one_step_report(net, x, y, eta=2.0, n=400, draws=4, ridges=(0.01, 0.1))
    for side in (found.before, found.after):
        assert side.gaussian == pytest.approx(side.measured.mean(0), rel=0.06)
        assert side.pooled == pytest.approx(side.measured.mean(0), rel=0.06)


def test_ridge_errors_are_those_of_normal_equations():
    rng = np.random.default_rng(1)
    for n, width in ((30, 12), (12, 30)):
        made, y, seen, truth = (rng.standard_normal(shape) for shape in ((n, width), n, (50, width), 50))
        a, b = (made - made.mean(0)) / width**0.5, (seen - made.mean(0)) / width**0.5
        for ridge in (0.0, 0.3):
            if ridge:
                weights = np.linalg.solve(a.T @ a + ridge * n / width * np.eye(width), a.T @ (y - y.mean()))
            else:
                weights = np.linalg.pinv(a) @ (y - y.mean())
            expected = np.mean((b @ weights + y.mean() - truth) ** 2)
            assert ridge_errors(made, y, seen, truth, [ridge])[0] == pytest.approx(expected, rel=1e-9)


def test_the_spectrum_of_a_pool_is_that_of_its_kernel():
    rng = np.random.default_rng(2)
    for samples, width in ((40, 12), (12, 40)):
        features, y = rng.standard_normal((samples, width)), rng.standard_normal(samples)
        centred = (features - features.mean(0)) / width**0.5
        found, whole = pool_spectrum(features, y), Spectrum.from_kernel(centred @ centred.T, y - y.mean())
        count = min(samples - 1, width)
        np.testing.assert_allclose(found.eigenvalues[:count], whole.eigenvalues[:count], rtol=1e-9)
        np.testing.assert_allclose(
            found.coefficients_squared[:count], whole.coefficients_squared[:count], rtol=1e-6, atol=1e-12
        )
        assert (found.power, found.pool) == (pytest.approx(whole.power), samples)
        assert found.multiplicity.sum() == samples


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n": 750}, "take 1500 of 1500 samples"),
        ({"n": 1}, "n=1: pass a whole number of at least 2"),
        ({"draws": 1}, "draws=1"),
        ({"ridges": (0.1, -1.0)}, "ridges has -1"),
        ({"ridges": ()}, "ridges has shape"),
        ({"eta": -1.0}, "eta=-1"),
        ({"eta": 1e250}, "take a smaller step"),
    ],
)
def test_bad_input(digits, changes, text):
    net = TwoLayer.random(torch.tanh, width=5, dimension=40, seed=0)
    with pytest.raises(TheoryError, match=text):
        one_step_report(net, *digits, **{"eta": 1.0, **changes})
