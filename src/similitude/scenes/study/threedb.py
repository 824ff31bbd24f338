"""Configurations of the original 3DB as studies of ours: YAML of six sections, which may build on another file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.study.reading import parsed
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.threedb_sections import study_of

SECTIONS = ("inference", "evaluation", "render_args", "policy", "controls", "logging")
"""The original's top-level keys, besides `BASE`."""

BASE = "base_config"

_DEEPEST = 16  # files that build on one another


def read_threedb(
    path: str | Path,
    *,
    root: str | Path | None = None,
    objects: Sequence[str] = (),
    strict: bool = False,
) -> tuple[StudySettings, list[str]]:
    """Return the study that a configuration of the original describes, and what of it could not be taken over.

    As there, a section of a file takes the place of the whole section of the file that it builds on (`base_config`);
    nothing within a section is merged. What a control does not say is searched over the original's range. The original
    finds its objects in a folder of Blender's files, which are not read: they are those of its class map that we know,
    or those given.

    Args:
        path: The configuration.
        root: The folder that files it names must be in; its own where None.
        objects: Names of objects.
        strict: Refuse a configuration of which something cannot be taken over.

    Returns:
        The study, and a line for each thing that was left out, beginning with where it stands.

    Raises:
        SceneError: A file is missing, no YAML, too large, outside of `root`, or builds on itself; a value is not
            possible; or something is left out and `strict` is true.
    """
    place = Path(path).resolve()
    inside = place.parent if root is None else Path(root).resolve()
    config = _merged(place, inside, ())
    left: list[str] = []
    for key in config:
        if key not in SECTIONS:
            left.append(
                f"{key}: there is no such section. {did_you_mean(key, SECTIONS, cutoff=0.5)}".rstrip()
            )
    try:
        study = study_of(config, partial(_within, inside, inside), tuple(objects), left)
    except SceneError as error:
        raise SceneError(f"{place}: {error}") from error
    if left and strict:
        raise SceneError(
            f"{place}: {len(left)} thing{'s' * (len(left) > 1)} cannot be taken over: {' '.join(left)} Take them out, or "
            "read it without strict."
        )
    return study, left


def _merged(place: Path, inside: Path, before: tuple[Path, ...]) -> dict[str, Any]:
    """Return a file's sections over those of the file that it builds on."""
    if place in before:
        raise SceneError(
            f"{before[0]}: {BASE} leads from {place.name} back to itself. Take one of the lines out."
        )
    if len(before) >= _DEEPEST:
        raise SceneError(f"{before[0]}: more than {_DEEPEST} files build on one another.")
    data = parsed(place)
    if not isinstance(data, Mapping):
        raise SceneError(f"{place}: a configuration is a mapping, and this is {type(data).__name__}.")
    config = {str(key): value for key, value in data.items()}
    if BASE not in config:
        return config
    base = config.pop(BASE)
    return {**_merged(_within(inside, place.parent, base, BASE), inside, (*before, place)), **config}


def _within(inside: Path, folder: Path, given: Any, where: str) -> Path:
    """Return the path of a file that a configuration names.

    Raises:
        SceneError: It is no path, or leads out of the folder.
    """
    if not isinstance(given, str) or not given or "\0" in given:
        raise SceneError(f"{where}: {given!r:.60} is no path of a file.")
    found = (folder / given).resolve()
    if not found.is_relative_to(inside):
        raise SceneError(
            f"{where}: {given!r:.80} leads out of {inside}. Put the file there, or name a folder that holds both as root."
        )
    return found
