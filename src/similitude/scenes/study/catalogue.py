"""The catalogue check: views of Debian's furniture with labels set by hand, as a test of renderers and classifiers."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.evaluation.aggregate import Estimate
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.shares import bounded_mean
from similitude.scenes.frame import Frame
from similitude.scenes.models.catalog import model_named
from similitude.scenes.models.classification import Classification
from similitude.scenes.models.evaluator import Asked, Judged
from similitude.scenes.objects.catalog import FURNITURE
from similitude.scenes.objects.view import View
from similitude.scenes.renderers.renderer import Renderer, renderer_named
from similitude.scenes.rendering import render
from similitude.scenes.scene import Scene

YAWS = (30, 150, 270)
"""Degrees by which each object is turned about its upright axis: two sides of the front, and one from behind."""

TOWARDS = (0.0, -1.0, 0.36)
"""Direction from the object to the camera, 20 degrees above the horizon."""

FILL = 0.8
"""Share of the picture's side that the object's outline takes."""

BATCH = 24
"""Views that the classifier sees at once."""

NAME, VERSION = "scenes-catalogue", "1"


@dataclass(frozen=True)
class CatalogueCheck:
    """What a classifier said of the catalogue.

    Attributes:
        rows: A row per object and view; task the object, params "yaw" (degrees), "renderer" and "resolution", metrics as
            of `similitude.scenes.models.classification.Classification`.
        names: Names of the classes that predictions number.
        titles: What the catalogue calls the objects.
    """

    rows: tuple[Row, ...]
    names: tuple[str, ...]
    titles: dict[str, str]

    @property
    def views(self) -> tuple[Row, ...]:
        """The rows with a score."""
        return tuple(row for row in self.rows if not row.failed)

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows without one."""
        return tuple(row for row in self.rows if row.failed)

    @property
    def top1(self) -> Estimate | None:
        """Share of views whose first class is accepted; views of an object go together in its interval.

        None where no view has a score.
        """
        shares = [float(np.mean([row.score for row in rows])) for rows in self._objects().values()]
        return bounded_mean(shares) if shares else None

    @property
    def worst_poses(self) -> tuple[Row, ...]:
        """The view of each object with the least probability of its accepted classes."""
        return tuple(
            min(rows, key=lambda row: row.metrics["probability"]) for rows in self._objects().values()
        )

    def prediction(self, row: Row) -> str:
        """Return the name of the class that was put first."""
        number = int(row.metrics["prediction"])
        return self.names[number] if number < len(self.names) else str(number)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "suite": NAME,
            "version": VERSION,
            "views": len(self.views),
            "objects": len(self._objects()),
            "top1": None if self.top1 is None else self.top1.to_dict(),
            "rows": [row.to_dict() | {"said": self.prediction(row)} for row in self.views],
            "failures": [row.to_dict() for row in self.failures],
            "worst": [self._worst(row) for row in self.worst_poses],
        }

    def lines(self) -> Iterator[str]:
        """Yield the report: what came out, then the worst pose of every object, worst first."""
        found = self.top1
        if found is None:
            yield f"None of {len(self.rows)} views has an answer, so there is no top-1."
        else:
            ends = "" if found.interval is None else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
            yield (
                f"{len(self.views)} views of {len(self._objects())} objects: top-1 {100 * found.value:.1f} %{ends}"
            )
        for row in self.failures:
            yield f"failed: {row.task}, yaw {row.params['yaw']}: {row.error}"
        if found is None:
            return
        yield "worst pose of each object (yaw in degrees, probability of its accepted classes, what was seen instead):"
        for row in sorted(self.worst_poses, key=lambda row: row.metrics["probability"]):
            told = self._worst(row)
            yield f"{told['object']:40} {told['yaw']:4} {told['probability']:.2f} {told['said']}"

    def _worst(self, row: Row) -> dict[str, Any]:
        return {
            "object": row.task,
            "title": self.titles.get(row.task, row.task),
            "yaw": row.params["yaw"],
            "probability": row.metrics["probability"],
            "said": self.prediction(row),
            "correct": bool(row.success),
        }

    def _objects(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.views:
            found[row.task].append(row)
        return found


def labelled_pieces() -> tuple[str, ...]:
    """Return the names of the pieces of the catalogue whose right classes a person has said, 181.

    Raises:
        SceneError: The catalogue is not installed.
    """
    from similitude.scenes.assets.sweethome import furniture_names, furniture_piece

    return tuple(name for name in furniture_names() if furniture_piece(name).labels)


def check_catalogue(
    names: Sequence[str] | None = None,
    *,
    model: str = "efficientnet-lite0",
    renderer: str | Renderer = "raster",
    resolution: int = 224,
    yaws: Sequence[float] = YAWS,
    samples: int | None = None,
    on_view: Callable[[Row, Frame | None], None] | None = None,
) -> CatalogueCheck:
    """Show a classifier the furniture of Debian's catalogue, each piece from several sides before plain grey.

    What has no picture (a texture is missing, say) is told by its rows and stops nothing.

    Args:
        names: Pieces; None for all that have labels.
        model: A classifier (`similitude.scenes.models.catalog.model_named`).
        renderer: What draws.
        resolution: Rows and columns of the pictures.
        yaws: Turns about the upright axis in degrees.
        samples: Samples per pixel; None for the renderer's own choice.
        on_view: Called with each row and its picture, as they come.

    Raises:
        SceneError: The catalogue, the model or the renderer is not installed, a name is none of the catalogue's, or the
            resolution or the samples are not possible.

    Cost:
        About 4 minutes of one core for all 543 views with the raster at 224 pixels.
    """
    from similitude.scenes.assets.sweethome import furniture_piece

    pieces = [furniture_piece(name) for name in (labelled_pieces() if names is None else names)]
    if without := [piece.name for piece in pieces if not piece.labels]:
        raise SceneError(
            f"nobody has said which classes are right for {', '.join(without[:5])}. Name pieces of labelled_pieces()."
        )
    _scene("cube", YAWS[0], resolution, samples)  # what no view can have is said before any is drawn
    made = renderer_named(renderer) if isinstance(renderer, str) else renderer
    classifier, evaluator = model_named(model), Classification()
    rows: list[Row] = []
    waiting: list[tuple[Row, Asked]] = []

    def judge() -> None:
        for (row, asked), judged in zip(
            waiting, evaluator.judge(classifier, [asked for _, asked in waiting]), strict=True
        ):
            rows.append(_judged(row, judged))
            if on_view is not None:
                on_view(rows[-1], asked.frame)
        waiting.clear()

    for piece in pieces:
        for yaw in yaws:
            params = {"yaw": yaw, "renderer": made.name, "resolution": resolution}
            row = Row(NAME, piece.name, model, math.nan, params, version=VERSION)
            start = time.perf_counter()
            try:
                frame = _drawn(FURNITURE + piece.name, made, yaw, resolution, samples)
            except SceneError as error:
                rows.append(replace(row, error=str(error)))
                if on_view is not None:
                    on_view(rows[-1], None)
                continue
            row = replace(row, seconds=time.perf_counter() - start)
            waiting.append((row, Asked(Scene(FURNITURE + piece.name), frame, piece.labels)))
            if len(waiting) == BATCH:
                judge()
    if waiting:
        judge()
    known = tuple(evaluator.names.get(getattr(classifier, "name", model), ()))
    return CatalogueCheck(tuple(rows), known, {piece.name: piece.title for piece in pieces})


def _drawn(name: str, renderer: Renderer, yaw: float, resolution: int, samples: int | None) -> Frame:
    return render(_scene(name, yaw, resolution, samples), renderer)


def _scene(name: str, yaw: float, resolution: int, samples: int | None) -> Scene:
    view = View((0.0, 0.0, math.radians(yaw)), TOWARDS, FILL, ground=None)
    return replace(view.scene(name, resolution=resolution), samples=samples)


def _judged(row: Row, judged: Judged) -> Row:
    return replace(
        row, score=judged.score, success=judged.success, metrics=judged.metrics, error=judged.error
    )
