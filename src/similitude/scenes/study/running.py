"""Running a study: scenes are asked for, drawn by an engine, shown to models and judged, none of them twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.runs.engine import Engine, InProcess, JobsFailedError
from similitude.scenes.analysis.factors import unseen
from similitude.scenes.known import check_names
from similitude.scenes.renderers.open_renderers import renderers_in_use
from similitude.scenes.renderers.renderer import Renderer, renderer_named
from similitude.scenes.scene import Scene
from similitude.scenes.study.alone import alone
from similitude.scenes.study.digests import file_digests
from similitude.scenes.study.drawing import Drawn, draw_scenes
from similitude.scenes.study.folder import StudyFolder, row_digest
from similitude.scenes.study.judging import Judging
from similitude.scenes.study.records import NAME, VERSION, SceneRun, classes_in, read_log
from similitude.scenes.study.settings import StudySettings
from similitude.scenes.study.versions import Versions, versions_of

if TYPE_CHECKING:
    from similitude.scenes.search.policy import Policy

BATCH = 256
"""Scenes that a policy which does not learn is asked for at once, per object and environment."""

JOB = 4
"""Scenes of a job: enough that sending them costs nothing, few enough that little is lost with a worker."""


def run_study(
    settings: StudySettings,
    out: str | Path | None = None,
    *,
    engine: Engine | None = None,
    renderer: Renderer | None = None,
    on_done: Callable[[Row], None] = lambda row: None,
    on_note: Callable[[str], None] = lambda text: None,
    tensorboard: bool = False,
) -> SceneRun:
    """Draw the scenes of a study, show them to its models, and return a row for each.

    A scene that cannot be drawn, or an answer that cannot be used, leaves a row that says why, and the study goes on.
    Rows are on the disk as soon as they are there; the same call goes on from what the folder holds, and tries failed
    scenes again. Rows that another version of the renderer, of our drawing or of the model made are made anew.

    Args:
        settings: The study.
        out: Its folder; None to keep nothing.
        engine: Where scenes are drawn; None for this process. Models always answer in this process, in batches.
        renderer: A renderer of your own, instead of the study's by name; it must be one that pickles where the engine
            has other processes.
        on_done: Called with every row as soon as it is there, found ones too.
        on_note: Called before anything is drawn with what is said of rows that are made anew, in a sentence or two.
        tensorboard: Write TensorBoard events to the folder too.

    Raises:
        SceneError: There is no such object, environment, material, texture or occluder, the renderer or a model is not
            installed, the policy or the evaluator is none, or the folder holds another study.
        EvaluationError: The folder's rows are something else.
        StudyError: The folder cannot be written, or no worker can be started.
    """
    return _Running(settings, out, engine, renderer, on_done, on_note, tensorboard).run()


class _Running:
    """A study while it runs."""

    def __init__(
        self,
        settings: StudySettings,
        out: str | Path | None,
        engine: Engine | None,
        renderer: Renderer | None,
        on_done: Callable[[Row], None],
        on_note: Callable[[str], None],
        tensorboard: bool,
    ) -> None:
        self.settings = settings
        self.engine = engine or InProcess()
        self.renderer = renderer
        self.renderer_name = settings.renderer if renderer is None else renderer.name
        self.on_done, self.on_note = on_done, on_note
        self.folder = None if out is None else StudyFolder(out)
        self.tensorboard = tensorboard
        self.found = 0
        self.rows: dict[str, Row] = {}
        self._read()

    def _read(self) -> None:
        """Read what is in the folder, and see what of it would be made now as it is."""
        folder = self.folder
        self.files = file_digests(self.settings)
        self.marks = () if folder is None else folder.marks()
        self.stored = {} if folder is None else folder.check(self.settings, self.files)
        self.told = Versions.from_dict(self.stored.get("versions"))
        self.versions = versions_of(self.settings, self.renderer, self.told)
        self.known: dict[str, Row] = {}
        self.lost: set[str] = set()
        if folder is not None:
            log = {str(entry.get("key")): entry for entry in read_log(folder.place)}
            fresh, others = self.versions.fresh(_known(folder), log)
            for text in self.versions.differences(others, log, self.told):
                self.on_note(f"{folder.place}: {text}")
            self.known = {row.key: row for row in fresh}
            self.lost = folder.lost_pictures({key: log[key] for key in self.known if key in log})

    def run(self) -> SceneRun:
        """Return the run, of rows that are there or made now."""
        if (again := self._finished()) is not None:
            return again
        check_names(self.settings.objects, self.settings.environments, self.settings.controls)
        policies = self._policies()  # before a folder is made: a sampler that is not installed is said here
        self.judging = self._new_judging()
        if self.folder is None:
            return self._made(policies)
        with alone(self.folder.place, self._waits):
            if self.folder.marks() != self.marks:  # another run was at work meanwhile
                self.judging.close()
                self._read()
                if (again := self._finished()) is not None:
                    return again
                self.judging = self._new_judging()
            return self._made(policies)

    def _waits(self) -> None:
        assert self.folder is not None
        self.on_note(
            f"{self.folder.place}: another run is at work in this folder. This one waits until it is done, and then goes "
            "on from what is there."
        )

    def _new_judging(self) -> Judging:
        return Judging(
            self.settings,
            self.folder,
            self._done,
            versions=self.versions,
            tensorboard=self.tensorboard,
            classes=classes_in(self.stored),
        )

    def _made(self, policies: Mapping[tuple[str, str], Policy]) -> SceneRun:
        """Make the rows that are not there."""
        self._write()
        with renderers_in_use(), closing(self.judging):
            self._ask(policies)
        rows = tuple(self.rows.values())
        if not any(row.failed for row in rows):
            self._write(finished={self._digest(): [row_digest(row) for row in rows]})
        else:
            self._write()
        classes = self.judging.classes
        names = classes.get(self.judging.subjects[0], ())
        place = None if self.folder is None else self.folder.place
        return SceneRun(self.settings, rows, place, names, self.found, classes)

    def _digest(self) -> str:
        data = [self.settings.to_dict(), self.versions.to_dict(), VERSION]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()

    def _finished(self) -> SceneRun | None:
        """Return the run if the folder holds all of it: nothing is asked, loaded or started."""
        wanted = (self.stored.get("finished") or {}).get(self._digest())
        if self.folder is None or not wanted:
            return None
        by_digest = {row_digest(row): row for row in self.known.values()}
        if any(one not in by_digest for one in wanted):
            return None
        rows = tuple(by_digest[one] for one in wanted)
        if any(row.key in self.lost for row in rows):
            return None
        for row in rows:
            self.on_done(row)
        classes = classes_in(self.stored)
        return SceneRun(
            self.settings, rows, self.folder.place, classes.get(rows[0].subject, ()), len(rows), classes
        )

    def _write(self, **more: Any) -> None:
        if self.folder is not None:
            self.folder.write(
                self.settings,
                self.files,
                self.stored,
                classes=self.judging.classes,
                versions=self.versions.after(self.told).to_dict(),
                **more,
            )

    def _policies(self) -> dict[tuple[str, str], Policy]:
        """Return the policies by object and environment."""
        from similitude.scenes.search.policy import policy_named

        policy = self.settings.policy
        space = self.settings.space
        return {
            (object_, environment): policy_named(
                policy.kind, space, count=policy.count, seed=policy.seed, options=policy.options
            )
            for object_ in self.settings.objects
            for environment in self.settings.environments
        }

    def _ask(self, policies: Mapping[tuple[str, str], Policy]) -> None:
        while waiting := {pair: one for pair, one in policies.items() if not one.done}:
            asked = {pair: list(one.ask(BATCH)) for pair, one in waiting.items()}
            if not any(asked.values()):
                raise SceneError(f"policy {self.settings.policy.kind}: it is not done, and asks for nothing.")
            scenes = {
                pair: [self.settings.scene(*pair, values) for values in several]
                for pair, several in asked.items()
            }
            self._compute([scene for several in scenes.values() for scene in several])
            for pair, one in waiting.items():
                if asked[pair]:
                    one.tell(asked[pair], *self._told(scenes[pair]))

    def _compute(self, scenes: Sequence[Scene]) -> None:
        """Make the rows of scenes, in their order."""
        missing: dict[str, Scene] = {}
        asked = False
        for scene in scenes:
            for subject in self.judging.subjects:
                key = self._row(scene, subject).key
                if key in self.rows:
                    continue
                self.rows[key] = self._row(scene, subject)  # its place; what it says comes below
                if key in self.known:
                    self.found += 1
                    self.rows[key] = self.known[key]
                    self.on_done(self.known[key])
                    if key in self.lost:
                        missing[scene.digest] = scene
                else:
                    missing[scene.digest] = scene
                    asked = True
        if asked:
            self._check()
        if missing:
            self._draw(list(missing.values()))

    def _check(self) -> None:
        """See that models and renderer are there, before work that would be lost if not."""
        self.judging.load()
        if self.renderer is None:
            renderer_named(self.renderer_name).close()

    def _draw(self, scenes: list[Scene]) -> None:
        frames = None if self.folder is None else str(self.folder.frames)
        work = partial(draw_scenes, renderer=self.renderer or self.renderer_name, frames=frames)

        def take(job: Sequence[Scene], drawn: list[Drawn]) -> None:
            for scene, one in zip(job, drawn, strict=True):
                wanted = [s for s in self.judging.subjects if self._row(scene, s).key not in self.known]
                self.judging.take(scene, one, {s: self._row(scene, s) for s in wanted})

        jobs = [tuple(scenes[first : first + JOB]) for first in range(0, len(scenes), JOB)]
        try:
            self.engine.map(work, jobs, on_done=take, name=_named)
        except JobsFailedError as error:
            # The process of a job died: whose fault it was shows where each scene has a job of its own.
            again = [(scene,) for failure in error.failures for scene in failure.job]
            try:
                self.engine.map(work, again, on_done=take, name=_named)
            except JobsFailedError as last:
                for failure in last.failures:
                    take(failure.job, [Drawn(error=f"drawing it failed twice: {failure.reason}")])
        self.judging.flush()

    def _done(self, row: Row) -> None:
        self.rows[row.key] = self.known[row.key] = row
        self.on_done(row)

    def _row(self, scene: Scene, subject: str) -> Row:
        """Return the row of a scene without what the model said."""
        params = {
            **scene.settings,
            "environment": scene.environment,
            "renderer": self.renderer_name,
            "resolution": scene.resolution,
            "samples": scene.samples,
        }
        return Row(NAME, scene.object, subject, float("nan"), params, version=VERSION)

    def _told(self, scenes: Sequence[Scene]) -> tuple[list[float], list[float]]:
        """Return the mean losses over models, and the seconds, of scenes."""
        losses, seconds = [], []
        for scene in scenes:
            rows = [self.rows[self._row(scene, subject).key] for subject in self.judging.subjects]
            losses.append(float(np.mean([loss_of(row) for row in rows])))
            seconds.append(max(row.seconds for row in rows))
        return losses, seconds


def loss_of(row: Row) -> float:
    """Return what a search maximises: the loss, minus the score where there is none.

    It is nan where the row failed or shows nothing of the object: a search for failures is not to look away from it.
    """
    return float("nan") if row.failed or unseen(row) else float(row.metrics.get("loss", -row.score))


def _known(folder: StudyFolder) -> list[Row]:
    found = folder.rows.read()
    if other := next((row for row in found if row.suite != NAME), None):
        raise SceneError(
            f"{folder.rows.path} holds a row of {other.suite!r}, and this is {NAME!r}. Name another folder."
        )
    return [row for row in found if not row.failed and row.version == VERSION]


def _named(job: Sequence[Scene]) -> str:
    return f"{len(job)} scene{'s' * (len(job) > 1)} of {job[0].object}"
