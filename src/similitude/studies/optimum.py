"""The best learning rate of one size: refined between grid points, with interval and bracketing test."""

from __future__ import annotations

import numpy as np

from similitude.core.seeding import numpy_generator
from similitude.core.verdict import Outcome, Verdict
from similitude.studies.basin import basin
from similitude.studies.minimum import minimum
from similitude.studies.next_steps import rate_text, widen
from similitude.studies.noise import Array, cells, mean_losses, noise_near
from similitude.studies.optimum_verdict import Refined, Sides, judge
from similitude.studies.records import Curve, Optimum


def optimum(curve: Curve, *, seed: int = 0, draws: int = 2000, level: float = 0.95) -> Optimum:
    """Find the best learning rate of one size from final losses on a grid.

    The log losses within a few octaves of the best rate are fitted by a parabola in log2 of the rate that
    trusts points less the higher they are (`similitude.studies.minimum`), so the minimum lies between grid
    points. A rate at which any seed diverged is worse than all at which none did.

    The interval is of the parabola's vertex: it covers noise and misfit. Where the curve is lopsided or ends
    in a cliff, the vertex lies up to an octave on its gentle side, at every size alike, and the interval
    does not cover that. It drops out of the shift over sizes, for which these intervals are made, as long
    as the grid reaches 2.5 octaves beyond each optimum.

    Args:
        curve: Losses over learning rates; rates without any loss are left out.
        seed: Seed of the draws; the size is mixed in, so that sizes are drawn independently.
        draws: Number of draws of log2 of the best rate.
        level: Probability of the interval.

    Returns:
        The optimum. Where it is not bracketed its rate and interval end where the grid does.

    Raises:
        GridError: A rate is not positive and finite, or is there twice.

    Example:
        >>> rates = [2.0**k for k in range(-6, 1)]
        >>> best = optimum(Curve(64, tuple(rates), tuple((1.1 ** (k + 3.3) ** 2,) for k in range(-6, 1))))
        >>> round(float(np.log2(best.lr)), 6)
        -3.3
    """
    x, seeds = cells(curve)
    if len(x) == 0:
        text = f"no run of {curve.dial} {curve.size} is finished"
        return _nowhere(curve, Outcome.CANNOT_TELL, text, "run the study again")
    means = mean_losses(seeds)
    if not np.isfinite(means).any():
        text = f"every learning rate diverged at {curve.dial} {curve.size}: {rate_text(x[0])} to {rate_text(x[-1])}"
        return _nowhere(curve, Outcome.DIVERGED, text, widen([curve], low=True, high=False))
    noise = noise_near(seeds, means)
    best = int(np.argmin(means))
    around = basin(x, seeds)
    found = minimum(around, generator=numpy_generator(seed, "optimum", curve.size), draws=draws)
    at = x[best] if found is None else found.at
    at = float(np.clip(at, x[0], x[-1]))  # rounding alone could leave the grid
    bounds = None
    if found is not None:
        low, high = np.quantile(found.draws, [(1 - level) / 2, (1 + level) / 2])
        bounds = (min(float(low), at), max(float(high), at))
    sides = Sides.of(x, means, noise, at=at)
    return Optimum(
        size=curve.size,
        lr=float(2.0**at),
        interval=None if bounds is None else (float(2.0 ** bounds[0]), float(2.0 ** bounds[1])),
        loss=float(means[best]),
        loss_stderr=_stderr(seeds[best]),
        edge=sides.edge(means),
        draws=() if found is None else tuple(found.draws.tolist()),
        verdict=judge(Refined(curve, x, means, at, bounds, around.wall_beside), sides),
        dial=curve.dial,
    )


def _stderr(row: Array) -> float:
    return float(row.std(ddof=1) / np.sqrt(len(row))) if len(row) > 1 else float("nan")


def _nowhere(curve: Curve, outcome: Outcome, text: str, step: str) -> Optimum:
    causes = ("the learning rates are too large", "the data or the loss hold non-finite values")
    verdict = Verdict(outcome, text, causes=causes if outcome is Outcome.DIVERGED else (), next=step)
    nan = float("nan")
    return Optimum(curve.size, None, None, nan, nan, None, (), verdict, curve.dial)
