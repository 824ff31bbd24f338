"""Whether loss curves of different gammas are one curve in rescaled time, as paper 1 has it for large gamma."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from similitude.core.citation import cites
from similitude.core.errors import StudyError
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.richness import known_gamma, power_of
from similitude.studies.richness.phases import averaged

TOLERANCE = 0.1
"""How far curves may be apart, in units of their initial loss."""

_SMOOTH = 20  # a curve is averaged over this part of its drop, against the noise of batches
_START = 0.25  # how far from 1 noise of batches may let a curve start
_PLACES = 200  # places of rescaled time at which curves are compared


@dataclass(frozen=True)
class Collapse:
    """Loss curves of several gammas, aligned where they have dropped by half.

    Attributes:
        power: Exponent of gamma by which time is rescaled.
        rates: Learning rate of each gamma.
        time: Places of lr * gamma^(-power) * steps, 0 at the half-drop, shape (places,).
        curves: By gamma the loss over its initial value there, the mean over seeds, shape (places,).
        discrepancy: Largest distance between two gammas, in units of the initial loss: the mean over seeds.
        interval: Its 95 % interval over seeds; None with one seed.
        verdict: `consistent` up to `TOLERANCE`.
    """

    power: float
    rates: Mapping[float, float]
    time: tuple[float, ...]
    curves: Mapping[float, tuple[float, ...]]
    discrepancy: float
    interval: tuple[float, float] | None
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "power": self.power,
            "gammas": list(self.curves),
            "lrs": [self.rates[gamma] for gamma in self.curves],
            "discrepancy": self.discrepancy,
            "interval": None if self.interval is None else list(self.interval),
            "verdict": self.verdict.to_dict(),
            "time": list(self.time),
            "curves": [list(curve) for curve in self.curves.values()],
        }


@cites(1, "abstract: trajectories collapse under a rescaling of time")
def collapse(
    curves: Mapping[float, ArrayLike],
    lrs: Sequence[float],
    *,
    layers: int,
    family: str = "sgd",
) -> Collapse:
    """Rescale time by lr * gamma^(-2/L), align curves where they have dropped by half, and say how far they are apart.

    At large gamma each of L layers grows by gamma^(1/L) until the data is fitted. With weights measured in that unit
    every gamma follows the same descent at the rate lr * gamma^(-2/L), from ever smaller initial values: what differs is
    how long the first plateau lasts, and that the alignment takes out.

    Args:
        curves: By gamma losses by step over the initial one, shape (T,) or (seeds, T), of two gammas above 1 or more;
            each seed is aligned by itself.
        lrs: Learning rate of each curve, in the same order.
        layers: Number of weight layers L.
        family: Optimizer family: "sgd", or "entrywise" for Adam, whose power is 1/L.

    Raises:
        StudyError: There are fewer than two gammas, one is not above 1, a rate is not positive, numbers of seeds differ,
            a loss is not finite, or a curve does not start near 1 or never drops by half.
        PlanError: The number of layers is not one, or the family is unknown.

    Example:
        >>> def drop(gamma, lr, steps):  # of two layers: a logistic curve of lr / gamma
        ...     return 1 / (1 + np.exp(0.1 * lr / gamma * np.arange(steps) - np.log(gamma)))
        >>> found = collapse({1e2: drop(1e2, 100, 200), 1e4: drop(1e4, 10000, 400)}, [100, 10000], layers=2)
        >>> found.discrepancy < 0.02, found.verdict.outcome.value
        (True, 'consistent')
    """
    if len(curves) < 2 or len(lrs) != len(curves):
        raise StudyError(
            f"{len(curves)} gammas with {len(lrs)} learning rates: a collapse compares at least two gammas, with one "
            "rate each."
        )
    wrong = [lr for lr in lrs if not (math.isfinite(lr) and lr > 0)]
    if wrong:
        raise StudyError(f"learning rate {wrong[0]:g}: time is rescaled by it. Pass positive finite rates.")
    small = [gamma for gamma in curves if known_gamma(gamma) <= 1]
    if small:
        raise StudyError(
            f"gamma={small[0]:g} is not above 1: curves collapse at large gamma. Pass gammas of 100 or more."
        )
    power = power_of(max(curves), layers, family)
    runs = {gamma: np.atleast_2d(np.asarray(curves[gamma], dtype=float)) for gamma in sorted(curves)}
    if len({len(values) for values in runs.values()}) > 1:
        counts = ", ".join(f"{len(values)} at gamma {gamma:g}" for gamma, values in runs.items())
        raise StudyError(f"the numbers of seeds differ ({counts}): pass the same seeds at every gamma.")
    rates = {gamma: dict(zip(curves, lrs, strict=True))[gamma] for gamma in runs}
    aligned = [
        [_aligned(gamma, rates[gamma] * gamma**-power, run) for run in values]
        for gamma, values in runs.items()
    ]
    every = [one for row in aligned for one in row]
    # Compared is where the slowest curve falls; beyond the end of the shortest nothing can be compared.
    fall = max(one.fall for one in every)
    low = max(-fall, max(float(one.time[0]) for one in every))
    high = min(fall, min(float(one.time[-1]) for one in every))
    places = np.linspace(low, high, _PLACES)
    values = np.array([[np.interp(places, one.time, one.loss) for one in row] for row in aligned])
    apart = np.ptp(values, axis=0).max(-1)
    discrepancy = float(apart.mean())
    return Collapse(
        power=power,
        rates=rates,
        time=tuple(places.tolist()),
        curves={gamma: tuple(row.mean(0).tolist()) for gamma, row in zip(runs, values, strict=True)},
        discrepancy=discrepancy,
        interval=_interval(apart),
        verdict=_verdict(min(runs), max(runs), power, discrepancy, _interval(apart)),
    )


def _interval(values: np.ndarray) -> tuple[float, float] | None:
    return None if len(values) < 2 else t_interval(values)


def _verdict(
    low: float, high: float, power: float, discrepancy: float, interval: tuple[float, float] | None
) -> Verdict:
    near = discrepancy <= TOLERANCE
    return Verdict(
        Outcome.CONSISTENT if near else Outcome.INCONSISTENT,
        f"loss curves of gamma {low:g} to {high:g} are within {discrepancy:.3g} initial losses of each other, in time "
        f"over gamma^{power:.3g}",
        (Evidence("largest distance, in initial losses", discrepancy, interval, f"at most {TOLERANCE:g}"),),
        ()
        if near
        else (
            "gammas are not yet large, so that plateaus between drops differ in length",
            "rates near the largest stable one, where steps are no gradient flow",
        ),
        "" if near else "larger gammas, or smaller rates and more steps",
    )


@dataclass(frozen=True)
class _Aligned:
    """A smoothed curve: rescaled time, 0 where it has dropped by half, its loss, and how long it takes to fall."""

    time: np.ndarray
    loss: np.ndarray
    fall: float


def _aligned(gamma: float, unit: float, values: np.ndarray) -> _Aligned:
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise StudyError(
            f"losses at gamma {gamma:g} have the shape {values.shape}, or not all are finite: pass runs that did not "
            "diverge, one loss per step."
        )
    if abs(values[0] - 1) > _START:
        raise StudyError(
            f"the loss at gamma {gamma:g} starts at {values[0]:.3g}: pass losses over the initial one, which start at 1."
        )
    half = _passes(values, 0.5)
    if half is None:
        raise StudyError(
            f"the loss at gamma {gamma:g} ends at {values[-1]:.3g} of its initial value and is never below half of it: "
            "it cannot be aligned there. Train longer, or at a larger rate."
        )
    span = max(1, round((half - (_passes(values, 0.9) or 0.0)) / _SMOOTH))
    smooth = averaged(values, span)
    end = float(smooth[-max(1, len(smooth) // 20) :].mean())
    places = [_passes(smooth, level) for level in (1 - 0.1 * (1 - end), 0.5, 1 - 0.9 * (1 - end))]
    first, middle, last = (half if place is None else place for place in places)
    return _Aligned((np.arange(len(smooth)) - middle) * unit, smooth, max(last - first, 1.0) * unit)


def _passes(values: np.ndarray, level: float) -> float | None:
    """Return where a curve is first at most a level, between its points; None where it never is."""
    below = np.flatnonzero(values <= level)
    if not below.size:
        return None
    at = int(below[0])
    if at == 0:
        return 0.0
    high, low = values[at - 1], values[at]
    return at - 1 + float((high - level) / (high - low)) if math.isfinite(high) else float(at)
