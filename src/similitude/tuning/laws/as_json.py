"""Scaling laws as plain data for JSON, and back without fitting anything again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import TuningError
from similitude.tuning.laws.axes import axis_of
from similitude.tuning.laws.estimates import Estimates
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import History

if TYPE_CHECKING:
    from similitude.tuning.laws.laws import ScalingLaws


def laws_to_dict(laws: ScalingLaws) -> dict[str, Any]:
    """Return what was found, and what it takes to go on from.

    Args:
        laws: The laws.
    """
    history = laws.history
    return {
        "estimator": laws.estimator,
        "reason": laws.reason,
        "trials": len(history.values),
        "exponents": {w: {n: e.to_dict() for n, e in es.items()} for w, es in laws.by_estimator.items()},
        "frontier": laws.frontier.to_dict(),
        "split": laws.split.to_dict(),
        "transfer": {name: verdict.to_dict() for name, verdict in laws.transfer().items()},
        "notes": list(laws.notes),
        "asked_for": laws.asked_for,
        "resamples": laws.resamples,
        "seed": laws.seed,
        "axes": [axis.name for axis in laws.axes],
        "choices": list(laws.choices),
        "estimates": laws.estimates.to_dict(),
        "history": {
            "space": history.space.to_dict(),
            "minimize": history.minimize,
            "points": history.points.tolist(),
            "values": history.values.tolist(),
            "costs": history.costs.tolist(),
            "numbers": history.numbers.tolist(),
        },
    }


def fields_from_dict(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of scaling laws from what `laws_to_dict` returned.

    Args:
        data: The data.

    Raises:
        TuningError: They are not those of scaling laws.
    """
    try:
        stored = data["history"]
        space = Space.from_dict(stored["space"])
        history = History(
            space=space,
            points=np.array(stored["points"], float).reshape(-1, len(space)),
            values=np.array(stored["values"], float),
            costs=np.array(stored["costs"], float),
            numbers=np.array(stored["numbers"], int),
            minimize=stored["minimize"],
        )
        axes = [axis_of(name, space[name]) for name in data["axes"]]
        return {
            "history": history,
            "axes": tuple(axis for axis in axes if axis is not None),
            "choices": tuple(data["choices"]),
            "estimates": Estimates.from_dict(data["estimates"]),
            "asked_for": data["asked_for"],
            "resamples": data["resamples"],
            "seed": data["seed"],
            "notes": tuple(data["notes"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise TuningError(
            f"This is no file of scaling laws: {error!r}. Write one with ScalingLaws.save."
        ) from error
