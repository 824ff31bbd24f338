"""`similitude scenes admit|catalogue|compare`: are objects recognised at all, and which of two models does better?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD, NOT_ENOUGH
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

if TYPE_CHECKING:
    from similitude.scenes.study.catalogue import CatalogueCheck
    from similitude.scenes.study.records import SceneRun

Switch = Annotated[bool, Parameter(negative="")]

SHARE = 0.8
"""Of the objects that are asked for: so many must be admitted, and so many of the catalogue drawn."""

ENOUGH = 12
"""Objects that a study of several takes at least."""

TOP1 = 0.45
"""Share of the catalogue's views that a classifier is to name, set before any run."""


def admit(
    *objects: str, renderer: str = "raster", model: str = "efficientnet-lite0", json: Switch = False
) -> int:
    """Show the everyday view of objects to a classifier: are they recognised at all?

    An object is admitted where an accepted class is first and the accepted ones have a probability of 0.5 together. The
    exit code is 0 where at least 80 % of the objects asked for are admitted, and at least 12 where 12 or more are asked
    for; 1 where they are not; 3 where that depends on objects that could not be drawn. Those that are not admitted are
    named, whatever it is.

    Parameters
    ----------
    objects:
        Names of objects; all that are built by code where none is given.
    renderer:
        raster, cycles or mitsuba.
    model:
        The classifier.
    json:
        Print one JSON object on standard output: what was seen of every object.
    """
    with Screen(as_json=json) as screen:
        from rich.table import Table

        from similitude.core.errors import SceneError
        from similitude.scenes.known import check_object
        from similitude.scenes.models.catalog import model_named
        from similitude.scenes.objects.admission import admit as admitted
        from similitude.scenes.objects.catalog import OBJECTS
        from similitude.scenes.renderers.open_renderers import close_renderers, opened

        names = tuple(dict.fromkeys(objects)) or tuple(name for name, one in OBJECTS.items() if one.labels)
        for name in names:
            check_object(name)
        found, failed = [], {}
        classifier = model_named(model)
        try:
            drawing = opened(renderer)
            with screen.notes.status("looking") as status:
                for name in names:
                    status.update(name)
                    try:
                        found.append(admitted(name, drawing, model=classifier))
                    except SceneError as error:
                        failed[name] = str(error)
        finally:
            close_renderers()
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("object", "first", "probability of accepted classes", "admitted"):
            table.add_column(column)
        for one in found:
            table.add_row(one.name, one.first, f"{one.probability:.2f}", "yes" if one.admitted else "no")
        screen.say(table)
        count = sum(one.admitted for one in found)
        code = _admission(count, len(failed), len(names))
        met = {GOOD: "met", BAD_VERDICT: "missed"}.get(code, "open")
        screen.say(
            f"{count} of {len(names)} objects are admitted. The bar, {SHARE:.0%} of them and {ENOUGH} where so many are "
            f"asked for, is {met}."
        )
        for one in found:
            if not one.admitted:
                screen.say(f"not admitted: {one.name} ({one.first} first, {one.probability:.2f})")
        for name, reason in failed.items():
            screen.say(f"no result: {name}: {reason}")
        screen.result(
            {
                "renderer": renderer,
                "model": model,
                "admitted": count,
                "asked": len(names),
                "bar": met,
                "failures": failed,
                "objects": [
                    {
                        "object": one.name,
                        "labels": list(one.labels),
                        "first": one.first,
                        "right": one.right,
                        "probability": one.probability,
                        "visible": one.visible,
                        "admitted": one.admitted,
                    }
                    for one in found
                ],
            }
        )
    return code


def catalogue(
    *,
    objects: Whole | None = None,
    renderer: str = "raster",
    model: str = "efficientnet-lite0",
    resolution: Whole = 224,
    json: Switch = False,
) -> int:
    """Show a classifier Debian's furniture from three sides: its top-1, and the worst pose of every object.

    The exit code is 0 where the top-1 over views is at least 45 %; 1 where its whole interval is below; 3 where it is
    between, where fewer than 12 objects could be drawn, or fewer than 80 % of those asked for. Views that could not be
    drawn are named, whatever it is.

    Parameters
    ----------
    objects:
        How many of the 181 labelled objects, evenly taken; all by default.
    renderer:
        raster, cycles or mitsuba.
    model:
        The classifier.
    resolution:
        Rows and columns of pictures.
    json:
        Print one JSON object on standard output: rows, top-1 with its interval, worst poses.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.options import at_least
        from similitude.scenes.renderers.open_renderers import close_renderers, opened
        from similitude.scenes.study.catalogue import check_catalogue, labelled_pieces

        names = labelled_pieces()
        if objects is not None:
            count = min(at_least(objects, 1, "--objects"), len(names))
            names = tuple(names[place * len(names) // count] for place in range(count))
        done = 0
        try:
            with screen.notes.status("looking") as status:

                def say(row: object, frame: object) -> None:
                    nonlocal done
                    done += 1
                    status.update(f"{done} views")

                found = check_catalogue(
                    names, model=model, renderer=opened(renderer), resolution=resolution, on_view=say
                )
        finally:
            close_renderers()
        for line in found.lines():
            screen.say(line)
        code = _catalogue(found, len(names))
        met = {GOOD: "met", BAD_VERDICT: "missed"}.get(code, "open")
        screen.say(
            f"The bar, a top-1 of {TOP1:.0%} over {ENOUGH} objects and {SHARE:.0%} of those asked for, is {met}."
        )
        screen.result(found.to_dict() | {"asked": len(names), "bar": met})
    return code


def compare(
    first: Path,
    second: Path | None = None,
    /,
    *,
    models: str | None = None,
    report: Path | None = None,
    json: Switch = False,
) -> int:
    """Compare two models on the scenes that both have seen: a paired test.

    Parameters
    ----------
    first:
        A folder that `similitude suite run scenes` wrote.
    second:
        Another one; the first itself where it is left out.
    models:
        The model of the first folder and that of the second, separated by a comma, where they hold several.
    report:
        An HTML file to write: the test, where they differ, and the pictures on which they part.
    json:
        Print one JSON object on standard output: shares with intervals, the test, where they differ.
    """
    with Screen(as_json=json) as screen:
        from similitude.report.files import check_writable
        from similitude.scenes.analysis.comparison import compare as compared
        from similitude.scenes.study.records import read_run

        if report is not None:
            check_writable(report)
        folders = (first, first if second is None else second)
        one, other = (read_run(folder) for folder in folders)
        subjects = _subjects(folders, (one, other), models)
        rows = [run.of(name) for run, name in zip((one, other), subjects, strict=True)]
        found = compared(*rows)
        screen.say(found.summary)
        if report is not None:
            from similitude.scenes.dashboard.comparison_page import write_comparison

            page = write_comparison(report, (one, rows[0]), (other, rows[1]), found=found)
            screen.say(f"Report: {page.resolve()}")
        screen.result(found.to_dict())
    return GOOD


def _admission(admitted: int, failed: int, asked: int) -> int:
    """Return the exit code of an admission."""

    def enough(count: int) -> bool:
        return count >= SHARE * asked and (asked < ENOUGH or count >= ENOUGH)

    if enough(admitted):
        return GOOD
    return NOT_ENOUGH if enough(admitted + failed) else BAD_VERDICT


def _catalogue(found: CatalogueCheck, asked: int) -> int:
    """Return the exit code of a catalogue check."""
    drawn = len({row.task for row in found.views})
    top1 = found.top1
    if top1 is None or drawn < ENOUGH or drawn < SHARE * asked:
        return NOT_ENOUGH
    if top1.value >= TOP1:
        return GOOD
    return BAD_VERDICT if top1.high < TOP1 else NOT_ENOUGH


def _subjects(
    folders: tuple[Path, Path], runs: tuple[SceneRun, SceneRun], models: str | None
) -> tuple[str, str]:
    """Return the models to compare: those named, or the only ones that there are."""
    from similitude.cli.options import names
    from similitude.core.errors import SceneError

    there = [list(dict.fromkeys(row.subject for row in run.rows)) for run in runs]
    same = folders[0].resolve() == folders[1].resolve()
    chosen = names(models) if models else ()
    if not chosen and same and len(there[0]) == 2:
        chosen = tuple(there[0])
    elif not chosen and not same and len(there[0]) == len(there[1]) == 1:
        chosen = (there[0][0], there[1][0])
    if len(chosen) != 2 or any(name not in held for name, held in zip(chosen, there, strict=True)):
        held = "; ".join(
            f"{folder} holds {', '.join(one) or 'none'}"
            for folder, one in dict(zip(folders, there, strict=True)).items()
        )
        raise SceneError(
            f"two models are compared, and {held}. Name two folders of one model each, or say which: --models "
            "FIRST,SECOND."
        )
    return chosen[0], chosen[1]
