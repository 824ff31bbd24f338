"""A study of Super Consistency as tables for the terminal: sharpness by window and size, distances, and the verdicts."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.consistency_words import growth_sentence, percent, spread_cell, stability_sentence
from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import duration
from similitude.report.words import answer, rule_label
from similitude.studies.consistency_records import Consistency, Gap, RuleConsistency


def consistency_table(study: Consistency) -> RenderableType:
    """Show what a study of Super Consistency found.

    Args:
        study: What `similitude.consistency` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    total = study.cells_found + study.cells_run
    runs = f"{total} runs, {study.cells_found} found, {study.cells_run} run; {duration(study.seconds)}"
    parts: list[RenderableType] = [
        Text(f"{study.name}: {runs}", style="bold"),
        Text(f"learning rate {study.rate}"),
    ]
    for rule in study.rules.values():
        badge = coloured(rule.verdict)
        parts += [Text(""), Text.assemble((f"{rule_label(rule.rule)}  ", "bold"), badge)]
        parts += [hanging(f"{rule.verdict.summary}."), Text("")]
        parts += [Text("learning rate x sharpness, mean over the window and the seeds"), _spreads(rule)]
        parts += [Text(""), Text(f"distance to {rule.dial} {rule.curves[-1].size}"), _gaps(rule), Text("")]
        parts += [hanging(line) for line in (stability_sentence(rule), *map(growth_sentence, rule.growths))]
        if rule.rule in study.transfers:
            parts.append(hanging(f"learning-rate transfer: {answer(study.transfers[rule.rule])}"))
        parts += [hanging(f"likely cause: {cause}") for cause in rule.verdict.causes]
        parts += [hanging(f"next: {rule.verdict.next}", "bold")] if rule.verdict.next else []
    return Group(*parts)


def _spreads(rule: RuleConsistency) -> Table:
    table = plain_table()
    table.add_column("window", no_wrap=True)
    for curves in rule.curves:
        table.add_column(str(curves.size), justify="right", no_wrap=True)
    compared = rule.spreads[0].compared
    span = f"spread of {compared[0]}-{compared[-1]}" if compared else "spread"
    table.add_column(span, justify="right")
    for spread in rule.spreads:
        means = [f"{mean:.3g}" if math.isfinite(mean) else "none" for mean in spread.means.values()]
        table.add_row(str(spread.window), *means, Text(spread_cell(spread)))
    return table


def _gaps(rule: RuleConsistency) -> Table:
    table = plain_table()
    table.add_column("of the")
    table.add_column("window", no_wrap=True)
    for curves in rule.curves[:-1]:
        table.add_column(str(curves.size), justify="right", no_wrap=True)
    table.add_column(f"power of {rule.dial}", justify="right")
    for gap in (*rule.sharpness_gaps, *rule.loss_gaps):
        distances = [percent(distance) for distance in gap.distances.values()]
        table.add_row(gap.quantity, str(gap.window), *distances, Text(_power(gap)))
    return table


def _power(gap: Gap) -> str:
    if gap.slope is None:
        return "none"
    interval = gap.slope_interval
    if interval is None or not all(map(math.isfinite, interval)):
        return f"{gap.slope:+.2f}"
    return f"{gap.slope:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]"
