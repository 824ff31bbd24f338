"""A trial as an objective sees it, whose questions are answered elsewhere: by another process, or with a cap in mind."""

from __future__ import annotations

import datetime
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from similitude.tuning.space.dimension import plain


class ForwardedTrial(BaseTrial):
    """A trial whose every question is answered elsewhere; a subclass says by whom."""

    @abstractmethod
    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what the method or property of this name of the study's own trial returns."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Suggest a number; see `optuna.Trial`."""
        return self._ask("suggest_float", name, low, high, step=step, log=log)

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """Suggest a number; see `optuna.Trial`."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """Suggest a number; see `optuna.Trial`."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """Suggest a number; see `optuna.Trial`."""
        return self.suggest_float(name, low, high, step=q)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Suggest a whole number; see `optuna.Trial`."""
        return self._ask("suggest_int", name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Suggest one of several values; see `optuna.Trial`."""
        return self._ask("suggest_categorical", name, choices)

    def report(self, value: float, step: int) -> None:
        """Tell a value on the way; see `optuna.Trial`."""
        self._ask("report", float(value), int(step))

    def should_prune(self) -> bool:
        """Whether the trial is to end; see `optuna.Trial`."""
        return self._ask("should_prune")

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store a value with the trial; see `optuna.Trial`."""
        self._ask("set_user_attr", key, plain(value))  # storages do not take numpy's numbers

    def set_constraint(self, key: str, value: float) -> None:
        """Store a constraint; see `optuna.Trial`."""
        self._ask("set_constraint", key, value)

    @property
    def params(self) -> dict[str, Any]:
        """The values suggested so far."""
        return self._ask("params")

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The ranges of the values suggested so far."""
        return self._ask("distributions")

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What was stored with the trial."""
        return self._ask("user_attrs")

    @property
    def datetime_start(self) -> datetime.datetime | None:
        """When the trial began."""
        return self._ask("datetime_start")

    @property
    def number(self) -> int:
        """The trial's number in its study, from 0."""
        return self._ask("number")

    @property
    def constraints(self) -> dict[str, float]:
        """Constraints stored so far."""
        return self._ask("constraints")


METHODS = frozenset({*BaseTrial.__abstractmethods__, "number", "constraints"})
"""What a `ForwardedTrial` asks for."""


def answer(trial: optuna.Trial, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Answer what a `ForwardedTrial` asks, by the study's own trial."""
    assert name in METHODS, name
    if name == "report" and args[1] in reported(trial):
        # The first try of a trial that is run again had reported it; Optuna would keep the old value and warn.
        return trial.storage.set_trial_intermediate_value(trial._trial_id, args[1], args[0])
    found = getattr(trial, name)
    return found(*args, **kwargs) if callable(found) else found


def reported(trial: optuna.Trial) -> dict[int, float]:
    """Return the values that a trial has reported so far, by step."""
    return trial.storage.get_trial(trial._trial_id).intermediate_values
