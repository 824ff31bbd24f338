"""An objective that is a program: called with the values as options, it prints its result as JSON."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import BaseTrial

from similitude.core.errors import TuningError
from similitude.tuning.space.space import Space

NUMBER_VARIABLE = "SIMILITUDE_TRIAL"
"""Environment variable that tells a program the number of its trial, for its seed or its folder."""


_WORDS = frozenset({"value", "step", "failure", "reason", "cost"})


@dataclass(frozen=True)
class Script:
    """Run a program with the values as options, `--lr 0.003 --width 256`, and read its result from what it prints.

    Lines of its standard output that are JSON objects are for us; all others are passed on:

    - `{"value": 0.12, "cost": 3.5}`: the result; `cost` may be left out where time is measured. The last one counts.
    - `{"step": 100, "value": 0.5, "cost": 1.2}`: a value on the way, for pruners, caps and killed trials.
    - `{"failure": "oom", "reason": "..."}`: the configuration failed; kinds are nan, diverged, oom, cap, machine. It
      may tell its cost too.

    Other numbers of these objects are stored with the trial under their names, as a cost that is told by another one is.

    It must end with exit code 0, unless it told a failure.

    Attributes:
        command: The program and its first arguments.
        space: The space; only the dimensions that are there are given, by their names.
    """

    command: tuple[str, ...]
    space: Space

    @classmethod
    def of(cls, path: str | Path, space: Space) -> Script:
        """Return the objective of a file: a Python program, or one that the system can start.

        Args:
            path: The file; one whose name ends in .py is run by this Python.
            space: The space.

        Raises:
            TuningError: There is no such file, or it is neither Python nor can be started.
        """
        file = Path(path).resolve()
        if not file.is_file():
            raise TuningError(f"There is no program {path}. The current folder is {Path.cwd()}.")
        if file.suffix == ".py":
            return cls((sys.executable, str(file)), space)
        if not os.access(file, os.X_OK):
            raise TuningError(
                f"{path} can be run neither by Python, for its name does not end in .py, nor by the system: make it "
                f"executable (chmod +x {path})."
            )
        return cls((str(file),), space)

    def __call__(self, trial: BaseTrial) -> float:
        """Run the program for a trial and return its value.

        Args:
            trial: The trial.

        Raises:
            TrialFailure: It told a failure.
            TuningError: It ended with another exit code, or without a result.
        """
        values = self.space.suggest(trial)
        options = [text for name, value in values.items() for text in (f"--{name}", str(value))]
        environment = {**os.environ, NUMBER_VARIABLE: str(trial.number), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [*self.command, *options], stdout=subprocess.PIPE, text=True, errors="replace", env=environment
        )
        assert process.stdout is not None
        result: float | None = None
        failure: Mapping[str, Any] | None = None
        try:
            for line in process.stdout:
                message = _message(line)
                if message is None:
                    sys.stderr.write(line)
                elif "failure" in message:
                    self._cost(trial, message)
                    failure = message
                elif "step" in message:
                    self._note(trial, message)
                else:
                    result = self._result(trial, message)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if failure is not None:
            self.space.fail(trial, failure["failure"], str(failure.get("reason", "")))
        program = Path(self.command[-1]).name
        if code:
            how = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
            raise TuningError(f"{program} {how}. What it printed says why; its options: {' '.join(options)}.")
        if result is None:
            raise TuningError(
                f'{program} printed no result. Its last line is to be JSON, e.g. {{"value": 0.12, "cost": 3.5}}; in '
                'Python: print(json.dumps({"value": loss, "cost": cost})).'
            )
        return result

    def _note(self, trial: BaseTrial, message: Mapping[str, Any]) -> None:
        """Pass a value on the way on; the result is still to come."""
        self._cost(trial, message)
        trial.report(_number(message["value"], "value"), int(_number(message["step"], "step")))
        if trial.should_prune():
            raise optuna.TrialPruned

    def _result(self, trial: BaseTrial, message: Mapping[str, Any]) -> float:
        self._cost(trial, message)
        return _number(message["value"], "value")

    def _cost(self, trial: BaseTrial, message: Mapping[str, Any]) -> None:
        """Store the cost, and every other number under its name, for studies whose cost has another."""
        for name, given in message.items():
            if name == "cost" and given is not None:
                trial.set_user_attr(name, _number(given, name))
            elif name not in _WORDS and isinstance(given, int | float):
                trial.set_user_attr(name, given)


def _message(line: str) -> dict[str, Any] | None:
    """Return the JSON object that a line is, or None."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if {"value", "failure"} & set(found) else None


def _number(given: Any, what: str) -> float:
    """Return a number of a message; null is what others write for nan."""
    if given is None:
        return math.nan
    try:
        return float(given)
    except (TypeError, ValueError) as error:
        raise TuningError(
            f'The program printed {{"{what}": {json.dumps(given)}}}, which is no number.'
        ) from error
