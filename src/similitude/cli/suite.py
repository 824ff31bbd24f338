"""`similitude suite list|report`: the evaluation suites, and the page of their stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD
from similitude.cli.screen import Screen

Switch = Annotated[bool, Parameter(negative="")]


def list_(suite: str | None = None, /, *, json: Switch = False) -> int:
    """List the suites; of one, everything that its commands take by name.

    Parameters
    ----------
    suite:
        A suite.
    json:
        Print a JSON list on standard output, one object per suite.
    """
    with Screen(as_json=json) as screen:
        from rich.table import Table

        from similitude.evaluation.suite import suite_named, suites

        found = list(suites().values()) if suite is None else [suite_named(suite)]
        for one in found:
            screen.say(f"{one.name}: {one.title} (version {one.version}; a score is {one.unit})")
            table = Table(box=None, padding=(0, 2, 0, 0))
            for column in ("kind", "name", "what", "example"):
                table.add_column(column, overflow="fold")
            for part in one.parts():
                command = " ".join(("similitude suite run", one.name, *part.example)).replace(
                    "{data}", "PATH"
                )
                table.add_row(part.kind, part.name, part.summary, command)
            screen.say(table)
        screen.result(
            [
                {
                    "name": one.name,
                    "title": one.title,
                    "version": one.version,
                    "unit": one.unit,
                    "parts": [part.to_dict() for part in one.parts()],
                }
                for one in found
            ]
        )
    return GOOD


def report(*paths: Path, report: Path = Path("suite.html"), json: Switch = False) -> int:
    """Write the page of stored results of any suites; nothing is run.

    Parameters
    ----------
    paths:
        Files of rows, or folders of them, as `similitude suite run --out` wrote.
    report:
        The HTML file.
    json:
        Print a JSON list on standard output: every table of every suite.
    """
    with Screen(as_json=json) as screen:
        from similitude.core.errors import GridError
        from similitude.evaluation.page import render_results, suite_results
        from similitude.evaluation.rowfile import read_rows
        from similitude.report.files import check_writable, write_atomically

        if not paths:
            raise GridError("which results? Name folders that `similitude suite run --out FOLDER` wrote.")
        check_writable(report)
        results = suite_results(read_rows(paths))
        screen.say(f"Report: {write_atomically(report, render_results(results)).resolve()}")
        screen.result(
            [
                {"suite": one.suite.name, "tables": [table.to_dict() for table in one.tables]}
                for one in results
            ]
        )
    return GOOD
