"""The forecast from a tuning study: its scaling laws read at the cost of the target, beside values that stay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import optuna

from similitude.core.errors import GridError, TuningError
from similitude.studies.forecast_records import Backtest, Estimate, Forecast, Forecasted, Point
from similitude.studies.forecast_verdict import Compared, judge
from similitude.studies.more_trials import more_trials
from similitude.studies.noise import Array
from similitude.tuning.laws.axes import Axis
from similitude.tuning.laws.backtest import without_dearest_decade
from similitude.tuning.laws.laws import ScalingLaws
from similitude.tuning.laws.paths import LEVEL, Paths
from similitude.tuning.space.dimensions import Log
from similitude.tuning.space.space import Space
from similitude.tuning.study.stored import stored_cost
from similitude.tuning.trials.history import History

COST = "cost"
_OCTAVES = 1 / math.log10(2)  # per decade
_PLACES = 5  # costs along the frontier at which a figure shows the optimum
_OFF_FRONTIER = 1.0  # octaves by which the target's shape may differ from the frontier's without a note


@dataclass(frozen=True)
class _Column:
    """One logarithmic dimension in the paths of some laws: its place among their axes."""

    axis: Axis
    place: int

    def at(self, paths: Paths, log_cost: float) -> Array:
        """Return log10 of its best value at a cost, in every resample."""
        return paths.coordinates(log_cost)[:, self.place]


def forecast_tuning(study: optuna.Study, to: Mapping[str, float], *, tolerance: float) -> Forecast:
    """Forecast the transfer dimensions of a tuning study, and its loss, at the cost of a target.

    *By transfer* is the value that is best in the middle of the study, *by fit* the one that its scaling laws give at the
    cost of the target. The cost of a target that is given by its scale dimensions follows from the power law of the
    trials' costs in them.

    Args:
        study: A study with values, costs and a space.
        to: All scale dimensions of the space, or the cost.
        tolerance: Difference of the two forecasts that counts as none, in octaves.

    Raises:
        GridError: The study has no dimension of role "transfer", or `to` is no target of it.
        TuningError: The study has too few trials for scaling laws.
    """
    history = History.from_study(study, cost=stored_cost(study))
    space, name = history.space, study.study_name
    stay = [key for key in space.of_role("transfer") if isinstance(space[key], Log)]
    if not stay:
        raise GridError(
            f"study {name!r} has no logarithmic dimension of role 'transfer': nothing in it is to stay as sizes grow. "
            "`similitude tune laws` shows how all its dimensions go with the cost."
        )
    cost = _cost_of(name, space, history, to)
    dearest = float(history.costs.max(initial=0.0))
    if cost <= dearest:
        raise GridError(
            f"the target costs {cost:.4g}, which is not beyond the dearest trial, {dearest:.4g}: `similitude tune front` "
            "shows what is best there. Name a dearer target."
        )
    laws = ScalingLaws.from_history(history)
    columns = {axis.name: _Column(axis, place) for place, axis in enumerate(laws.axes) if axis.name in stay}
    if not columns:
        raise GridError(
            f"{', '.join(stay)} of study {name!r} hardly varied: its trials cannot tell how the best value goes with the "
            "cost. Run more trials."
        )
    past = _past(laws)
    values = {}
    for key, column in columns.items():
        values[key] = _forecasted(laws, past, column, cost, tolerance=tolerance, study=name)
    predicted = laws.predict(cost=cost)
    value = predicted.value
    return Forecast(
        name=name,
        rule="",
        dial=COST,
        to=dict(to),
        at=cost,
        values=values,
        loss=Estimate(value.value, value.low, value.high) if math.isfinite(value.value) else None,
        losses=_records(history),
        loss_backtest=_loss_backtest(laws, past),
        notes=(*predicted.notes, *_shape_notes(space, to, predicted.values), *laws.notes),
        settings={"space": space.to_dict(), "trials": len(history.values), "estimator": laws.estimator},
        level=LEVEL,
    )


def _cost_of(name: str, space: Space, history: History, to: Mapping[str, float]) -> float:
    """Return the cost of a target, by the power law of the trials' costs in the scale dimensions."""
    scales = space.of_role("scale")
    by_cost = set(to) == {COST} and COST not in scales
    for dial, value in to.items():
        if dial not in scales and not by_cost:
            raise GridError(
                f"the target names {dial!r}, which is no scale dimension of the study {name!r}; it has "
                f"{', '.join(scales) or 'none'}. Name all of these, or the cost alone."
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise GridError(f"the target gives {dial} the value {value!r}: pass a positive number.")
    if by_cost:
        return float(to[COST])
    if missing := [dial for dial in scales if dial not in to]:
        raise GridError(
            f"the target lacks {', '.join(missing)}: what it costs follows from all scale dimensions of the study "
            f'{name!r}. Name them all, or the cost alone, {{"cost": 1e6}}.'
        )
    rows = [space.values_at(point) for point in history.points]
    if not rows:
        raise GridError(f"study {name!r} has no trial with a value and a cost yet. Run it first.")
    design = np.array([[1.0, *(math.log(float(str(row[dial]))) for dial in scales)] for row in rows])
    law, *_ = np.linalg.lstsq(design, np.log(history.costs), rcond=None)
    return math.exp(float(law @ [1.0, *(math.log(to[dial]) for dial in scales)]))


def _forecasted(
    laws: ScalingLaws, past: ScalingLaws | None, column: _Column, cost: float, *, tolerance: float, study: str
) -> Forecasted:
    paths, log_cost = laws.paths, math.log10(cost)
    there, middle = column.at(paths, log_cost), column.at(paths, paths.reference)
    apart = _estimate(paths, (there - middle) * _OCTAVES)
    fitted, transferred = _power(paths, there), _power(paths, middle)
    known = all(map(math.isfinite, apart.interval))
    backtest = None if past is None else _backtest(laws, past, column)
    run = None
    if known:
        run = more_trials(laws.history, cost, length=(apart.high - apart.low), study=study)
    verdict = judge(
        Compared(
            column.axis.name,
            f"cost {cost:.4g}",
            apart if known else None,
            None,
            backtest,
            run,
        ),
        tolerance=tolerance,
    )
    exponent = laws.exponents[column.axis.name]
    low, high = np.log10([laws.history.costs.min(), laws.history.costs.max()])
    return Forecasted(
        name=column.axis.name,
        transferred=transferred,
        fitted=fitted if known else None,
        exponent=Estimate(exponent.value, exponent.low, exponent.high) if known else None,
        difference=apart if known else None,
        backtest=backtest,
        next_run=run,
        verdict=verdict,
        points=tuple(
            Point(10.0**at, _power(paths, column.at(paths, float(at))))
            for at in np.linspace(low, high, _PLACES)
        ),
    )


def _past(laws: ScalingLaws) -> ScalingLaws | None:
    """Return the laws without the dearest decade; None where too little is left."""
    cheaper = without_dearest_decade(laws.history)
    try:
        return ScalingLaws.from_history(
            cheaper, resamples=laws.resamples, seed=laws.seed, estimator=laws.asked_for
        )
    except TuningError:
        return None


def _backtest(laws: ScalingLaws, past: ScalingLaws, column: _Column) -> Backtest | None:
    """Compare what the cheaper trials say of the dearest cost with what all trials say."""
    places = {axis.name: place for place, axis in enumerate(past.axes)}
    if column.axis.name not in places:
        return None
    before = _Column(column.axis, places[column.axis.name])
    dearest = float(np.log10(laws.history.costs.max()))
    actual = column.at(laws.paths, dearest)

    def error(at: float) -> Estimate:
        told = _estimate(past.paths, before.at(past.paths, at) * _OCTAVES)
        found = _estimate(laws.paths, actual * _OCTAVES)
        apart = told.value - found.value
        # Both intervals are of the same study, so this one errs on the wide side.
        below = math.hypot(told.value - told.low, found.high - found.value)
        above = math.hypot(told.high - told.value, found.value - found.low)
        return Estimate(apart, apart - below, apart + above)

    return Backtest(
        at={COST: 10.0**dearest},
        measured=_power(laws.paths, actual),
        transfer_error=error(past.paths.reference),
        fit_error=error(dearest),
        transfer_cost=None,
        fit_cost=None,
    )


def _loss_backtest(laws: ScalingLaws, past: ScalingLaws | None) -> tuple[Estimate, float] | None:
    if past is None:
        return None
    dearest = float(laws.history.costs.max())
    told, found = past.predict(cost=dearest).value, laws.predict(cost=dearest).value
    return Estimate(told.value, told.low, told.high), found.value


def _records(history: History) -> tuple[Point, ...]:
    """Return the trials that were better than all cheaper ones."""
    found: list[Point] = []
    best = -math.inf
    for i in np.argsort(history.costs, kind="stable"):
        if history.signed[i] > best:
            best, value = float(history.signed[i]), float(history.values[i])
            found.append(Point(float(history.costs[i]), Estimate(value, value, value)))
    return tuple(found)


def _shape_notes(space: Space, to: Mapping[str, float], best: Mapping[str, object]) -> list[str]:
    """Say where the target's shape is not that of the frontier, along which the laws were found."""
    notes = []
    for dial in space.of_role("scale"):
        if dial in to and dial in best:
            apart = math.log2(to[dial] / float(str(best[dial])))
            if abs(apart) > _OFF_FRONTIER:
                notes.append(
                    f"at this cost the frontier has {dial} {best[dial]:.4g}, the target {apart:+.1f} octaves more: the "
                    "forecast is of the frontier"
                )
    return notes


def _estimate(paths: Paths, values: Array) -> Estimate:
    return Estimate(*paths.interval(values))


def _power(paths: Paths, values: Array) -> Estimate:
    """Return a value from its logarithms, with an interval within what a float can hold."""
    return Estimate(*(10.0 ** min(max(end, -300.0), 300.0) for end in paths.interval(values)))
