"""Learning curves: measured regressions against plain ones, the study on a pool without structure, and real images."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import similitude as sim
from similitude.core.errors import StudyError, TheoryError
from similitude.core.verdict import Outcome
from similitude.studies.kernel_regressions import (
    feature_regressions,
    gaussian_features,
    kernel_regressions,
)
from similitude.studies.learning_curve_records import Buy, CurvePoint, MeasuredCurve
from similitude.studies.learning_curve_study import learning_curve_study
from similitude.studies.learning_curve_verdict import learning_curve_verdict
from similitude.studies.network_features import network_features
from similitude.studies.target_rows import target_rows
from similitude.theory.ridge.overfitting import noise_risk
from similitude.theory.ridge.risk import rf_risk
from similitude.theory.ridge.spectrum import Spectrum
from tests.oracles.ridge_samples import pool_fit
from tests.studies.learning_curve_cases import pool, study


def test_regressions_are_those_of_a_plain_solve():
    gram, rows = pool()
    test, train = kernel_regressions(gram, rows, 50, (0.1, 3.0), draws=40, seed=1)
    assert test.shape == train.shape == (40, 2)
    rng = np.random.default_rng(0)
    for i, ridge in enumerate((0.1, 3.0)):
        plain = np.array([pool_fit(gram, rows, 50, ridge, 0.0, rng) for _ in range(40)])
        for found, expected in ((test[:, i], plain[:, 0]), (train[:, i], plain[:, 1])):
            error = math.hypot(found.std(), expected.std()) / math.sqrt(40)
            assert abs(found.mean() - expected.mean()) < 3 * error
    assert np.array_equal(test, kernel_regressions(gram, rows, 50, (0.1, 3.0), draws=40, seed=1)[0])


def test_no_ridge_is_the_limit_of_a_small_one():
    gram, rows = pool()
    test, train = kernel_regressions(gram, rows, 30, (0.0, 1e-9), draws=3)
    assert test[:, 0] == pytest.approx(test[:, 1], rel=1e-5)
    assert train[:, 0].max() < 1e-12
    # Fewer features than samples: least squares, which misses some of the labels.
    features = gaussian_features(gram)
    test, train = feature_regressions(features, 10, rows, 30, (0.0, 1e-9), draws=3)
    assert test[:, 0] == pytest.approx(test[:, 1], rel=1e-5)
    assert train[:, 0] == pytest.approx(train[:, 1], rel=1e-5)
    assert train[:, 0].min() > 0.01


def test_features_have_the_kernel_as_their_covariance():
    gram, _ = pool(20)
    values = gaussian_features(gram)(40_000, 0)
    assert np.abs(values @ values.T / 40_000 - gram).max() < 0.05 * gram.max()
    assert np.array_equal(gaussian_features(gram)(5, 1), gaussian_features(gram)(5, 1))


def test_networks_as_features():
    def build(seed):
        torch.manual_seed(seed)
        layer = torch.nn.Linear(3, 1, bias=False)
        torch.nn.init.normal_(layer.weight)
        return layer

    x = torch.eye(3, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        features = network_features(build, x)
        values = features(800, 0)
        assert np.abs(values @ values.T / 800 - np.eye(3)).max() < 0.25
        assert np.array_equal(features(5, 0), values[:, :5])
        assert not np.array_equal(features(5, 1), values[:, :5])
    with pytest.raises(StudyError, match=r"the network returns \(3, 1, 2\)"):
        network_features(lambda _: torch.nn.Unflatten(1, (1, 2)), torch.zeros(3, 2))(1, 0)


def test_the_study_of_a_pool_without_structure():
    found = study()
    assert found.verdict.outcome is Outcome.CONSISTENT
    assert [curve.label for curve in (*found.samples, *found.widths)] == ["no ridge", "best ridge"] * 2
    for curve in (*found.samples, *found.widths):
        for point in curve.points:
            assert abs(point.off) < 0.15
    none, best = ([p.predicted for p in curve.points] for curve in found.samples)
    assert all(b <= a for a, b in zip(none, best, strict=True))
    spectrum = Spectrum.from_kernel(*pool())
    assert none == [rf_risk(spectrum, n, noise=0.3).test for n in (20, 40, 80)]
    assert found.power == pytest.approx((pool()[1] ** 2).sum() / 200 + 0.3)
    assert found.coefficient == pytest.approx(noise_risk(spectrum, 80), rel=0.05)
    ridge, data, width, more = found.buys
    assert (ridge.before, ridge.after) == (none[-1], best[-1])
    assert (data.before, data.after) == (best[1], best[2])
    assert width.after == best[1] < width.before
    assert not more.measured
    assert 0.3 < more.after < more.before
    assert found.to_dict()["verdict"]["outcome"] == "consistent"


def test_defaults():
    found = learning_curve_study(*pool(80), draws=2)
    assert [p.n for p in found.samples[0].points][-1] == 40
    assert len(found.widths[0].points) == 4
    assert learning_curve_study(*pool(80), draws=2, widths=()).widths == ()


def _curve(*points):
    return [MeasuredCurve("no ridge", tuple(CurvePoint(10, math.inf, 0.0, p, 0.0, m, m) for p, m in points))]


@pytest.mark.parametrize(
    ("curves", "outcome"),
    [
        (_curve((1.0, (1.0, 1.01, 0.99)), (math.inf, (5.0, 9.0, 2.0))), "consistent"),
        (_curve((1.3, (1.0, 1.01, 0.99))), "inconsistent"),
        (_curve((1.3, (0.5, 1.5, 1.0))), "too_noisy"),
    ],
)
def test_verdicts(curves, outcome):
    found = learning_curve_verdict(curves, pool=100, draws=3)
    assert found.outcome == outcome
    if outcome == "inconsistent":
        assert found.causes
        assert found.evidence[0].value == pytest.approx(0.3, abs=0.01)


def test_what_cannot_be_bought():
    assert math.isnan(Buy("", math.inf, 1.0, True).change)
    assert Buy("", 2.0, 1.0, True).change == -0.5


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"sizes": (10, 200)}, StudyError, "below the pool's 200"),
        ({"widths": (0,)}, StudyError, "widths="),
        ({"draws": 1}, StudyError, "draws=1"),
    ],
)
def test_bad_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        learning_curve_study(*pool(), **arguments)


def test_bad_data():
    with pytest.raises(StudyError, match="all zero"):
        learning_curve_study(pool()[0], np.zeros(200))
    with pytest.raises(TheoryError, match="not symmetric"):
        learning_curve_study(np.triu(np.ones((200, 200))), np.ones(200))
    with pytest.raises(StudyError, match="too small for a curve"):
        learning_curve_study(np.eye(20), np.ones(20))
    with pytest.raises(StudyError, match="200 training samples of a pool of 200"):
        kernel_regressions(*pool(), 200, (0.1,))


IMAGES = [
    ("digits", 1500, (30, 75, 150)),
    pytest.param("fashion-mnist", 2000, (50, 100, 200), marks=pytest.mark.slow),
    pytest.param("fashion-mnist", 6000, (100, 300, 600), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "size", "sizes"), IMAGES)
def test_real_images_up_to_a_tenth_of_the_pool(name, size, sizes):
    """The NTK of a ReLU network: predicted errors within 10 % of measured ones."""
    data = _images(name)
    order = np.random.default_rng(11).permutation(len(data.train_images))[:size]
    x = data.train_images[order].reshape(size, -1) / 255.0
    x = torch.tensor((x - x.mean()) / x.std())
    side = x.shape[1]
    net = torch.nn.Sequential(torch.nn.Linear(side, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    gram = sim.kernel(net, weight_variance=2.0, bias_variance=0.1).ntk(x).numpy()
    rows = target_rows(torch.tensor(data.train_labels[order]).long())
    spectrum = Spectrum.from_kernel(gram, rows)
    for noise in (0.0, 0.5):
        for n in sizes:
            ridges = (0.0, 0.5, 5.0)
            test, _ = kernel_regressions(gram, rows, n, ridges, noise=noise, draws=16, seed=3)
            for ridge, measured in zip(ridges, test.mean(0), strict=True):
                assert rf_risk(spectrum, n, ridge=ridge, noise=noise).test == pytest.approx(measured, rel=0.1)


def _images(name):
    try:
        return sim.data.load(name)
    except sim.SimilitudeError:
        pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("kernel", ["relu", "laplace", "gauss"])
@pytest.mark.parametrize(
    ("name", "n"),
    [("digits", 100), ("digits", 300), pytest.param("fashion-mnist", 300, marks=pytest.mark.slow)],
)
def test_the_price_of_noise_without_labels(kernel, name, n):
    """The estimate by leaving one out is within 2 % of the error of regressions on noise, on real images."""
    data = _images(name)
    rng = np.random.default_rng(5)
    x = data.train_images[rng.permutation(len(data.train_images))[:1500]].reshape(1500, -1) / 255.0
    x = x - x.mean(0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    t = np.clip(x @ x.T, -1, 1)
    angle = np.arccos(t)
    gram = {
        "relu": lambda: (np.sin(angle) + (np.pi - angle) * t) / np.pi,
        "laplace": lambda: np.exp(-np.sqrt(2 - 2 * t) / 0.5),
        "gauss": lambda: np.exp(-(1 - t) / 0.5),
    }[kernel]()
    estimates, risks = [], []
    for _ in range(6):
        order = rng.permutation(1500)
        train, test = order[:n], order[n:]
        block = gram[np.ix_(train, train)]
        estimates.append(sim.theory.overfitting_coefficient(block))
        noise = rng.standard_normal((n, 400))
        fitted = gram[np.ix_(test, train)] @ np.linalg.solve(block + 1e-10 * np.eye(n), noise)
        risks.append(1 + (fitted**2).mean())
    assert np.mean(estimates) == pytest.approx(np.mean(risks), rel=0.02)


def test_the_record_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        study().ridge = 1.0  # type: ignore[misc]
