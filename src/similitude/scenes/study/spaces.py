"""What varies in a study: the settings of its controls as dimensions of the tuner, and those that are held."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from similitude.core.errors import SceneError, TuningError
from similitude.scenes.controls.catalog import checked_settings, control_named
from similitude.scenes.controls.control import Control
from similitude.scenes.scene import KIND
from similitude.tuning.space.dimensions import Choice, Dimension, Linear, Log, Number

Constants = dict[str, dict[str, Any]]

_RANGE = ("low", "high", "log", "integer")


def constants_and_dimensions(
    controls: Mapping[str, Mapping[str, Any]],
) -> tuple[Constants, dict[str, Dimension]]:
    """Return the settings that a study holds, by instance and name, and those that vary, by "instance.setting".

    Args:
        controls: As in `StudySettings.controls`.

    Raises:
        SceneError: There is no such control or setting, or a range or value is not possible.

    Example:
        >>> constants, dimensions = constants_and_dimensions({"position": {"offset_x": 0.5, "offset_z": [0, 1]}})
        >>> constants, list(dimensions)
        ({'position': {'offset_x': 0.5}}, ['position.offset_z'])
    """
    constants: Constants = {}
    dimensions: dict[str, Dimension] = {}
    for instance, given in controls.items():
        control = control_named(str(given.get(KIND, instance)), instance=instance)
        settings = {name: value for name, value in given.items() if name != KIND}
        held = {KIND: given[KIND]} if KIND in given else {}
        own: dict[str, Dimension] = {}
        for name, value in (settings or dict.fromkeys(control.dimensions, True)).items():
            # True is a value where it is one of the choices.
            own_range = value is True and True not in getattr(control.dimensions.get(name), "values", ())
            if name in control.dimensions and (own_range or isinstance(value, Mapping | list | tuple)):
                own[name] = _dimension(instance, control, name, value)
            else:
                held[name] = value
        constants[instance] = checked_settings(instance, held)  # unknown names are refused here
        dimensions.update(_named(instance, own))
    return constants, dimensions


def _dimension(instance: str, control: Control, name: str, value: Any) -> Dimension:
    default = control.dimensions[name]
    where = f"control '{instance}', setting '{name}'"
    try:
        if value is True:
            return _bounded(where, default)
        if isinstance(value, Mapping):
            dimension = _range(where, default, value)
            _check_each(instance, control, name, (dimension.low, dimension.high))
            return dimension
        _check_each(instance, control, name, value)
        return Choice(*value)
    except TuningError as error:
        raise SceneError(f"{where}: {error}") from error


def _check_each(instance: str, control: Control, name: str, values: Any) -> None:
    """See that a control takes each of several values of a setting."""
    for one in values:
        checked_settings(instance, {KIND: control.kind, name: one})


def _bounded(where: str, default: Dimension) -> Dimension:
    if not all(map(math.isfinite, default.bounds)):
        raise SceneError(f"{where}: it has no range of its own. Give one, e.g. {{low: 0, high: 1}}.")
    return default


def _range(where: str, default: Dimension, given: Mapping[str, Any]) -> Number:
    if unknown := sorted(set(map(str, given)) - set(_RANGE)):
        raise SceneError(
            f"{where}: a range has no {', '.join(map(repr, unknown))}; it has {', '.join(_RANGE)}."
        )
    if not isinstance(default, Number):
        raise SceneError(f"{where}: it has no order, so there is no range of it. Give a list of values.")
    low, high = given.get("low", default.low), given.get("high", default.high)
    for end, value in (("low", low), ("high", high)):
        if value is None:
            raise SceneError(f"{where}: a range needs its {end}, e.g. {{low: 0, high: 1}}.")
        default.to_unit(value)
    if not low < high:
        raise SceneError(
            f"{where}: low={low!r} is not below high={high!r}. Exchange them, or give a constant."
        )
    log = given.get("log", isinstance(default, Log))
    integer = given.get("integer", default.integer)
    for name, value in (("log", log), ("integer", integer)):
        if not isinstance(value, bool):
            raise SceneError(f"{where}: {name}={value!r:.80} is neither true nor false. Give one of them.")
    if log:
        if low <= 0:
            raise SceneError(f"{where}: low={low!r} has no logarithm. Give a low above 0, or leave log out.")
        center = (
            min(max(default.center, low), high) if low <= default.center <= high else math.sqrt(low * high)
        )
        return Log(center, low=low, high=high, integer=integer)
    center = default.center if low <= default.center <= high else (low + high) / 2
    return Linear(center, low=low, high=high, integer=integer)


def _named(instance: str, own: Mapping[str, Dimension]) -> dict[str, Dimension]:
    """Return dimensions under full names; conditions on settings that do not vary are the control's own business."""
    out = {}
    for name, dim in own.items():
        when = {f"{instance}.{key}": value for key, value in (dim.when or {}).items() if key in own}
        out[f"{instance}.{name}"] = replace(dim, when=when or None) if dim.when else dim  # type: ignore[type-var]
    return out
