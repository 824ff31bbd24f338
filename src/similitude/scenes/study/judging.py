"""The models of a study: pictures wait until there is a batch of them, answers become rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.runs.engine import one_line
from similitude.scenes.analysis.factors import VISIBLE
from similitude.scenes.models.catalog import model_name, model_named
from similitude.scenes.models.classes import check_classes, names_without_loading
from similitude.scenes.models.custom import Custom
from similitude.scenes.models.evaluator import Asked, Judged, UnusableEvaluatorError, evaluator_of
from similitude.scenes.scene import Scene
from similitude.scenes.study.drawing import Drawn
from similitude.scenes.study.folder import StudyFolder
from similitude.scenes.study.settings import MODEL, StudySettings
from similitude.scenes.study.tensorboard import Events
from similitude.scenes.study.versions import Versions

BATCH = 16
"""Pictures that models are shown at once."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A picture that is to be judged.

    Attributes:
        asked: The picture.
        drawn: How it was made.
        rows: Rows by model that are to be filled.
        picture: Name of its PNG; empty where none is kept.
    """

    asked: Asked
    drawn: Drawn
    rows: Mapping[str, Row]
    picture: str


class Judging:
    """Shows pictures to models in batches and keeps what they answer.

    Args:
        settings: The study.
        folder: Where all is kept; None to keep nothing.
        on_row: Called with every row.
        versions: What makes the rows, which the log says of each.
        tensorboard: Write TensorBoard events too.
        classes: Names of classes by model, as known from an earlier run.

    Raises:
        SceneError: The evaluator is none, two models have one name, labels or the evaluator do not fit the classes of a
            model, as far as they are known, or TensorBoard is not installed.
    """

    def __init__(
        self,
        settings: StudySettings,
        folder: StudyFolder | None,
        on_row: Callable[[Row], None],
        *,
        versions: Versions,
        tensorboard: bool = False,
        classes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.settings, self.folder, self.on_row = settings, folder, on_row
        self.versions = versions
        self.evaluator = evaluator_of(settings.evaluator)
        self.subjects = self._subjects()
        for subject, reference in zip(self.subjects, settings.models, strict=True):  # before a folder is made
            names = names_without_loading(reference)
            check_classes(self.evaluator, settings.labels, model=subject, names=names)
        self.models: dict[str, Any] = {}
        self.waiting: list[_Waiting] = []
        self._known = dict(classes or {})
        if tensorboard and folder is None:
            raise SceneError("TensorBoard's events need a folder. Name one, or leave them out.")
        if folder is not None and not folder.rows.path.exists():
            self.load()  # all is to be judged, and what is refused now leaves no folder behind
        self.events = Events(folder.place) if tensorboard and folder is not None else None

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Names of classes by model."""
        return {**self._known, **{name: tuple(names) for name, names in self.evaluator.names.items()}}

    def load(self) -> None:
        """Load the models, once.

        Raises:
            SceneError, FactoryError: One is not there, or labels or the evaluator do not fit its classes.
        """
        for subject, reference in zip(self.subjects, self.settings.models, strict=True):
            if subject not in self.models:
                evaluator = self.evaluator
                own = isinstance(evaluator, Custom)
                model = evaluator if own else model_named(reference, kind=evaluator.kind)
                names = getattr(model, "names", ())
                check_classes(evaluator, self.settings.labels, model=subject, names=names)
                self.models[subject] = model

    def take(self, scene: Scene, drawn: Drawn, rows: Mapping[str, Row]) -> None:
        """Take a scene that was drawn, or failed to be.

        Args:
            scene: The scene.
            drawn: What became of it.
            rows: Rows to be filled, by model.
        """
        if drawn.frame is None:
            for row in rows.values():
                self._keep(replace(row, seconds=drawn.seconds, error=drawn.error or "it was not drawn"), {})
            return
        picture = ""
        if self.folder is not None:
            if drawn.raw is not None:
                self.folder.keep_frame(drawn.key, drawn.raw)
            picture = self.folder.keep_picture(drawn.frame)
        labels = self.settings.labels.get(scene.object, drawn.labels)
        self.waiting.append(_Waiting(Asked(scene, drawn.frame, labels), drawn, rows, picture))
        if len(self.waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Judge the pictures that wait."""
        waiting, self.waiting = self.waiting, []
        for subject in self.subjects:
            mine = [one for one in waiting if subject in one.rows]
            if not mine:
                continue
            started = time.monotonic()
            judged = self._judged(subject, [one.asked for one in mine])
            seconds = (time.monotonic() - started) / len(mine)
            for one, answer in zip(mine, judged, strict=True):
                visible = one.asked.frame.visible
                row = replace(
                    one.rows[subject],
                    score=answer.score if not answer.error else float("nan"),
                    success=answer.success if visible else None,  # of nothing no answer is right or wrong
                    metrics={**answer.metrics, VISIBLE: visible},
                    seconds=one.drawn.seconds + seconds,
                    error=answer.error,
                )
                self._keep(row, {"frame": one.drawn.key, "picture": one.picture})
                if self.events is not None:
                    self.events.add(row, one.asked.frame)

    def close(self) -> None:
        """Finish what is written."""
        if self.events is not None:
            self.events.close()

    def _judged(self, subject: str, asked: list[Asked]) -> list[Judged]:
        try:
            return self.evaluator.judge(self.models[subject], asked)
        except UnusableEvaluatorError:
            raise
        except Exception as error:  # whatever a user's model raises
            if len(asked) == 1:
                return [Judged(error=f"model '{subject}': {one_line(error)}")]
        # Pictures are asked about one by one, so that only those at fault have no answer.
        return [judged for one in asked for judged in self._judged(subject, [one])]

    def _keep(self, row: Row, files: Mapping[str, str]) -> None:
        if self.folder is not None:
            self.folder.log(self._entry(row, files))  # before the row: a row that is there has its line
            self.folder.rows.add(row)
        self.on_row(row)

    def _entry(self, row: Row, files: Mapping[str, str]) -> dict[str, Any]:
        """Return a line of the log: the keys of 3DB's `details.log`, typed, and ours."""
        place = ("environment", "renderer", "resolution", "samples")
        number = row.metrics.get("prediction")
        names = self.classes.get(row.subject, ())
        classifies = self.evaluator.kind == "classification"
        return {
            "key": row.key,
            "object": row.task,
            "model": row.subject,
            **{name: row.params[name] for name in place},
            "render_args": {name: value for name, value in row.params.items() if name not in place},
            "is_correct": row.success,
            "score": row.score,
            "prediction": int(number) if classifies and number is not None else number,
            "prediction_name": names[int(number)]
            if classifies and number is not None and int(number) < len(names)
            else None,
            "output_type": self.evaluator.kind,
            **{name: value for name, value in row.metrics.items() if name != "prediction"},
            "seconds": row.seconds,
            "error": row.error or None,
            "versions": self.versions.of(row),
            **files,
        }

    def _subjects(self) -> list[str]:
        if isinstance(self.evaluator, Custom):
            if self.settings.models != (MODEL,):
                raise SceneError(
                    f"models {', '.join(self.settings.models)} have no effect: the evaluator "
                    f"'{self.evaluator.function}' is asked itself. Leave the models out."
                )
            return [self.evaluator.name]
        subjects = [model_name(reference) for reference in self.settings.models]
        if len(set(subjects)) < len(subjects):
            raise SceneError(
                f"two of the models {', '.join(self.settings.models)} have one name in rows. Rename a factory."
            )
        return subjects
