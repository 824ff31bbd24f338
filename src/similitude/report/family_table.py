"""A tuned model family as tables for the terminal: the base's knobs, their verification, what to use at the target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.forecast_table import error_in_words, estimate_in_words
from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import duration
from similitude.report.words import rule_label
from similitude.scaling.plan import PlanRow
from similitude.studies.family_records import Check, TunedFamily


def family_table(tuned: TunedFamily) -> RenderableType:
    """Show what was tuned, whether it holds at larger sizes, and the groups of the target.

    Args:
        tuned: What `similitude.tune_family` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    base = ", ".join(f"{dial} {size}" for dial, size in tuned.plan.base.items())
    target = ", ".join(f"{dial} {size}" for dial, size in tuned.plan.target.items())
    counts = f"{tuned.trials} trials, {tuned.failures} failed; {duration(tuned.seconds)}"
    verdict = tuned.verdict
    parts: list[RenderableType] = [
        Text(f"{tuned.name}: {rule_label(tuned.rule)} from {base} to {target} ({counts})", style="bold"),
        hanging(
            f"loss of the tuned base {estimate_in_words(tuned.loss)}, by all trials; {tuned.replicates} had exactly "
            "these values"
        ),
        Text(""),
        _checks(tuned.values, tuned.checks, tuned.dial),
        Text(""),
        Text.assemble(("verification  ", "bold"), coloured(verdict)),
        hanging(verdict.summary),
        *(hanging(f"likely cause: {cause}") for cause in verdict.causes),
        *([hanging(f"next: {verdict.next}", "bold")] if verdict.next else []),
        Text(""),
        Text(f"What to use at {target}", style="bold"),
        _groups(tuned),
        hanging(f"in Python: {usage(tuned)}"),
    ]
    return Group(*parts)


def usage(tuned: TunedFamily) -> str:
    """Write the lines that train the target with what was tuned."""
    given = {"lr": tuned.tuned.lr, **tuned.tuned.options}
    listed = ", ".join(f"{name}={value:.4g}" for name, value in given.items())
    return f"plan.apply_(model); {tuned.plan.optimizer}(plan.groups(model, {listed}))"


def _checks(values: Mapping[str, float], checks: Sequence[Check], dial: str) -> Table:
    table = plain_table()
    table.add_column("knob")
    table.add_column("tuned", justify="right")
    for name in (dial, "best there", "octaves from the tuned one", "cost of the tuned one"):
        table.add_column(name, justify="right", overflow="fold")
    verified = {check.name for check in checks}
    for name, value in values.items():
        rows = [check for check in checks if check.name == name]
        for place, check in enumerate(rows):
            best = check.optimum.lr
            table.add_row(
                name if place == 0 else "",
                f"{value:.4g}" if place == 0 else "",
                str(check.size),
                "none" if best is None else f"{best:.3g}",
                Text("not bracketed" if check.offset is None else error_in_words(check.offset)),
                _cost(check),
            )
        if name not in verified:
            table.add_row(name, f"{value:.4g}", "not verified", "", "", "")
    return table


def _cost(check: Check) -> str:
    if check.cost is None:
        return "unknown"
    if not math.isfinite(check.cost):
        return "diverges"
    error = "" if check.stderr is None else f" +- {100 * check.stderr:.1f}"
    return f"{100 * check.cost:.1f}{error} %"


def _groups(tuned: TunedFamily) -> Table:
    """List the target's tensors by what they are trained with: role, rates and factors that are alike."""
    table = plain_table()
    table.add_column("tensors", overflow="fold")
    table.add_column("role")
    for name in ("initial values", "learning rate", "weight decay"):
        table.add_column(name, justify="right")
    decay = tuned.tuned.options.get("weight_decay", tuned.plan.defaults.get("weight_decay", 0.0))
    alike: dict[tuple[str, str, str, str], list[PlanRow]] = {}
    for row in tuned.plan.rows:
        init = "as built" if row.rescale == 1 else f"x{row.rescale:.4g}"
        key = (row.role, init, f"{tuned.tuned.lr * row.lr:.4g}", f"{decay * row.weight_decay:.4g}")
        alike.setdefault(key, []).append(row)
    for key, rows in alike.items():
        shown = rows[0].name if len(rows) == 1 else f"{rows[0].name} and {len(rows) - 1} more"
        table.add_row(Text(shown), *key)
    return table
