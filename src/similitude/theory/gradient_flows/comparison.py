"""A predicted staircase against a run of training: order, time and size of every drop."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from similitude.core.errors import TheoryError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.gradient_flows.staircase import Staircase
from similitude.theory.gradient_flows.trajectory import Trajectory
from similitude.theory.ridge.arrays import numbers, positive
from similitude.training.result import RunResult

Array = np.ndarray
Run = Trajectory | RunResult | tuple[ArrayLike, ArrayLike] | ArrayLike
"""What training left: a trajectory, the result of `similitude.train`, times and losses, or losses by step."""
_REACHED = 0.5  # part of a drop at which it has happened


@dataclass(frozen=True)
class Drop:
    """One drop of the loss, predicted and measured.

    Attributes:
        learned: What it learns.
        time: Predicted time.
        measured_time: When the loss has fallen half way to the predicted plateau; nan where it never does.
        size: Predicted fall of the loss.
        measured_size: Measured fall, between the points at which the loss is flattest before and after.
        learned_at: When the feature itself is half way to its predicted value; nan where the run does not say.
    """

    learned: str
    time: float
    measured_time: float
    size: float
    measured_size: float
    learned_at: float

    @property
    def time_error(self) -> float:
        """Difference of the times relative to the predicted one."""
        return self.measured_time / self.time - 1 if self.time > 0 else math.nan


@dataclass(frozen=True)
class Comparison:
    """What `AlternatingGradientFlow.compare` found.

    Attributes:
        drops: One per predicted drop, those that learn the same feature joined (`Staircase.merged`).
        mean_difference: Mean over time of |loss - prediction|, relative to the initial loss.
        least_difference: The same with the plateau that is nearest at each time: no staircase of these levels, whatever
            its times, comes closer, for a drop takes the time that it takes.
        same_order: Whether features are learned in the predicted order; None where the run does not say.
        verdict: Whether order, times and sizes are as predicted.
    """

    drops: tuple[Drop, ...]
    mean_difference: float
    least_difference: float
    same_order: bool | None
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "drops": [{**asdict(drop), "time_error": drop.time_error} for drop in self.drops],
            "mean_difference": self.mean_difference,
            "least_difference": self.least_difference,
            "same_order": self.same_order,
            "verdict": self.verdict.to_dict(),
        }


def compare_runs(staircase: Staircase, run: Run, *, lr: float | None, time: float, size: float) -> Comparison:
    """Compare a staircase with a run. The arguments are those of `AlternatingGradientFlow.compare`.

    Raises:
        TheoryError: The run has no times, or its numbers do not fit.
    """
    positive(time, "time", "time=0.1")
    positive(size, "size", "size=0.05")
    ran = _trajectory(run, lr)
    stairs = staircase.merged()
    crossed = [
        _crossing(ran.times, ran.losses, (stairs.levels[k] + stairs.levels[k + 1]) / 2)
        for k in range(len(stairs.order))
    ]
    plateaus = _plateaus(ran, crossed)
    drops = tuple(
        Drop(
            name,
            float(stairs.times[k + 1]),
            crossed[k],
            float(stairs.sizes[k]),
            plateaus[k] - plateaus[k + 1],
            _learned_at(ran, stairs, k),
        )
        for k, name in enumerate(stairs.learned)
    )
    initial = float(stairs.levels[0]) or 1.0
    nearest = np.abs(ran.losses[:, None] - staircase.levels).min(1)
    order = _same_order(drops)
    return Comparison(
        drops,
        _mean(np.abs(ran.losses - staircase.loss_at(ran.times)), ran.times) / initial,
        _mean(nearest, ran.times) / initial,
        order,
        _verdict(drops, order, ran, initial, time=time, size=size),
    )


def _mean(values: Array, times: Array) -> float:
    return float(np.trapezoid(values, times) / np.ptp(times))


def _trajectory(run: Run, lr: float | None) -> Trajectory:
    if isinstance(run, Trajectory):
        return run
    if isinstance(run, tuple) and len(run) == 2:
        times, losses = numbers(run[0], "times"), numbers(run[1], "losses")
        if lr is not None:
            raise TheoryError("the run has times of its own, and lr would change nothing. Leave it out.")
    else:
        losses = np.asarray(run.losses if isinstance(run, RunResult) else run, dtype=float)
        if lr is None:
            raise TheoryError("the run has losses by step and no times. Give its learning rate, lr=...")
        losses = numbers(losses, "losses")
        times = positive(lr, "lr", "lr=0.1") * np.arange(len(losses))
    if times.shape != losses.shape or len(times) < 2 or not (np.diff(times) > 0).all():
        raise TheoryError(
            f"the run has {len(times)} times and {len(losses)} losses. Pass as many losses as times, at least two, in "
            "the order of increasing time."
        )
    return Trajectory(times, losses, np.zeros((len(times), 0)))


def _crossing(times: Array, values: Array, level: float) -> float:
    """Return when values first are at or below a level, between points by a straight line; nan if never."""
    below = np.flatnonzero(values <= level)
    if not below.size:
        return math.nan
    k = int(below[0])
    if k == 0:
        return float(times[0])
    share = (values[k - 1] - level) / (values[k - 1] - values[k])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))


def _plateaus(run: Trajectory, crossed: list[float]) -> list[float]:
    """Return the loss before, between and after the drops, each where it is flattest."""
    rates = np.abs(np.gradient(run.losses, run.times))
    ends = [run.times[0], *crossed, run.times[-1]]
    found = [float(run.losses[0])]
    for k in range(1, len(ends) - 1):
        inside = (run.times > ends[k]) & (run.times <= ends[k + 1])
        if not inside.any():
            found.append(math.nan)
            continue
        places = np.flatnonzero(inside)
        found.append(float(run.losses[places[np.argmin(rates[places])]]))
    return found


def _learned_at(run: Trajectory, stairs: Staircase, drop: int) -> float:
    if not run.features.shape[1]:
        return math.nan
    feature = stairs.order[drop]
    before, after = stairs.features[drop, feature], stairs.features[drop + 1, feature]
    if before == after:
        return math.nan
    share = (run.features[:, feature] - before) / (after - before)
    # A feature may have had this value before, on its way through a drop that other features make.
    late = run.times > stairs.times[drop] if drop else np.ones(len(run.times), dtype=bool)
    return _crossing(run.times[late], -share[late], -_REACHED) if late.any() else math.nan


def _same_order(drops: tuple[Drop, ...]) -> bool | None:
    """Return whether features that the run has learned at all were first learned in the predicted order."""
    first: dict[str, float] = {}
    for drop in drops:
        first.setdefault(drop.learned, drop.learned_at)
    found = list(first.values())
    if not found or np.isnan(found).all():
        return None
    reached = [math.inf if math.isnan(at) else at for at in found]
    return all(a <= b for a, b in itertools.pairwise(reached))


def _verdict(
    drops: tuple[Drop, ...], order: bool | None, run: Trajectory, initial: float, *, time: float, size: float
) -> Verdict:
    due = [drop for drop in drops if drop.time * (1 + time) <= run.times[-1]]
    if not due:
        first = f"the first drop is predicted for {drops[0].time:.4g}" if drops else "no drop is predicted"
        return Verdict(
            Outcome.CANNOT_TELL,
            f"{first}, and the run ends at {run.times[-1]:.4g}",
            next="train longer, or start larger" if drops else "",
        )
    evidence = tuple(
        Evidence(f"time of the drop that learns {d.learned}", d.measured_time, None, f"{d.time:.4g}")
        for d in due
    ) + tuple(
        Evidence(f"size of the drop that learns {d.learned}", d.measured_size, None, f"{d.size:.4g}")
        for d in due
    )
    late = max((abs(d.time_error) if math.isfinite(d.time_error) else math.inf for d in due), default=0.0)
    apart = [abs(d.measured_size - d.size) / initial for d in due]
    off = max(x if math.isfinite(x) else math.inf for x in apart)
    holds = late <= time and off <= size and order is not False
    words = (
        "in the predicted order"
        if order
        else "in another order than predicted"
        if order is False
        else "in sequence"
    )
    summary = (
        f"{len(due)} drops {words}; times are off by at most {100 * late:.2g} %, sizes by {100 * off:.2g} % of the "
        "initial loss"
    )
    causes = () if holds else ("the initialization is not small enough for plateaus this short",)
    return Verdict(Outcome.CONSISTENT if holds else Outcome.INCONSISTENT, summary, evidence, causes)
