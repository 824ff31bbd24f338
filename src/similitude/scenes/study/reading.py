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
    `file.py:name` of models and functions. No key may be given twice.

    Args:
        path: The file.

    Raises:
        SceneError: It is not there, is no YAML, says a key twice, or what is not possible; keys that are close are
            named.
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
    """Return a study's data with absolute paths where it names files relative to a folder.

    Raises:
        SceneError: A path is none, or labels name a file twice.
    """
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
        named = [(_path(name, folder), labels) for name, labels in out["labels"].items()]
        out["labels"] = dict(named)
        if len(out["labels"]) < len(named):
            raise SceneError("labels: two paths are of one file. Keep the labels of one of them.")
    return out


def absolute_path(name: str, folder: Path) -> str:
    """Return a path as an absolute one.

    Args:
        name: The path; `~` and `~user` are homes.
        folder: What it is relative to.

    Raises:
        SceneError: There is no such home, or no disk has such a path.
    """
    try:
        return str((folder / Path(name).expanduser()).resolve())
    except (OSError, RuntimeError, ValueError) as error:
        reason = f"{error}".rstrip(".")
        raise SceneError(
            f"{name!r:.200} is no path on this machine ({reason}). Write it out from the root or from "
            f"{folder}, e.g. {folder / 'chair.glb'}."
        ) from error


def parsed(place: Path) -> Any:
    """Return what a YAML file says, as plain data.

    Raises:
        SceneError: It cannot be read, is too large, no YAML, uses aliases, or says a key of a mapping twice.
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
    except ValueError as error:
        raise SceneError(f"no disk has the path {str(place)!r:.200} ({error}). Name a YAML file.") from error
    if _depth(text) > DEEPEST:
        raise SceneError(
            f"{place} is no YAML that is read: its brackets are nested more than {DEEPEST} deep."
        )
    try:
        # Aliases stand for what was written before; thousands of them fill any memory.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise SceneError(f"{place} uses aliases (*name), which studies do not. Write the values out.")
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if twice := _given_twice(node):
                raise SceneError(f"{place}: {twice}")
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())
        raise SceneError(f"{place} is no YAML: {said:.300}") from error


def _depth(text: str) -> int:
    """Return how deep brackets are nested, by counting them alone; PyYAML's time grows with its square."""
    steps = (1 if mark[0] in "[{" else -1 for mark in re.finditer(r"[\[\]{}]", text))
    return max(accumulate(steps), default=0)


def _given_twice(document: Any) -> str:
    """Return which key of a mapping is given twice, of which YAML's readers keep the last; empty where none is."""
    nodes = [document] if document is not None else []
    for node in nodes:  # grows: a list in place of calls, as deep as files are
        if node.id == "sequence":
            nodes.extend(node.value)
        elif node.id == "mapping":
            nodes.extend(value for _, value in node.value)
            lines: dict[tuple[str, str], int] = {}
            for key, _ in node.value:
                if key.id != "scalar":
                    continue  # no name: what reads it refuses it
                line = key.start_mark.line + 1
                if (key.tag, key.value) in lines:
                    first = lines[key.tag, key.value]
                    return f"{key.value!r:.80} is given twice, in lines {first} and {line}. Keep one of them."
                lines[key.tag, key.value] = line
    return ""


def _path(value: Any, folder: Path) -> Any:
    """Return a name as it is, and the path of a file as an absolute one."""
    if not isinstance(value, str) or ":" in value:
        return value
    looks = "/" in value or Path(value).suffix.lower() in _FILES
    return absolute_path(value, folder) if looks else value


def _setting(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_setting(one, folder) for one in value]
    if isinstance(value, str) and ("/" in value or Path(value).suffix.lower() in _FILES):
        return absolute_path(value, folder)
    return value


def _reference(value: Any, folder: Path) -> Any:
    """Return `file.py:name` with the file's absolute path, and anything else as it is."""
    if not isinstance(value, str):
        return value
    place, _, name = value.rpartition(":")
    return f"{absolute_path(place, folder)}:{name}" if place.endswith(".py") else value


_FILES = (".obj", ".gltf", ".glb", ".exr", ".hdr", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Endings by which a name is known to be that of a file."""
