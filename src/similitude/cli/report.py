"""`similitude report`: the report of a stored study again, or the list of the studies in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.screen import Screen


def report(
    storage: str = "similitude-runs",
    /,
    *names: str,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write one HTML report of stored studies; nothing is trained.

    Parameters
    ----------
    storage:
        The folder or Optuna storage URL of the studies.
    names:
        Studies to report; all of the storage if none is named.
    out:
        The HTML file; report.html in the storage folder by default.
    json:
        Print the studies as one JSON object on standard output.
    """
    screen = Screen(as_json=json)
    import similitude as sim
    from similitude.core.errors import StudyError
    from similitude.report.terminal import transfer_summary
    from similitude.runs.ledger import studies as stored

    if "://" not in storage and not Path(storage).exists():
        raise StudyError(f"there is no folder '{storage}'. Name the folder that the study was run with (--out or --storage).")
    known = stored(storage)
    if not known:
        inside = sorted(p.parent.name for p in Path(storage).glob("*/study.journal")) if "://" not in storage else []
        hint = f" Its folders {', '.join(inside)} have some: similitude report {storage}/{inside[0]}" if inside else ""
        raise StudyError(f"there are no studies in '{storage}'.{hint}")
    studies = [sim.read_study(storage, name) for name in names or known]
    for study in studies:
        screen.say(transfer_summary(study))
    where = out or (Path("report.html") if "://" in storage else Path(storage) / "report.html")
    path = sim.write_report(studies, where)
    screen.say(f"Report: {path.resolve()}")
    screen.result({"experiments": [s.to_dict() for s in studies], "report": str(path.resolve())})
    return 0
