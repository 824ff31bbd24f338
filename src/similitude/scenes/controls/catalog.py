"""All controls by the name of their kind, how settings are checked, and in which order they act."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Control, Phase, Value

KIND = "kind"


@cache
def controls() -> dict[str, Control]:
    """Return every control by the name of its kind, in the order in which they act."""
    from similitude.scenes.controls.background import Background
    from similitude.scenes.controls.camera import CameraControl
    from similitude.scenes.controls.corruption import Corruption
    from similitude.scenes.controls.filling import Liquid
    from similitude.scenes.controls.framing import LocationInFrame
    from similitude.scenes.controls.grounding import Ground, PinToGround
    from similitude.scenes.controls.lamps import LightControl
    from similitude.scenes.controls.look import MaterialControl, TextureControl
    from similitude.scenes.controls.occlusion import Occlusion
    from similitude.scenes.controls.placing import Orientation, Position, Scale
    from similitude.scenes.controls.shades import Shades
    from similitude.scenes.controls.surroundings import EnvironmentControl

    every: tuple[Control, ...] = (
        Orientation(),
        Position(),
        Scale(),
        PinToGround(),
        Liquid(),
        Ground(),
        EnvironmentControl(),
        LightControl(),
        CameraControl(),
        LocationInFrame(),
        MaterialControl(),
        TextureControl(),
        Occlusion(),
        Background(),
        Shades(),
        Corruption(),
    )
    return {control.kind: control for control in every}


def control_named(kind: str, *, instance: str = "") -> Control:
    """Return a control.

    Raises:
        SceneError: There is none of that kind.
    """
    known = controls()
    if kind not in known:
        raise SceneError(
            f"there is no control {kind!r}. "
            + did_you_mean(kind, known)
            + f"An instance with a name of its own says its kind, e.g. {{'{instance or kind}': {{'kind': 'light'}}}}. "
            f"Kinds: {', '.join(known)}."
        )
    return known[kind]


def checked_settings(instance: str, settings: Any) -> dict[str, Value]:
    """Return the settings of an instance after checking names and values, in the control's own order.

    Values may lie outside of the ranges that are searched, as long as they are possible. Numbers are floats where the
    setting is no whole number, so that 1 and 1.0 are one scene.

    Raises:
        SceneError: A name or a value is none of the control's.
    """
    if not isinstance(instance, str) or not instance or "." in instance:
        raise SceneError(
            f"control {instance!r:.60}: the name of an instance is a text without dots, which stand before settings, as "
            "in 'lamp.power'. Call it otherwise."
        )
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
        if name not in control.settings:
            raise SceneError(
                f"control '{instance}': {control.kind} has no setting {name!r}. "
                + did_you_mean(name, control.settings)
                + f"Its settings are {', '.join(control.settings)}."
            )
        try:
            control.settings[name].check(value)
        except SceneError as error:
            raise SceneError(f"control '{instance}', setting '{name}': {error}") from error
        out[name] = control.settings[name].plain(value)
    return {name: out[name] for name in (KIND, *control.settings) if name in out}


def full_settings(instance: str, settings: Mapping[str, Any]) -> dict[str, Value]:
    """Return a value of every setting: those given, and the centers of the others."""
    control = control_named(str(settings.get(KIND, instance)), instance=instance)
    return {name: settings.get(name, dim.first) for name, dim in control.dimensions.items()}


def acting_order(scene_controls: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the instances of a scene's controls in the order in which they act, which is theirs in every scene.

    By phase, then in the order of `controls`, then by name, whichever was said first; only effects on the picture act in
    the order in which they are given.

    Example:
        >>> acting_order({"camera": {}, "b": {"kind": "light"}, "a": {"kind": "light"}, "corruption": {}, "hsv": {}})
        ['a', 'b', 'camera', 'corruption', 'hsv']
    """
    places = {kind: place for place, kind in enumerate(controls())}

    def turn(instance: str) -> tuple[int, int, str]:
        control = control_named(str(scene_controls[instance].get(KIND, instance)), instance=instance)
        if control.phase is Phase.EFFECT:
            return control.phase, 0, ""
        return control.phase, places[control.kind], instance

    return sorted(scene_controls, key=turn)


def in_order(scene_controls: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Control, dict[str, Value]]]:
    """Return the controls of a scene in the order in which they act (`acting_order`).

    Returns:
        Name of the instance, its control, and a value of every setting.
    """
    found = []
    for instance in acting_order(scene_controls):
        settings = scene_controls[instance]
        control = control_named(str(settings.get(KIND, instance)), instance=instance)
        found.append((instance, control, full_settings(instance, settings)))
    return found
