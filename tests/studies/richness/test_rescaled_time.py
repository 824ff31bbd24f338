"""The collapse of loss curves in rescaled time, beside gradient descent of scalar networks."""

import numpy as np
import pytest

from similitude.core.errors import PlanError, StudyError
from similitude.core.verdict import Outcome
from similitude.studies.richness.rescaled_time import collapse


def descent(gamma, lr, layers, *, adam=False, limit=30_000):
    """Train the product of scalar weights over gamma to fit 1, from weights of 1, its start taken off."""
    w, losses = 1.0, []
    after = 0
    while len(losses) < limit and after < 400:
        error = (w**layers - 1) / gamma - 1
        losses.append(error**2)
        slope = 2 * error * w ** (layers - 1) / gamma
        w -= lr * (np.sign(slope) if adam else slope)
        after += error**2 < 0.01
    return np.array(losses)


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_scalar_networks_collapse_in_the_time_of_their_depth(layers):
    gammas = (1e3, 1e4, 1e5)
    rates = [0.01 * gamma ** (2 / layers) for gamma in gammas]
    curves = {g: descent(g, lr, layers) for g, lr in zip(gammas, rates, strict=True)}
    found = collapse(curves, rates, layers=layers)
    assert found.power == pytest.approx(2 / layers)
    assert found.discrepancy < 0.05
    assert found.verdict.outcome is Outcome.CONSISTENT
    assert found.interval is None
    wrong = collapse(curves, rates, layers=layers + 1)
    assert wrong.discrepancy > 3 * found.discrepancy


def test_rates_are_part_of_the_time():
    """The same descent at half the rate takes twice the steps, and is the same curve."""
    curves = {1e3: descent(1e3, 10.0, 2), 1e4: descent(1e4, 50.0, 2)}
    assert collapse(curves, [10.0, 50.0], layers=2).discrepancy < 0.02
    assert collapse(curves, [10.0, 100.0], layers=2).discrepancy > 0.1


def test_signs_of_gradients_take_half_the_power():
    gammas = (1e4, 1e6)
    rates = [0.01 * gamma ** (1 / 2) for gamma in gammas]
    curves = {g: descent(g, lr, 2, adam=True) for g, lr in zip(gammas, rates, strict=True)}
    assert collapse(curves, rates, layers=2, family="entrywise").power == 0.5
    assert collapse(curves, rates, layers=2, family="entrywise").discrepancy < 0.03


def test_seeds_are_aligned_each_by_itself():
    early, late = (1 / (1 + np.exp((np.arange(400) - at) / 10)) for at in (100, 250))
    found = collapse({1e2: np.stack([early, late]), 1e4: np.stack([late, early])}, [1.0, 100.0], layers=2)
    assert found.discrepancy < 1e-3
    low, high = found.interval
    assert low <= found.discrepancy <= high
    assert len(found.curves[1e2]) == len(found.time)
    assert np.interp(0.0, found.time, found.curves[1e2]) == pytest.approx(0.5, abs=0.02)


FALLS = 1 / (1 + np.exp((np.arange(400) - 200) / 10))


@pytest.mark.parametrize(
    ("curves", "rates", "message"),
    [
        ({1e2: FALLS}, [1.0], "at least two gammas"),
        ({1e2: FALLS, 1e3: FALLS}, [1.0], "2 gammas with 1 learning rates"),
        ({0.1: FALLS, 1e3: FALLS}, [1.0, 1.0], r"gamma=0\.1 is not above 1"),
        ({1e2: FALLS, 1e3: np.stack([FALLS, FALLS])}, [1.0, 1.0], "1 at gamma 100, 2 at gamma 1000"),
        ({1e2: FALLS, 1e3: np.ones(400)}, [1.0, 1.0], "gamma 1000 ends at 1 .* never below half"),
        ({1e2: FALLS, 1e3: FALLS}, [0.0, 1.0], "learning rate 0: time"),
        ({1e2: FALLS, 1e3: FALLS}, [-1.0, 1.0], "learning rate -1"),
        ({1e2: FALLS, 1e3: FALLS}, [np.nan, 1.0], "learning rate nan"),
        ({1e2: FALLS, 1e3: 2.3 * FALLS}, [1.0, 1.0], r"gamma 1000 starts at 2\.3"),
        ({1e2: FALLS, 1e3: np.full(400, np.nan)}, [1.0, 1.0], "not all are finite"),
    ],
)
def test_what_cannot_be_aligned_is_refused(curves, rates, message):
    with pytest.raises(StudyError, match=message):
        collapse(curves, rates, layers=2)


def test_a_number_of_layers_is_needed():
    with pytest.raises(PlanError, match="layers=0"):
        collapse({1e2: FALLS, 1e3: FALLS}, [1.0, 1.0], layers=0)
