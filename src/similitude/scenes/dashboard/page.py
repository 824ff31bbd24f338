"""The dashboard of a study: one HTML file with what was found, and filters that work without a server."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from similitude.core.errors import SceneError
from similitude.evaluation.tables import subject_of
from similitude.report.claim_figures import chart_figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.scenes.analysis.charts import charts
from similitude.scenes.analysis.everything import findings
from similitude.scenes.analysis.first_order import Sensitivity
from similitude.scenes.analysis.labels_of_axes import short_names
from similitude.scenes.dashboard.surfaces import surface_pictures
from similitude.scenes.dashboard.table import page_table
from similitude.scenes.dashboard.thumbnails import thumbnails
from similitude.scenes.dashboard.words import in_words
from similitude.scenes.study.found_failures import WaysToFail, ways_to_fail
from similitude.scenes.study.records import SceneRun

TITLE = 40
"""Letters that an object's name may have in the page's title."""

STYLE = Path(__file__).with_name("dashboard.css")

_PARTS = ("data", "state", "numbers", "selection", "elements", "filters", "maps", "plots", "scenes", "page")

SCRIPT = tuple(Path(__file__).with_name("script") / f"{name}.js" for name in _PARTS)
"""Parts of the page's script, in the order in which they are put together."""


@dataclass(frozen=True)
class ModelPart:
    """What a page says about one model.

    Attributes:
        name: The model.
        said: What was found, in sentences.
        left_out: What could not be said, and why.
        sensitivity: Which factors matter, where that is known.
    """

    name: str
    said: tuple[str, ...]
    left_out: dict[str, str]
    sensitivity: Sensitivity | None = None


def write_dashboard(run: SceneRun, path: str | os.PathLike[str]) -> Path:
    """Write the dashboard of a study.

    Args:
        run: What the study found.
        path: Where to write; an existing file is replaced.

    Returns:
        The page.

    Raises:
        SceneError: The study has no rows.
        ReportError: The page cannot be written.
    """
    return write_atomically(path, render_dashboard(run))


def render_dashboard(run: SceneRun) -> str:
    """Return the HTML that `write_dashboard` writes; the same run gives the same bytes.

    Raises:
        SceneError: The study has no rows.
    """
    if not run.rows:
        raise SceneError("the study has no rows yet. Run it first: `similitude suite run scenes STUDY.yaml`.")
    models = list(dict.fromkeys(subject_of(row) for row in run.rows))
    small = thumbnails(run.rows, run.picture)
    ways = {one.model: one for one in ways_to_fail(run)}
    parts = [_part(run, name, ways) for name in models]
    script = whole_script()
    first = [row for row in run.rows if subject_of(row) == models[0]]
    return render_template(
        "scenes_dashboard.html",
        {},
        objects=short_names(list(dict.fromkeys(row.task for row in run.rows)), TITLE),
        models=parts,
        figures=chart_figures(
            charts(run.rows, {one.name: one.sensitivity for one in parts if one.sensitivity})
        ),
        surfaces=surface_pictures(first, run.drawn),
        failures=run.failures[:50],
        failed=len(run.failures),
        small=small,
        data=page_table(run.rows, run.prediction, small)
        | {"ways_to_fail": {one.model: one.to_dict() for one in ways.values()}},
        style=STYLE.read_text(encoding="utf-8"),
        script=script,
        policy=content_policy(script),
        settings=_flat(run.settings.to_dict()),
    )


def whole_script() -> str:
    """Return the script of the page: its parts in one scope, which no name leaves."""
    parts = "\n".join(part.read_text(encoding="utf-8") for part in SCRIPT)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def content_policy(script: str) -> str:
    """Return the content security policy of a page: its own script alone runs, and nothing is loaded."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _part(run: SceneRun, name: str, ways: Mapping[str, WaysToFail]) -> ModelPart:
    mine = [row for row in run.rows if subject_of(row) == name]
    try:
        found = findings(mine, run.classes_of(mine[0].subject))
    except SceneError as error:
        return ModelPart(name, (f"Nothing can be said: {error}",), {})
    searched = [ways[mine[0].subject].text] if mine[0].subject in ways else []
    return ModelPart(name, (*in_words(found), *searched), found.left_out, found.sensitivity)


def _flat(settings: dict[str, Any]) -> dict[str, str]:
    """Return settings as lines; what holds several things is said in one."""
    out = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            out[name] = "; ".join(f"{inner}: {one}" for inner, one in value.items()) or "none"
        elif isinstance(value, list | tuple):
            out[name] = ", ".join(map(str, value))
        else:
            out[name] = str(value)
    return out
