"""Whether a grid of learning rates and sizes can answer where the optimum is and how it moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from similitude.core.errors import GridError
from similitude.scaling.sizes import WIDTH
from similitude.studies.next_steps import sizes_option

LEAST_RATES = 3  # the best rate and a worse one on each side


def check_rates(rates: Sequence[float], *, least: int = LEAST_RATES) -> tuple[float, ...]:
    """Return the learning rates in increasing order, or say why they are no grid.

    Args:
        rates: Learning rates, in any order.
        least: Smallest number of rates.

    Raises:
        GridError: A rate is zero, negative, infinite or nan, one is there twice, or there are too few.

    Example:
        >>> check_rates([0.1, 0.01, 0.001])
        (0.001, 0.01, 0.1)
    """
    bad = [float(rate) for rate in rates if not (math.isfinite(rate) and rate > 0)]
    if bad:
        raise GridError(
            f"the learning rate {bad[0]:g} is not positive and finite ({len(bad)} of {len(rates)} such); "
            "grids are searched in log2 of the rate. Pass positive rates, e.g. --lr-min 2^-12 --lr-max 2^-4."
        )
    ordered = tuple(sorted(float(rate) for rate in rates))
    for low, high in pairwise(ordered):
        if low == high:
            raise GridError(
                f"the learning rate {low:g} is in the grid more than once; each cell is run once per seed. "
                "Leave the repetition out, and use --seeds for more runs of the same rate."
            )
    if len(ordered) < least:
        listed = ", ".join(f"{rate:g}" for rate in ordered) or "none"
        middle = math.log2(ordered[len(ordered) // 2]) if ordered else -8.0
        raise GridError(
            f"the grid has {len(ordered)} learning rate{'' if len(ordered) == 1 else 's'} ({listed}), an "
            f"optimum needs at least {least}: the best one and a worse one on each side. "
            f"Next: --lr-min 2^{math.floor(middle) - 4} --lr-max 2^{math.ceil(middle) + 4} --points 9."
        )
    return ordered


def check_sizes(sizes: Sequence[int], dial: str = WIDTH) -> tuple[int, ...]:
    """Return the sizes in increasing order, or say why no shift can be measured over them.

    Args:
        sizes: Values of the dial in the units of the user's factory, in any order.
        dial: The dial that changes: "width" or "depth".

    Raises:
        GridError: A size is not a positive whole number, one is there twice, or there are fewer than two.

    Example:
        >>> check_sizes([256, 64])
        (64, 256)
    """
    for size in sizes:
        if isinstance(size, bool) or not math.isfinite(size) or size != int(size) or size < 1:
            raise GridError(
                f"the {dial} {size!r} is not a positive whole number. Pass e.g. {sizes_option(dial, ())}."
            )
    ordered = tuple(sorted(int(size) for size in sizes))
    for low, high in pairwise(ordered):
        if low == high:
            raise GridError(
                f"the {dial} {low} is there more than once. Leave the repetition out of --{dial}s."
            )
    if len(ordered) < 2:
        listed = ", ".join(map(str, ordered)) or "none"
        raise GridError(
            f"there {f'is 1 {dial}' if len(ordered) == 1 else f'are 0 {dial}s'} ({listed}), a shift needs "
            f"at least 2. Next: {sizes_option(dial, ordered)}."
        )
    return ordered
