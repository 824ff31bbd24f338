"""Why Optuna ended a trial as failed: what it was told, of which it lets samplers know nothing."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

from similitude.tuning.trials.failures import FailureKind
from similitude.tuning.trials.outcome import arithmetic, out_of_memory

_TELL = "optuna.study._tell", "_tell_with_warning"
_RUN = "optuna.study._optimize", "_run_trial"


@dataclass(frozen=True)
class Told:
    """What Optuna was told of a trial that failed.

    Attributes:
        kind: Which fault of the configuration that is; None where it may be the code's or the machine's.
        passed: Whether the user said that the study is to go on after it: an error in `catch`, or a state that was told.
    """

    kind: FailureKind | None
    passed: bool


def told() -> Told:
    """Say why Optuna is ending a trial as failed; called by a sampler in `after_trial`.

    Optuna keeps the value or the error in variables of the functions that call the sampler, and nowhere else. Where a
    version of it has none of these, nothing is known, and nobody is blamed.
    """
    frame = inspect.currentframe()
    value, error, catch = None, None, ()
    found = False
    while frame is not None:
        where = frame.f_globals.get("__name__"), frame.f_code.co_name
        if where == _TELL:
            found, value = True, frame.f_locals.get("value_or_values")
        elif where == _RUN:
            error, catch = frame.f_locals.get("func_err"), frame.f_locals.get("catch", ())
            break
        frame = frame.f_back
    if error is not None:
        return Told(_kind_of(error), isinstance(error, catch))
    if _is_nan(value):
        return Told("nan", passed=True)
    return Told(None, passed=value is None or not found)


def _kind_of(error: BaseException) -> FailureKind | None:
    if out_of_memory(error):
        return "oom"
    return "diverged" if arithmetic(error) else None


def _is_nan(value: Any) -> bool:
    try:
        (number,) = value if isinstance(value, list | tuple) else (value,)
        return math.isnan(float(number))
    except (TypeError, ValueError, OverflowError):
        return False
