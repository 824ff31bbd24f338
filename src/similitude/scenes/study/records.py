"""What a study found: its rows, and the frames and pictures that its folder keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from similitude.core.errors import EvaluationError, SceneError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.scenes.frame import Frame
from similitude.scenes.scene import Scene
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.versions import Versions

NAME = "scenes"
"""Name of the suite in rows and commands."""

VERSION = "1"
"""Version of the protocol; rows of different versions are not comparable."""

STUDY, LOG, FRAMES, PICTURES = "study.json", "log.jsonl", "frames", "pictures"
"""What a study's folder holds beside `rows.jsonl`."""

PLACE = ("environment", "renderer", "resolution", "samples")
"""Parameters of rows that are no settings of controls."""


@dataclass(frozen=True)
class SceneRun:
    """What a study found.

    Attributes:
        settings: The study.
        rows: A row per scene and model, failed ones too.
        folder: Where it is kept; None where it is not.
        names: Names of the classes that predictions number, of the first model.
        found: How many of the rows were there already.
        classes: Names of classes by model.
    """

    settings: StudySettings
    rows: tuple[Row, ...]
    folder: Path | None = None
    names: tuple[str, ...] = ()
    found: int = 0
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows without a score."""
        return tuple(row for row in self.rows if row.failed)

    def of(self, subject: str) -> tuple[Row, ...]:
        """Return the rows of one model."""
        return tuple(row for row in self.rows if row.subject == subject)

    def prediction(self, row: Row) -> str | None:
        """Return the name of the class that the model put first, or its number; None where there is none."""
        answer = row.metrics.get("prediction", math.nan)
        if not math.isfinite(answer):
            return None
        names = self.classes_of(row.subject)
        if not float(answer).is_integer():
            return f"{answer:.4g}"  # of a regression
        number = int(answer)
        return names[number] if 0 <= number < len(names) else str(number)

    def classes_of(self, subject: str) -> tuple[str, ...]:
        """Return the names of the classes of one model; those of the first where its own are not known."""
        return self.classes.get(subject, self.names)

    def scene(self, row: Row) -> Scene:
        """Return the scene of a row."""
        return scene_of(self.settings, row)

    def frame(self, row: Row) -> Frame | None:
        """Return the picture of a row with depth, segmentation and uv; None where the folder has none.

        Raises:
            SceneError: The object of the scene is not there any more.
        """
        from similitude.scenes.rendering import develop, stage_of

        raw = self.drawn(row)
        if raw is None:
            return None
        scene = self.scene(row)
        return develop(scene, stage_of(scene), raw)

    def drawn(self, row: Row) -> Frame | None:
        """Return what the renderer drew of a row, over black and without effects; None where the folder has none."""
        place = self._place(row, "frame", FRAMES, ".npz")
        if place is None:
            return None
        try:
            return Frame.from_bytes(place.read_bytes())
        except (OSError, ValueError, KeyError):
            return None

    def picture(self, row: Row) -> Path | None:
        """Return the PNG of a row; None where the folder has none."""
        return self._place(row, "picture", PICTURES, ".png")

    def _place(self, row: Row, what: str, folder: str, ending: str) -> Path | None:
        name = self._log.get(row.key, {}).get(what)
        if self.folder is None or not isinstance(name, str) or not name.isalnum():
            return None  # names are digests: anything else was not written by us
        place = self.folder / folder / f"{name}{ending}"
        return place if place.is_file() else None

    @cached_property
    def _log(self) -> dict[str, dict[str, Any]]:
        """Lines of the log by key of their row."""
        found: dict[str, dict[str, Any]] = {}
        if self.folder is not None:
            for entry in read_log(self.folder):
                found[str(entry.get("key"))] = entry
        return found


def scene_of(settings: StudySettings, row: Row) -> Scene:
    """Return the scene of a row: its parameters under the kinds of control that the study names.

    Raises:
        SceneError: The row is of another study.
    """
    controls: dict[str, dict[str, Any]] = {
        instance: {name: value for name, value in given.items() if name == "kind"}
        for instance, given in settings.controls.items()
    }
    for name, value in row.params.items():
        if name in PLACE:
            continue
        instance, _, setting = name.partition(".")
        if instance not in controls:
            raise SceneError(f"the row has the setting '{name}', and the study has no control '{instance}'.")
        controls[instance][setting] = value
    place = {name: row.params[name] for name in PLACE if name in row.params and name != "renderer"}
    return Scene(row.task, controls, **place)  # type: ignore[arg-type]


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a study's log, without what a killed process left of one."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def read_run(folder: str | Path, rows: Sequence[Row] | None = None) -> SceneRun:
    """Return the run that a folder keeps.

    Args:
        folder: The folder.
        rows: Those of its rows that are wanted; where None all but those that other versions of the renderer, of our
            drawing or of a model made than its last run.

    Raises:
        SceneError: It is no folder of a study.
        EvaluationError: Its rows are something else.
    """
    place = Path(folder)
    try:
        data = json.loads((place / STUDY).read_text(encoding="utf-8"))
        settings = StudySettings.from_dict(data["settings"])
        classes = classes_in(data)
    except OSError as error:
        raise SceneError(
            f"{place} holds no study ({error.strerror}). Name a folder that `similitude suite run scenes` wrote."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SceneError(
            f"{place / STUDY} is damaged ({type(error).__name__}: {error}). Run the study again."
        ) from error
    found = RowFile(place).read() if rows is None else rows
    if other := next((row for row in found if row.suite != NAME), None):
        raise EvaluationError(f"{place} holds a row of the suite {other.suite!r}, and this is {NAME!r}.")
    if rows is None:
        log = {str(entry.get("key")): entry for entry in read_log(place)}
        found, _ = Versions.from_dict(data.get("versions")).fresh(found, log)
    return SceneRun(settings, tuple(found), place, next(iter(classes.values()), ()), classes=classes)


def classes_in(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the names of classes by model that a folder's `study.json` holds."""
    return {str(model): tuple(map(str, names)) for model, names in (data.get("classes") or {}).items()}
