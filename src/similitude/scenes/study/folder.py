"""The folder of a study: frames and pictures by digest, rows, a log of typed lines, and what it is the study of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from similitude.core.errors import SceneError
from similitude.core.plain import finite
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.report.files import replacing, write_atomically
from similitude.runs.faults import storage_fault
from similitude.scenes.assets.beside import stamp_of
from similitude.scenes.frame import Frame
from similitude.scenes.study.records import FRAMES, LOG, PICTURES, STUDY
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.ways import Ways

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
        if damage := _damage(data):
            raise SceneError(f"{self.place / STUDY} is damaged: {damage}. Remove it, or name another folder.")
        return data

    def check(self, settings: StudySettings, files: Mapping[str, str]) -> dict[str, Any]:
        """Return what is stored, after seeing that its rows are of a study that can go on as this one.

        Of a folder without a row that has a score, which anything may go on from, it is nothing where it differs.

        Raises:
            SceneError: Its rows were judged in another way, or a file that it names has changed since.
        """
        stored = self.stored()
        if not stored:
            return stored
        before, now = stored["settings"], settings.to_dict()
        differ = [name for name in _JUDGES if before.get(name) != now[name]]
        differ += Ways.of(settings, files).differences(Ways.from_dict(stored))
        if differ and all(row.failed for row in self.rows.read()):
            return {}  # nothing was made in another way: what failed is mended, perhaps
        if differ:
            raise SceneError(
                f"{self.place} holds rows of another study: {', '.join(differ)} was not what it is now. Name another "
                "folder, or remove this one."
            )
        return stored

    def write(
        self, settings: StudySettings, files: Mapping[str, str], stored: Mapping[str, Any], **more: Any
    ) -> None:
        """Write what the folder is the study of.

        Args:
            settings: The study.
            files: Digests of the files that it names.
            stored: What was there before (`check`): what earlier runs of other objects or controls made their rows from
                is kept, however many came since.
            **more: Further parts.

        Raises:
            ReportError: It cannot be written.
        """
        ways = Ways.of(settings, files).after(Ways.from_dict(stored))
        data = {"settings": settings.to_dict(), **ways.to_dict(), **more}
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

    def marks(self) -> tuple[tuple[int, int], ...]:
        """Return what tells whether anything was written since: when its files were changed, and their sizes."""
        return tuple(stamp_of(place) for place in (self.place / STUDY, self.place / LOG, self.rows.path))

    def lost_pictures(self, log: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Return the keys of rows whose picture is not there any more, and whose frame is.

        Args:
            log: Lines of the log by key.
        """
        pictures = _names(self.place / PICTURES)
        lost = {
            key: str(line.get("frame"))
            for key, line in log.items()
            if line.get("picture") and f"{line['picture']}.png" not in pictures
        }
        frames = _names(self.frames) if lost else set()
        return {key for key, frame in lost.items() if f"{frame}.npz" in frames}

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


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _damage(data: Mapping[str, Any]) -> str:
    """Return what is wrong with the parts of a `study.json`; empty where nothing is."""
    settings = data["settings"]
    parts = {
        **{f"'{name}'": data.get(name) for name in ("files", "classes", "versions", "finished", "kinds")}
    }
    parts |= {f"'{name}' in its settings": settings.get(name, "") for name in (*_JUDGES, "controls")}
    for name, part in parts.items():
        if part is not None and not isinstance(part, dict):
            return (
                f"{name} is {part!r:.40}, and a mapping is expected" if part != "" else f"{name} is missing"
            )
    for name, held, kind in (
        ("classes", data.get("classes"), list),
        ("finished", data.get("finished"), list),
        ("files", data.get("files"), str),
        ("kinds", data.get("kinds"), str),
        ("controls", settings["controls"], dict),
    ):
        if wrong := [one for one in (held or {}).values() if not isinstance(one, kind)]:
            return f"'{name}' holds {wrong[0]!r:.40}"
    orders = data.get("orders") or []
    if not isinstance(orders, list) or not all(isinstance(one, list) for one in orders):
        return f"'orders' is {orders!r:.40}, and lists are expected"
    try:
        Ways.from_dict(data)
    except SceneError as error:
        return f"its settings are none: {error}"
    return ""
