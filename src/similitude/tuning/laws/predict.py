"""The best configuration at a cost, and the value to expect there, read off the lines of scaling laws."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from similitude.core.errors import TuningError
from similitude.tuning.laws.axes import axis_of
from similitude.tuning.laws.records import Prediction
from similitude.tuning.space.dimensions import Choice, Value

if TYPE_CHECKING:
    from similitude.tuning.laws.laws import ScalingLaws


def predict(laws: ScalingLaws, cost: float) -> Prediction:
    """Return the best configuration at a cost; see `ScalingLaws.predict`.

    Args:
        laws: The laws.
        cost: In the unit of the trials' costs.

    Raises:
        TuningError: The cost is no finite number above 0.
    """
    if isinstance(cost, bool) or not isinstance(cost, Real) or not 0 < cost < np.inf:
        raise TuningError(f"cost={cost!r}: give a finite cost above 0, in the unit of the trials' costs.")
    log_cost = float(np.log10(cost))
    paths, history = laws.paths, laws.history
    notes: list[str] = []
    bounded: list[str] = []
    values: dict[str, Value] = {}
    intervals: dict[str, tuple[float, float]] = {}
    columns = dict(zip((axis.name for axis in laws.axes), paths.coordinates(log_cost).T, strict=True))
    middle = np.median(history.points, axis=0)
    for place, (name, dimension) in enumerate(history.space.items()):
        axis = axis_of(name, dimension)
        if name in columns and axis is not None:
            found, low, high = paths.interval(columns[name])
            if not np.isfinite(found):
                continue
            values[name] = axis.value(found)
            intervals[name] = (axis.real(low), axis.real(high))
            held = abs(axis.coordinate(values[name]) - found)
            if held > 0.05 * axis.step and held > abs(
                float(axis.dimension.reach(np.array(axis.dimension.to_unit(values[name]))))
            ):
                bounded.append(name)
                notes.append(
                    f"{name} is held at its bound {values[name]}; the law says {axis.real(found):.4g}"
                )
        elif name in laws.choices and isinstance(dimension, Choice):
            values[name] = dimension.values[paths.chosen[0, laws.choices.index(name)]]
        else:
            values[name] = dimension.from_unit(float(middle[place]))
    values = {name: values[name] for name in history.space.active(values) if name in values}
    if bounded:
        notes.append(
            f"the value is the law's, without the bound{'s' * (len(bounded) > 1)}: this configuration does worse"
        )
    low, high = (float(np.log10(end)) for end in (history.costs.min(), history.costs.max()))
    decades = max(log_cost - high, 0.0) + min(log_cost - low, 0.0)
    if decades > 1:
        notes.append(
            f"{decades:.1f} decades beyond the dearest trial: the interval holds only if the law does"
        )
    if not laws.frontier.identified:
        notes.append("the value at infinite cost is not identified by these trials: the interval shows it")
    sign = 1.0 if history.minimize else -1.0
    value = paths.quantity(sign * paths.losses(log_cost), least=0.0 if laws.floored else -np.inf)
    return Prediction(cost, values, intervals, value, decades, tuple(notes))
