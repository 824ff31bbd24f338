"""`similitude forecast`: what a stored study says of a size that was not trained."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.screen import Screen

if TYPE_CHECKING:
    from similitude.studies.forecast_records import Forecast


def forecast(
    study: str,
    /,
    *,
    to: Annotated[list[str], Parameter(negative="")],
    storage: str = "similitude-runs",
    rule: str | None = None,
    tolerance: float = 0.5,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Forecast the transferred hyperparameters and the loss at a larger size from a stored study; nothing is trained.

    Two forecasts stand side by side: the value of the base, which a plan keeps at every size, and what a power law
    through the measured optima says. Both are backtested on the largest measured size. The exit code is 0 where they
    agree, 1 where the optimum shifts, 3 where more runs are needed; these are named.

    Parameters
    ----------
    study:
        Name of the study in its storage.
    to:
        The target: --to width=1024, or more dials as --to width=1024,depth=12. Of a tuning study all its scale
        dimensions, or --to cost=1e6.
    storage:
        Folder, or Optuna storage URL.
    rule:
        Which rule of a study of several; the last one by default.
    tolerance:
        Difference of the two forecasts that counts as none, in octaves.
    report:
        The HTML file; forecast.html in the storage folder by default.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.sizes import target
        from similitude.cli.stored import stored_study
        from similitude.cli.watch import report_path
        from similitude.report.forecast_page import write_forecast_page
        from similitude.report.forecast_table import forecast_table
        from similitude.studies.forecast import forecast as forecast_of

        at = target(to, "--to")
        found = forecast_of(stored_study(storage, study), at, rule=rule, tolerance=tolerance)
        found = _where_it_is_stored(found, storage)
        screen.say(forecast_table(found))
        page = write_forecast_page(found, report_path(storage, report, name="forecast.html")).resolve()
        screen.say(f"Report: {page}")
        screen.result({**found.to_dict(), "report": str(page)})
    return found.verdict.exit_code


def _where_it_is_stored(found: Forecast, storage: str) -> Forecast:
    """Add the storage to the commands that make further trials of a tuning study."""
    values = dict(found.values)
    for name, value in found.values.items():
        run = value.next_run
        if run is not None and run.dial == "trials":
            run = replace(run, options=f"{run.options} --storage {shlex.quote(storage)}")
            told = replace(value.verdict, next=run.options if value.verdict.next else "")
            values[name] = replace(value, next_run=run, verdict=told)
    return replace(found, values=values)
