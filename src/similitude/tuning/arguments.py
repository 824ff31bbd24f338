"""Arguments of a search that several calls take, checked: whole numbers, times, seeds, directions, budgets."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from similitude.core.errors import TuningError
from similitude.tuning.trials.budget import Budget


def whole(given: Any, name: str, *, least: int, why: str) -> int:
    """Return a whole number, numpy's included.

    Args:
        given: What was given.
        name: Of the argument.
        least: The smallest one that is good.
        why: What it is, for the message.

    Raises:
        TuningError: It is none, or smaller.

    Example:
        >>> whole(np.int64(3), "trials", least=1, why="a number of trials")
        3
    """
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
        raise TuningError(f"{name}={given!r} is not {why}: give a whole number of at least {least}.")
    return int(given)


def check_seed(given: Any) -> int:
    """Return the seed of a search.

    Raises:
        TuningError: It is no whole number of at least 0.
    """
    return whole(given, "seed", least=0, why="the seed of a search")


def check_lease(given: Any) -> float:
    """Return the length of a lease in seconds.

    Raises:
        TuningError: It is no number above 0.
    """
    number = not isinstance(given, bool) and isinstance(given, int | float | np.integer | np.floating)
    if not number or not 0 < given < math.inf:
        raise TuningError(
            f"lease={given!r}: give the seconds, above 0, after which a trial without a sign of life counts as "
            "abandoned."
        )
    return float(given)


def check_direction(given: Any) -> Literal["minimize", "maximize"]:
    """Return a direction.

    Raises:
        TuningError: It is neither "minimize" nor "maximize".
    """
    if given not in ("minimize", "maximize"):
        raise TuningError(
            f'direction={given!r}: "minimize" where small values are good, "maximize" where large ones are.'
        )
    return given


def check_budget(given: Any) -> Budget:
    """Return a budget, one without limits for None.

    Raises:
        TuningError: It is none, as a mere number.
    """
    if given is None:
        return Budget()
    if not isinstance(given, Budget):
        raise TuningError(
            f"budget={given!r}: say what it limits, sim.Budget(total=...) for all trials together, "
            "sim.Budget(per_trial=...) for each."
        )
    return given
