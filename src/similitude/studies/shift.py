"""Whether the best learning rate moves with width or depth: its shift in octaves per doubling, and its cost.

Tensor Programs V (arXiv 2203.03466), figures 1 and 3, shows such shifts; here they get interval and verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import GridError
from similitude.scaling.sizes import WIDTH
from similitude.studies.noise import Array
from similitude.studies.optimum import optimum
from similitude.studies.penalty import penalty
from similitude.studies.records import Curve, Optimum, Transfer
from similitude.studies.shift_verdict import Measured, Tolerances, judge

LEVEL = 0.95


@cites(17, "figures 1 and 3")
def transfer(
    rule: str,
    curves: Sequence[Curve],
    *,
    dial: str = WIDTH,
    tolerance: float = 0.25,
    loss_tolerance: float = 0.05,
    seed: int = 0,
) -> Transfer:
    """Say whether the learning rate tuned at the smallest size is right at the largest.

    The shift is the slope of plain least squares of log2(best rate) on log2(size) over all sizes. Weights
    would come from intervals of a few seeds and follow whichever curve happens to look sharpest; every size
    is to count alike. Its interval comes from the joint draws of the optima, independent across sizes.

    Args:
        rule: Name of the parametrization, e.g. "mup".
        curves: Losses per size, in any order; rates or seeds may be missing.
        dial: The dial that changes between the curves: "width" or "depth".
        tolerance: Largest |shift| that counts as none, in octaves per doubling of the size.
        loss_tolerance: Largest loss at the transferred rate above the best one, relative to it.
        seed: Seed of the draws.

    Returns:
        The result, with verdict `diverged`, `not_bracketed`, `too_noisy`, `shifts`, `transfers` or
        `cannot_tell`.

    Raises:
        GridError: A size is there twice, a curve is of another dial, or a rate is not positive and finite.
    """
    ordered = tuple(sorted(curves, key=lambda curve: curve.size))
    for curve in ordered:
        if curve.dial != dial:
            raise GridError(
                f"a curve of {curve.dial} {curve.size} is among those over the {dial}. Pass curves of one dial, and "
                "its name as dial=."
            )
    for small, large in pairwise(ordered):
        if small.size == large.size:
            raise GridError(f"there are two curves of {dial} {large.size}. Pass one curve per {dial}.")
    optima = tuple(optimum(curve, seed=seed, level=LEVEL) for curve in ordered)
    shift, interval = _shift(optima)
    transferred = optima[0].lr if optima else None
    cost = penalty(ordered[-1], transferred) if transferred is not None and len(ordered) > 1 else None
    verdict = judge(
        Measured(rule, ordered, optima, shift, interval, cost, dial),
        Tolerances(shift=tolerance, loss=loss_tolerance),
    )
    return Transfer(
        rule=rule,
        curves=ordered,
        optima=optima,
        shift=shift,
        shift_interval=interval,
        transferred_lr=transferred,
        loss_at_transferred=None if cost is None else cost.at_transferred,
        loss_at_best=None if cost is None else cost.at_best,
        loss_stderr=None if cost is None else cost.stderr,
        verdict=verdict,
        dial=dial,
    )


def _shift(optima: Sequence[Optimum]) -> tuple[float | None, tuple[float, float] | None]:
    """Return the slope over the sizes and its interval; None where a size has no optimum or no interval."""
    if len(optima) < 2 or any(best.lr is None for best in optima):
        return None, None
    octaves = np.array([math.log2(best.size) for best in optima])
    centred = octaves - octaves.mean()
    weights: Array = centred / (centred @ centred)
    shift = float(weights @ np.log2([best.lr for best in optima if best.lr is not None]))
    if not all(best.draws for best in optima):
        return shift, None
    draws = weights @ np.array([best.draws for best in optima])
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return shift, (min(float(low), shift), max(float(high), shift))
