"""The limit of a vanishing initialization, measured: how gradient flow comes to the predicted staircase."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.plain import finite
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.gradient_flows.comparison import Comparison

Array = np.ndarray
_FROM = (
    0.5  # exponent from which a distance counts as vanishing; theory's is 1, at alphas that are small enough
)


@dataclass(frozen=True, eq=False)
class Vanishing:
    """The distance between gradient flow and the staircase at several scales of the initialization.

    Made by `AlternatingGradientFlow.vanishing`. The small number of the theory is 1 / log(1 / alpha) for neurons of
    degree 2 and alpha^(degree - 2) otherwise: a drop takes that share of the time until it comes. So the
    distance is expected to fall in proportion, to a half each time alpha is squared (degree 2) or halved (degree 3).

    Attributes:
        alphas: Scales, descending, shape (A,).
        small: The small number at each, shape (A,).
        differences: Mean over time of |loss - staircase| over the initial loss, shape (A,).
        least: The part of it that no staircase of these levels is without (`Comparison.least_difference`), shape (A,).
        time_errors: Largest relative difference of the times of drops, shape (A,); infinite where a drop does not come.
        same_order: Whether features are learned in the predicted order at each alpha, None where that is not known.
        exponent: Slope of the log of differences over that of the small number; nan for differences of 0.
        verdict: Whether the staircase is the limit.
    """

    alphas: Array
    small: Array
    differences: Array
    least: Array
    time_errors: Array
    same_order: tuple[bool | None, ...]
    exponent: float
    verdict: Verdict

    @property
    def halving(self) -> float:
        """Fitted factor of the difference each time the small number is halved: 1/2 in theory."""
        return 2.0**-self.exponent

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite is None."""
        return finite(
            {
                "alphas": self.alphas.tolist(),
                "small": self.small.tolist(),
                "differences": self.differences.tolist(),
                "least": self.least.tolist(),
                "time_errors": self.time_errors.tolist(),
                "same_order": list(self.same_order),
                "exponent": self.exponent,
                "halving": self.halving,
                "verdict": self.verdict.to_dict(),
            }
        )


def judge_vanishing(alphas: Array, degree: float, found: list[Comparison]) -> Vanishing:
    """Fit how the distance falls with the initialization, and say whether it vanishes.

    Args:
        alphas: Scales, descending, at least two.
        degree: Of the neurons.
        found: A comparison at each.
    """
    small = 1 / -np.log(alphas) if degree == 2 else alphas ** (degree - 2)
    differences = np.array([comparison.mean_difference for comparison in found])
    exponent = math.nan
    if (differences > 0).all():
        exponent = float(np.polyfit(np.log(small), np.log(differences), 1)[0])
    late = np.array([_largest(comparison) for comparison in found])
    order = tuple(comparison.same_order for comparison in found)
    shown = f"{exponent:.2f}"
    evidence = tuple(
        Evidence(f"mean distance over initial loss, alpha {alpha:g}", float(difference))
        for alpha, difference in zip(alphas, differences, strict=True)
    )
    evidence += (Evidence("exponent of the distance in the small number", exponent, None, "1"),)
    if not found[-1].drops:
        verdict = Verdict(Outcome.CANNOT_TELL, "no drop is predicted, so nothing can come closer", evidence)
    elif exponent >= _FROM and order[-1] is not False:
        text = (
            f"gradient flow comes to the staircase: {differences[-1]:.2g} of the initial loss at alpha = {alphas[-1]:g}, "
            f"as the small number to the power {shown}"
        )
        verdict = Verdict(Outcome.CONSISTENT, text, evidence)
    else:
        what = "another order at the smallest alpha" if order[-1] is False else f"exponent {shown}, not 1"
        text = f"gradient flow does not come to the staircase over these alphas: {what}"
        causes = (
            "the rule does not hold here, however small the initialization",
            "alphas are not small yet, or differ too little",
        )
        verdict = Verdict(Outcome.INCONSISTENT, text, evidence, causes, "smaller alphas, farther apart")
    least = np.array([comparison.least_difference for comparison in found])
    return Vanishing(alphas, small, differences, least, late, order, exponent, verdict)


def _largest(comparison: Comparison) -> float:
    errors = [abs(drop.time_error) for drop in comparison.drops]
    return max((error if math.isfinite(error) else math.inf for error in errors), default=math.nan)
