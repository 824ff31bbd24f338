"""One self-contained HTML file of a width study: curves, best rates, scores by width and richness, numbers, sizes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from similitude.core.chart import Chart, Series
from similitude.fewshot.widths.records import BEST, TRANSFERRED, WidthStudy, ends_of
from similitude.fewshot.widths.table import in_words
from similitude.report.claim_figures import chart_figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.report.svg import Figure
from similitude.report.transfer_figures import rate_figures
from similitude.report.words import rule_label


def write_widths_page(study: WidthStudy, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file of a width study.

    Args:
        study: What `width_study` returned.
        path: Where to write; an existing file is replaced.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_widths_page(study))


def render_widths_page(study: WidthStudy) -> str:
    """Return the HTML that `write_widths_page` writes; the same study gives the same bytes."""
    settings, corpus = study.settings, study.corpus
    shown = {
        "text": f"{corpus.name} ({corpus.source}), {corpus.tokens:,} tokens",
        "tokens that an encoder read": corpus.read,
        **settings.fixed(),
        "pretraining rate": study.pretraining_lr,
        "splits": list(settings.splits),
    }
    return render_template(
        "fewshot_widths.html",
        {"ends": ends_of},
        study=study,
        settings=shown,
        figures=_figures(study),
        words=in_words(study),
    )


def _figures(study: WidthStudy) -> list[Figure]:
    drawn = []
    for task, one in study.transfers.items():
        for figure in rate_figures(one):
            drawn.append(replace(figure, key=f"{task}-{figure.key}", title=f"{task}: {figure.title}"))
    charts = [_growth(study, task) for task in study.settings.tasks]
    return [*drawn, *chart_figures(charts, "scores-")]


def _growth(study: WidthStudy, task: str) -> Chart:
    settings = study.settings
    series = []
    for rule in settings.rules:
        places = [settings.of(rule, width) for width in settings.widths]
        for subject, name in ((TRANSFERRED, "transferred rate"), (BEST, "own best rate")):
            points = [
                q
                for q in study.qualities
                if q.task == task and q.subject == subject and (q.rule, q.width) in places
            ]
            points.sort(key=lambda q: q.width)
            series.append(
                Series(
                    f"{rule_label(rule)}, {name}",
                    [q.width for q in points],
                    [q.fair.value for q in points],
                    [q.fair.interval for q in points],
                    kind="joined",
                )
            )
    floor = [
        row.score for row in study.constants if row.task == task and row.params["shots"] == settings.shots
    ]
    return Chart(
        f"{task}: score against width at {settings.shots} shots",
        "width",
        "fair score",
        tuple(series),
        "Bars are 95 % intervals over splits. The dotted line is the constant answer: what lies on it has learned "
        "nothing that the test sees.",
        x_scale="log2",
        levels={"constant": sum(floor) / len(floor)},
    )
