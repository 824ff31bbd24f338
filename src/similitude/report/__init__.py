"""Reports of studies: tables for the terminal, figures, and one self-contained HTML file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from similitude.report.check_table import check_table
    from similitude.report.consistency_page import write_consistency_page
    from similitude.report.consistency_table import consistency_table
    from similitude.report.figures import save_figures
    from similitude.report.gamma_page import write_gamma_page
    from similitude.report.gamma_table import gamma_table
    from similitude.report.html import write_report
    from similitude.report.laws_page import write_laws_page
    from similitude.report.plans import plan_table
    from similitude.report.richness_page import write_richness_page
    from similitude.report.richness_table import richness_table
    from similitude.report.terminal import transfer_summary

__all__ = [
    "check_table",
    "consistency_table",
    "gamma_table",
    "plan_table",
    "richness_table",
    "save_figures",
    "transfer_summary",
    "write_consistency_page",
    "write_gamma_page",
    "write_laws_page",
    "write_report",
    "write_richness_page",
]

_HOMES = {
    "check_table": "similitude.report.check_table",
    "consistency_table": "similitude.report.consistency_table",
    "gamma_table": "similitude.report.gamma_table",
    "plan_table": "similitude.report.plans",
    "richness_table": "similitude.report.richness_table",
    "save_figures": "similitude.report.figures",
    "transfer_summary": "similitude.report.terminal",
    "write_consistency_page": "similitude.report.consistency_page",
    "write_gamma_page": "similitude.report.gamma_page",
    "write_laws_page": "similitude.report.laws_page",
    "write_report": "similitude.report.html",
    "write_richness_page": "similitude.report.richness_page",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
