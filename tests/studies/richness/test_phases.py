"""What became of a run, told from losses that are made up and therefore known."""

import math

import numpy as np
import pytest

from similitude.core.errors import StudyError
from similitude.studies.richness.phases import Phase, over, phase_of
from similitude.studies.stable_rates import Edge

T = np.arange(200)
NOISE = np.random.default_rng(0).standard_normal(200)


def told(losses, **options):
    values = np.asarray(losses, dtype=float)
    finite = values[np.isfinite(values)]
    given = {
        "initial": 1.0,
        "final": float(finite[-20:].mean()) if len(finite) == len(values) else math.inf,
        "lr": 0.1,
    }
    return phase_of(values, **(given | options))


def steps(*levels):
    return np.repeat(levels, len(T) // len(levels))


CASES = {
    "nan": (np.where(T < 50, 1.0, np.nan), Phase.DIVERGED),
    "ends above": (1 + T / 100, Phase.DIVERGED),
    "rose and died": (np.where(abs(T - 20) < 5, 9.0, 1.0), Phase.DIVERGED),
    "rose and learned": (np.where(T < 20, 1 + T / 10, 0.1), Phase.CATAPULT),
    "flat": (np.ones(200), Phase.NO_PROGRESS),
    "even": (1 - 0.05 * T / 200, Phase.NO_PROGRESS),
    "ever slower": (1 - 0.05 * (1 - np.exp(-T / 40)), Phase.NO_PROGRESS),
    "noise": (1 + 0.02 * NOISE, Phase.NO_PROGRESS),
    "escapes a plateau": (1 - 1e-4 * np.exp(T / 35), Phase.PLATEAU),
    "stairs": (steps(1.0, 0.5, 0.1, 0.02), Phase.STAIRCASE),
    "one drop": (1 / (1 + np.exp((T - 100) / 5)), Phase.STAIRCASE),
    "exponential": (np.exp(-T / 20), Phase.LEARNED),
    "power law": (1 / (1 + T / 5), Phase.LEARNED),
    "noisy stairs": (steps(1.0, 0.5, 0.1, 0.02) * (1 + 0.05 * NOISE), Phase.STAIRCASE),
    "noisy": (np.exp(-T / 30) * (1 + 0.2 * NOISE), Phase.LEARNED),
}


@pytest.mark.parametrize("name", CASES)
def test_phases_of_known_curves(name):
    losses, expected = CASES[name]
    assert told(losses)[0] is expected


def test_a_run_above_the_edge_that_has_not_fallen_is_dead():
    assert told(np.ones(200), edge=Edge(0.01, 0.02))[0] is Phase.DIVERGED
    assert told(np.ones(200), edge=Edge(0.2, 0.4))[0] is Phase.NO_PROGRESS


def test_a_run_stands_on_a_plateau_where_other_rates_come_further():
    stuck = np.where(T < 60, 1 - T / 120, 0.5)
    assert told(stuck, reached=0.1)[0] is Phase.PLATEAU
    assert told(stuck, reached=0.45)[0] is not Phase.PLATEAU
    assert told(1 - T / 400, reached=0.1)[0] is Phase.LEARNED  # it still falls


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [0.01, 0.03])
def test_noise_makes_no_stairs(seed, size):
    """A language model's loss: a fifth of it learned, evenly, beside the noise of its batches."""
    noise = size * np.random.default_rng(seed).standard_normal(200)
    assert told(1 - 0.25 * (1 - np.exp(-T / 50)) + noise)[0] is Phase.LEARNED


def test_levels_and_drops_of_a_staircase():
    _, stairs = told(steps(1.0, 0.5, 0.1, 0.02))
    assert [plateau.level for plateau in stairs.plateaus] == pytest.approx([1.0, 0.5, 0.1, 0.02])
    assert [drop.time for drop in stairs.drops] == pytest.approx([50, 100, 150])


def test_losses_over_those_of_the_untrained_model_do_not_feel_the_batches():
    hard = np.exp(NOISE)
    assert over(hard * np.exp(-T / 20), hard) == pytest.approx(np.exp(-T / 20))
    assert over(hard - 1, hard - 1) == pytest.approx(np.ones(200))


def test_short_runs_have_no_plateau():
    assert told(1 - 1e-4 * np.exp(np.arange(10) * 0.6))[0] is Phase.NO_PROGRESS


@pytest.mark.parametrize("losses", [np.array([]), np.ones((2, 3))])
def test_what_is_no_curve_is_refused(losses):
    with pytest.raises(StudyError, match="one loss per step"):
        phase_of(losses, initial=1.0, final=0.5, lr=0.1)
