"""One self-contained HTML file of results of suites: tables beside anchors, figures, comparisons, failures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from similitude.core.chart import Chart, Series
from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import Paired, paired
from similitude.evaluation.anchors import FLOORS
from similitude.evaluation.rowfile import read_rows
from similitude.evaluation.rows import Row
from similitude.evaluation.suite import Suite, suite_named
from similitude.evaluation.tables import GroupTable, Line, group_tables, subject_of
from similitude.report.claim_figures import chart_figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.report.svg import Figure


@dataclass(frozen=True)
class SuiteResults:
    """What a page shows of one suite.

    Attributes:
        suite: The suite.
        rows: Its rows.
        tables: A table per group.
        figures: Its figures.
        comparisons: Every subject beside the floor, item by item.
        failures: Rows without a score.
    """

    suite: Suite
    rows: tuple[Row, ...]
    tables: tuple[GroupTable, ...]
    figures: tuple[Figure, ...]
    comparisons: tuple[Paired, ...]
    failures: tuple[Row, ...]

    @property
    def seconds(self) -> float:
        """What all rows cost."""
        return sum(row.seconds for row in self.rows)

    @property
    def floor(self) -> bool:
        """Whether every table shows a constant or random subject."""
        return all(table.has_floor for table in self.tables)


def suite_results(rows: Iterable[Row]) -> list[SuiteResults]:
    """Arrange rows suite by suite and version by version.

    Raises:
        EvaluationError: There are none, or a suite is unknown.
    """
    ordered = sorted(rows, key=lambda row: (row.suite, row.version))
    if not ordered:
        raise EvaluationError("there are no rows of results. Run a suite first: `similitude suite list`.")
    return [_results(list(group)) for _, group in groupby(ordered, key=lambda row: (row.suite, row.version))]


def write_suite_page(paths: Sequence[str | os.PathLike[str]], page: str | os.PathLike[str]) -> Path:
    """Write one HTML file of stored results; the same rows give the same bytes.

    Args:
        paths: Files of rows, or folders of them.
        page: Where to write.

    Returns:
        The page.

    Raises:
        EvaluationError: There are no rows, or a file holds something else.
        ReportError: The page cannot be written.
    """
    return write_atomically(page, render_suite_page(read_rows(paths)))


def render_suite_page(rows: Iterable[Row]) -> str:
    """Return the HTML that `write_suite_page` writes.

    Raises:
        EvaluationError: There are no rows, or a suite is unknown.
    """
    return render_results(suite_results(rows))


def render_results(results: Sequence[SuiteResults]) -> str:
    """Return the HTML of results that are arranged already."""
    return render_template("suite.html", {"subject_of": subject_of}, suites=results)


def _results(rows: list[Row]) -> SuiteResults:
    suite = suite_named(rows[0].suite)
    rows = getattr(suite, "counted", list)(rows)  # a suite may have rows that are neither right nor wrong
    data = {row.params["data"] for row in rows if "data" in row.params}
    groups = (*suite.groups, "data") if len(data) > 1 else suite.groups  # other data is another question
    tables = group_tables(rows, suite.anchors(), groups=groups)
    named = [replace(row, subject=subject_of(row)) for row in rows]
    subjects = list(dict.fromkeys(row.subject for row in named))
    floor = next((subject for subject in subjects if subject in FLOORS), None)
    comparisons = []
    for subject in subjects:
        if floor is None or subject == floor:
            continue
        try:
            comparisons.append(paired(named, subject, floor))
        except EvaluationError:  # they have no items in common, which the tables show
            continue
    charts = [*(_scores(table, suite) for table in tables), *suite.charts(rows)]
    return SuiteResults(
        suite,
        tuple(rows),
        tuple(tables),
        tuple(chart_figures(charts)),
        tuple(comparisons),
        tuple(row for row in rows if row.failed),
    )


def _scores(table: GroupTable, suite: Suite) -> Chart:
    """Draw the mean of every subject on every task, marks of one task beside each other."""
    labels: dict[str, list[Line]] = {}  # anchors of one kind are one series: the table has their names
    for line in table.lines:
        labels.setdefault(line.subject if line.kind == "measured" else line.kind, []).append(line)
    series = []
    for i, (label, lines) in enumerate(labels.items()):
        aside = 0.6 * ((i + 0.5) / len(labels) - 0.5)
        known = [
            (place, line.tasks[task])
            for place, task in enumerate(table.tasks)
            for line in lines
            if task in line.tasks
        ]
        series.append(
            Series(
                label,
                [place + aside for place, _ in known],
                [estimate.value for _, estimate in known],
                [estimate.interval for _, estimate in known],
            )
        )
    return Chart(
        f"Score by task, {table.title}",
        "",
        suite.unit,
        tuple(series),
        "Marks are means, bars their 95 % intervals where they were measured here. A subject has learned something on a "
        "task where it stands above the constant or random one.",
        x_names=table.tasks,
    )
