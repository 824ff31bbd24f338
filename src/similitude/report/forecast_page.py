"""One self-contained HTML file of a forecast: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.forecast_table import (
    backtest_in_words,
    error_in_words,
    estimate_in_words,
    forecast_title,
    loss_lines,
    next_run_in_words,
)
from similitude.report.pages import render_template
from similitude.studies.forecast_records import Forecast


def write_forecast_page(forecast: Forecast, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says what to use at the target, how sure that is, and what to run next.

    Args:
        forecast: What `similitude.forecast` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_forecast_page(forecast))


def render_forecast_page(forecast: Forecast) -> str:
    """Return the HTML that `write_forecast_page` writes; the same forecast gives the same bytes."""
    filters = {
        "title_of": forecast_title,
        "estimate": estimate_in_words,
        "error": error_in_words,
        "backtest": backtest_in_words,
        "next_run": next_run_in_words,
        "loss_lines": loss_lines,
    }
    return render_template("forecast.html", filters, forecast=forecast, figures=figures(forecast))
