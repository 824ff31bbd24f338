"""`similitude suite run scenes`: pictures of objects under controlled conditions, shown to models of vision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from similitude.cli.engines import engine_of
from similitude.cli.exits import GOOD, NOT_ENOUGH
from similitude.cli.options import at_least, names
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

if TYPE_CHECKING:
    from similitude.evaluation.rows import Row
    from similitude.scenes.study.settings import StudySettings

Switch = Annotated[bool, Parameter(negative="")]

FEW = 16
"""Scenes for which starting processes takes longer than drawing."""


def scenes(
    study: Path | None = None,
    /,
    *,
    objects: str | None = None,
    controls: str | None = None,
    policy: str | None = None,
    count: Whole | None = None,
    seed: Whole | None = None,
    model: str | None = None,
    renderer: str | None = None,
    resolution: Whole | None = None,
    samples: Whole | None = None,
    out: Path | None = None,
    engine: str | None = None,
    workers: Whole | None = None,
    tensorboard: Switch = False,
    report: Path | None = None,
    json: Switch = False,
) -> int:
    """Draw the scenes of a study, show them to its models, and say where they fail.

    The exit code is 3 where a scene could not be drawn or an answer could not be used, else 0.

    Parameters
    ----------
    study:
        A study's file (YAML). Options replace what it says; without one, --objects says what is looked at.
    objects:
        Names of objects, sweethome3d:NAME, or paths of .obj, .gltf and .glb files, separated by commas.
    controls:
        Kinds of controls, separated by commas, each over its own range, instead of the study's.
    policy:
        How scenes are chosen: grid, random, sobol and others that `similitude suite list scenes` names.
    count:
        Scenes per object and environment.
    seed:
        Seed of the policy.
    model:
        efficientnet-lite0, torchvision:NAME, timm:NAME, hf:NAME or file.py:factory; several separated by commas.
    renderer:
        raster, cycles or mitsuba.
    resolution:
        Rows and columns of pictures.
    samples:
        Samples per pixel.
    out:
        The study's folder, from which the same command goes on; by default STUDY-scenes in the current folder.
    engine:
        Where scenes are drawn: inline, process or ray, perhaps with settings.
    workers:
        Processes that draw; by default one per core, or this one where the policy learns from every answer or the scenes
        are few.
    tensorboard:
        Write TensorBoard events to the folder too.
    report:
        An HTML file to write: where the models fail, and the pictures.
    json:
        Print one JSON object on standard output: rows with object, controls, prediction, correct, loss and seconds, and
        aggregates.
    """
    place = out or Path(f"{'mine' if study is None else study.stem}-scenes")
    kept = f"What was judged is in {place}, and the same command goes on from there."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.report.files import check_writable
        from similitude.scenes.study.found_failures import ways_to_fail
        from similitude.scenes.study.running import run_study
        from similitude.scenes.study.summary import nothing_seen, row_record, summarise, summary_record

        settings = _settings(
            study,
            objects=objects,
            controls=controls,
            policy=policy,
            count=count,
            seed=seed,
            model=model,
            renderer=renderer,
            resolution=resolution,
            samples=samples,
        )
        if report is not None:
            check_writable(report)
        with (
            engine_of(engine, workers, alone=_alone(settings)) as where,
            screen.notes.status("drawing") as status,
        ):
            done = 0
            notes: list[str] = []

            def say(row: Row) -> None:
                nonlocal done
                done += 1
                said = f"failed: {row.error}" if row.failed else _verdict(row)
                status.update(f"{done}: {row.subject}, {row.task}: {said}")
                if row.failed:
                    screen.say(f"{row.subject}, {row.task}: {said}")

            def note(text: str) -> None:
                notes.append(text)
                screen.say(text)

            run = run_study(settings, place, engine=where, on_done=say, on_note=note, tensorboard=tensorboard)
        if run.found:
            screen.say(f"{run.found} of {len(run.rows)} rows were found in {place}.")
        summary = summarise(run)
        ways = {one.model: one for one in ways_to_fail(run)}
        for subject in dict.fromkeys(one.model for one in summary):
            screen.say(f"{subject}:")
            mine = [one for one in summary if one.model == subject]
            screen.say(_table(mine))
            for one in mine:
                if one.unseen and one.object:
                    said = nothing_seen(one.unseen)
                    screen.say(f"{one.object}: {said}: counted neither as right nor as wrong.")
            if subject in ways:
                screen.say(ways[subject].text)
        screen.say(f"Rows, pictures and frames: {place.resolve()}")
        if report is not None:
            screen.say(f"Report: {_report(run, report).resolve()}")
        screen.result(
            {
                "study": settings.to_dict(),
                "folder": str(place),
                "notes": notes,
                "rows": [row_record(run, row) for row in run.rows],
                "aggregate": summary_record(summary),
                "ways_to_fail": {model: one.to_dict() for model, one in ways.items()},
                "failures": [row_record(run, row) for row in run.failures],
            }
        )
    return NOT_ENOUGH if run.failures else GOOD


def _settings(study: Path | None, **given: Any) -> StudySettings:
    """Return the study of a file with options in place of what it says."""
    from similitude.core.errors import SceneError
    from similitude.scenes.study.reading import read_study, resolved
    from similitude.scenes.study.settings import StudySettings

    if study is None and given["objects"] is None:
        raise SceneError(
            "which study? Name its file, or objects: --objects mug --controls orientation,camera."
        )
    said: dict[str, Any] = {}
    if given["objects"] is not None:
        said["objects"] = list(names(given["objects"]))
    if given["controls"] is not None:
        said["controls"] = {name: {} for name in names(given["controls"])}
    if given["model"] is not None:
        said["models"] = list(names(given["model"]))
    said |= {name: given[name] for name in ("renderer", "resolution", "samples") if given[name] is not None}
    said = resolved(said, Path.cwd())
    base = None if study is None else read_study(study)
    data = said if base is None else {**base.to_dict(), **said}
    if base is not None and "objects" in said:
        data["labels"] = {name: labels for name, labels in base.labels.items() if name in said["objects"]}
    settings = StudySettings.from_dict(data)
    changes = {name: given[name] for name in ("count", "seed") if given[name] is not None}
    if "count" in changes:
        at_least(changes["count"], 1, "--count")
    if given["policy"] is not None and given["policy"] != settings.policy.kind:
        changes |= {"kind": given["policy"], "options": {}}
    return replace(settings, policy=replace(settings.policy, **changes))


def _alone(settings: StudySettings) -> bool:
    """Whether a study is best drawn by this process: its policy learns from every answer, or there is little to draw."""
    from similitude.scenes.search.policy import policy_entry

    pairs = len(settings.objects) * len(settings.environments)
    count = settings.policy.count
    return policy_entry(settings.policy.kind).learns or (count is not None and count * pairs <= FEW)


def _verdict(row: Row) -> str:
    from similitude.scenes.analysis.factors import unseen

    if unseen(row):
        return "nothing of the object is seen"
    return f"score {row.score:.3g}" if row.success is None else ("right" if row.success else "wrong")


def _report(run: Any, place: Path) -> Path:
    from similitude.scenes.dashboard.page import write_dashboard

    return write_dashboard(run, place)


def _table(summary: Any) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("object", "scenes", "right", "loss", "probability", "failed"):
        table.add_column(name, justify="left" if name == "object" else "right", no_wrap=name == "object")
    for one in summary:
        standing = one.standing
        numbers = (
            (None,) * 3 if standing is None else (standing.accuracy, standing.loss, standing.probability)
        )
        table.add_row(
            one.object or "all",
            str(one.scenes),
            *("-" if value is None else str(value) for value in numbers),
            str(one.failures),
        )
    return table
