"""One self-contained HTML page of where a model lies among the abc-parametrizations: verdict, map and table."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report import abc_table
from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.palette import css_variables
from similitude.report.words import mood
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
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("similitude.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (abc_table.tensors, abc_table.exponent, abc_table.meaning, mood):
        environment.filters[function.__name__] = function
    page = environment.get_template("abc.html").render(
        regime=regime,
        rows=list(zip(regime.parametrization.layers, regime.change, strict=True)),
        eps=abc_table.eps(regime),
        figures=figures(regime),
        light=css_variables(dark=False),
        dark=css_variables(dark=True),
    )
    return write_atomically(path, page)
