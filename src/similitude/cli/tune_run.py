"""Run a tuning study before the user's eyes: progress with an estimate, then what was found."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from similitude.cli.exits import GOOD, INTERRUPTED, NOT_ENOUGH

if TYPE_CHECKING:
    import optuna
    from rich.console import Console

    from similitude.cli.screen import Screen
    from similitude.cli.tune_target import RunSettings
    from similitude.tuning.engines.drive import TuningProgress
    from similitude.tuning.trials.budget import Budget

_LINE_SECONDS = 10.0  # between lines of progress where standard error is no terminal


def run_and_show(
    screen: Screen,
    study: optuna.Study,
    settings: RunSettings,
    *,
    budget: Budget,
    where: str,
    here: int | None = None,
    lease: float | None = None,
) -> int:
    """Run a study to its end and show where it stands then.

    Args:
        screen: Where to print.
        study: The study.
        settings: What is run, and how.
        budget: What it may cost.
        where: The storage, as the user named it.
        here: How many trials this process runs at most.
        lease: Seconds after which a trial whose process has not been heard of is run by another.

    Returns:
        The exit code: 0 with a value, 3 without any, 130 where it was interrupted.
    """
    from similitude.cli.tune_target import load_target
    from similitude.report.tuning_table import status_table
    from similitude.tuning.engines.turns import LEASE_SECONDS
    from similitude.tuning.study.status import status_of
    from similitude.tuning.trials.history import stored_space
    from similitude.tuning.tune import tune

    objective = load_target(settings.target, stored_space(study))
    interrupted = False
    try:
        with _progress(screen.notes) as show:
            tune(
                objective,
                study,
                budget=budget,
                trials=settings.trials,
                here=here,
                cost=settings.source(),
                engine=settings.engine,  # type: ignore[arg-type] (checked there, with a message)
                workers=settings.workers,
                lease=LEASE_SECONDS if lease is None else lease,
                on_progress=show,
            )
    except KeyboardInterrupt:
        interrupted = True
    status = status_of(study)
    screen.say(status_table(status))
    again = f"similitude tune resume {study.study_name} --storage {where}"
    if interrupted:
        screen.say(f"Interrupted: finished trials are kept, those that ran are run again. Go on: {again}")
    elif status.finished:
        screen.say(f"What to use at which cost: similitude tune front {study.study_name} --storage {where}")
    result: dict[str, Any] = {**status.to_dict(), "storage": where, "interrupted": interrupted}
    screen.result(result)
    if interrupted:
        return INTERRUPTED
    return GOOD if status.finished else NOT_ENOUGH


@contextmanager
def _progress(console: Console) -> Iterator[_Bar]:
    bar = _Bar(console)
    with bar.bar:
        yield bar


class _Bar:
    """Live progress of a study; lines now and then where standard error is no terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: Any = None
        self._printed, self._ended = -math.inf, -1

    def __call__(self, progress: TuningProgress) -> None:
        """Show how far a study is."""
        words, share = describe(progress), done(progress)
        if self._console.is_terminal:
            if self._task is None:
                self._task = self.bar.add_task(progress.study, total=1.0, words="")
            self.bar.update(self._task, completed=share, words=words)
            return
        ended, now = progress.finished + progress.failed + progress.lost, time.monotonic()
        if ended != self._ended and now - self._printed >= _LINE_SECONDS:
            self._printed, self._ended = now, ended
            self._console.print(f"{progress.study}: {words}", soft_wrap=True)


def done(progress: TuningProgress) -> float:
    """Return which share of a study is done, by the limit that is nearest, 0 to 1."""
    shares = [0.0]
    if progress.ends.trials:
        shares.append((progress.finished + progress.failed) / progress.ends.trials)
    if progress.ends.cost:
        shares.append(progress.spent / progress.ends.cost)
    return min(max(shares), 1.0)


def describe(progress: TuningProgress) -> str:
    """Say in words how far a study is, with an estimate of the time left."""
    from similitude.report.numbers import duration, measured

    parts = [f"{progress.finished} trials" + (f" of {progress.ends.trials}" if progress.ends.trials else "")]
    for count, what in ((progress.failed, "failed"), (progress.lost, "lost"), (progress.running, "running")):
        if count:
            parts.append(f"{count} {what}")
    if progress.ends.cost:
        parts.append(f"cost {measured(progress.spent)} of {measured(progress.ends.cost)}")
    if progress.best is not None:
        parts.append(f"best {measured(progress.best)}")
    if math.isfinite(progress.seconds_left) and progress.seconds_left > 0:
        parts.append(f"about {duration(progress.seconds_left)} left")
    return ", ".join(parts)
