"""Sweep a hyperparameter other than the learning rate at several widths: does the base's choice stay good?"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from similitude.claims.charts import choices_chart, loss_curves
from similitude.claims.registry import Measured
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.knobs import Knobs
from similitude.studies.experiment import Experiment, planner_of
from similitude.studies.records import Curve, Transfer
from similitude.studies.shift import transfer
from similitude.training.ensemble import Replica, train_ensemble
from similitude.training.result import RunResult

TUNING_SEEDS = (100, 101, 102)
"""Seeds on which the base's learning rate is tuned; what is compared afterwards is trained on others."""

COST = 0.02
"""Loss above the best, relative to it, that a choice made at the base may cost at the largest width."""


def train(
    experiment: Experiment,
    width: int,
    settings: Sequence[tuple[float, Mapping[str, Any]]],
    *,
    seeds: Sequence[int],
    knobs: Knobs | None = None,
) -> list[list[RunResult]]:
    """Train one width of an experiment under the plan of muP, once for every setting and seed.

    Args:
        experiment: Model, data, optimizer, steps and schedule.
        width: The width.
        settings: Learning rate and other options of the optimizer (`betas`, `weight_decay`, ...).
        seeds: Seeds of every setting.
        knobs: Multipliers of the base by role, in place of the experiment's own.

    Returns:
        The runs, by setting and then by seed.
    """
    planned = experiment if knobs is None else dataclasses.replace(experiment, knobs=knobs)
    results = train_ensemble(
        functools.partial(experiment.make, width),
        [Replica(seed, lr, options) for lr, options in settings for seed in seeds],
        batches=experiment.batches,
        loss=experiment.loss,
        steps=experiment.steps,
        optimizer=experiment.optimizer,
        plan=planner_of(planned).plan(width, rule="mup"),
        schedule=experiment.schedule,
    )
    n = len(seeds)
    return [results[i : i + n] for i in range(0, len(results), n)]


def finals(runs: Sequence[Sequence[RunResult]]) -> np.ndarray:
    """Return the final losses, shape (settings, seeds)."""
    return np.array([[run.final for run in row] for row in runs])


def tuned(experiment: Experiment) -> float:
    """Return the learning rate that is best at the base alone, as a user would choose it."""
    settings = [(lr, {}) for lr in experiment.lrs]
    losses = finals(train(experiment, experiment.widths[0], settings, seeds=TUNING_SEEDS))
    return experiment.lrs[int(np.argmin(losses.mean(axis=1)))]


def sweep(
    widths: Sequence[int], values: Sequence[float], losses_at: Callable[[int, float], np.ndarray]
) -> Transfer:
    """Sweep a positive hyperparameter at every width.

    Args:
        widths: Widths, the base first.
        values: Values to try, increasing.
        losses_at: Final losses by seed of a width at a value.

    Returns:
        The transfer of its optimum, found as that of a learning rate is: the minimum over log2 of the value.
    """
    curves = [
        Curve(width, tuple(values), tuple(tuple(losses_at(width, value).tolist()) for value in values))
        for width in widths
    ]
    return transfer("mup", curves)


def stays(what: str, found: Transfer) -> Measured:
    """Judge the statement that the best value of a hyperparameter is the same at every width.

    It holds where the optimum stays by the test that learning rates take, and also where the basin is so flat that no
    place in it can be named, the base's value costs at most `COST` or two standard errors at the largest width, and
    values do matter at the base (`matters`).

    Args:
        what: The hyperparameter, in words.
        found: Its transfer.
    """
    outcome = {True: Outcome.OK, False: Outcome.INCONSISTENT}[found.verdict.ok]
    if found.verdict.undecided:
        decided = matters(np.array(found.curves[0].losses)) and _costs_little(found)
        outcome = Outcome.OK if decided else found.verdict.outcome
    return _measured(what, found, outcome)


def moves(what: str, found: Transfer) -> Measured:
    """Judge the statement that the best value of a hyperparameter depends on the width.

    It holds where the optimum moves, or where the base's value costs too much, by the test that learning rates take.

    Args:
        what: The hyperparameter, in words.
        found: Its transfer.
    """
    low, high = found.shift_interval or (-math.inf, math.inf)
    if found.verdict.outcome is Outcome.SHIFTS or (found.verdict.undecided and not low <= 0 <= high):
        outcome = Outcome.OK
    else:
        outcome = Outcome.INCONSISTENT if found.verdict.ok else Outcome.CANNOT_TELL
    return _measured(what, found, outcome)


def chosen_at_base(what: str, choices: Sequence[str], losses: Mapping[int, np.ndarray]) -> Measured:
    """Judge the statement that the choice that is best at the base is as good as any at the largest width.

    Args:
        what: What is chosen, in words.
        choices: Names of the choices.
        losses: By width, the base first: final losses, shape (choices, seeds), with the same seeds.

    Returns:
        What the choice costs at the largest width, relative to the best there, with a 95 % interval over seeds.
    """
    widths = list(losses)
    means = {width: table.mean(axis=1) for width, table in losses.items()}
    choice = int(np.argmin(means[widths[0]]))
    last, best = losses[widths[-1]], int(np.argmin(means[widths[-1]]))
    difference = last[choice] - last[best]
    error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    scale = float(means[widths[-1]][best])
    cost = float(difference.mean()) / scale
    interval = (cost - 2 * error / scale, cost + 2 * error / scale)
    spread = float(means[widths[0]].max() / means[widths[0]].min() - 1)
    evidence = [
        Evidence(f"loss at width {width}, {name}", float(loss))
        for width in widths
        for name, loss in zip(choices, means[width], strict=True)
    ]
    summary = (
        f"{what}: {choices[choice]}, the best at width {widths[0]}, costs {100 * cost:.1f} % at width {widths[-1]}, "
        f"where {choices[best]} is best; the worst costs {100 * spread:.0f} % at width {widths[0]}"
    )
    if not matters(losses[widths[0]]):
        outcome = Outcome.CANNOT_TELL
    else:
        outcome = Outcome.OK if cost <= max(COST, 2 * error / scale) else Outcome.INCONSISTENT
    figures = (choices_chart(what, choices, losses),)
    return Measured(cost, interval, "relative loss", Verdict(outcome, summary, tuple(evidence)), figures)


def matters(losses: np.ndarray) -> bool:
    """Whether any choice is clearly worse than the best one: by twice `COST` and four standard errors.

    Args:
        losses: Final losses, shape (choices, seeds), with the same seeds; inf where a run diverged.

    Example:
        >>> matters(np.array([[1.0, 1.1], [1.5, 1.6]])), matters(np.array([[1.0, 1.1], [1.01, 1.11]]))
        (True, False)
    """
    if not np.isfinite(losses).all():
        return True
    best = losses[np.argmin(losses.mean(axis=1))]
    excess = losses - best
    error = excess.std(axis=1, ddof=1) / math.sqrt(losses.shape[1])
    return bool((excess.mean(axis=1) > np.maximum(2 * COST * best.mean(), 4 * error)).any())


def _costs_little(found: Transfer) -> bool:
    if found.loss_at_transferred is None or found.loss_at_best is None:
        return False
    allowed = max(COST * abs(found.loss_at_best), 2 * (found.loss_stderr or 0.0))
    return found.loss_at_transferred - found.loss_at_best <= allowed


def _measured(what: str, found: Transfer, outcome: Outcome) -> Measured:
    def renamed(text: str) -> str:
        return text.replace("learning rate", what).replace("transferred rate", "base's value")

    evidence = tuple(dataclasses.replace(row, name=renamed(row.name)) for row in found.verdict.evidence)
    if found.shift is None:
        summary = f"no best {what} was found at every width ({renamed(found.verdict.summary)})"
    else:
        span = "" if found.shift_interval is None else " [{:+.2f}, {:+.2f}]".format(*found.shift_interval)
        summary = f"the best {what} moves by {found.shift:+.2f}{span} octave per doubling of width"
    if found.loss_at_transferred is not None and found.loss_at_best:
        relative = found.loss_at_transferred / found.loss_at_best - 1
        summary += f"; the base's costs {100 * relative:.1f} % at width {found.curves[-1].size}"
    shift = math.nan if found.shift is None else found.shift
    verdict = Verdict(outcome, summary, evidence)
    figures = (loss_curves(found, what, title=f"Loss against the {what}"),)
    return Measured(shift, found.shift_interval, "octaves per doubling of width", verdict, figures)
