"""What a check is asked for: the sizes that it climbs, in width or in depth, and its seeds."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import PlanError
from similitude.scaling.sizes import DEPTH, WIDTH

MOST_SEEDS = 8
"""Seeds that a check takes at most where it chooses their number."""

_FEWEST = 3  # sizes that give an exponent with an interval
_SEEDS = "how many seeds to begin with, or the seeds themselves as whole numbers"
_EXAMPLES = {WIDTH: "widths=(64, 128, 256)", DEPTH: "depths=(4, 8, 16, 32)"}


@dataclass(frozen=True)
class Climb:
    """The sizes of a check: one dial grows, the others stay.

    Attributes:
        dial: "width" or "depth".
        values: Its values, increasing.
        width: The width of all sizes where the depth grows; None for that of the base.
    """

    dial: str
    values: tuple[int, ...]
    width: int | None = None

    def sizes(self, base: Mapping[str, int]) -> list[dict[str, int]]:
        """Return every size, with the other dials of the base.

        Raises:
            PlanError: The base does not have the dial.
        """
        if self.dial not in base:
            raise PlanError(
                f"the plan's sizes {dict(base)} have no {self.dial}, which the check is to grow. Plan with "
                f"base={{'width': ..., {self.dial!r}: ...}}."
            )
        fixed = {} if self.width is None else {WIDTH: self.width}
        return [{**base, **fixed, self.dial: value} for value in self.values]


def climb_of(widths: int | Iterable[int] | None, depths: Iterable[int] | None) -> Climb:
    """Read the sizes of a check.

    Args:
        widths: Widths that grow, or with depths the one width that stays.
        depths: Depths that grow.

    Raises:
        PlanError: They are no whole numbers, too few, or both grow.
    """
    if depths is None:
        if widths is None:
            raise PlanError(f"nothing grows: pass {_EXAMPLES[WIDTH]}, or {_EXAMPLES[DEPTH]}.")
        return Climb(WIDTH, _increasing(widths, "widths", _EXAMPLES[WIDTH]))
    found = Climb(DEPTH, _increasing(depths, "depths", _EXAMPLES[DEPTH]))
    if widths is None:
        return found
    fixed = (widths,) if isinstance(widths, int) else widths
    listed = _whole(fixed, "widths", "one whole number beside depths, the width of every model")
    if len(set(listed)) != 1 or listed[0] < 1:
        raise PlanError(
            f"widths={listed} and depths={found.values}: one dial grows at a time. Pass one width beside depths, or "
            "check widths and depths one after the other."
        )
    return Climb(DEPTH, found.values, listed[0])


def seeds_of(seeds: int | Iterable[int], most: int | None) -> tuple[list[int], int]:
    """Return all seeds that may be used, and how many come first.

    Args:
        seeds: How many to begin with, or the seeds themselves.
        most: Most seeds; `MOST_SEEDS`, or the given seeds and no more, where it is None.

    Raises:
        PlanError: They are no seeds, or more than the most.
    """
    limit = None if most is None else _whole([most], "max_seeds", "one whole number")[0]
    if isinstance(seeds, int):
        (count,) = _whole([seeds], "seeds", _SEEDS)
        if count < 1:
            raise PlanError(f"seeds={seeds}: pass at least 1.")
        listed = list(range(count))
    else:
        listed = list(_whole(seeds, "seeds", _SEEDS))
        if not listed or len(set(listed)) < len(listed):
            raise PlanError(f"seeds={tuple(listed)}: pass at least one seed, and every seed once.")
    if limit is not None and limit < len(listed):
        raise PlanError(
            f"max_seeds={limit} is less than the {len(listed)} seeds to begin with. Pass fewer seeds, or a larger "
            "max_seeds."
        )
    by_default = MOST_SEEDS if isinstance(seeds, int) else 0
    fresh = (seed for seed in itertools.count() if seed not in set(listed))
    more = max(0, (by_default if limit is None else limit) - len(listed))
    return listed + list(itertools.islice(fresh, more)), len(listed)


def _increasing(values: Any, name: str, example: str) -> tuple[int, ...]:
    listed = _whole(values, name, f"at least {_FEWEST} different whole numbers, e.g. {example}")
    found = tuple(sorted(set(listed)))
    if len(found) < _FEWEST or found[0] < 1:
        raise PlanError(
            f"{name}={listed}: an exponent with an interval needs at least {_FEWEST} different {name}. Pass e.g. "
            f"{example}."
        )
    return found


def _whole(values: Any, name: str, wanted: str) -> tuple[int, ...]:
    """Read whole numbers once, whatever iterable they come in."""
    listed = values
    try:
        if isinstance(values, str | bytes):
            raise TypeError
        listed = tuple(values)
        if any(isinstance(value, bool) for value in listed):
            raise TypeError
        return tuple(operator.index(value) for value in listed)
    except TypeError:
        raise PlanError(f"{name}={listed!r}: pass {wanted}.") from None
