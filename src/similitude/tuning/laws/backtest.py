"""The backtest of scaling laws: what the cheaper trials say about the dearest decade, which they have not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from similitude.core.errors import TuningError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.tuning.laws.data import LEAST_TRIALS
from similitude.tuning.laws.records import Backtest, Quantity
from similitude.tuning.trials.history import History

if TYPE_CHECKING:
    from similitude.tuning.laws.laws import ScalingLaws


NEGLIGIBLE = 0.02
"""An error below this part of what the frontier gains over all trials is none, however narrow the intervals."""

NOISY = 0.5
"""An interval wider than this part of it says little."""


def without_dearest_decade(history: History) -> History:
    """Return a history without the trials that cost more than a tenth of the dearest one.

    Args:
        history: Trials with values; one at least.
    """
    kept = history.costs <= history.costs.max() / 10
    return replace(
        history,
        points=history.points[kept],
        values=history.values[kept],
        costs=history.costs[kept],
        numbers=history.numbers[kept],
    )


def backtest(laws: ScalingLaws) -> Backtest:
    """Find the laws again without the dearest decade of cost, and compare.

    Args:
        laws: The laws of all trials.

    Raises:
        TuningError: Fewer than 15 trials, or less than half a decade, are left without the dearest decade.
    """
    history = laws.history
    dearest = float(history.costs.max())
    cheaper = without_dearest_decade(history)
    count = len(cheaper.values)
    span = float(np.ptp(np.log10(cheaper.costs))) if count else 0.0
    if count < LEAST_TRIALS or span < 0.5:
        raise TuningError(
            f"Without the dearest decade (costs above {dearest / 10:.3g}) {count} trials over {span:.2f} decades "
            f"are left; a backtest needs {LEAST_TRIALS} over 0.5. Run cheaper trials."
        )
    past = type(laws).from_history(
        cheaper, resamples=laws.resamples, seed=laws.seed, estimator=laws.asked_for
    )
    told, found = past.predict(cost=dearest), laws.predict(cost=dearest)
    lines = {axis.name: axis for axis in laws.axes}
    before = dict(zip((a.name for a in past.axes), past.paths.coordinates(np.log10(dearest))[0], strict=True))
    after = dict(zip(lines, laws.paths.coordinates(np.log10(dearest))[0], strict=True))
    steps = {name: float((before[name] - after[name]) / lines[name].step) for name in after if name in before}
    start = laws.predict(cost=float(history.costs.min())).value.value
    held = -history.signed[history.costs > dearest / 10]
    best = float(held.min()) if history.minimize else -float(held.min())
    return Backtest(
        below=dearest / 10,
        kept=count,
        held_out=len(held),
        cost=dearest,
        predicted=told.value,
        found=found.value,
        best_seen=best,
        steps=steps,
        exponents=past.exponents,
        verdict=_judge(told.value, found.value, gain=abs(start - found.value.value), cost=dearest),
    )


def _judge(told: Quantity, found: Quantity, *, gain: float, cost: float) -> Verdict:
    """Say whether the prediction is what all trials say; `gain` is what the frontier gains from the cheapest trial on."""
    evidence = (
        Evidence(
            f"predicted value at cost {cost:.4g} (90 %)", told.value, told.interval, f"{found.value:.4g}"
        ),
        Evidence("what all trials say", found.value, found.interval),
    )
    summary = (
        f"without the dearest decade the laws predict {told} at cost {cost:.4g}, where all trials say {found}"
    )
    # The intervals of both may be off by what each does not know.
    overlap = told.low <= found.high and found.low <= told.high
    if not overlap and abs(told.value - found.value) > NEGLIGIBLE * gain:
        causes = (
            "the losses do not go as a power of the cost over this range",
            "the cheap trials were far from the front, or in another regime of training",
        )
        return Verdict(
            Outcome.INCONSISTENT, summary, evidence, causes, "do not extrapolate by more than you have tested"
        )
    if told.width > NOISY * gain:
        return Verdict(
            Outcome.TOO_NOISY, summary, evidence, next="more trials near the front, over more decades of cost"
        )
    return Verdict(Outcome.OK, summary, evidence)
