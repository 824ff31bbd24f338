"""The contract of the evaluation suites: rows, anchors, aggregates with intervals, objectives for tuners, one page.

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.evaluation.aggregate import (
        Estimate,
        Paired,
        bootstrapped,
        interquartile_mean,
        mean_of,
        optimality_gap,
        paired,
    )
    from similitude.evaluation.anchors import Anchor, normalised
    from similitude.evaluation.objective import SuiteObjective, mean_score
    from similitude.evaluation.page import render_suite_page, write_suite_page
    from similitude.evaluation.rowfile import RowFile, read_rows
    from similitude.evaluation.rows import Row
    from similitude.evaluation.suite import Part, Suite, suite_named, suites
    from similitude.evaluation.tables import GroupTable, group_tables

__all__ = [
    "Anchor",
    "Estimate",
    "GroupTable",
    "Paired",
    "Part",
    "Row",
    "RowFile",
    "Suite",
    "SuiteObjective",
    "bootstrapped",
    "group_tables",
    "interquartile_mean",
    "mean_of",
    "mean_score",
    "normalised",
    "optimality_gap",
    "paired",
    "read_rows",
    "render_suite_page",
    "suite_named",
    "suites",
    "write_suite_page",
]

_HOMES = {
    "Anchor": "anchors",
    "Estimate": "aggregate",
    "GroupTable": "tables",
    "Paired": "aggregate",
    "Part": "suite",
    "Row": "rows",
    "RowFile": "rowfile",
    "Suite": "suite",
    "SuiteObjective": "objective",
    "bootstrapped": "aggregate",
    "group_tables": "tables",
    "interquartile_mean": "aggregate",
    "mean_of": "aggregate",
    "mean_score": "objective",
    "normalised": "anchors",
    "optimality_gap": "aggregate",
    "paired": "aggregate",
    "read_rows": "rowfile",
    "render_suite_page": "page",
    "suite_named": "suite",
    "suites": "suite",
    "write_suite_page": "page",
}

__getattr__, __dir__ = lazy_names(globals(), "similitude.evaluation", _HOMES)
