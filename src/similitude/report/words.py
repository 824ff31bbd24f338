"""What a transfer study says, in sentences: shared by the terminal and the HTML report."""

from __future__ import annotations

import math
import re

from similitude.core.verdict import Outcome, Verdict
from similitude.report.numbers import duration, octaves, quantity, rate, rate_interval
from similitude.studies.records import Optimum, Transfer, TransferStudy

# Symbols of the parametrizations as the papers print them; the keys are what the user types.
_LABELS = {
    "mup": "µP",
    "sp": "SP",
    "ntp": "NTP",
    "mean_field": "mean field",
    "spectral": "spectral",
    "u_mup": "u-µP",
    "depth_mup": "Depth-µP",
    "complete_p": "CompleteP",
}

# Characters of a rule's name that a legend of a phone's width has room for beside the numbers.
_LABEL_LENGTH = 14

_CLAUSES = {
    Outcome.TRANSFERS: "the learning rate transfers",
    Outcome.SHIFTS: "the learning rate does not transfer, its optimum shifts",
    Outcome.NOT_BRACKETED: "no answer yet, an optimum lies at the edge of the grid",
    Outcome.TOO_NOISY: "no answer yet, the seeds differ too much",
    Outcome.CANNOT_TELL: "no answer yet",
    Outcome.DIVERGED: "nothing to compare, every run diverged",
}


def rule_label(rule: str) -> str:
    """Return the printed symbol of a parametrization or a depth rule, or the user's own name where it has none."""
    return _LABELS.get(rule, rule)


def short_label(rule: str) -> str:
    """Return `rule_label` cut to what fits into a figure."""
    label = rule_label(rule)
    return label if len(label) <= _LABEL_LENGTH else label[: _LABEL_LENGTH - 1] + "…"


def outcome_word(verdict: Verdict) -> str:
    """Return the outcome as words.

    Example:
        >>> outcome_word(Verdict(Outcome.NOT_BRACKETED, ""))
        'not bracketed'
    """
    return str(verdict.outcome).replace("_", " ")


def mood(verdict: Verdict) -> str:
    """Return "good", "unsure" or "bad": how a verdict is coloured and marked."""
    return "good" if verdict.ok else "unsure" if verdict.undecided else "bad"


def is_options(step: str) -> bool:
    """Tell whether a next step can be typed as it stands: options and their values, and nothing in prose.

    Example:
        >>> is_options("--lr-min 2^-12 --points 9"), is_options("--seeds 5, or more gammas"), is_options("train longer")
        (True, False, False)
    """
    return re.fullmatch(r"(similitude \S+ )?--[\w-]+ \S*[^\s,](?: --[\w-]+ \S*[^\s,])*", step) is not None


def excess(transfer: Transfer) -> str:
    """Say how much more loss the transferred learning rate costs at the largest size than the best one.

    Returns:
        A percentage of the best loss with its sign, a difference where the best loss is not positive,
        "diverged" where the transferred rate diverges, "none" where either loss is unknown.
    """
    at, best = transfer.loss_at_transferred, transfer.loss_at_best
    if at is None or best is None or not math.isfinite(best):
        return "none"
    if not math.isfinite(at):
        return "diverged"
    if best <= 0:
        return f"{at - best:+.4g}"
    return f"{100 * round(at / best - 1, 4) + 0.0:+.1f} %"


def answer(transfer: Transfer) -> str:
    """Say in one sentence, in words and numbers, whether the learning rate transfers under one rule."""
    parts = [_CLAUSES.get(transfer.verdict.outcome, outcome_word(transfer.verdict))]
    dial, sizes = transfer.dial, [optimum.size for optimum in transfer.optima]
    if transfer.shift is not None:
        moved = octaves(transfer.shift, transfer.shift_interval)
        parts.append(f"the best rate moves by {moved} octaves per doubling of {dial}")
    if (cost := excess(transfer)) == "diverged":
        parts.append(f"at {dial} {sizes[-1]} the rate tuned at {dial} {sizes[0]} diverges")
    elif cost != "none":
        at, best = quantity(transfer.loss_at_transferred), quantity(transfer.loss_at_best)
        parts.append(
            f"at {dial} {sizes[-1]} the rate tuned at {dial} {sizes[0]} gives loss {at}, "
            f"the best rate {best} ({cost})"
        )
    return "; ".join(parts) + "."


def optimum_sentence(optimum: Optimum) -> str:
    """Say where the best learning rate of one size lies and what loss it gives."""
    size = f"{optimum.dial.capitalize()} {optimum.size}"
    if optimum.lr is None:
        return f"{size}: no optimum, every run diverged."
    where = f"{rate(optimum.lr)}, 95 % interval {rate_interval(optimum.interval)}"
    edge = {"low": "smallest", "high": "largest"}.get(optimum.edge or "")
    note = f", the {edge} rate tried, so the optimum may lie beyond it" if edge else ""
    return f"{size}: best rate {where}, loss {quantity(optimum.loss)}{note}."


def loss_with_error(optimum: Optimum) -> str:
    """Write the best loss of one size with its standard error over seeds."""
    if not math.isfinite(optimum.loss):
        return "diverged"
    error = f" +- {optimum.loss_stderr:.2g}" if math.isfinite(optimum.loss_stderr) else ""
    return quantity(optimum.loss) + error


def setting(value: object) -> str:
    """Write a value of a study's settings."""
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def progress(study: TransferStudy) -> str:
    """Say how many cells (one training run each) were found, run and are missing, and what the run took."""
    total = study.cells_found + study.cells_run + study.cells_missing
    counts = f"{study.cells_found} found, {study.cells_run} run, {study.cells_missing} missing"
    return f"{total} cells: {counts}; {duration(study.seconds)}"


def interruption(study: TransferStudy) -> str:
    """Say that a study is not finished and what to do, or nothing where it is."""
    if not study.cells_missing:
        return ""
    total = study.cells_found + study.cells_run + study.cells_missing
    return (
        f"Not finished: {study.cells_missing} of {total} cells are missing, so curves, intervals and verdicts "
        "are provisional. Run the same command again to finish; the cells that are there are not run twice."
    )
