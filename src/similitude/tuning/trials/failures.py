"""Trials that end without a value: which of them say something about their configuration."""

from __future__ import annotations

from typing import Literal, get_args

import optuna

from similitude.core.errors import SimilitudeError, TuningError

FailureKind = Literal["nan", "diverged", "oom", "cap", "machine"]
"""`nan`, `diverged`, `oom` (out of memory) and `cap` (dearer than a trial may be) are the configuration's fault, and are
learnt; `machine` is not: such a trial is run again, and nothing is learnt from it."""

FAILURE_KEY = "similitude:failure"
"""User attribute of a trial that holds the kind."""


class TrialFailure(SimilitudeError, optuna.TrialPruned):  # noqa: N818 (the name users write)
    """A trial ended without a value; a plain `study.optimize` records it as pruned and goes on.

    Attributes:
        kind: Why; see `FailureKind`.
    """

    def __init__(self, kind: FailureKind, reason: str = "") -> None:
        self.kind = check_kind(kind)
        super().__init__(f"The trial failed ({kind})" + (f": {reason}" if reason else "."))


def check_kind(kind: str) -> FailureKind:
    """Return a kind of failure that is one.

    Raises:
        TuningError: It is none.
    """
    for known in get_args(FailureKind):
        if kind == known:
            return known
    raise TuningError(f"{kind!r} is no kind of failure: {', '.join(map(repr, get_args(FailureKind)))} are.")


def learnt(kind: str | None) -> bool:
    """Tell whether a failure says something about the configuration."""
    return kind is not None and kind != "machine"
