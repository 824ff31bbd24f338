"""The folder of a study: frames and pictures by digest, rows, a log of typed lines, and what it is the study of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from similitude.core.errors import SceneError
from similitude.core.plain import finite
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.report.files import replacing, write_atomically
from similitude.runs.faults import storage_fault
from similitude.scenes.controls.catalog import control_named
from similitude.scenes.controls.control import Phase
from similitude.scenes.frame import Frame
from similitude.scenes.study.records import FRAMES, LOG, PICTURES, STUDY
from similitude.scenes.study.settings import StudySettings

_JUDGES = ("evaluator", "labels")


class StudyFolder:
    """Where a study is kept; names of files are digests, whatever users call things.

    Args:
        place: The folder; made when something is written.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = Path(place)
        self.frames = self.place / FRAMES
        self.rows = RowFile(self.place)

    def stored(self) -> dict[str, Any]:
        """Return what `begin` and `finish` wrote; empty where there is nothing.

        Raises:
            SceneError: The file is damaged.
        """
        try:
            data = json.loads((self.place / STUDY).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise storage_fault(self.place / STUDY, error) from error
        except ValueError as error:
            raise SceneError(
                f"{self.place / STUDY} is damaged: {error}. Remove it, or name another folder."
            ) from error
        if not isinstance(data, dict) or not isinstance(data.get("settings"), dict):
            raise SceneError(f"{self.place / STUDY} is no study's. Remove it, or name another folder.")
        return data

    def check(self, settings: StudySettings, files: Mapping[str, str]) -> dict[str, Any]:
        """Return what is stored, after seeing that its rows are of a study that can go on as this one.

        Raises:
            SceneError: Its rows were judged in another way, or a file that it names has changed since.
        """
        stored = self.stored()
        if not stored:
            return stored
        before, now = stored["settings"], settings.to_dict()
        differ = [name for name in _JUDGES if before.get(name) != now[name]]
        kinds = [_kinds(one.get("controls", {})) for one in (before, now)]
        differ += [
            f"controls: {name}" for name in kinds[0] if kinds[1].get(name, kinds[0][name]) != kinds[0][name]
        ]
        orders = [_effects(one.get("controls", {})) for one in (before, now)]
        both = [[name for name in order if name in set(orders[0]) & set(orders[1])] for order in orders]
        differ += [f"the order of {' and '.join(both[0])}"] if both[0] != both[1] else []
        differ += [
            f"the content of {name}"
            for name, digest in stored.get("files", {}).items()
            if files.get(name, digest) != digest
        ]
        if differ:
            raise SceneError(
                f"{self.place} holds rows of another study: {', '.join(differ)} was not what it is now. Name another "
                "folder, or remove this one."
            )
        return stored

    def write(self, settings: StudySettings, **more: Any) -> None:
        """Write what the folder is the study of.

        Raises:
            ReportError: It cannot be written.
        """
        data = {"settings": settings.to_dict(), **more}
        write_atomically(self.place / STUDY, json.dumps(finite(data), indent=1, allow_nan=False) + "\n")

    def keep_frame(self, key: str, raw: bytes) -> None:
        """Keep a raw frame.

        Raises:
            ReportError: It cannot be written.
        """
        with replacing(self.frames / f"{key}.npz") as (target, temporary):
            temporary.write_bytes(raw)
            os.replace(temporary, target)

    def keep_picture(self, frame: Frame) -> str:
        """Keep a developed picture as a PNG, and return the digest that is its name.

        Raises:
            ReportError: It cannot be written.
        """
        from PIL import Image

        pixels = (frame.rgb * 255 + 0.5).astype("uint8")
        name = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        place = self.place / PICTURES / f"{name}.png"
        if not place.is_file():
            with replacing(place) as (target, temporary):
                Image.fromarray(pixels).save(temporary, format="png")
                os.replace(temporary, target)
        return name

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append a line to the log.

        Raises:
            StudyError: It cannot be written.
        """
        place = self.place / LOG
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with open(place, "a+b") as file:
                # What a killed process left of a line is ended, so that this one stands alone.
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(size - 1)
                    if file.read(1) != b"\n":
                        file.write(b"\n")
                file.write(json.dumps(finite(dict(entry)), allow_nan=False).encode() + b"\n")
        except OSError as error:
            raise storage_fault(place, error) from error


def row_digest(row: Row) -> str:
    """Return a short name of a row's key."""
    return hashlib.sha256(row.key.encode()).hexdigest()[:24]


def file_digests(settings: StudySettings) -> dict[str, str]:
    """Return the SHA-256 of the files that a study names by path, of those that are there."""
    named = [*settings.objects, *settings.environments, *_texts(settings.controls)]
    for reference in (*settings.models, *_texts(settings.evaluator)):
        place = reference.rpartition(":")[0]
        named += [place] if place.endswith(".py") else []
    found = {}
    for name in dict.fromkeys(named):
        place = Path(name)
        try:
            if place.is_absolute() and place.is_file():
                found[name] = hashlib.sha256(place.read_bytes()).hexdigest()
        except OSError:  # what cannot be read fails in its scenes, which say so
            continue
    return found


def _texts(data: Any) -> Sequence[str]:
    if isinstance(data, str):
        return [data]
    if isinstance(data, Mapping):
        return [text for value in data.values() for text in _texts(value)]
    return [text for value in data for text in _texts(value)] if isinstance(data, list | tuple) else []


def _kinds(controls: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(given.get("kind", name)) for name, given in controls.items()}


def _effects(controls: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the effects on the picture, which act in the order in which they are given."""
    kinds = _kinds(controls).items()
    return [name for name, kind in kinds if control_named(kind, instance=name).phase is Phase.EFFECT]
