"""Controls of 3DB's configurations as ours: how their ranges, lists and constants are read."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.controls.catalog import checked_settings, control_named
from similitude.scenes.study.threedb_originals import ORIGINALS, PACKAGE, Dial, Original
from similitude.tuning.space.dimensions import Log

_LONGEST = 200  # characters of a text that is read as a range
_OTHER_NAMES = {"imagenet_c_corruptions": "imagenet_c", "corruption": "imagenet_c", "denoise": "denoiser"}


def controls_of(given: Any, left: list[str]) -> dict[str, dict[str, Any]]:
    """Return the controls of a configuration as a study's.

    Args:
        given: The list under "controls".
        left: What could not be mapped is added, with where it stands.

    Raises:
        SceneError: It is no list of mappings with a module, or a range is none.
    """
    if given is None:
        return {}
    if not isinstance(given, list):
        raise SceneError(f"controls: {given!r:.60} is no list. Each control is an entry with its 'module'.")
    out: dict[str, dict[str, Any]] = {}
    for place, entry in enumerate(given):
        where = f"controls[{place}]"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("module"), str):
            raise SceneError(f"{where}: {entry!r:.60} has no 'module', e.g. module: {PACKAGE}orientation.")
        module = str(entry["module"])
        last = module.rpartition(".")[2]
        name = _OTHER_NAMES.get(last, last)
        known = module.startswith(("threedb.", "controls.", "blender.")) or "." not in module
        if not known or name not in ORIGINALS:
            close = did_you_mean(name, ORIGINALS, cutoff=0.5)
            left.append(f"{where}: there is no control like {module!r} here. {close}".rstrip())
            continue
        original = ORIGINALS[name]
        settings = _settings(f"{where} ({name})", original, entry, left)
        if original.kind is None:
            continue
        if not settings:  # a control without settings would be searched over all of its own
            left.append(f"{where}: nothing of {name} is left, so it is left out.")
            continue
        number = sum(one.get("kind", own) == original.kind for own, one in out.items())
        if number:
            out[f"{original.kind}_{number + 1}"] = {"kind": original.kind, **settings}
        else:
            out[original.kind] = settings
    return out


def _settings(where: str, original: Original, entry: Mapping[str, Any], left: list[str]) -> dict[str, Any]:
    for key in entry:
        if key not in original.dials and key not in ("module", "args"):
            close = did_you_mean(key, original.dials, cutoff=0.5)
            left.append(f"{where}.{key}: the original has no such parameter. {close}".rstrip())
    if entry.get("args"):
        left.append(f"{where}.args: controls are not built with arguments here.")
    out = dict(original.held)
    for name, dial in original.dials.items():
        value = _read(f"{where}.{name}", dial, entry[name], left) if name in entry else _usual(dial)
        if dial.setting is None:
            if name in entry:
                left.append(f"{where}.{name}: {dial.why}.")
        elif value is not None:
            out[dial.setting] = _checked(f"{where}.{name}", original.kind or "", dial.setting, value)
    return out


def _usual(dial: Dial) -> Any:
    """Return what the original searches where a configuration says nothing."""
    if not dial.listed:
        return {"low": dial.low, "high": dial.high}
    if dial.values:
        return [dial.read(value) for value in dial.values]
    return True if dial.setting == "replacement" else None  # a folder's files there: all of ours here


def _read(where: str, dial: Dial, given: Any, left: list[str]) -> Any:
    if dial.listed:
        return _listed(where, dial, given, left)
    value = _literal(where, given)
    if isinstance(value, list | tuple):
        if len(value) != 2 or not all(_is_number(one) for one in value):
            raise SceneError(
                f"{where}: {given!r:.60} is no range. Give its two ends, e.g. (0, 1), or a number."
            )
        low, high = sorted(value)
        return low if low == high else {"low": low, "high": high}
    if not _is_number(value):
        raise SceneError(f"{where}: {given!r:.60} is neither a range, e.g. (0, 1), nor a number.")
    return value


def _listed(where: str, dial: Dial, given: Any, left: list[str]) -> Any:
    values = given if isinstance(given, list | tuple) else [given]
    found = []
    for value in values:
        ours = dial.read(value)
        if ours is None:
            left.append(f"{where}: {value!r:.60}: {dial.why}.")
        elif ours not in found:
            found.append(ours)
    if not found:
        return None
    return found[0] if len(found) == 1 else found


def _literal(where: str, given: Any) -> Any:
    """Return what a text like "(0, 1)" says, by Python's own reader of literals."""
    if not isinstance(given, str):
        return given
    try:
        if len(given) > _LONGEST:
            raise ValueError("it is too long")
        return ast.literal_eval(given.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise SceneError(f"{where}: {given!r:.60} is neither a range, e.g. (0, 1), nor a number.") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _checked(where: str, kind: str, setting: str, value: Any) -> Any:
    """Return a setting's value; a range is even on the scale that the original's is even on."""
    some = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    for one in some if value is not True else ():
        try:
            checked_settings(kind, {setting: one})
        except SceneError as error:
            raise SceneError(f"{where}: {error}") from error
    if isinstance(value, Mapping) and isinstance(control_named(kind).dimensions[setting], Log):
        return {**value, "log": False}
    return value
