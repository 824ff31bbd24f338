"""The neighbourhood of the best rate: how far it reaches, what counts as a wall, and how noise is pooled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.studies.basin import CEILING, basin
from similitude.studies.noise import mean_losses, noise_near

INF = math.inf


def rows(logs: list[float]) -> list[np.ndarray]:
    """Return one seed per rate with these log losses."""
    return [np.exp(np.array([v])) for v in logs]


def test_it_reaches_two_and_a_half_octaves_on_each_side() -> None:
    x = np.arange(-8.0, 1.0, 0.5)
    around = basin(x, rows([0.02 * (v + 4) ** 2 for v in x]))
    assert (around.x[0], around.best, around.x[-1]) == (-6.5, -4.0, -1.5)
    assert not around.wall.any()
    assert around.rise.min() == 0


def test_the_first_wall_of_a_side_is_capped_and_those_behind_it_are_dropped() -> None:
    x = np.arange(-6.0, 1.0)
    around = basin(x, rows([0.3, 0.2, 0.1, 0.0, 0.15, 0.9, 5.0]))
    assert around.x.tolist() == [-5, -4, -3, -2, -1]
    assert around.rise == pytest.approx([0.2, 0.1, 0.0, 0.15, CEILING])
    assert around.wall.tolist() == [False] * 4 + [True]
    assert not around.wall_beside


@pytest.mark.parametrize("wall", [2.0, 80.0, INF])
def test_the_height_of_a_wall_does_not_matter(wall: float) -> None:
    x = np.arange(-6.0, 0.0)
    around = basin(x, rows([0.3, 0.2, 0.1, 0.0, wall, INF]))
    assert around.x.tolist() == [-5, -4, -3, -2]
    assert around.rise[-1] == CEILING
    assert around.wall_beside


@pytest.mark.parametrize(("step", "points"), [(2.0, 4), (3.0, 4), (5.0, 4)])
def test_a_coarse_grid_still_gives_a_point_on_each_side_and_four_in_all(step: float, points: int) -> None:
    x = np.arange(7.0) * step
    around = basin(x, rows([0.01 * ((v - 3.2 * step) / step) ** 2 for v in x]))
    assert len(around.x) == points
    assert around.x[0] < around.best < around.x[-1]


def test_a_curve_that_is_steep_for_its_grid_is_not_walled_in() -> None:
    """Losses that fall to nearly nothing: every neighbour rises by more than the usual ceiling."""
    x = np.arange(-6.0, 1.0)
    around = basin(x, rows([1.5 * (v + 2.9) ** 2 for v in x]))
    assert around.x.tolist() == [-5, -4, -3, -2, -1]
    assert around.wall.tolist() == [True, False, False, False, True]


def test_a_rate_at_which_one_seed_diverged_is_a_wall() -> None:
    x = np.arange(-4.0, 0.0)
    around = basin(x, [np.array(row) for row in ([1.2, 1.3], [1.0, 1.1], [1.1, 1.2], [0.1, math.nan])])
    assert around.best == -3
    assert around.wall.tolist() == [False, False, False, True]


def test_noise_near_the_best_rate_leaves_out_what_a_seed_adds_to_all() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        losses = np.arange(5.0)[:, None] ** 2 + rng.standard_normal((5, 3)) + 10 * rng.standard_normal(3)
        seeds = list(losses)
        found.append(noise_near(seeds, mean_losses(seeds)).stderr ** 2)
    # the variance of a difference of two means of three seeds, each loss with its own variance 1
    assert np.mean(found) == pytest.approx(2 / 3, rel=0.1)
