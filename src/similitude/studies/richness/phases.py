"""What a run of one learning rate and one richness did, told from its losses: diverged, catapult, ..., learned."""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from similitude.core.errors import StudyError
from similitude.studies.stable_rates import Edge, calm, learned
from similitude.theory.gradient_flows.plateaus import LossStaircase, find_staircase

RISEN = 1.5
"""How many times that of the untrained model a loss reaches on the way in a catapult."""

STILL = 0.02
"""Share of the initial loss by which a run may fall over its last quarter and still be said to stand still."""

FASTER = 3.0
"""How much faster than at the start a loss that has hardly fallen has to fall at the end, to be leaving a plateau."""

SMALLEST, SHORTEST = 0.05, 0.05
"""Smallest drop of a staircase, relative to the range of the loss, and shortest plateau, relative to the run."""

_SMOOTH = (
    20  # plateaus are looked for in means over this part of a run, which is as long as the shortest of them
)
_POINTS = 8  # fewest losses of a plateau, against the noise of batches in short runs
_FEWEST = 20  # losses below which a plateau cannot be told from no progress
_SURE = 4.0  # standard deviations of the noise that means of losses have to differ by
_CLEAR = 15.0  # standard deviations of averaged noise that a smallest drop has to be
_GAUSSIAN = 0.6745 * math.sqrt(6)  # median of |second differences| of noise of deviation 1


class Phase(StrEnum):
    """What became of a run; the value is the text that reports and JSON show."""

    DIVERGED = "diverged"
    CATAPULT = "catapult"
    NO_PROGRESS = "no progress"
    PLATEAU = "plateau"
    STAIRCASE = "staircase"
    LEARNED = "learned"


NO_EDGE = Edge(None, None)


def phase_of(
    losses: ArrayLike,
    *,
    initial: float,
    final: float,
    lr: float,
    edge: Edge = NO_EDGE,
    reached: float = math.inf,
) -> tuple[Phase, LossStaircase | None]:
    """Tell what became of a run.

    - `diverged`: the loss is not finite, has clearly risen at the end, or has not fallen at a rate above the largest
      stable one, as that of a network of ReLUs that died.
    - `catapult`: it rose to `RISEN` times its initial value, and learned all the same.
    - `no progress`: it has fallen by less than a tenth, evenly: the rate is too small for these steps.
    - `plateau`: it has fallen by less than a tenth but ever faster, as at the end of a first plateau; or it stands
      still clearly above what the same gamma reaches at another rate.
    - `staircase`: it learned, in drops between plateaus.
    - `learned`: it learned, without a plateau before the end.

    Args:
        losses: Training loss before each step over that of the untrained model on the same batch (`over`), shape (T,);
            nan from where it diverged.
        initial: Loss of the untrained model on what `final` is measured on.
        final: Loss at the end.
        lr: Learning rate of the run.
        edge: Edge of stability at this gamma and seed.
        reached: Smallest final loss at this gamma, over rates.

    Returns:
        The phase, and the plateaus and drops of a run that learned; None of one that did not, or is too noisy for them.

    Raises:
        StudyError: There are no losses.

    Example:
        >>> falling = np.exp(-np.arange(100) / 10)
        >>> phase_of(falling, initial=1.0, final=0.0, lr=0.1)[0].value
        'learned'
        >>> phase_of(np.ones(100), initial=1.0, final=1.0, lr=1e-9)[0].value
        'no progress'
    """
    values = np.asarray(losses, dtype=float)
    if values.ndim != 1 or values.size == 0:
        raise StudyError(f"losses have the shape {values.shape}: pass one loss per step, at least one.")
    if not calm(final, initial) or not np.isfinite(values).all():
        return Phase.DIVERGED, None
    if not learned(final, initial):
        above = edge.stable is not None and lr > edge.stable
        if above or values.max() > RISEN:
            return Phase.DIVERGED, None
        return (Phase.PLATEAU if _leaves(values) else Phase.NO_PROGRESS), None
    found = _stairs(values)
    if values.max() > RISEN:
        return Phase.CATAPULT, found
    if _stands_still(values) and learned(reached, initial) and final - reached > initial / 10:
        return Phase.PLATEAU, found
    return (Phase.STAIRCASE if found is not None and found.drops else Phase.LEARNED), found


def over(losses: ArrayLike, untrained: ArrayLike) -> np.ndarray:
    """Return losses over those of the untrained model on the same batches: 1 where nothing is learned.

    Losses that may be negative are shifted instead: 1 plus the difference, over the mean size of the untrained ones.

    Args:
        losses: Training losses, shape (T,).
        untrained: Those of the untrained model, shape (T,).

    Example:
        >>> over([2.0, 1.0], [2.0, 4.0]), over([-1.0, -2.0], [-1.0, -1.0])
        (array([1.  , 0.25]), array([1., 0.]))
    """
    values, before = np.asarray(losses, dtype=float), np.asarray(untrained, dtype=float)
    return values / before if before.min() > 0 else 1 + (values - before) / np.abs(before).mean()


def averaged(values: np.ndarray, span: int) -> np.ndarray:
    """Average over a span of neighbours, an odd number of them; at the ends over as many as there are on both sides.

    Args:
        values: Shape (T,).
        span: Number of neighbours; below 2 nothing is averaged.

    Example:
        >>> averaged(np.array([0.0, 3.0, 0.0, 3.0]), 3)
        array([0., 1., 2., 3.])
    """
    at = np.arange(len(values))
    near = np.minimum(span // 2, np.minimum(at, len(values) - 1 - at))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[at + near + 1] - sums[at - near]) / (2 * near + 1)


def _stairs(values: np.ndarray) -> LossStaircase | None:
    """Find plateaus and drops in means over neighbours; None where their noise is as large as drops could be."""
    span = max(1, len(values) // _SMOOTH)
    whole = slice(
        span // 2, len(values) - span // 2
    )  # at the ends there are fewer neighbours, and more noise
    smooth = averaged(values, span)[whole]
    smallest = max(SMALLEST, _CLEAR * _noise(values) / math.sqrt(span) / float(np.ptp(smooth)))
    if smallest >= 0.5:
        return None
    shortest = min(max(SHORTEST, _POINTS / len(values)), 0.49)
    return find_staircase(smooth, np.arange(len(values))[whole], smallest=smallest, shortest=shortest)


def _leaves(values: np.ndarray) -> bool:
    """Tell whether a loss falls ever faster, beyond noise."""
    if len(values) < _FEWEST:
        return False
    first, second, third, last = (float(part.mean()) for part in np.array_split(values, 4))
    return third - last > FASTER * max(first - second, 0.0) + _doubt(values, len(values) // 4)


def _stands_still(values: np.ndarray) -> bool:
    """Tell whether a loss surely falls by hardly anything over the last quarter of a run."""
    if len(values) < _FEWEST:
        return False
    halves = np.array_split(values[-(len(values) // 4) :], 2)
    before, after = (float(half.mean()) for half in halves)
    return 2 * (abs(before - after) + _doubt(values, len(halves[1]))) <= STILL


def _doubt(values: np.ndarray, count: int) -> float:
    """Return by how much two means of some losses differ by their noise at most."""
    return _SURE * _noise(values) * math.sqrt(2 / count)


def _noise(values: np.ndarray) -> float:
    """Return the standard deviation of the noise from one loss to the next."""
    return float(np.median(np.abs(np.diff(values, 2)))) / _GAUSSIAN if len(values) > 2 else 0.0
