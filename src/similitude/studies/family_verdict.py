"""Whether the knobs tuned at the base are right at the larger sizes: where their optima lie there, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.extrapolation import bounds
from similitude.studies.family_records import Check
from similitude.studies.forecast_records import Estimate
from similitude.studies.noise import cells, mean_losses, noise_near
from similitude.studies.optimum import optimum
from similitude.studies.penalty import penalty
from similitude.studies.records import Curve

MARGIN = 2.0  # tolerances within which the interval of an offset must lie
_ERRORS = 2.0  # standard errors by which a cost must be clear of its tolerance


@dataclass(frozen=True)
class Tolerances:
    """What counts as the same optimum (octaves) and as no cost (relative to the best loss)."""

    offset: float
    loss: float


def checks_of(curves: Mapping[str, Sequence[Curve]], values: Mapping[str, float]) -> tuple[Check, ...]:
    """Compare the best value of every knob at every size with the tuned one.

    Args:
        curves: Losses by knob and size.
        values: The tuned configuration.
    """
    return tuple(_check(name, curve, values[name]) for name, several in curves.items() for curve in several)


def judge(
    checks: Sequence[Check], base: int, tolerances: Tolerances, *, dial: str, seeds: int, trials: int
) -> Verdict:
    """Decide from the sizes above the base; the base itself tells whether the search had found its optimum.

    A knob is wrong at a size if it costs more than its tolerance and more than two standard errors, or if its optimum is
    surely farther off than the tolerance and the cost is not surely small. It is right if its cost is surely within the
    tolerance, or its optimum is. Everything else is undecided, and so is a base that was not tuned to its optimum.

    Args:
        checks: Every knob at every size.
        base: The size that was tuned.
        tolerances: What counts as right.
        dial: The dial that changes.
        seeds: Seeds with which every configuration was trained.
        trials: Trials of the search.
    """
    larger = [check for check in checks if check.size != base]
    states = {(check.name, check.size): _state(check, tolerances) for check in checks}
    evidence = tuple(_evidence(check) for check in larger)
    wrong = [check for check in larger if states[check.name, check.size] is False]
    doubtful = [check for check in larger if states[check.name, check.size] is None]
    untuned = [check for check in checks if check.size == base and states[check.name, base] is False]
    if untuned:
        text = f"the base is not at its optimum: {'; '.join(_words(check, dial) for check in untuned)}"
        causes = ("the search had too few trials", "its trials differ more by their seeds than by this knob")
        return Verdict(Outcome.CANNOT_TELL, text, evidence, causes, f"--trials {2 * trials}")
    if wrong:
        text = f"not right at a larger {dial}: {'; '.join(_words(check, dial) for check in wrong)}"
        causes = (
            "the rule does not keep this optimum",
            f"the base is too small to be a model of a larger {dial}",
        )
        return Verdict(Outcome.SHIFTS, text, evidence, causes, f"--{dial}s without {base}: a larger base")
    if doubtful:
        text = f"not sure at a larger {dial}: {'; '.join(_words(check, dial) for check in doubtful)}"
        return Verdict(
            Outcome.CANNOT_TELL, text, evidence, ("too few seeds or values",), f"--seeds {2 * seeds}"
        )
    sizes = ", ".join(str(size) for size in sorted({check.size for check in larger}))
    worst = max((check.cost or 0.0 for check in larger), default=0.0)
    text = f"every tuned knob is right at {dial} {sizes}: none costs more than {100 * worst:.1f} % of the best loss"
    return Verdict(Outcome.TRANSFERS, text, evidence)


def _check(name: str, curve: Curve, tuned: float) -> Check:
    best = optimum(curve)
    there, near = penalty(curve, tuned), _noise(curve)
    offset = None
    if best.lr is not None and best.draws and best.bracketed:
        apart = math.log2(best.lr / tuned)
        offset = Estimate(apart, *bounds(np.array(best.draws) - math.log2(tuned), apart))
    cost = stderr = None
    loss = math.nan
    if there is not None:
        loss, cost = there.at_transferred, there.relative
        if there.stderr is not None and near is not None and there.at_best:
            stderr = max(there.stderr, near) / abs(there.at_best)
    return Check(name, curve.size, tuned, best, offset, loss, cost, stderr, curve)


def _noise(curve: Curve) -> float | None:
    """Return the standard error of the difference of two means; None where there is one seed.

    The tuned value may be the best of those tried by luck: then it costs nothing, and this error is what is known of it.
    """
    _, seeds = cells(curve)
    means = mean_losses(seeds)
    if not np.isfinite(means).any():
        return None
    noise = noise_near(seeds, means)
    return noise.stderr if noise.df else None


def _state(check: Check, tolerances: Tolerances) -> bool | None:
    """True where the tuned value is right, False where it is not, None where it cannot be told."""
    error = _ERRORS * (check.stderr or 0.0)
    if check.cost is None or not math.isfinite(check.cost):
        return False if check.cost is not None else None
    if check.cost > max(tolerances.loss, error):
        return False
    if check.stderr is not None and check.cost + error <= tolerances.loss:
        return True
    if check.offset is None:
        return None
    farthest = max(-check.offset.low, check.offset.high)
    if abs(check.offset.value) > tolerances.offset and not check.offset.holds(0.0):
        return False
    return True if farthest <= MARGIN * tolerances.offset else None


def _words(check: Check, dial: str) -> str:
    text = f"{check.name} at {dial} {check.size}"
    if check.cost is not None and math.isfinite(check.cost):
        text += f" costs {100 * check.cost:.1f} %"
    elif check.cost is not None:
        text += " diverges"
    if check.offset is not None:
        text += f", best {check.offset.value:+.2f} [{check.offset.low:+.2f}, {check.offset.high:+.2f}] octaves away"
    return text


def _evidence(check: Check) -> Evidence:
    offset = check.offset
    name = f"log2 of best over tuned {check.name} at {check.curve.dial} {check.size}"
    return Evidence(name, None if offset is None else offset.value, offset and offset.interval, "near 0")
