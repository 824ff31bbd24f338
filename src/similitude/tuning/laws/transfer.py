"""Whether a hyperparameter that should stay as it is does: it transfers, drifts as C^q, or takes so many more trials."""

from __future__ import annotations

import math
from collections.abc import Mapping

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.tuning.laws.records import Exponent

NARROW = 0.1
"""Width of an interval about 0 that is called a transfer: over two decades of cost the optimum moves by under 60 %."""

NEGLIGIBLE = 0.025
"""Exponents that are certainly smaller than this are called a transfer although they are not 0: 12 % over two decades."""


def transfer_verdict(name: str, exponents: Mapping[str, Exponent], *, estimator: str, trials: int) -> Verdict:
    """Judge one dimension of role `transfer`.

    Args:
        name: Its name.
        exponents: Its exponent by estimator.
        estimator: The one to believe.
        trials: Number of trials behind it.

    Returns:
        `transfers`, `shifts` (with the exponent of the drift), or `cannot_tell` with how many more trials would.

    Example:
        >>> exponents = {"parametric": Exponent(-0.23, -0.25, -0.21)}
        >>> verdict = transfer_verdict("lr", exponents, estimator="parametric", trials=60)
        >>> str(verdict.outcome), verdict.summary
        ('shifts', 'the best lr drifts as C^-0.23 [-0.25, -0.21]: by a factor of 0.59 per decade of cost')
    """
    found = exponents[estimator]
    evidence = tuple(
        Evidence(
            f"slope of {name} by the {which} estimator ({e.unit}, 90 %)",
            None if math.isnan(e.value) else e.value,
            e.interval if math.isfinite(e.width) else None,
            "0" if which == estimator else "",
        )
        for which, e in sorted(exponents.items(), key=lambda pair: pair[0] != estimator)
    )
    if not found.identified and math.isfinite(found.value):
        return Verdict(
            Outcome.CANNOT_TELL,
            f"nothing in {trials} trials bounds how the best {name} goes with the cost",
            evidence,
            next=f"{max(trials, 15)} more trials, over more decades of cost; the laws' notes say what is missing",
        )
    if not found.identified or not math.isfinite(found.value):
        return Verdict(
            Outcome.CANNOT_TELL,
            f"{name} hardly varied in {trials} trials, so nothing says where its optimum is",
            evidence,
            next=f"let {name} vary: a wider range or a wider scale in the space, and {max(trials // 2, 15)} more trials",
        )
    inside = found.low <= 0 <= found.high
    if max(abs(found.low), abs(found.high)) < NEGLIGIBLE or (inside and found.width < NARROW):
        return Verdict(Outcome.TRANSFERS, f"the best {name} stays where it is: {_goes(found)}", evidence)
    if not inside:
        causes = (
            "the parametrization does not keep the optimum in place: compare with sim.plan(rule='mup')",
            "a dimension of role scale that the plan does not know of, such as the number of tokens or the batch size",
        )
        step = f"scale {name} by this law when you extrapolate (predict does), or tune it in a parametrization of a plan"
        return Verdict(
            Outcome.SHIFTS,
            f"the best {name} drifts as {_goes(found)}{_factor(found)}",
            evidence,
            causes,
            step,
        )
    more = _more(found, trials)
    return Verdict(
        Outcome.CANNOT_TELL,
        f"the best {name} goes as {_goes(found)}: that neither excludes 0 nor is narrower than {NARROW:g}",
        evidence,
        next=f"about {more} more trials, spread over the cost and with {name} off its best value by half a step or one",
    )


def _goes(found: Exponent) -> str:
    span = f"{found.value:.2g} [{found.low:.2g}, {found.high:.2g}]"
    if found.unit == "power of the cost":
        return f"C^{span}"
    return f"{span} {found.unit}"


def _factor(found: Exponent) -> str:
    if found.unit != "power of the cost":
        return ""
    return f": by a factor of {10**found.value:.2g} per decade of cost"


def _more(found: Exponent, trials: int) -> int:
    """Return how many more trials would decide: an interval's width goes as one over the root of their number."""
    if not math.isfinite(found.width):
        return trials
    narrow = (found.width / NARROW) ** 2
    apart = (found.width / 2 / max(abs(found.value), 1e-9)) ** 2
    return max(5, math.ceil(trials * (min(narrow, apart) - 1)))
