"""The verdict on a forecast: whether the transferred and the fitted value agree at the target, and what decides."""

from __future__ import annotations

from dataclasses import dataclass

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.forecast_records import Backtest, Estimate, NextRun

MARGIN = 2.0  # tolerances within which the interval of the difference must lie
LOSS = 0.05
"""Excess over the best loss, relative to it, below which two values are as good as one."""

_PRIOR = frozenset({Outcome.NOT_BRACKETED, Outcome.TOO_NOISY, Outcome.DIVERGED})


@dataclass(frozen=True)
class Compared:
    """What a verdict is on.

    Attributes:
        name: The hyperparameter.
        where: The target in words, e.g. "width 1024".
        difference: log2 of the fitted over the transferred value, in octaves; None where there is no fit.
        cost: Largest relative excess of the loss, at the largest measured size, of a value as far from the best one
            as the interval of the difference reaches; None where the curve does not reach as far.
        backtest: What the same forecast says of the largest measured size.
        next_run: The cheapest runs that would halve the interval.
        prior: The verdict on the study's own optima, which comes first where they are not known.
    """

    name: str
    where: str
    difference: Estimate | None
    cost: float | None
    backtest: Backtest | None
    next_run: NextRun | None
    prior: Verdict | None = None


def judge(found: Compared, *, tolerance: float) -> Verdict:
    """Decide, in this order: an optimum that is not known, no fit, shifts, the fit fails its backtest, transfers.

    `shifts`: the difference is above the tolerance, and its interval excludes 0. `transfers`: the difference is within
    the tolerance, and its interval within `MARGIN` tolerances or the basin so flat that nowhere in the interval more
    than `LOSS` is lost. Everything else is `cannot_tell`, with the run that would tell.

    Args:
        found: What was compared.
        tolerance: Difference in octaves that counts as none.
    """
    if found.prior is not None and found.prior.outcome in _PRIOR:
        prior = found.prior
        text = f"no forecast of the {found.name} yet: {prior.summary}"
        return Verdict(prior.outcome, text, prior.evidence, prior.causes, prior.next)
    difference = found.difference
    if difference is None:
        text = (
            f"a forecast of the {found.name} by fit needs its optimum, with an interval, at two sizes or more"
        )
        return Verdict(Outcome.CANNOT_TELL, text, next=_next(found))
    evidence = _evidence(found, difference)
    low, high = difference.interval
    text = (
        f"at {found.where} the fitted {found.name} is {2**difference.value:.2f} times the transferred one "
        f"({difference.value:+.2f} [{low:+.2f}, {high:+.2f}] octaves)"
    )
    if abs(difference.value) > tolerance and not difference.holds(0.0):
        causes = (
            "the parametrization does not keep this optimum: plan the model with another rule",
            "the smallest size is too small to be a model of the target",
        )
        return Verdict(Outcome.SHIFTS, f"{text}: use the fitted one", evidence, causes, _next(found))
    missed = found.backtest.fit_error if found.backtest is not None else None
    if missed is not None and abs(missed.value) > tolerance and not missed.holds(0.0):
        text += f", but the same fit misses the largest measured size by {missed.value:+.2f} octaves"
        causes = ("the optimum is no power of the size", "the smallest size is too small to be a model")
        return Verdict(Outcome.CANNOT_TELL, text, evidence, causes, _next(found))
    narrow = max(-low, high) <= MARGIN * tolerance
    harmless = found.cost is not None and found.cost <= LOSS
    if abs(difference.value) <= tolerance and (narrow or harmless):
        if not narrow:
            text += f"; the interval is wide, and costs at most {100 * (found.cost or 0):.1f} % of the loss"
        return Verdict(Outcome.TRANSFERS, f"{text}: they agree", evidence)
    causes = ("the intervals of the optima are too wide for a target this far",)
    return Verdict(Outcome.CANNOT_TELL, f"{text}: too wide to tell", evidence, causes, _next(found))


def _evidence(found: Compared, difference: Estimate) -> tuple[Evidence, ...]:
    rows = [
        Evidence("log2 of fitted over transferred value", difference.value, difference.interval, "near 0")
    ]
    if found.cost is not None:
        rows.append(Evidence("largest excess loss in that interval", found.cost, expected=f"below {LOSS:g}"))
    if (test := found.backtest) is not None:
        where = ", ".join(f"{dial} {value:g}" for dial, value in test.at.items())
        for name, error in (("transferred", test.transfer_error), ("fitted", test.fit_error)):
            if error is not None:
                name = f"log2 of {name} over measured value at {where}, held out"
                rows.append(Evidence(name, error.value, error.interval, "near 0"))
    return tuple(rows)


def _next(found: Compared) -> str:
    return "" if found.next_run is None else found.next_run.options
