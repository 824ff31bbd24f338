"""One self-contained HTML page of where a model lies among the abc-parametrizations: verdict, map and table."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report import abc_table
from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.scaling.regime import Regime


def write_abc_page(regime: Regime, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file with the verdict, the map, and the exponents of every kind of tensor.

    The file needs no network, no script and no other file, and follows the reader's light or dark theme.

    Args:
        regime: What `similitude.abc` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    functions = (abc_table.tensors, abc_table.exponent, abc_table.meaning)
    page = render_template(
        "abc.html",
        {function.__name__: function for function in functions},
        regime=regime,
        rows=list(zip(regime.parametrization.layers, regime.change, strict=True)),
        eps=abc_table.eps(regime),
        figures=figures(regime),
    )
    return write_atomically(path, page)
