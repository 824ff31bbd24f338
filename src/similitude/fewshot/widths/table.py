"""A width study as tables for the terminal: best rates and their shift, scores by width, what richness gives."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.fewshot.widths.records import BEST, TRANSFERRED, Quality, WidthStudy, ends_of
from similitude.report.layout import plain_table
from similitude.report.numbers import duration
from similitude.report.terminal import shift_lines


def widths_table(study: WidthStudy) -> RenderableType:
    """Show what a width study found.

    Args:
        study: What `width_study` returned.
    """
    parts: list[RenderableType] = [
        Text(in_words(study)),
        Text(f"{study.ran} runs, {study.found} found before, {duration(study.seconds)}"),
    ]
    for task, found in study.transfers.items():
        parts += [Text(""), Text(f"{task}: does the learning rate transfer?", style="bold")]
        parts += shift_lines(found.transfers)
    shots = f"{study.settings.shots} shots, richness at {study.settings.gamma_shots}"
    parts += [Text(""), Text(f"Scores on the tests at {shots}", style="bold"), _scores(study.qualities)]
    for question, heading in (
        ("width", f"From width {study.settings.widths[0]} to {study.settings.widths[-1]}"),
        ("gamma", "Richness, beside gamma 1"),
    ):
        lines = [Text(f"  {gain}") for gain in study.gains if gain.question == question]
        if lines:
            parts += [Text(""), Text(heading, style="bold"), *lines]
    return Group(*parts)


def in_words(study: WidthStudy) -> str:
    """Say how small it is: what was read, the sizes of encoders and of what is learned."""
    sizes = {row.width: int(row.metrics["parameters"]) for row in study.pretraining}
    shown = ", ".join(f"{width}: {sizes[width]:,}" for width in study.settings.widths if width in sizes)
    corpus, settings = study.corpus, study.settings
    return (
        f"Small encoders: parameters by width {shown}; each read {corpus.read:,} tokens of {corpus.name!r} "
        f"({corpus.tokens:,} long, vocabulary {corpus.vocabulary:,}) in {settings.pretraining_steps} steps, and was "
        f"fine-tuned in {settings.steps} steps or a few more. The constant answer is hard to beat with so little."
    )


def _scores(qualities: tuple[Quality, ...]) -> Table:
    table = plain_table()
    for column in ("task", "subject", "rule"):
        table.add_column(column, no_wrap=True)
    for column in ("width", "rate", "fair", "above constant"):
        table.add_column(column, justify="right", no_wrap=True)
    short = {TRANSFERRED: "transferred", BEST: "own best"}
    for q in qualities:
        table.add_row(
            q.task,
            short.get(q.subject, q.subject.removeprefix("encoder, ")),
            q.rule,
            str(q.width),
            f"2^{math.log2(q.lr):.1f}",
            f"{q.fair.value:.1f}{ends_of(q.fair)}",
            f"{q.above_constant.value:+.1f}{ends_of(q.above_constant)}",
        )
    return table
