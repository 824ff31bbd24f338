"""Claims of paper 6: they hold on fewer samples than the command takes, and a wrong formula turns each red."""

import math

import numpy as np
import pytest

from similitude.claims import paper06
from similitude.claims.gaussian_designs import gaussian_errors
from similitude.claims.registry import select
from similitude.core.verdict import Outcome
from similitude.theory.ridge.power_law import optimal_fitting_ratio
from similitude.theory.ridge.risk import rf_risk
from tests.oracles.ridge_samples import gaussian_fit


@pytest.fixture
def small(monkeypatch):
    """Make the claims quick."""
    monkeypatch.setattr(paper06, "LAW", np.arange(1, 301) ** -1.5)
    monkeypatch.setattr(paper06, "PAIRS", ((64, 16), (64, 200), (96, 48)))
    monkeypatch.setattr(paper06, "RIDGES", (1e-2, 1.0))
    monkeypatch.setattr(paper06, "SIZES", ((32, 32), (64, 64), (128, 128)))
    monkeypatch.setattr(paper06, "POOL", 500)
    monkeypatch.setattr(paper06, "IMAGE_SIZES", (50,))
    return monkeypatch


def test_the_claims_are_there():
    names = ["6.errors", "6.images", "6.more_is_better", "6.obligatory"]
    assert [entry.name for entry in select(["6"])] == [entry.name for entry in select(["06"])] == names
    assert [entry.name for entry in select(["06.images"])] == ["6.images"]


def _mutated(**changes):
    """Return the formula of errors with its inputs changed."""

    def wrong(spectrum, n, features=math.inf, *, ridge=0.0, noise=0.0):
        given = {"spectrum": spectrum, "n": n, "features": features, "ridge": ridge, "noise": noise}
        return rf_risk(**{name: changes.get(name, lambda v: v)(value) for name, value in given.items()})

    return wrong


@pytest.mark.usefixtures("small")
def test_errors_hold():
    found = paper06.errors()
    assert found.verdict.ok, found.verdict
    assert len(found.verdict.evidence) == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"features": lambda k: math.inf},  # kernel regression in place of random features
        {"n": lambda n: 0.8 * n},
        {"noise": lambda s: 1.2 * s},
        {"ridge": lambda r: 3 * r},
    ],
)
def test_wrong_errors_are_seen(small, changes):
    small.setattr(paper06, "rf_risk", _mutated(**changes))
    assert paper06.errors().verdict.outcome is Outcome.INCONSISTENT


def test_more_is_better_and_less_is_not(small):
    assert paper06.more_is_better().verdict.ok
    small.setattr(paper06, "SIZES", ((128, 128), (32, 32)))
    assert not paper06.more_is_better().verdict.ok


@pytest.mark.slow
def test_the_best_fitting_ratio(monkeypatch):
    assert paper06.obligatory().verdict.ok
    monkeypatch.setattr(
        paper06,
        "optimal_fitting_ratio",
        lambda *, noise, **law: optimal_fitting_ratio(noise=2 * noise, **law),
    )
    assert not paper06.obligatory().verdict.ok


def test_images(small):
    found = paper06.real_images()
    assert found.verdict.ok, found.verdict
    small.setattr(paper06, "rf_risk", _mutated(n=lambda n: 0.7 * n))
    assert not paper06.real_images().verdict.ok


def test_the_sampler_is_plain_ridge_regression():
    values, rng = np.arange(1, 61) ** -1.5, np.random.default_rng(0)
    for k in (15, math.inf):
        test, train = gaussian_errors(values, values, 25, k, (0.1,), noise=0.2, draws=300, seed=1)
        plain = np.array([gaussian_fit(values, values, 25, k, 0.1, 0.2, rng) for _ in range(300)])
        for found, expected in ((test[:, 0], plain[:, 0]), (train[:, 0], plain[:, 1])):
            error = math.hypot(found.std(), expected.std()) / math.sqrt(300)
            assert abs(found.mean() - expected.mean()) < 3 * error
