"""`similitude report`: the report of stored studies again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD
from similitude.cli.screen import Screen

if TYPE_CHECKING:
    from similitude.studies.records import TransferStudy


def report(
    storage: str = "similitude-runs",
    /,
    *names: str,
    out: Path | None = None,
    figures: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write one HTML report of stored studies; nothing is trained.

    Parameters
    ----------
    storage:
        The folder or Optuna storage URL of the studies; a folder without any stands for the folders in it.
    names:
        Studies to report; all of the storage if none is named.
    out:
        The HTML file; report.html in the storage folder by default.
    figures:
        Also write every figure as an SVG file of its own into this folder.
    json:
        Print the studies as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        import similitude as sim
        from similitude.cli.watch import report_path
        from similitude.report.figures import save_figures
        from similitude.report.terminal import transfer_summary

        studies = _read(screen, storage, names)
        for study in studies:
            screen.say(transfer_summary(study))
        path = sim.write_report(studies, report_path(storage, out)).resolve()
        screen.say(f"Report: {path}")
        if figures is not None:
            for saved in [saved for study in studies for saved in save_figures(study, figures)]:
                screen.say(f"Figure: {saved.resolve()}")
        screen.result({"experiments": [s.to_dict() for s in studies], "report": str(path)})
    return GOOD


def _read(screen: Screen, storage: str, names: tuple[str, ...]) -> list[TransferStudy]:
    """Read the named studies, or all transfer studies, of a storage or of the folders inside a folder."""
    from similitude.cli.factories import did_you_mean
    from similitude.core.errors import StudyError
    from similitude.runs.ledger import studies as names_in
    from similitude.studies.read import read_study

    places = [storage]
    if "://" not in storage:
        if not Path(storage).is_dir():
            raise StudyError(
                f"there is no folder '{storage}'. Name the folder that the study was run with: its --out or "
                "--storage."
            )
        if not names_in(storage):
            places = [str(journal.parent) for journal in sorted(Path(storage).glob("*/study.journal"))]
    known = [(name, place) for place in places for name in names_in(place)]
    for name in names:
        if name not in {n for n, _ in known}:
            there = ", ".join(repr(n) for n, _ in known) or "none"
            hint = did_you_mean(name, [n for n, _ in known])
            raise StudyError(
                f"there is no study '{name}' in '{storage}'; studies there: {there}. {hint}".strip()
            )
    if names:
        return [read_study(place, name) for wanted in names for name, place in known if name == wanted]
    found = []
    for name, place in known:
        try:
            found.append(read_study(place, name))
        except StudyError as error:
            screen.say(f"Left out: {error}")
    if not found:
        raise StudyError(
            f"there are no transfer studies in '{storage}' or its folders. Run one first, e.g. similitude "
            "quickstart, or name the folder or Optuna storage URL that has some."
        )
    return found
