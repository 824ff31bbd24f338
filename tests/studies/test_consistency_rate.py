"""The learning rate that a study finds at its smallest size, on losses whose stable rates are known."""

import math

import numpy as np
import pytest

from similitude.core.errors import StudyError
from similitude.studies.consistency_rate import Rate, find_rate
from similitude.training.result import RunResult


def runs(final):
    """Runs that begin at loss 1 and end where `final(lr, seed)` says; what was tried is kept."""
    tried = []

    def trained(runs):
        tried.extend(runs)
        return [RunResult(np.array([1.0, final(lr, seed)]), None) for lr, seed in runs]

    return trained, tried


def test_descent_gets_a_quarter_of_its_largest_stable_rate():
    """On half a square of curvature 1/10, a step at rate lr leaves (1 - lr / 10)^2: stable below 20 less 5 %."""
    trained, _ = runs(lambda lr, seed: (1 - lr / 10) ** 2)
    rate = find_rate(trained, (0, 1, 2))
    assert rate.stable == 16  # of half an octave: 16, 22.6
    assert rate.lr == 4


def test_the_best_rate_is_taken_where_it_is_smaller():
    """As with Adam, whose runs still learn a little at rates far above the best one."""
    trained, _ = runs(lambda lr, seed: 0.2 + 0.05 * abs(math.log2(lr) + 8) if lr < 1 else math.inf)
    rate = find_rate(trained, (0,))
    assert rate.lr == rate.best == 2**-8
    assert rate.stable >= 2**-1
    assert "the best rate at the smallest size" in str(rate)


def test_every_seed_has_to_be_stable():
    trained, tried = runs(lambda lr, seed: 0.5 if lr <= (8.0 if seed == 0 else 5.7) else math.nan)
    rate = find_rate(trained, (0, 1))
    assert rate.stable <= 5.7
    assert {seed for _, seed in tried} == {0, 1}


def test_an_island_of_luck_beyond_a_gap_is_not_the_edge():
    trained, _ = runs(lambda lr, seed: 0.5 if lr <= 4 or lr == 2.0**12 else math.inf)
    assert find_rate(trained, (0,)).stable < 16


def test_a_loss_that_nothing_moves_is_refused():
    trained, _ = runs(lambda lr, seed: 0.99)
    with pytest.raises(StudyError, match="takes a tenth off the loss"):
        find_rate(trained, (0,))


def test_a_rate_survives_the_ledger():
    rate = Rate(1.0, 4.0, 2.0)
    assert Rate.from_dict(rate.to_dict()) == rate
    assert str(Rate(0.25)) == "0.25, as given"
