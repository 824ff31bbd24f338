"""The search for the edge of stability, on losses whose edge is known."""

import math

import pytest

from similitude.studies.records import Curve
from similitude.studies.stable_rates import LEARNED, PER_OCTAVE, edges, learned, next_rates


def searched(losses, initial):
    """Run the search with `losses(lr)`, one number per seed, until it asks for nothing; return its curve."""
    found = {}
    for _ in range(40):
        curve = Curve(8, tuple(sorted(found)), tuple(found[lr] for lr in sorted(found)))
        wanted = next_rates(curve, initial)
        if not wanted:
            return curve
        assert not set(wanted) & set(found)
        found |= {lr: losses(lr) for lr in wanted}
    raise AssertionError("the search does not end")


def quadratic(edge, floor=1e-6):
    """Loss of gradient descent on a quadratic after 100 steps, stable below `edge`."""

    def loss(lr):
        shrink = abs(1 - 2 * lr / edge)
        return math.inf if shrink > 1.5 else shrink**200 + floor

    return loss


@pytest.mark.parametrize("octave", [-40.3, -21.1, -8.9, -0.4, 3.3, 12.6, 30.2])
def test_the_edge_is_found_wherever_it_lies(octave):
    shifts = (0.0, 0.6)
    runs = [quadratic(2.0 ** (octave + shift)) for shift in shifts]
    curve = searched(lambda lr: tuple(run(lr) for run in runs), (1.0, 1.0))
    for edge, shift in zip(edges(curve, (1.0, 1.0)), shifts, strict=True):
        assert edge.unstable == pytest.approx(edge.stable * 2 ** (1 / PER_OCTAVE))
        assert abs(math.log2(edge.stable) - octave - shift) <= 1 / PER_OCTAVE
    means = [sum(row) for row in curve.losses]
    assert 0 < means.index(min(means)) < len(means) - 1


def test_the_grid_knows_nothing_of_gamma():
    assert next_rates(Curve(8, (), ()), ()) == tuple(4.0**k for k in range(-4, 5))


def test_a_dead_network_is_not_stable():
    """Above its edge the loss is finite and that of the start."""
    curve = searched(lambda lr: (1.0 - 0.001 if lr > 0.3 else 1 / (1 + 50 * lr),), (1.0,))
    assert edges(curve, (1.0,))[0].stable == pytest.approx(2**-1.75)  # the last of the lattice below 0.3


def test_networks_that_die_far_from_the_start_are_trained_too_fast():
    """At small gamma a dead network's loss is finite and enormous: its initial output is still taken off."""
    curve = searched(lambda lr: (1e6 if lr > 2.0**-30 else 1 / (1 + 2.0**36 * lr),), (1.0,))
    assert edges(curve, (1.0,))[0].stable == 2.0**-30


def test_what_is_stable_beyond_a_gap_does_not_count():
    curve = Curve(8, (1.0, 2.0, 4.0, 8.0), ((0.2,), (0.1,), (math.inf,), (0.5,)))
    edge = edges(curve, (1.0,))[0]
    assert (edge.stable, edge.unstable) == (2.0, 4.0)


def test_a_narrow_window_is_found():
    """Too small to learn below 2^1.3, diverged above 2^1.8: between two rates of the first round."""

    def loss(lr):
        octave = math.log2(lr)
        return (math.inf if octave > 1.8 else 0.3 if octave > 1.3 else 0.999,)

    edge = edges(searched(loss, (1.0,)), (1.0,))[0]
    assert math.log2(edge.stable) == pytest.approx(1.75)


@pytest.mark.parametrize("loss", [1.0, math.inf, math.nan])
def test_a_search_without_hope_ends(loss):
    curve = searched(lambda lr: (loss,), (1.0,))
    assert edges(curve, (1.0,))[0].stable is None
    assert len(curve.lrs) < 80


@pytest.mark.parametrize(
    ("final", "initial", "expected"),
    [
        (0.0, 1.0, True),
        (1.0 - LEARNED, 1.0, False),
        (-1.2, -1.0, True),
        (-1.0, -1.0, False),
        (math.nan, 1.0, False),
    ],
)
def test_to_have_learned_is_to_be_clearly_below_the_start(final, initial, expected):
    assert learned(final, initial) is expected
