"""The verdict on the best learning rate of one size: whether it is bracketed, and how well it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.next_steps import finer, more_seeds, rate_text, widen
from similitude.studies.noise import Array, Noise
from similitude.studies.records import Curve

WIDEST = 2.5  # octaves; a cliff beside the best rate of an octave grid leaves 2, noise may add a little
ROUNDING = 1e-9  # octaves
BRACKETING = 0.95  # one-sided confidence with which the ends of the grid must be worse than its best


@dataclass(frozen=True)
class Sides:
    """How much worse than the best rate the ends of the grid are, against what noise alone can do."""

    low: float
    high: float
    noise: float

    @classmethod
    def of(cls, x: Array, means: Array, noise: Noise, *, at: float) -> Sides:
        """Compare the ends of the grid with its best mean; a minimum `at` an end counts as no rise."""
        best = means.min()
        needed = noise.stderr * float(student.ppf(BRACKETING, noise.df)) if noise.df else 0.0
        low, high = float(means[0] - best), float(means[-1] - best)
        if np.isfinite(low) and at <= x[0] + ROUNDING:
            low = 0.0
        if np.isfinite(high) and at >= x[-1] - ROUNDING:
            high = 0.0
        return cls(low, high, needed)

    @property
    def low_rises(self) -> bool:
        """Whether the smallest rate is worse than the best beyond noise."""
        return self.low > self.noise

    @property
    def high_rises(self) -> bool:
        """Whether the largest rate is worse than the best beyond noise."""
        return self.high > self.noise

    def edge(self, means: Array) -> str | None:
        """Return the end at which the optimum may lie: "low", "high", or None where both ends rise."""
        if self.low_rises and self.high_rises:
            return None
        if self.low_rises or self.high_rises:
            return "high" if self.low_rises else "low"
        return "low" if means[0] <= means[-1] else "high"


@dataclass(frozen=True)
class Refined:
    """A refined optimum: its curve, log2 of its rates, their means, the minimum and its interval in log2.

    `wall_beside` says whether losses explode right beside the best rate.
    """

    curve: Curve
    x: Array
    means: Array
    at: float
    bounds: tuple[float, float] | None
    wall_beside: bool


def judge(refined: Refined, sides: Sides) -> Verdict:
    """Decide, in this order: no effect or too noisy to bracket, not bracketed, no interval, too noisy, ok.

    Args:
        refined: The optimum.
        sides: How the ends of the grid compare with it.
    """
    low, high, noise = _finite(sides.low), _finite(sides.high), f"more than {sides.noise:.2g}"
    evidence = (
        Evidence(
            "log2 of the best learning rate", refined.at, refined.bounds, f"known within {WIDEST:g} octaves"
        ),
        Evidence("loss at the smallest rate above the best", low, None, noise),
        Evidence("loss at the largest rate above the best", high, None, noise),
    )
    return _judge_bracket(refined, sides, evidence) or _judge_interval(refined, evidence)


def _judge_bracket(refined: Refined, sides: Sides, evidence: tuple[Evidence, ...]) -> Verdict | None:
    """Return why the optimum may be outside the grid, if it may."""
    curve, x, means = refined.curve, refined.x, refined.means
    best, edge = int(np.argmin(means)), sides.edge(means)
    where = f"{curve.dial} {curve.size}"
    if edge is None:
        return None
    if len(x) > 2 and not sides.low_rises and not sides.high_rises:
        both = widen([curve], low=True, high=True)
        if np.ptp(means) == 0:
            text = f"every learning rate gives the loss {means[best]:.4g} at {where}: it has no effect"
            causes = ("the optimizer holds other parameters than the loss depends on", "the loss is constant")
            return Verdict(Outcome.CANNOT_TELL, text, evidence, causes, both)
        text = (
            f"neither end of the grid, {rate_text(x[0])} to {rate_text(x[-1])}, is worse than the best rate "
            f"by more than the noise ({sides.noise:.2g}) at {where}"
        )
        causes = ("the grid is narrower than the basin of good rates", "too few seeds for this noise")
        return Verdict(Outcome.TOO_NOISY, text, evidence, causes, f"{both} {more_seeds(curve, excess=2.0)}")
    low = edge == "low"
    end, word, beyond = (x[0], "smallest", "lower") if low else (x[-1], "largest", "higher")
    if best == (0 if low else len(x) - 1):
        text = f"the best learning rate {rate_text(end)} is the {word} you tried at {where}"
    else:
        text = (
            f"the {word} learning rate you tried at {where}, {rate_text(end)}, is not clearly worse "
            f"than the best one, {rate_text(refined.at)} (by {sides.low if low else sides.high:.2g}, "
            f"noise {sides.noise:.2g})"
        )
    step = widen([curve], low=low, high=not low)
    return Verdict(Outcome.NOT_BRACKETED, f"{text}; the optimum may be {beyond}", evidence, (), step)


def _judge_interval(refined: Refined, evidence: tuple[Evidence, ...]) -> Verdict:
    """Return how well a bracketed optimum is known."""
    curve, bounds = refined.curve, refined.bounds
    where = f"{curve.dial} {curve.size}"
    if bounds is None:
        points, seeds = len(refined.x), max(map(len, curve.losses))
        text = (
            f"no interval at {where}: {points} rates with {seeds} seed{'s' * (seeds > 1)} "
            "leave nothing to measure the noise with"
        )
        step = f"--seeds {max(3, seeds + 2)} --points {2 * points + 1}"
        return Verdict(Outcome.CANNOT_TELL, text, evidence, (), step)
    span, octaves = f"[{rate_text(bounds[0])}, {rate_text(bounds[1])}]", bounds[1] - bounds[0]
    if octaves <= WIDEST:
        text = f"the best learning rate at {where} is {rate_text(refined.at)} {span}"
        return Verdict(Outcome.OK, text, evidence)
    text = f"the best learning rate at {where} is only known within {octaves:.1f} octaves, {span}"
    seeds = more_seeds(curve, excess=octaves / WIDEST)
    causes = ("too few seeds for this noise", "a basin so flat that any of these rates will do")
    if refined.wall_beside:
        steep = "losses explode right beside the best rate, between two points of the grid"
        return Verdict(Outcome.TOO_NOISY, text, evidence, (steep, *causes), f"{finer(curve)} {seeds}")
    return Verdict(Outcome.TOO_NOISY, text, evidence, causes, seeds)


def _finite(rise: float) -> float | None:
    return rise if np.isfinite(rise) else None
