"""Reading a study's file: YAML, strict about keys, its paths relative to itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from similitude.core.errors import SceneError
from similitude.scenes.study.settings import StudySettings

LARGEST = 1_000_000
"""Bytes of a study's file; anything larger is none."""

DEEPEST = 100
"""Brackets within brackets of a study's file."""


def read_study(path: str | Path) -> StudySettings:
    """Return the study that a YAML file describes.

    Paths in it are relative to the file: objects, environments, settings of controls that name a file beside it, and
    `file.py:name` of models and functions.

    Args:
        path: The file.

    Raises:
        SceneError: It is not there, is no YAML, or says what is not possible; keys that are close are named.
    """
    place = Path(path)
    data = parsed(place)
    if not isinstance(data, Mapping):
        raise SceneError(
            f"{place}: a study is a mapping, e.g. objects: [mug], and this is {type(data).__name__}."
        )
    try:
        return StudySettings.from_dict(resolved(data, place.resolve().parent))
    except SceneError as error:
        raise SceneError(f"{place}: {error}") from error


def resolved(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a study's data with absolute paths where it names files relative to a folder."""
    out = dict(data)
    for key in ("objects", "environments"):
        if key in out:
            given = [out[key]] if isinstance(out[key], str) else out[key]
            out[key] = [_path(one, folder) for one in given] if isinstance(given, list) else given
    for key in ("model", "models"):
        if key in out:
            given = [out[key]] if isinstance(out[key], str) else out[key]
            out[key] = [_reference(one, folder) for one in given] if isinstance(given, list) else given
    if isinstance(out.get("controls"), Mapping):
        out["controls"] = {
            instance: {name: _setting(value, folder) for name, value in settings.items()}
            if isinstance(settings, Mapping)
            else settings
            for instance, settings in out["controls"].items()
        }
    if isinstance(out.get("evaluator"), Mapping):
        out["evaluator"] = {
            name: _reference(value, folder) if name in ("function", "target") else value
            for name, value in out["evaluator"].items()
        }
    if isinstance(out.get("labels"), Mapping):
        out["labels"] = {_path(name, folder): labels for name, labels in out["labels"].items()}
    return out


def parsed(place: Path) -> Any:
    """Return what a YAML file says, as plain data.

    Raises:
        SceneError: It cannot be read, is too large, no YAML, or uses aliases.
    """
    try:
        import yaml
    except ImportError as error:
        raise SceneError(
            f"reading {place} needs PyYAML, which is not installed. Install it: pip install 'similitude[scenes]'"
        ) from error
    try:
        if place.stat().st_size > LARGEST:
            raise SceneError(f"{place} is larger than {LARGEST:,} bytes: it is no study.")
        text = place.read_text(encoding="utf-8")
    except OSError as error:
        raise SceneError(
            f"the study {place} cannot be read: {error.strerror}. Name a YAML file, e.g. study.yaml."
        ) from error
    except UnicodeDecodeError as error:
        raise SceneError(f"{place} is no text file ({error}). Name a YAML file.") from error
    if _depth(text) > DEEPEST:
        raise SceneError(
            f"{place} is no YAML that is read: its brackets are nested more than {DEEPEST} deep."
        )
    try:
        # Aliases stand for what was written before; thousands of them fill any memory.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise SceneError(f"{place} uses aliases (*name), which studies do not. Write the values out.")
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())
        raise SceneError(f"{place} is no YAML: {said:.300}") from error


def _depth(text: str) -> int:
    """Return how deep brackets are nested, by counting them alone; PyYAML's time grows with its square."""
    steps = (1 if mark[0] in "[{" else -1 for mark in re.finditer(r"[\[\]{}]", text))
    return max(accumulate(steps), default=0)


def _path(value: Any, folder: Path) -> Any:
    """Return a name as it is, and the path of a file as an absolute one."""
    if not isinstance(value, str) or ":" in value:
        return value
    looks = "/" in value or Path(value).suffix.lower() in _FILES
    return str((folder / Path(value).expanduser()).resolve()) if looks else value


def _setting(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_setting(one, folder) for one in value]
    if isinstance(value, str) and ("/" in value or Path(value).suffix.lower() in _FILES):
        return str((folder / Path(value).expanduser()).resolve())
    return value


def _reference(value: Any, folder: Path) -> Any:
    """Return `file.py:name` with the file's absolute path, and anything else as it is."""
    if not isinstance(value, str):
        return value
    place, _, name = value.rpartition(":")
    return f"{(folder / Path(place).expanduser()).resolve()}:{name}" if place.endswith(".py") else value


_FILES = (".obj", ".gltf", ".glb", ".exr", ".hdr", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Endings by which a name is known to be that of a file."""
