"""All controls by the name of their kind, and how settings are checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from similitude.core.errors import SceneError, TuningError
from similitude.scenes.controls.control import Control, Value

KIND = "kind"


def controls() -> dict[str, Control]:
    """Return every control by the name of its kind."""
    from similitude.scenes.controls.placing import Orientation, Position, Scale

    return {control.kind: control for control in (Orientation(), Position(), Scale())}


def control_named(kind: str, *, instance: str = "") -> Control:
    """Return a control.

    Raises:
        SceneError: There is none of that kind.
    """
    known = controls()
    if kind not in known:
        close = difflib.get_close_matches(kind, known, n=1, cutoff=0.4)
        raise SceneError(
            f"there is no control {kind!r}. "
            + (f"Did you mean {close[0]}? " if close else "")
            + f"An instance with a name of its own says its kind, e.g. {{'{instance or kind}': {{'kind': 'light'}}}}. "
            f"Kinds: {', '.join(known)}."
        )
    return known[kind]


def checked_settings(instance: str, settings: Any) -> dict[str, Value]:
    """Return the settings of an instance as given, after checking names and values.

    Raises:
        SceneError: A name or a value is none of the control's.
    """
    if not isinstance(settings, Mapping):
        raise SceneError(
            f"control '{instance}': {settings!r:.60} are no settings. Give a mapping, e.g. {{'rotation_z': 0.5}}."
        )
    control = control_named(str(settings.get(KIND, instance)), instance=instance)
    out: dict[str, Value] = {}
    for name, value in settings.items():
        if name == KIND:
            out[name] = control.kind
            continue
        if name not in control.dimensions:
            close = difflib.get_close_matches(str(name), control.dimensions, n=1, cutoff=0.4)
            raise SceneError(
                f"control '{instance}': {control.kind} has no setting {name!r}. "
                + (f"Did you mean {close[0]}? " if close else "")
                + f"Its settings are {', '.join(control.dimensions)}."
            )
        try:
            control.dimensions[name].to_unit(value)
        except TuningError as error:
            raise SceneError(f"control '{instance}', setting '{name}': {error}") from error
        out[name] = value
    return out


def full_settings(instance: str, settings: Mapping[str, Any]) -> dict[str, Value]:
    """Return a value of every setting: those given, and the centers of the others."""
    control = control_named(str(settings.get(KIND, instance)), instance=instance)
    return {name: settings.get(name, dim.first) for name, dim in control.dimensions.items()}
