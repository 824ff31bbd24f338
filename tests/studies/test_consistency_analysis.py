"""Spreads, distances and growth of curves whose answer is known, and intervals against fresh noise."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from similitude.studies.consistency_analysis import compared_sizes, gap, growth, spread, window_means
from similitude.studies.consistency_records import Growth
from similitude.studies.windows import Window
from tests.studies.consistency_cases import STEPS, WINDOWS, curves, gap_of_loss, lazy, same

LATE = WINDOWS[-1]


def test_spreads_are_over_sizes_from_four_times_the_smallest_on():
    assert compared_sizes([64, 128, 256, 512, 1024]) == (256, 512, 1024)
    assert compared_sizes([64, 128, 256]) == (128, 256)
    assert compared_sizes([64, 128]) == (128,)


def test_a_spread_is_the_range_over_the_mean():
    found = curves(sharpness=lambda size, t: {256: 1.0, 512: 1.5, 1024: 2.0}.get(size, 9.0), loss=gap_of_loss)
    known = spread(found, LATE)
    assert known.value == pytest.approx(1.0 / 1.5)
    assert known.interval == pytest.approx((2 / 3, 2 / 3))  # seeds agree
    assert known.means == pytest.approx({64: 9.0, 128: 9.0, 256: 1.0, 512: 1.5, 1024: 2.0})


def test_means_are_those_of_the_window():
    (curve,) = curves((64,), sharpness=lambda size, t: t, loss=gap_of_loss)
    assert window_means(curve, "eta_lambda", Window(50, 70)) == pytest.approx([0.6] * 3)


def test_a_run_that_diverged_has_no_mean_from_there_on():
    found = curves(sharpness=same, loss=lambda size, t: math.nan if size == 512 and t > 0.8 else 1.0)
    assert spread(found, WINDOWS[1]).value is not None
    assert spread(found, LATE).value is None
    assert gap(found, "loss", LATE).mean is None


def test_a_quantity_that_is_not_known_at_some_steps_is_averaged_over_the_others():
    """Adam has no units before its first step, while its loss is known."""
    (curve,) = curves((64,), sharpness=lambda size, t: math.nan if t == 0 else 2.0, loss=gap_of_loss)
    assert window_means(curve, "eta_lambda", Window(0, 50)) == pytest.approx([2.0] * 3)
    assert np.isnan(window_means(curve, "eta_lambda", Window(0, 0))).all()


def test_a_negative_sharpness_has_no_relative_spread():
    assert spread(curves(sharpness=lambda size, t: -1.0, loss=gap_of_loss), LATE).value is None


@pytest.mark.parametrize("truth", [{}, {256: 1.0, 512: 1.1, 1024: 1.2}], ids=["equal", "apart"])
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_intervals_hold_the_spread_of_the_true_means(truth, noise):
    """Equal sizes, whose true spread 0 noise only ever exceeds, and sizes 1.0, 1.1, 1.2, whose spread is 2 / 11: in at
    least 93 % of intervals."""
    true_spread = 0.2 / 1.1 if truth else 0.0
    hits = 0
    for draw in range(400):
        found = curves(
            (64, 256, 512, 1024),
            sharpness=lambda size, t: truth.get(size, 1.0),
            loss=gap_of_loss,
            noise=noise,
            seed=draw,
        )
        low, high = spread(found, LATE).interval
        hits += low <= true_spread <= high
    assert hits >= 0.93 * 400


def test_the_interval_of_two_sizes_is_that_of_student():
    """The range of two means is the absolute difference of two means, whose interval is Student's."""
    found = curves((64, 128, 256), sharpness=same, loss=gap_of_loss, noise=0.1, seed=3)
    first, second = (window_means(c, "eta_lambda", LATE) for c in found[1:])
    test = stats.ttest_ind(first, second).confidence_interval(0.95)
    mean = (first.mean() + second.mean()) / 2
    assert spread(found, LATE).interval[1] == pytest.approx(max(-test.low, test.high) / mean, rel=1e-6)
    several = spread(found, LATE, judged=3)
    assert several.interval == pytest.approx(spread(found, LATE).interval)
    one_of_three = stats.ttest_ind(first, second).confidence_interval(1 - 0.05 / 3)
    width = (one_of_three.high - one_of_three.low) / 2 / mean
    assert several.at_least == pytest.approx(max(0.0, several.value - width), abs=1e-9)


def test_distances_and_their_power_are_those_of_a_power_law():
    """The largest size has distance zero from itself, so 1 + a (1/N - 1/N_max) over 1 is exactly a power law less a
    constant; with N_max far away its power is -1."""
    found = curves(
        (64, 128, 256, 2**20), sharpness=lambda size, t: 1 + 6.4 / size, loss=lambda size, t: 2 + 64 / size
    )
    of_sharpness, of_loss = gap(found, "sharpness", LATE), gap(found, "loss", LATE)
    assert of_sharpness.distances == pytest.approx({64: 0.1, 128: 0.05, 256: 0.025}, rel=1e-3)
    assert of_loss.distances == pytest.approx({64: 0.5, 128: 0.25, 256: 0.125}, rel=1e-3)
    assert of_sharpness.slope == pytest.approx(-1, abs=1e-3)
    assert of_loss.mean == pytest.approx((0.5 + 0.25 + 0.125) / 3, rel=1e-3)


def test_growth_is_the_ratio_of_late_to_early_distances():
    found = curves(
        (64, 128, 2**30), sharpness=same, loss=lambda size, t: 1 + (1 + 3 * (t > 0.4)) * 0.1 * (size < 2**30)
    )
    assert growth(found, "loss", WINDOWS).value == pytest.approx(4.0)
    assert growth(found, "loss", WINDOWS).interval == pytest.approx((4.0, 4.0))
    assert growth(found, "sharpness", WINDOWS).value is None  # no distance to grow from
    assert growth(found, "loss", WINDOWS[:2]).value is None  # one window after the start


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ((1.1, 3.0), "grows"),
        ((0.2, 0.9), "shrinks"),
        ((0.5, 2.0), "does not grow beyond noise"),
        (None, "cannot be told"),
    ],
)
def test_growth_in_a_word(interval, word):
    assert Growth("loss", 1.5, interval).word == word


def test_lazy_curves_spread_and_equal_ones_do_not():
    assert spread(curves(sharpness=same, loss=gap_of_loss), LATE).value == 0
    assert spread(curves(sharpness=lazy, loss=gap_of_loss), WINDOWS[0]).value == 0
    assert spread(curves(sharpness=lazy, loss=gap_of_loss), LATE).value > 0.15


def test_one_seed_has_no_interval():
    one = [
        replace(c, series={k: v[:1] for k, v in c.series.items()})
        for c in curves(sharpness=same, loss=gap_of_loss)
    ]
    assert spread(one, LATE).interval is None
    assert growth(one, "loss", WINDOWS).interval is None
    assert len(one[0].steps) == len(STEPS)
