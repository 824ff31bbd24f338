"""Digests of the files that a study names, and of those that its models name beside themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from similitude.scenes.assets.beside import LARGEST
from similitude.scenes.assets.named_files import MODELS, named_files
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.ways import UNREAD


def file_digests(settings: StudySettings) -> dict[str, str]:
    """Return the SHA-256 of the files that a study names by path, of those that are there.

    The materials, pictures and numbers that a model names are among them, "skin.png beside /a/chair.obj"; what a file of
    Python reads is not. Of files that are too large for a scene the digest is `UNREAD`.
    """
    named = [*settings.objects, *settings.environments, *_texts(settings.controls)]
    for reference in (*settings.models, *_texts(settings.evaluator)):
        place = reference.rpartition(":")[0]
        named += [place] if place.endswith(".py") else []
    found = {}
    for name in dict.fromkeys(named):
        place = Path(name)
        try:
            if place.is_absolute() and place.is_file():
                found[name] = _digest(place)
                beside = named_files(place) if place.suffix.lower() in MODELS else {}
                found |= {f"{part} beside {name}": _digest(file) for part, file in beside.items()}
        except (OSError, ValueError):  # what cannot be read fails in its scenes, which say so
            continue
    return found


def _digest(place: Path) -> str:
    if place.stat().st_size > LARGEST:
        return UNREAD
    with open(place, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _texts(data: Any) -> Sequence[str]:
    if isinstance(data, str):
        return [data]
    if isinstance(data, Mapping):
        return [text for value in data.values() for text in _texts(value)]
    return [text for value in data for text in _texts(value)] if isinstance(data, list | tuple) else []
