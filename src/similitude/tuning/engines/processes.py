"""The engine that runs every trial in a fresh process, killed with all that it started once it passes its cap."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import Any

import optuna

from similitude.core.errors import TuningError
from similitude.runs.engine import available_cores, one_line
from similitude.runs.pool import interrupts_withheld
from similitude.tuning.arguments import whole
from similitude.tuning.engines.engine import Cap, Runner
from similitude.tuning.engines.forwarded import answer
from similitude.tuning.engines.trial_process import serve
from similitude.tuning.trials.outcome import Objective, Outcome, failed

_PATIENCE_SECONDS = 5.0  # for a process to go by itself once its trial has ended


@dataclass(frozen=True)
class ProcessTrials:
    """Run every trial in a process of its own; the cores are shared out evenly among them.

    A trial cannot take the study down with it, leaves no memory behind, and is killed at its cap. A script that uses it
    needs the usual guard, `if __name__ == "__main__":`, because each process imports it anew. The next process is started
    ahead, so that a trial need not wait for its imports.

    Attributes:
        workers: How many trials run at once.

    Raises:
        TuningError: The number of workers is no whole number of at least 1.
    """

    workers: int = 1

    def __post_init__(self) -> None:
        whole(self.workers, "workers", least=1, why="a number of trials that run at once")

    @contextmanager
    def open(self, objective: Objective, *, cap: Cap) -> Iterator[Runner]:
        """Make ready for an objective; see `TrialEngine.open`.

        Raises:
            TuningError: The objective cannot be sent to another process, or no process can be started.
        """
        try:
            sent = pickle.dumps(objective)
        except Exception as error:  # whatever the user's class raises
            raise TuningError(
                f"The objective {getattr(objective, '__qualname__', objective)!r} cannot be sent to a process of its "
                f"own: {one_line(error)}. Define it at the top level of a module (no lambda, no local function), or "
                'run the trials in this process: engine="inline".'
            ) from error
        runner = _Processes(sent, cap, self.workers)
        try:
            yield runner
        finally:
            runner.end()


class _Processes:
    def __init__(self, objective: bytes, cap: Cap, workers: int) -> None:
        self._objective, self._cap, self._workers = objective, cap, workers
        self._spares: list[_Process] = []
        self._running: list[_Process] = []

    def ready(self) -> bool:
        while len(self._spares) < max(1, self._workers - len(self._running)):
            self._spares.append(_Process(self._objective, max(1, available_cores() // self._workers)))
        return any(process.is_ready() for process in self._spares)

    def start(self, trial: optuna.Trial) -> None:
        process = next(process for process in self._spares if process.is_ready())
        self._spares.remove(process)
        self._running.append(process)
        process.begin(trial)

    def wait(self, seconds: float) -> Sequence[tuple[optuna.Trial, Outcome]]:
        until = time.monotonic() + seconds
        ended: list[tuple[optuna.Trial, Outcome]] = []
        while not ended:
            coming = [process for process in self._spares if not process.is_ready()]
            left = [until - time.monotonic(), *(p.seconds_left(self._cap) for p in self._running)]
            spoke = wait([p.connection for p in (*self._running, *coming)], max(min(left), 0))
            for process in list(self._running):
                outcome = process.listen(self._cap)
                if outcome is not None:
                    self._running.remove(process)
                    assert process.trial is not None
                    ended.append((process.trial, outcome))
            if time.monotonic() >= until or any(process.connection in spoke for process in coming):
                break
        return ended

    def end(self) -> None:
        for process in (*self._running, *self._spares):
            process.kill()


class _Process:
    """The process of one trial, seen from outside.

    Attributes:
        connection: To the process.
        trial: The trial that it runs, or is to run once it is ready.
    """

    def __init__(self, objective: bytes, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.trial: optuna.Trial | None = None
        self._started = math.inf
        self._ready = False
        self._process = context.Process(
            target=serve, args=(theirs, objective, threads), name="similitude trial"
        )
        try:
            with interrupts_withheld():
                self._process.start()
        except OSError as error:
            raise TuningError(
                f"No process can be started for a trial: {one_line(error)}. Close other programs, ask for fewer "
                'workers, or run the trials in this process: engine="inline".'
            ) from error
        finally:
            theirs.close()

    @property
    def seconds(self) -> float:
        """How long the trial has run; the imports before it do not count."""
        return time.monotonic() - self._started

    def seconds_left(self, cap: Cap) -> float:
        """Return when the trial passes its cap, in seconds from now."""
        return math.inf if cap.seconds is None else cap.seconds - self.seconds

    def is_ready(self) -> bool:
        """Whether the objective is imported.

        Raises:
            TuningError: The process died before.
        """
        if not self._ready and self.connection.poll():
            try:
                self.connection.recv_bytes()
            except (EOFError, OSError) as error:
                raise self._stillborn() from error
            self._ready = True
        return self._ready

    def begin(self, trial: optuna.Trial) -> None:
        """Give the process its trial."""
        self.trial = trial
        self._started = time.monotonic()
        with suppress(OSError):  # a dead process: its end is noticed when it is listened to
            self.connection.send_bytes(pickle.dumps(trial.number))

    def listen(self, cap: Cap) -> Outcome | None:
        """Answer what the process asks; return how its trial ended if it has."""
        assert self.trial is not None
        seconds = self.seconds
        try:
            if self.connection.poll():
                what, *said = pickle.loads(self.connection.recv_bytes())
                if what == "ended":
                    return self._ended(replace(said[0], seconds=seconds))
                self._answer(what, *said)
        except (EOFError, OSError):
            return self._died(seconds)
        passed = cap.passed(seconds, self.trial.user_attrs.get(cap.attribute))
        if passed is None:
            return None
        self.kill()
        return replace(failed("cap", passed), seconds=seconds)

    def kill(self) -> None:
        """End the process by force, and whatever it started."""
        self.connection.close()
        if self._process.pid is not None and self._process.exitcode is None:
            _kill_group(self._process.pid)
            self._process.kill()
        self._process.join()
        self._process.close()

    def _answer(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        assert self.trial is not None
        try:
            reply = pickle.dumps((True, answer(self.trial, name, args, kwargs)))
        except Exception as error:  # it is the objective's own, and raised there
            reply = pickle.dumps((False, TuningError(f"trial.{name}: {one_line(error)}")))
        self.connection.send_bytes(reply)

    def _ended(self, outcome: Outcome) -> Outcome:
        pid = self._process.pid
        self.connection.close()
        self._process.join(_PATIENCE_SECONDS)
        if pid is not None:
            _kill_group(pid)  # what the trial started and did not end
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._process.close()
        return outcome

    def _died(self, seconds: float) -> Outcome:
        self._process.join(_PATIENCE_SECONDS)
        code = self._process.exitcode
        self.kill()
        if code is not None and code < 0:
            hint = "; the system does so when memory runs out" if -code == signal.SIGKILL else ""
            reason = f"its process was killed by {signal.Signals(-code).name}{hint}"
        else:
            reason = f"its process ended with exit code {code}"
        return Outcome("fault", reason=reason, seconds=seconds)

    def _stillborn(self) -> TuningError:
        self._process.join(_PATIENCE_SECONDS)
        return TuningError(
            f"The process of a trial ended with exit code {self._process.exitcode} before it could begin. What it "
            'printed says why. In a script, start the tuning below `if __name__ == "__main__":`; or run the trials in '
            'this process: engine="inline".'
        )


def _kill_group(pid: int) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # it has no group of its own yet, or is gone
            os.killpg(pid, signal.SIGKILL)
