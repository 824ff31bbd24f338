"""What a trial came to: a value, a failure of its configuration, or a fault that says nothing about it."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.trial import BaseTrial

from similitude.runs.engine import one_line
from similitude.tuning.trials.failures import FailureKind, TrialFailure, check_kind, learnt

Objective = Callable[[Any], Any]
"""What is tuned: takes a trial, asks it for values (`space.suggest(trial)`), and returns one number."""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended; plain data, to come from another process.

    Attributes:
        state: `value`; `pruned` (by an Optuna pruner); `failed`, by its configuration's fault; `fault`: an error or a
            crash, from which nothing is learnt.
        value: The objective's value where there is one.
        kind: Which fault of the configuration; see `FailureKind`.
        reason: Why there is no value, in one line.
        traceback: Where an error was raised, for whoever debugs.
        seconds: How long the objective ran.
    """

    state: Literal["value", "pruned", "failed", "fault"]
    value: float | None = None
    kind: FailureKind | None = None
    reason: str = ""
    traceback: str = ""
    seconds: float = math.nan


def evaluate(objective: Objective, trial: BaseTrial) -> Outcome:
    """Run an objective and judge how it ended; `KeyboardInterrupt` and the like pass.

    Values that are not finite, memory that runs out, arithmetic that breaks down, and what `space.fail` says are the
    configuration's fault. Any other exception is not judged to be: most of them come from code or machines.

    Args:
        objective: The objective.
        trial: What it is called with.

    Example:
        >>> evaluate(lambda trial: float("nan"), optuna.trial.FixedTrial({})).kind
        'nan'
    """
    try:
        returned = objective(trial)
    except TrialFailure as failure:
        return failed(check_kind(failure.kind), str(failure))
    except optuna.TrialPruned as pruned:
        return Outcome("pruned", reason=str(pruned))
    except Exception as error:
        if out_of_memory(error):
            return failed("oom", one_line(error))
        if arithmetic(error):
            return failed("diverged", one_line(error))
        trace = "".join(traceback.format_exception(error))
        return Outcome("fault", reason=f"{one_line(error)} ({_place(error)})", traceback=trace)
    try:
        value = float(returned)
    except (TypeError, ValueError):
        what = "None" if returned is None else f"{returned!r:.60}, a {type(returned).__name__}"
        return Outcome("fault", reason=f"the objective returned {what}: return one number")
    if not math.isfinite(value):
        return failed("nan" if math.isnan(value) else "diverged", f"the objective returned {value}")
    return Outcome("value", value)


def failed(kind: FailureKind, reason: str) -> Outcome:
    """Return the outcome of a trial that failed in a way of which users speak; a machine's is a fault."""
    return Outcome("failed", kind=kind, reason=reason) if learnt(kind) else Outcome("fault", reason=reason)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of the machine or of its accelerator."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # whoever has not loaded it cannot raise its errors
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # The allocator of the CPU has no class of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def arithmetic(error: BaseException) -> bool:
    """Whether an error says that numbers overflowed, or that a matrix could not be inverted or decomposed."""
    torch = sys.modules.get("torch")
    linear = (np.linalg.LinAlgError,) if torch is None else (np.linalg.LinAlgError, torch.linalg.LinAlgError)
    return isinstance(error, (ArithmeticError, *linear))


def _place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}"
