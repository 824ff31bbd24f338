"""`similitude staircase`: the plateaus and drops of a loss curve, and what was learned at each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.screen import Screen


def staircase(
    run: Path,
    /,
    *,
    loss: str | None = None,
    time: str | None = None,
    columns: str | None = None,
    smallest: float = 0.02,
    shortest: float = 0.02,
    clock: Literal["linear", "log"] = "linear",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Find the plateaus of a loss curve, the drops between them, and what was learned at each.

    Networks that start small learn one feature after the other: their loss is a staircase. The exit code is 0 where the
    curve has a drop between two plateaus, 1 where it has none, 3 where that cannot be told.

    Parameters
    ----------
    run:
        A curve as a file: .jsonl (one JSON object a line, as trackers write them), .csv, or .parquet (as studies keep
        the curves of their runs).
    loss:
        Column of the loss; loss, train_loss or train/loss by default.
    time:
        Column of the time; time, step, steps or epoch by default, else the number of the row.
    columns:
        Columns that say what the network has learned, e.g. gain_1,gain_2: those that change by half of their range at a
        drop are named there. By default all others that are numbers.
    smallest:
        Smallest drop, relative to the range of the loss.
    shortest:
        Shortest plateau, relative to the length of the run.
    clock:
        log measures the lengths of plateaus in the logarithm of time.
    json:
        Print everything as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.options import names
        from similitude.cli.run_log import read_run
        from similitude.report.staircase_table import staircase_table
        from similitude.theory.gradient_flows.plateaus import find_staircase

        log = read_run(run, loss=loss, time=time, columns=None if columns is None else names(columns))
        for note in log.notes:
            screen.say(f"Note: {note}.")
        found = find_staircase(
            log.losses, log.times, columns=log.columns, smallest=smallest, shortest=shortest, clock=clock
        )
        screen.say(staircase_table(found, name=run.name, clock=log.clock))
        screen.result({"run": str(run), "loss": log.loss, "time": log.clock, **found.to_dict()})
    return found.verdict.exit_code
