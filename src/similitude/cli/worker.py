"""`similitude worker`: join a tuning study of a shared storage; the body of a job array."""

from __future__ import annotations

import signal
from dataclasses import replace
from types import FrameType
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.screen import Screen
from similitude.cli.tune import KEPT


def worker(
    target: str | None = None,
    /,
    *,
    study: str,
    name: str,
    trials: int | None = None,
    workers: int = 1,
    engine: Literal["process", "inline"] = "process",
    lease: float = 120.0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Take trials of a study from a shared storage until it ends; any number of workers on any machines may.

    A worker that dies leaves its trial to the others: at once on the same machine, after the lease on another one.

    Parameters
    ----------
    target:
        The program, or module:objective, where it is not what `similitude tune` was given.
    study:
        The storage that the machines share: an Optuna storage URL, or a folder on a shared file system.
    name:
        Name of the study.
    trials:
        How many trials this worker runs at most; until the study ends by default.
    workers:
        Trials at once.
    engine:
        process, or inline (in this process; caps are soft).
    lease:
        Seconds after which a trial whose worker has not been heard of is run by another.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json, kept=KEPT) as screen:
        from similitude.cli.tune_resume import settings_of
        from similitude.cli.tune_run import run_and_show
        from similitude.cli.tune_target import located
        from similitude.tuning.study.stored import load_tuning, stored_budget
        from similitude.tuning.trials.costs import cost_source

        found, where = load_tuning(study, name)
        settings = replace(settings_of(found, target=target, where=where), workers=workers, engine=engine)
        if target is not None:
            settings = replace(settings, target=located(target))
        limits = stored_budget(found)
        found, _ = load_tuning(study, name, cost=cost_source(settings.source(), limits))
        before = signal.signal(signal.SIGTERM, _interrupt)  # what schedulers send: give the trials back
        try:
            return run_and_show(screen, found, settings, budget=limits, where=study, here=trials, lease=lease)
        finally:
            signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
