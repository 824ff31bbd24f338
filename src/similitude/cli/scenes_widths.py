"""`similitude scenes widths`: networks of several widths trained on rendered scenes, and how robust they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD, NOT_ENOUGH
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

Switch = Annotated[bool, Parameter(negative="")]


def widths(
    *,
    widths: str = "8,16,32",
    rules: str = "mup,sp",
    objects: str | None = None,
    seeds: Whole = 5,
    images: Whole = 2400,
    tests: Whole = 400,
    resolution: Whole = 32,
    shifts: str | None = None,
    steps: Whole = 300,
    batch_size: Whole = 32,
    lr_min: str = "2^-9",
    lr_max: str = "2^-1",
    points: Whole = 9,
    renderer: str = "raster",
    out: Path = Path("scenes-widths"),
    workers: Whole | None = None,
    report: Path | None = None,
    json: Switch = False,
) -> int:
    """Train networks of several widths on rendered scenes: does the rate transfer, does a small one tell how robust?

    Finished pictures and runs are kept, and the same command continues after an interruption. The exit code is 3 where a
    tested run diverged, else 0.

    Parameters
    ----------
    widths:
        Channels, separated by commas; the smallest is the base.
    rules:
        Parametrizations to compare: sp, mup, ntp, mean_field, spectral.
    objects:
        Names of objects, the classes, separated by commas; eight by default.
    seeds:
        How many seeds; three or more give intervals worth the name.
    images:
        Pictures to train on.
    tests:
        Pictures of each test set.
    resolution:
        Rows and columns, at least 32.
    shifts:
        What is changed in test sets, separated by commas: pose, texture, light, background, occlusion, corruption; all by
        default.
    steps:
        Optimizer steps of a run.
    batch_size:
        Pictures per step.
    lr_min:
        Smallest learning rate; powers of two may be written 2^-13.
    lr_max:
        Largest learning rate.
    points:
        Number of learning rates, evenly spaced in their logarithm.
    renderer:
        raster, cycles or mitsuba.
    out:
        The folder for pictures and results.
    workers:
        Processes; this one alone by default.
    report:
        The HTML file; report.html in the folder by default.
    json:
        Print one JSON object on standard output.
    """
    kept = f"What was computed is in {out}, and the same command goes on from there."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.cli.engines import engine_of
        from similitude.cli.options import names, rate, whole_numbers
        from similitude.report.files import check_writable
        from similitude.scenes.families.factors import OBJECTS, SHIFTS
        from similitude.scenes.families.page import write_family_page
        from similitude.scenes.families.settings import FamilySettings
        from similitude.scenes.families.study import family_study
        from similitude.scenes.families.table import family_table
        from similitude.scenes.renderers.open_renderers import close_renderers
        from similitude.studies.experiment import rates

        settings = FamilySettings(
            objects=OBJECTS if objects is None else names(objects),
            images=images,
            tests=tests,
            resolution=resolution,
            shifts=tuple(SHIFTS) if shifts is None else names(shifts),
            renderer=renderer,
            widths=whole_numbers(widths, "--widths"),
            rules=names(rules),
            lrs=rates(rate(lr_min, "--lr-min"), rate(lr_max, "--lr-max"), points),
            seeds=tuple(range(seeds)),
            steps=steps,
            batch_size=batch_size,
        )
        page = out / "report.html" if report is None else report
        check_writable(page)
        try:
            with screen.notes.status("pictures") as status, engine_of(None, workers, alone=True) as engine:
                found = family_study(
                    settings,
                    out=out,
                    engine=engine,
                    on_done=lambda what, done, total: status.update(f"{done} of {total}: {what}"),
                )
        finally:
            close_renderers()
        screen.say(family_table(found))
        where = write_family_page(found, page).resolve()
        screen.say(f"Report: {where}")
        screen.result({**found.to_dict(), "report": str(where)})
    return NOT_ENOUGH if found.failures else GOOD
