"""The next command after an undecided study, in the options of `similitude transfer`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from similitude.scaling.sizes import DEPTH, WIDTH
from similitude.studies.records import Curve

OCTAVES = 3.0  # that a grid is extended beyond the edge at which its best rate lies
SMALLEST = {WIDTH: 64, DEPTH: 4}  # size to begin with where none is known


def rate_text(log2_rate: float) -> str:
    """Write a learning rate as a power of two, e.g. `2^-7` or `2^-7.25`.

    Args:
        log2_rate: log2 of the rate, in octaves.
    """
    return f"2^{round(log2_rate, 2):g}"


def sizes_option(dial: str, sizes: Sequence[int]) -> str:
    """Return the option that names the sizes of a study, e.g. `--widths 64,128,256`.

    Args:
        dial: The dial that changes: "width" or "depth".
        sizes: Its values; from one alone, or none, two doublings are added.
    """
    if len(sizes) < 2:
        first = sizes[0] if sizes else SMALLEST[dial]
        sizes = (first, 2 * first, 4 * first)
    return f"--{dial}s {','.join(map(str, sizes))}"


def spacing(curve: Curve) -> float:
    """Return the usual distance of neighbouring learning rates in octaves; 1 where there is one rate."""
    x = [math.log2(rate) for rate in curve.lrs]
    gaps = sorted(high - low for low, high in pairwise(x))
    return gaps[len(gaps) // 2] if gaps else 1.0


def widen(curves: Sequence[Curve], *, low: bool, high: bool) -> str:
    """Return options that extend the grid beyond its ends, at its own spacing, to keep finished cells.

    Args:
        curves: Curves whose grids are to be covered, at least one rate in one of them.
        low: Whether smaller rates are needed.
        high: Whether larger rates are needed.
    """
    curves = [curve for curve in curves if curve.lrs]
    step = min(spacing(curve) for curve in curves)
    first = min(math.log2(curve.lrs[0]) for curve in curves)
    last = max(math.log2(curve.lrs[-1]) for curve in curves)
    more = math.ceil(OCTAVES / step - 1e-9) * step
    first, last = first - more * low, last + more * high
    options = [f"--lr-min {rate_text(first)}"] * low + [f"--lr-max {rate_text(last)}"] * high
    return " ".join([*options, f"--points {round((last - first) / step) + 1}"])


def finer(curve: Curve) -> str:
    """Return the option that halves the steps of a grid, so that its finished cells are kept.

    Args:
        curve: The curve whose grid is too coarse.
    """
    return f"--points {max(2 * len(curve.lrs) - 1, 3)}"


def more_seeds(curve: Curve, *, excess: float) -> str:
    """Return the option that asks for enough seeds to narrow an interval.

    Args:
        curve: The curve whose optimum is too uncertain.
        excess: How many times too wide its interval is; intervals narrow as one over the root of the seeds.
    """
    seeds = max((len(row) for row in curve.losses), default=1)
    return f"--seeds {min(max(math.ceil(seeds * excess**2), seeds + 2), 4 * seeds)}"
