"""Scaling laws of a study: how every hyperparameter, and the loss, go with the cost along the frontier (paper 10)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from rich.console import RenderableType

from similitude.core.citation import cites
from similitude.core.errors import TuningError
from similitude.core.verdict import Outcome, Verdict
from similitude.tuning.laws.as_json import fields_from_dict, laws_to_dict
from similitude.tuning.laws.axes import Axis, axis_of
from similitude.tuning.laws.backtest import backtest
from similitude.tuning.laws.data import law_data
from similitude.tuning.laws.estimates import ESTIMATORS, Estimates, estimate
from similitude.tuning.laws.paths import Paths
from similitude.tuning.laws.predict import predict
from similitude.tuning.laws.records import Backtest, Exponent, Frontier, Prediction, Split
from similitude.tuning.laws.text import laws_table
from similitude.tuning.laws.transfer import transfer_verdict
from similitude.tuning.space.space import Space
from similitude.tuning.study.stored import stored_cost
from similitude.tuning.trials.history import Cost, History

RESAMPLES = 200


@cites(10, "Section 4: scaling laws of hyperparameters from the Pareto front")
@dataclass(frozen=True)
class ScalingLaws:
    """What a tuning study says about larger budgets.

    Three estimators stand side by side, each with bootstrap intervals of 90 %: `parametric`, a law of the losses of all
    trials; `surrogate`, the path along which a Gaussian process is best; `naive`, a regression over the observed Pareto
    set. `exponents` and `predict` use the law where it predicts held-out trials as well as the surrogate does, which says
    whether the losses have its form; `reason` holds the figures.

    Attributes:
        history: The trials.
        axes: The ordered dimensions that varied.
        choices: Names of the choices without order of which several values were tried.
        estimates: The lines of every estimator.
        asked_for: The estimator that was asked for; None where it was chosen by held-out trials.
        resamples: Number of bootstrap resamples.
        seed: Of everything that was drawn.
        notes: What cannot be told from these trials, and why.

    Source: paper 10, Section 4, for the naive estimator; arXiv 2203.15556, approaches 2 and 3, for the others.
    """

    history: History
    axes: tuple[Axis, ...]
    choices: tuple[str, ...]
    estimates: Estimates
    asked_for: str | None
    resamples: int
    seed: int
    notes: tuple[str, ...]

    @classmethod
    def from_study(
        cls,
        study: optuna.Study,
        space: Space | None = None,
        *,
        cost: Cost | None = None,
        estimator: str | None = None,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> ScalingLaws:
        """Find the scaling laws of a study, by whatever sampler it was run.

        Args:
            study: An Optuna study with one objective, whose trials hold their cost.
            space: Its space, with roles; the one that the study holds where None.
            cost: What a trial costs: the name of a user attribute, "seconds", or a function of the values; what the study
                says, or the attribute "cost", where None.
            estimator: "parametric", "surrogate" or "naive"; the best on held-out trials where None.
            resamples: Number of bootstrap resamples behind the intervals.
            seed: Of the resamples and of all else that is drawn; equal seeds give equal laws.

        Raises:
            TuningError: Fewer than 15 trials have a value and a cost, all cost the same, no dimension varies, no trial
                has the attribute that was named, or there is no such estimator.

        Cost:
            1.5 CPU-seconds for 60 trials in three dimensions, 10 for 400 in six.
        """
        if not isinstance(study, optuna.Study):
            raise TuningError(
                f"{type(study).__name__} is no study. Pass an optuna.Study, e.g. optuna.load_study(...)."
            )
        if space is not None and not isinstance(space, Space):
            raise TuningError(f"space={space!r} is no space. Pass sim.Space(lr=sim.Log(3e-3), ...).")
        source = stored_cost(study) if cost is None else cost
        notes = _untold(study, source, asked=cost is not None)
        history = History.from_study(study, space, cost=source)
        laws = cls.from_history(history, estimator=estimator, resamples=resamples, seed=seed)
        return replace(laws, notes=notes + laws.notes)

    @classmethod
    def from_history(
        cls, history: History, *, estimator: str | None = None, resamples: int = RESAMPLES, seed: int = 0
    ) -> ScalingLaws:
        """Find the scaling laws of a history; see `from_study`.

        Args:
            history: The trials.
            estimator: "parametric", "surrogate" or "naive"; the best on held-out trials where None.
            resamples: Number of bootstrap resamples.
            seed: Of everything that is drawn.

        Raises:
            TuningError: As for `from_study`.
        """
        if estimator is not None and estimator not in ESTIMATORS:
            raise TuningError(f"estimator={estimator!r}: the estimators are {', '.join(ESTIMATORS)}.")
        if isinstance(resamples, bool) or not isinstance(resamples, Integral):
            raise TuningError(f"resamples={resamples!r} is no whole number; 200 is the default.")
        if isinstance(seed, bool) or not isinstance(seed, Integral):
            raise TuningError(f"seed={seed!r} is no whole number.")
        if resamples < 20:
            raise TuningError(f"resamples={resamples}: an interval of 90 % needs at least 20.")
        data = law_data(history)
        estimates = estimate(data, count=resamples, seed=seed)
        if estimator is not None:
            if estimator not in estimates.paths:
                raise TuningError(
                    f"The {estimator} estimator could not be had. {' '.join(estimates.notes)} Use "
                    f"{' or '.join(estimates.paths)}."
                )
            estimates = replace(estimates, preferred=estimator, reason="you asked for it")
        return cls(
            history=history,
            axes=data.axes,
            choices=tuple(name for name, _ in data.choices),
            estimates=estimates,
            asked_for=estimator,
            resamples=resamples,
            seed=seed,
            notes=data.notes + estimates.notes,
        )

    @property
    def estimator(self) -> str:
        """The estimator that `exponents`, `predict` and `transfer` use."""
        return self.estimates.preferred

    @property
    def reason(self) -> str:
        """Why that estimator, in words and numbers."""
        return self.estimates.reason

    @property
    def paths(self) -> Paths:
        """The lines of that estimator."""
        return self.estimates.paths[self.estimator]

    @property
    def exponents(self) -> dict[str, Exponent]:
        """How each ordered dimension goes with the cost along the frontier, by name."""
        return self.by_estimator[self.estimator]

    @property
    def by_estimator(self) -> dict[str, dict[str, Exponent]]:
        """The same by every estimator."""
        return {
            which: self._exponents(self.estimates.paths[which])
            for which in ESTIMATORS
            if which in self.estimates.paths
        }

    @property
    def frontier(self) -> Frontier:
        """The law of the best value, L(C) = E + A C^-k."""
        return self.frontier_of(self.estimator)

    def frontier_of(self, estimator: str) -> Frontier:
        """Return the law of the best value by one estimator.

        Args:
            estimator: One of those in `by_estimator`.

        Raises:
            TuningError: There is no such estimator, or it could not be had.
        """
        if estimator not in self.estimates.paths:
            raise TuningError(f"estimator={estimator!r}: these laws have {', '.join(self.by_estimator)}.")
        paths = self.estimates.paths[estimator]
        sign = 1.0 if self.history.minimize else -1.0
        limit = paths.quantity(sign * paths.floor)
        at_reference = paths.quantity(paths.amplitude, least=0.0)
        with np.errstate(over="ignore"):
            at_one = paths.quantity(paths.amplitude * 10.0 ** (paths.power * paths.reference), least=0.0)
        dearest = float(np.log10(self.history.costs.max()))
        left = float(abs(paths.losses(dearest)[0] - paths.floor[0]))
        if self.floored:
            limit = replace(limit, low=max(limit.low, 0.0))
        identified = limit.width < left and not (self.floored and limit.low <= 0.01 * limit.value)
        return Frontier(
            limit=limit,
            amplitude=at_one,
            power=paths.quantity(paths.power, least=0.0),
            reference=float(10.0**paths.reference),
            at_reference=at_reference,
            minimize=self.history.minimize,
            identified=identified,
        )

    @property
    def split(self) -> Split:
        """How the compute goes to the dimensions of role `scale`."""
        of_scale = [i for i, axis in enumerate(self.axes) if axis.dimension.role == "scale"]
        exponents = self.exponents
        return Split(
            exponents={self.axes[i].name: exponents[self.axes[i].name] for i in of_scale},
            cost_powers={self.axes[i].name: float(self.estimates.cost_powers[i]) for i in of_scale},
            total=self.paths.quantity(self.paths.slopes @ self.estimates.cost_powers),
        )

    def predict(self, *, cost: float) -> Prediction:
        """Return the best configuration at a cost and the value to expect, beyond the trials too.

        Args:
            cost: In the unit of the trials' costs.

        Raises:
            TuningError: The cost is no finite number above 0.
        """
        return predict(self, cost)

    def transfer(self) -> dict[str, Verdict]:
        """Judge each dimension of role `transfer`: `transfers`, `shifts` as C^q, or `cannot_tell` and what would tell."""
        verdicts = {}
        for name in self.history.space.of_role("transfer"):
            found = {which: e[name] for which, e in self.by_estimator.items() if name in e}
            verdicts[name] = (
                transfer_verdict(name, found, estimator=self.estimator, trials=len(self.history.values))
                if found
                else Verdict(Outcome.CANNOT_TELL, f"{name} has no order, so that its optimum has no exponent")
            )
        return verdicts

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of `transfer`; without such dimensions, whether any exponent is identified."""
        verdicts = list(self.transfer().values())
        if verdicts:
            return min(verdicts, key=lambda v: (v.ok, v.undecided))
        known = [f"{name} ~ C^{e}" for name, e in self.exponents.items() if np.isfinite(e.width)]
        if known:
            return Verdict(Outcome.OK, "; ".join(known))
        return Verdict(
            Outcome.CANNOT_TELL, "no exponent is identified", next="more trials over more decades of cost"
        )

    def raise_if_bad(self) -> None:
        """Raise where a dimension that should transfer drifts, or where that cannot be told."""
        self.verdict.raise_if_bad()

    def backtest(self) -> Backtest:
        """Find the laws again without the dearest decade, and compare what they say there with what all trials say.

        Raises:
            TuningError: Too few trials are left without it.
        """
        return backtest(self)

    def table(self) -> RenderableType:
        """Return the laws as tables for the terminal: a rich renderable for `Console.print`."""
        return laws_table(self)

    def __rich__(self) -> RenderableType:
        return self.table()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: what was found, and what it takes to go on from (`from_dict`)."""
        return laws_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ScalingLaws:
        """Read what `to_dict` wrote; nothing is fitted again.

        Raises:
            TuningError: The data are not those of scaling laws.
        """
        return cls(**fields_from_dict(data))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the laws as JSON, and return the path.

        Raises:
            TuningError: The file cannot be written.
        """
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")
        except OSError as error:
            raise TuningError(
                f"The scaling laws cannot be written to {str(path)!r}: {error.strerror}."
            ) from error
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScalingLaws:
        """Read the laws that `save` wrote.

        Raises:
            TuningError: The file is not there, or holds something else.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise TuningError(f"The scaling laws {str(path)!r} cannot be read: {error}.") from error

    @property
    def floored(self) -> bool:
        """Whether no value can be below 0: all are positive, and small ones are good."""
        return bool(self.history.minimize and (self.history.values > 0).all())

    def _exponents(self, paths: Paths) -> dict[str, Exponent]:
        columns = {axis.name: column for axis, column in zip(self.axes, paths.slopes.T, strict=True)}
        found = {}
        for name, dimension in self.history.space.items():
            axis = axis_of(name, dimension)
            if axis is None:
                continue
            if name in columns:
                value, low, high = paths.interval(columns[name])
                known = bool(np.isfinite(high - low))
            else:
                value, low, high, known = float("nan"), -np.inf, np.inf, False
            found[name] = Exponent(value, low, high, axis.unit, dimension.role, known)
        return found


def _untold(study: optuna.Study, cost: Cost, *, asked: bool) -> tuple[str, ...]:
    """Say where seconds stand in for a cost that no trial tells, because the history takes them then.

    Raises:
        TuningError: The user asked for that attribute.
    """
    if not isinstance(cost, str) or cost == "seconds":
        return ()
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    if not finished or any(cost in trial.user_attrs for trial in finished):
        return ()
    if asked:
        known = sorted(
            {name for trial in finished for name in trial.user_attrs if not name.startswith("similitude:")}
        )
        raise TuningError(
            f"cost={cost!r}: no finished trial has this attribute; they have {', '.join(map(repr, known)) or 'none'}. "
            'Name one of them, "seconds" for measured time, or pass a function of the configuration.'
        )
    return (f"No trial tells its cost by the attribute {cost!r}: costs are measured seconds.",)
