"""Engines of a tuning study: where its trials run, and what ends one that takes too much."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import optuna

from similitude.tuning.engines.forwarded import ForwardedTrial, answer
from similitude.tuning.trials.history import as_number
from similitude.tuning.trials.outcome import Objective, Outcome, evaluate, failed


@dataclass(frozen=True)
class Cap:
    """What one trial may take.

    Attributes:
        seconds: Measured time; no limit where None.
        cost: Cost as the trial tells it while it runs, by `trial.set_user_attr(attribute, so_far)`; likewise.
        attribute: User attribute that holds the cost.
    """

    seconds: float | None = None
    cost: float | None = None
    attribute: str = "cost"

    def passed(self, seconds: float, told: Any) -> str | None:
        """Say in words which limit a running trial has passed; None if none.

        Args:
            seconds: How long it has run.
            told: The cost that it told so far, or None.
        """
        if self.seconds is not None and seconds > self.seconds:
            return f"it ran for {seconds:.3g} s, and a trial may for {self.seconds:.3g} s"
        if self.cost is not None and as_number(told) > self.cost:
            return f"its {self.attribute} came to {as_number(told):.4g}, and that of a trial may to {self.cost:.4g}"
        return None


class Runner(Protocol):
    """An engine at work on one objective."""

    def ready(self) -> bool:
        """Whether a trial would begin at once; asked for before one is taken, and often."""
        ...

    def start(self, trial: optuna.Trial) -> None:
        """Begin a trial; called only when ready, and while fewer than `workers` are running."""
        ...

    def wait(self, seconds: float) -> Sequence[tuple[optuna.Trial, Outcome]]:
        """Return the trials that have ended; none if none does within so many seconds, or when it has become ready."""
        ...


class TrialEngine(Protocol):
    """Runs trials. Engines differ in where, never in what: the study is told by whoever calls the engine.

    Attributes:
        workers: How many trials run at once.
    """

    @property
    def workers(self) -> int:
        """How many trials run at once."""
        ...

    def open(self, objective: Objective, *, cap: Cap) -> AbstractContextManager[Runner]:
        """Make ready for an objective; at the end of the `with`, trials that still run are ended by force.

        Args:
            objective: What is tuned.
            cap: What one trial may take.
        """
        ...


@dataclass(frozen=True)
class InlineTrials:
    """Run the trials one after another in this process.

    A cap is soft here: once a trial has passed it, `trial.should_prune()` is true, and an objective that asks is ended
    as dearer than it may be. One that does not ask runs to its end, and its value and true cost count.
    """

    workers: int = 1

    @contextmanager
    def open(self, objective: Objective, *, cap: Cap) -> Iterator[Runner]:
        """Make ready for an objective; see `TrialEngine.open`."""
        yield _Inline(objective, cap)


class _Inline:
    def __init__(self, objective: Objective, cap: Cap) -> None:
        self._objective, self._cap = objective, cap
        self._ended: list[tuple[optuna.Trial, Outcome]] = []

    def ready(self) -> bool:
        return True

    def start(self, trial: optuna.Trial) -> None:
        watched = WatchedTrial(trial, self._cap)
        outcome = evaluate(self._objective, watched)
        if outcome.state == "pruned" and watched.passed:
            outcome = failed("cap", watched.passed)
        self._ended.append((trial, replace(outcome, seconds=watched.seconds)))

    def wait(self, seconds: float) -> Sequence[tuple[optuna.Trial, Outcome]]:
        ended, self._ended = self._ended, []
        return ended


class WatchedTrial(ForwardedTrial):
    """A trial of this process that is told by `should_prune` that it has passed its cap.

    Attributes:
        passed: Which limit it was told of, in words; None if it was not.
    """

    def __init__(self, trial: optuna.Trial, cap: Cap) -> None:
        self._trial, self._cap = trial, cap
        self._started = time.monotonic()
        self.passed: str | None = None

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._started

    def should_prune(self) -> bool:
        """Whether the trial has passed its cap, or its study's pruner ends it."""
        self.passed = self._cap.passed(self.seconds, self._trial.user_attrs.get(self._cap.attribute))
        return self.passed is not None or self._trial.should_prune()

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return answer(self._trial, name, args, kwargs)
