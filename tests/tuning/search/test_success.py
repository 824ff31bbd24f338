"""The probability that a configuration does not fail is that of the belief's draws, at its standard deviation."""

import numpy as np
import pytest

import similitude as sim
from similitude.tuning.search import surrogates
from similitude.tuning.search.surrogates import Surrogates
from similitude.tuning.trials.history import Failed, History

SPACE = sim.Space(size=sim.Log(1.0, role="scale"), rate=sim.Log(1.0))


@pytest.fixture
def beliefs():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(12, 2))
    failures = tuple(
        Failed(p, "oom", np.nan, 12 + i) for i, p in enumerate(rng.normal((2.0, 0.0), size=(5, 2)))
    )
    history = History(
        SPACE,
        points,
        (points**2).sum(1),
        10.0 ** points[:, 0],
        np.arange(12),
        failures,
        np.empty((0, 2)),
        True,
    )
    return Surrogates.of(history, rng)


def test_it_is_the_share_of_draws_that_are_no_failures(beliefs):
    points = np.random.default_rng(1).normal(size=(20, 2)) * 2
    mean, variance = beliefs._failure.predict(points)
    deviation = np.sqrt(variance + surrogates._FAILURE_NOISE)
    draws = mean + deviation * np.random.default_rng(2).standard_normal((100_000, 20))
    assert (np.abs(deviation - deviation**2) > 0.05).any()  # variance and deviation are told apart
    np.testing.assert_allclose(np.exp(beliefs.log_success(points)), (draws < 0).mean(0), atol=0.01)


def test_it_falls_towards_the_failures(beliefs):
    near, far = np.exp(beliefs.log_success(np.array([[2.5, 0.0], [-1.0, 0.0]])))
    assert near < 0.5 < far
