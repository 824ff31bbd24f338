"""The largest learning rate at which training still learns, and which rates to try next until it is bracketed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from similitude.studies.records import Curve

LEARNED = 0.1
"""Share of the initial loss that a stable run has to take off it. A network of ReLUs that is trained too fast dies
without a sound: its loss stays finite and near the initial one, so to be finite is not enough."""

PER_OCTAVE = 4
"""Rates of the lattice per factor of two: what a largest stable rate is rounded to."""

COARSE = 2 * PER_OCTAVE
FIRST = 8 * PER_OCTAVE
EXTENSION = 8 * PER_OCTAVE
FARTHEST = 64 * PER_OCTAVE
"""Steps of the lattice: between the rates of the first round, from 1 to its ends, of one extension, and from 1 to where
the search ends. None of them knows anything of gamma."""


@dataclass(frozen=True)
class Edge:
    """The edge of stability of one seed: the largest stable rate and the first unstable one above it.

    Attributes:
        stable: The largest stable rate of those that are stable together with the best one; None where none is.
        unstable: The next rate that was tried; None where the stable one is the largest of all.
    """

    stable: float | None
    unstable: float | None


def learned(final: float, initial: float) -> bool:
    """Tell whether a run is stable: its loss is finite and clearly below the initial one at the end.

    A loss that rises first and falls later (a catapult) counts as stable.

    Example:
        >>> learned(0.5, 1.0), learned(0.99, 1.0), learned(math.nan, 1.0)
        (True, False, False)
    """
    return math.isfinite(final) and initial - final > LEARNED * abs(initial)


def calm(final: float, initial: float) -> bool:
    """Tell whether a loss is finite and has not clearly risen: a rate at which nothing broke, whether it learned or not.

    Example:
        >>> calm(0.5, 1.0), calm(1.01, 1.0), calm(3.0, 1.0)
        (True, True, False)
    """
    return math.isfinite(final) and final - initial <= LEARNED * abs(initial)


def edges(curve: Curve, initial: Sequence[float]) -> tuple[Edge, ...]:
    """Find the edge of stability of every seed.

    Args:
        curve: Final losses over learning rates.
        initial: Loss of the untrained model by seed.

    Example:
        >>> edges(Curve(8, (0.1, 0.2, 0.4), ((0.9,), (0.2,), (math.inf,))), [1.0])
        (Edge(stable=0.2, unstable=0.4),)
    """
    found = []
    for seed, start in enumerate(initial):
        losses = [row[seed] for row in curve.losses]
        good = [i for i, loss in enumerate(losses) if learned(loss, start)]
        if not good:
            found.append(Edge(None, None))
            continue
        last = min(good, key=losses.__getitem__)
        while last + 1 in good:
            last += 1
        above = curve.lrs[last + 1] if last + 1 < len(losses) else None
        found.append(Edge(curve.lrs[last], above))
    return tuple(found)


def next_rates(curve: Curve, initial: Sequence[float]) -> tuple[float, ...]:
    """Return the learning rates to try next, so that the best and the largest stable rate become bracketed.

    The first round spans `FIRST` steps around 1 whatever the model and gamma are. Where the best rate is the smallest
    or a largest stable one the largest that was tried, the grid is extended; then the octaves around the best rate and
    the whole interval between the largest stable and the first unstable rate are filled in.

    Args:
        curve: Losses so far; all rates are of the lattice 2^(k / `PER_OCTAVE`).
        initial: Loss of the untrained model by seed.

    Returns:
        New rates, increasing; empty where all is bracketed, or where the search has come too far.

    Example:
        >>> [math.log2(lr) for lr in next_rates(Curve(8, (), ()), [])]
        [-8.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0]
    """
    known = [round(PER_OCTAVE * math.log2(lr)) for lr in curve.lrs]
    if not known:
        return _rates(range(-FIRST, FIRST + 1, COARSE))
    found = edges(curve, initial)
    quiet = [all(map(calm, row, initial)) for row in curve.losses]
    wanted = set(_outward(curve, known, initial)) or _inward(curve, known, found, quiet)
    return _rates(sorted(k for k in wanted - set(known) if abs(k) <= FARTHEST))


def open_ends(curve: Curve, initial: Sequence[float]) -> tuple[bool, bool]:
    """Tell at which ends a grid of rates leaves the best or the largest stable rate out.

    Args:
        curve: Final losses over at least one learning rate.
        initial: Loss of the untrained model by seed.

    Returns:
        Whether smaller rates are missing, and whether larger ones are.

    Example:
        >>> open_ends(Curve(8, (0.1, 0.2, 0.4), ((0.9,), (0.5,), (0.2,))), [1.0])
        (False, True)
    """
    found = edges(curve, initial)
    if all(edge.stable is None for edge in found):
        # Nothing has learned: rates are too large where the smallest breaks, too small where the largest does not.
        first, last = (all(map(calm, curve.losses[i], initial)) for i in (0, -1))
        return not first, last
    top = any(edge.stable is not None and edge.unstable is None for edge in found)
    return _best(curve) == 0, top


def _outward(curve: Curve, known: Sequence[int], initial: Sequence[float]) -> list[int]:
    """Rates beyond the ends of the grid."""
    low, high = known[0], known[-1]
    down = range(low - EXTENSION, low, COARSE)
    up = range(high + COARSE, high + EXTENSION + 1, COARSE)
    below, above = open_ends(curve, initial)
    return [*(down if below else ()), *(up if above else ())]


def _inward(curve: Curve, known: Sequence[int], found: Sequence[Edge], quiet: Sequence[bool]) -> set[int]:
    """Rates inside the grid that are still missing."""
    wanted: set[int] = set()
    at = dict(zip(curve.lrs, known, strict=True))
    for edge in found:
        if edge.stable is not None and edge.unstable is not None:
            wanted.update(range(at[edge.stable] + 1, at[edge.unstable]))
    if all(edge.stable is None for edge in found):
        # A narrow window of learning may lie between a rate that is too small and the first that breaks.
        for (low, below), (high, above) in pairwise(zip(known, quiet, strict=True)):
            if below and not above:
                wanted.update(range(low + 1, high))
                break
        return wanted
    best = known[_best(curve)]
    wanted.update(best + PER_OCTAVE * octaves for octaves in (-2, -1, 1, 2))
    return wanted


def _best(curve: Curve) -> int:
    """Position of the smallest mean loss; a rate at which a seed diverged is worse than all others."""
    means = [sum(row) / len(row) for row in curve.losses]
    return min(range(len(means)), key=lambda i: (not math.isfinite(means[i]), means[i]))


def _rates(steps: Sequence[int] | range) -> tuple[float, ...]:
    return tuple(2.0 ** (k / PER_OCTAVE) for k in steps)
