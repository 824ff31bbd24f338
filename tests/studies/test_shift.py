"""Shifts of the best learning rate with width, the cost of transferring it, and the verdicts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from similitude.core.citation import cite
from similitude.core.errors import BadVerdictError, GridError, NotEnoughEvidenceError
from similitude.core.verdict import Outcome
from similitude.studies.penalty import Penalty, penalty
from similitude.studies.records import Curve
from similitude.studies.shift import transfer
from similitude.studies.shift_verdict import Measured, Tolerances, judge
from tests.studies.loss_curves import bowl, cliff, drawn, flat, lopsided

WIDTHS = (64, 128, 256)


def family(shape, centres, *, widths=WIDTHS, seed=0, **settings) -> list[Curve]:
    rng = np.random.default_rng(seed)
    grid = {"noise": 0.01, "points": 13, "offset": 0.0, **settings}
    curves = []
    for width, centre in zip(widths, centres, strict=True):
        # the same grid at every width: the shape moves inside it
        moved = lambda x, c=centre: shape(x - c)  # noqa: E731
        curves.append(drawn(moved, rng, width=width, centre=-6.0, **grid))
    return curves


@pytest.mark.parametrize("shape", [bowl, lopsided, cliff])
def test_an_optimum_that_falls_an_octave_per_doubling_shifts(shape) -> None:
    result = transfer("sp", family(shape, [1, 0, -1]))
    assert result.shift == pytest.approx(-1, abs=0.3)
    assert result.shift_interval is not None
    assert result.shift_interval[0] <= -1 <= result.shift_interval[1] < 0
    assert result.verdict.outcome is Outcome.SHIFTS
    assert "fan-in" in result.verdict.causes[0]
    assert 'rule "mup"' in result.verdict.next
    assert result.verdict.evidence[0].value == result.shift
    assert result.verdict.evidence[0].interval == result.shift_interval
    with pytest.raises(BadVerdictError, match="octaves per doubling"):
        result.raise_if_bad()


@pytest.mark.parametrize("shape", [bowl, lopsided, cliff])
def test_an_optimum_that_stays_transfers(shape) -> None:
    result = transfer("mup", family(shape, [0, 0, 0], step=0.5, points=17))
    assert result.verdict.outcome is Outcome.TRANSFERS
    assert result.shift_interval is not None
    assert result.shift_interval[0] <= 0 <= result.shift_interval[1]
    assert abs(result.shift or 0) < 0.25
    assert result.loss_at_transferred is not None
    assert result.loss_at_best is not None
    assert result.loss_at_transferred < 1.05 * result.loss_at_best
    result.raise_if_bad()


def test_the_shift_of_exact_parabolas_is_the_least_squares_slope() -> None:
    centres, widths = [0.3, 0.1, -0.9, -1.2], (32, 64, 256, 512)
    parabola = lambda x: np.exp(0.02 * x**2)  # noqa: E731
    result = transfer("sp", family(parabola, centres, widths=widths, noise=0.0))
    slope = np.polyfit(np.log2(widths), np.array(centres), 1)[0]
    assert result.shift == pytest.approx(slope, abs=1e-9)
    assert result.shift_interval == pytest.approx((slope, slope), abs=1e-6)


def test_two_widths_are_enough_and_curves_come_in_any_order() -> None:
    curves = family(bowl, [0, -2], widths=(64, 256))
    result = transfer("sp", curves[::-1])
    assert [curve.size for curve in result.curves] == [64, 256]
    assert result.shift == pytest.approx(-1, abs=0.1)
    assert result.transferred_lr == result.optima[0].lr


def test_the_interval_of_the_shift_covers_no_shift_when_there_is_none() -> None:
    held = []
    for seed, shape in itertools.product(range(6), (bowl, lopsided, flat)):
        result = transfer("mup", family(shape, [0, 0, 0], seed=seed, noise=0.02))
        assert result.shift_interval is not None
        held.append(result.shift_interval[0] <= 0 <= result.shift_interval[1])
    assert np.mean(held) >= 0.9


def test_a_costly_rate_shifts_though_the_slope_is_small() -> None:
    """A narrow basin: a fifth of an octave per doubling is within tolerance, and costs a third."""
    narrow = lambda x: 1 + 2 * x**2  # noqa: E731
    result = transfer("mup", family(narrow, [0.2, 0, -0.2], step=0.5, noise=0.002))
    assert abs(result.shift or 1) < 0.25
    assert result.verdict.outcome is Outcome.SHIFTS
    assert result.verdict.next == "--widths 128,256,512"


def test_a_rate_that_diverges_at_the_largest_width_shifts_at_infinite_cost() -> None:
    x = np.arange(-9.0, -2.0)
    base = [[1 + 0.2 * (v + 4) ** 2] * 3 for v in x]
    wide = [[1 + 0.2 * (v + 6) ** 2] * 3 if v < -4.5 else [math.nan] * 3 for v in x]
    rates = tuple(2.0**x)
    result = transfer(
        "sp", [Curve(64, rates, tuple(map(tuple, base))), Curve(256, rates, tuple(map(tuple, wide)))]
    )
    assert result.loss_at_transferred == math.inf
    assert result.loss_stderr is None
    assert result.verdict.outcome is Outcome.SHIFTS
    assert "diverges at width 256" in result.verdict.summary


def test_a_width_that_is_not_bracketed_comes_before_its_shift() -> None:
    result = transfer("sp", family(bowl, [0, -3, -9]))
    assert result.verdict.outcome is Outcome.NOT_BRACKETED
    assert "2^-12 is the smallest you tried at width 256" in result.verdict.summary
    assert result.verdict.next == "--lr-min 2^-15 --points 16"
    with pytest.raises(NotEnoughEvidenceError, match="Next: --lr-min"):
        result.raise_if_bad()


def test_a_width_at_which_all_diverged_comes_first() -> None:
    curves = family(bowl, [0, -9, 0])
    dead = Curve(256, curves[2].lrs, tuple((math.inf,) * 3 for _ in curves[2].lrs))
    result = transfer("sp", [*curves[:2], dead])
    assert result.verdict.outcome is Outcome.DIVERGED
    assert result.shift is None
    assert result.loss_at_transferred is None


def test_noise_comes_before_a_shift() -> None:
    result = transfer("sp", family(bowl, [1, 0, -1], noise=0.3, seed=3))
    assert result.verdict.undecided


def test_intervals_that_show_neither_are_cannot_tell() -> None:
    """Noise that hides a fifth of an octave and a tenth of the loss alike shows no equivalence."""
    result = transfer(
        "mup", family(bowl, [0, 0, 0], noise=0.1, common=0.0), tolerance=0.02, loss_tolerance=0.001
    )
    assert result.verdict.outcome is Outcome.CANNOT_TELL
    assert "neither shown to stay nor to move" in result.verdict.summary
    assert "--seeds" in result.verdict.next
    assert "--widths 64,128,256,512" in result.verdict.next


@pytest.mark.parametrize(
    ("shift", "interval", "excess", "stderr", "outcome"),
    [
        (0.1, (-0.3, 0.45), 0.2, 0.15, Outcome.TRANSFERS),  # cost unclear, but within twice the tolerance
        (0.1, (-0.7, 0.9), 0.01, 0.01, Outcome.TRANSFERS),  # shift unclear, but surely cheap
        (0.1, (-0.7, 0.9), 0.01, 0.05, Outcome.CANNOT_TELL),  # neither is clear
        (0.2, (0.1, 0.3), 0.01, 0.01, Outcome.CANNOT_TELL),  # moves within tolerance: does it stay?
        (0.1, (0.05, 0.2), 0.01, 0.01, Outcome.TRANSFERS),  # moves, but surely less than the tolerance
        (0.4, (-0.1, 0.9), 0.01, 0.01, Outcome.CANNOT_TELL),
        (0.4, (0.1, 0.9), 0.01, 0.01, Outcome.SHIFTS),
        (0.1, (-0.1, 0.2), 0.2, 0.01, Outcome.SHIFTS),  # little moves, and it costs a fifth
        (0.1, (-0.1, 0.2), 0.04, None, Outcome.TRANSFERS),
        (0.1, (-0.1, 0.2), 0.2, None, Outcome.CANNOT_TELL),  # one seed: a cost without an error
    ],
)
def test_what_decides_between_staying_and_moving(shift, interval, excess, stderr, outcome) -> None:
    curves = tuple(family(bowl, [0, 0, 0]))
    optima = transfer("mup", curves).optima
    cost = Penalty(1 + excess, 1.0, stderr)
    verdict = judge(Measured("mup", curves, optima, shift, interval, cost), Tolerances(0.25, 0.05))
    assert verdict.outcome is outcome


def test_the_cost_of_a_rate_beside_the_best_is_small_against_noise() -> None:
    """The best mean of a noisy grid is too good; what that adds to the cost stays within its error."""
    costs = [
        penalty(drawn(bowl, np.random.default_rng(seed), noise=0.05, step=0.5, points=17), 2**0.3)
        for seed in range(100)
    ]
    found = [cost for cost in costs if cost is not None and cost.stderr is not None]
    assert len(found) == 100
    assert all(cost.excess >= -1e-12 for cost in found)
    assert np.median([cost.relative for cost in found]) < 0.05
    assert np.mean([cost.excess > max(0.05, 2 * (cost.stderr or 0)) for cost in found]) < 0.1


@pytest.mark.parametrize("widths", [0, 1])
def test_fewer_than_two_widths_cannot_tell(widths: int) -> None:
    result = transfer("mup", family(bowl, [0, 0, 0])[:widths])
    assert result.shift is None
    assert result.verdict.outcome is Outcome.CANNOT_TELL
    assert result.verdict.next == "--widths 64,128,256"


def test_every_part_of_an_unfinished_study_gives_a_verdict() -> None:
    """Any prefix of the cells, in the order in which a study runs them, is judged without a traceback."""
    full = family(bowl, [0, 0], widths=(64, 256), points=7)
    cells = [(w, r, s) for w in range(2) for s in range(3) for r in range(7)]
    for done in range(0, len(cells) + 1, 3):
        finished = set(cells[:done])
        curves = [
            Curve(
                c.size,
                c.lrs,
                tuple(
                    tuple(v for s, v in enumerate(row) if (w, r, s) in finished)
                    for r, row in enumerate(c.losses)
                ),
            )
            for w, c in enumerate(full)
        ]
        result = transfer("mup", curves)
        assert result.verdict.summary
        assert result.verdict.ok or result.verdict.next
        result.to_dict()


def test_two_curves_of_one_width_are_refused() -> None:
    curves = family(bowl, [0, 0, 0])
    with pytest.raises(GridError, match="two curves of width 64"):
        transfer("mup", [curves[0], curves[0]])


def test_the_cost_is_read_off_between_the_neighbours_with_paired_error() -> None:
    x = [-6.0, -5.0, -4.0, -3.0]
    losses = ((1.5, 1.6, 1.7), (1.0, 1.1, 1.2), (1.3, 1.3, 1.3), (9.0, math.nan, 9.0))
    curve = Curve(256, tuple(2.0**v for v in x), losses)
    between = penalty(curve, 2**-4.4)
    assert between is not None
    assert 1.1 <= between.at_transferred <= 1.3
    assert between.at_best == pytest.approx(1.1)
    share = (between.at_transferred - 1.1) / 0.2
    paired = share * (np.array(losses[2]) - np.array(losses[1]))
    assert between.stderr == pytest.approx(paired.std(ddof=1) / math.sqrt(3))
    on_best = penalty(curve, 2**-5)
    assert on_best is not None
    assert (on_best.excess, on_best.stderr) == (0, 0)
    assert penalty(curve, 2**-7) is None


@pytest.mark.parametrize(("at", "expected"), [(-3.9, 1.3), (-3.4, math.inf), (-3.0, math.inf)])
def test_beside_a_diverged_rate_the_nearer_point_counts(at: float, expected: float) -> None:
    curve = Curve(256, (2**-6, 2**-5, 2**-4, 2**-3), ((1.5,), (1.0,), (1.3,), (math.inf,)))
    cost = penalty(curve, 2.0**at)
    assert cost is not None
    assert cost.at_transferred == expected


def test_it_cites_its_paper() -> None:
    assert cite(transfer)[0].paper.number == 17
