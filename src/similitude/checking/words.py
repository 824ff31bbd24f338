"""A check in plain lines: the verdict with its causes, what is off, and a summary of every quantity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from similitude.checking.records import GOOD, QUANTITIES
from similitude.scaling.plan_text import size

if TYPE_CHECKING:
    from similitude.checking.records import Check, CheckRow

MOST_CAUSES = 4
"""Causes that are shown; later ones mostly follow from the first."""
MOST_ROWS = 12
"""Exponents that are shown; all of them are in `Check.rows`."""


def title(check: Check) -> str:
    """Say what was checked."""
    sizes = f"widths {_listed(check.widths)}"
    if check.depths:
        rule = "no depth rule" if check.depth_rule is None else f"alpha {check.depth_rule:g}"
        sizes = f"width {check.widths[0]}, depths {_listed(check.depths)}, {rule}"
    runs = (
        f"{len(check.seeds)} seeds, {check.steps} steps at lr {check.lr:.4g}"
        if check.seeds
        else "not trained"
    )
    return f"{check.rule}, {check.optimizer}, base {size(check.base)}, {sizes}, {runs}"


def lines(check: Check) -> list[str]:
    """Write a check as lines of text, the verdict first."""
    verdict = check.verdict
    found = [f"Check: {title(check)}", f"{str(verdict.outcome).replace('_', ' ')}: {verdict.summary}"]
    found += [f"  cause {i}: {text}" for i, text in enumerate(verdict.causes[:MOST_CAUSES], start=1)]
    found += [f"  next: {verdict.next}"] if verdict.next else []
    offenders = check.offenders
    found += [f"  off: {sentence(row)}" for row in offenders[:MOST_ROWS]]
    if len(offenders) > MOST_ROWS:
        found.append(f"  off: {len(offenders) - MOST_ROWS} more, in Check.offenders")
    found += [f"  explained: {sentence(row)}: {row.note}" for row in check.rows if row.note]
    for quantity, good, count, worst in summary(check):
        found.append(
            f"  {quantity}: {good} of {count} within {GOOD}" + (f", worst {worst}" if good < count else "")
        )
    return found + [f"  note: {note}" for note in check.notes]


def summary(check: Check) -> list[tuple[str, int, int, str]]:
    """Count per quantity the exponents within 0.15 of what is expected.

    Returns:
        Quantity, number of good ones, number of all, and the one that is farthest off, in words.
    """
    found = []
    for quantity in QUANTITIES:
        rows = [r for r in check.rows if r.quantity == quantity and r.expected is not None]
        if rows:
            worst = max(rows, key=lambda row: abs(row.off))
            found.append((quantity, sum(r.good for r in rows), len(rows), f"{worst.name} {worst.slope:+.2f}"))
    return found


def sentence(row: CheckRow) -> str:
    """Write one exponent, e.g. "head.weight, update: -1.04 [-1.10, -0.98], expected 0"."""
    wanted = (
        "" if row.expected is None else f", expected {row.expected:+.2g}" if row.expected else ", expected 0"
    )
    return f"{row.name}, {row.quantity}: {row.slope:+.2f} [{row.low:+.2f}, {row.high:+.2f}]{wanted}"


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
