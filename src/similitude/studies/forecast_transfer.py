"""The forecast from one rule of a transfer study: the line through its optima, its backtest and the next run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from similitude.scaling.plan import Plan
from similitude.scaling.sizes import DEPTH
from similitude.studies.extrapolation import LEVEL, Line, bounds, line_of
from similitude.studies.forecast_records import Backtest, Estimate, Forecast, Forecasted, Point
from similitude.studies.forecast_source import Source
from similitude.studies.forecast_verdict import Compared, judge
from similitude.studies.loss_law import expected_loss
from similitude.studies.next_run import next_run, work_of
from similitude.studies.noise import Array
from similitude.studies.penalty import penalty
from similitude.studies.records import Optimum, Transfer

RATE = "lr"


def from_transfer(source: Source, to: Mapping[str, float], at: float, *, tolerance: float) -> Forecast:
    """Forecast the learning rate and the loss at a target.

    Args:
        source: One rule of a study.
        to: The target by dial.
        at: Its value of the dial that the study varied.
        tolerance: Difference of the two forecasts that counts as none, in octaves.
    """
    transfer = source.transfer
    dial, usable = transfer.dial, [best for best in transfer.optima if best.bracketed and best.draws]
    line, target = line_of(transfer.optima), math.log2(at)
    base = transfer.optima[0] if transfer.optima else None
    transferred = None
    if base is not None and base.lr is not None:
        transferred = Estimate(base.lr, *(base.interval or (0.0, math.inf)))
    fitted = exponent = difference = runs = cost = None
    if line is not None and usable[0] is base:
        value, draws = line.at(target)
        fitted = _power_of_two(value, draws)
        slope, slopes = line.slope()
        exponent = Estimate(slope, *bounds(slopes, slope))
        difference = _difference(value, draws, line)
        curves = [
            curve for curve, best in zip(transfer.curves, transfer.optima, strict=True) if best in usable
        ]
        work = work_of(source.plan, dial, [curve.size for curve in transfer.curves])
        length = math.log2(fitted.high / fitted.low)
        runs = next_run(line, curves, target, work=work, length=length)
        cost = _cost(transfer, difference)
    where = f"{dial} {at:g}"
    backtest = _backtest(transfer, line) if line is not None and usable[0] is base else None
    verdict = judge(
        Compared(RATE, where, difference, cost, backtest, runs, transfer.verdict), tolerance=tolerance
    )
    points = tuple(
        Point(best.size, Estimate(best.lr, *(best.interval or (0.0, math.inf))))
        for best in transfer.optima
        if best.lr is not None
    )
    rate = Forecasted(RATE, transferred, fitted, exponent, difference, backtest, runs, verdict, points)
    return Forecast(
        name=source.name,
        rule=transfer.rule,
        dial=dial,
        to=dict(to),
        at=at,
        values={RATE: rate},
        loss=_loss(transfer.optima, at),
        losses=tuple(_loss_point(best) for best in transfer.optima if best.lr is not None),
        loss_backtest=_loss_backtest(transfer),
        notes=_notes(transfer, at, source.plan),
        settings=source.settings,
        level=LEVEL,
    )


def _difference(value: float, draws: Array, line: Line) -> Estimate:
    """Return log2 of the fitted over the base's value, from draws of both at once."""
    base, bases = float(line.y[0]), line.draws[0]
    apart = value - base
    return Estimate(apart, *bounds(apart + (draws - value) - (bases - base), apart))


def _power_of_two(value: float, draws: Array) -> Estimate:
    low, high = bounds(draws, value)
    return Estimate(2.0**value, 2.0**low, 2.0**high)


def _cost(transfer: Transfer, difference: Estimate) -> float | None:
    """Return the excess loss at the largest size of rates as far off the best as the difference may be."""
    largest, best = transfer.curves[-1], transfer.optima[-1]
    if best.lr is None:
        return None
    found = [penalty(largest, best.lr * 2.0**end) for end in difference.interval]
    known = [cost.relative for cost in found if cost is not None]
    return max(known) if len(known) == len(found) else None


def _backtest(transfer: Transfer, line: Line) -> Backtest | None:
    """Forecast the largest measured size from the smaller ones; None where its own optimum is not known."""
    held_out, curve = transfer.optima[-1], transfer.curves[-1]
    if not (held_out.bracketed and held_out.draws) or held_out.lr is None or held_out.interval is None:
        return None
    there, actual = float(line.y[-1]), line.draws[-1]

    def error(value: float, draws: Array) -> Estimate:
        apart = value - there
        return Estimate(apart, *bounds(apart + (draws - value) - (actual - there), apart))

    def excess(value: float) -> float | None:
        cost = penalty(curve, 2.0**value)
        return None if cost is None else cost.relative

    base = float(line.y[0])
    fit_error = fit_cost = None
    if len(line.x) >= 3:
        value, draws = line.without_last().at(float(line.x[-1]))
        fit_error, fit_cost = error(value, draws), excess(value)
    return Backtest(
        at={transfer.dial: held_out.size},
        measured=Estimate(held_out.lr, *held_out.interval),
        transfer_error=error(base, line.draws[0]),
        fit_error=fit_error,
        transfer_cost=excess(base),
        fit_cost=fit_cost,
    )


def _loss(optima: Sequence[Optimum], at: float) -> Estimate | None:
    """Expect the loss at a size from the best losses of others."""
    alive = [best for best in optima if best.lr is not None]
    losses, errors = [best.loss for best in alive], [best.loss_stderr for best in alive]
    return expected_loss([best.size for best in alive], losses, errors, at)


def _loss_point(best: Optimum) -> Point:
    error = 2 * best.loss_stderr if math.isfinite(best.loss_stderr) else 0.0
    return Point(best.size, Estimate(best.loss, best.loss - error, best.loss + error))


def _loss_backtest(transfer: Transfer) -> tuple[Estimate, float] | None:
    last = transfer.optima[-1] if transfer.optima else None
    if last is None or last.lr is None:
        return None
    found = _loss(transfer.optima[:-1], last.size)
    return None if found is None else (found, last.loss)


def _notes(transfer: Transfer, at: float, plan: Plan | None) -> tuple[str, ...]:
    notes = []
    sizes = [curve.size for curve in transfer.curves]
    if len(sizes) > 1:
        beyond, spanned = math.log2(at / sizes[-1]), math.log2(sizes[-1] / sizes[0])
        if beyond > spanned:
            notes.append(
                f"the target is {beyond:.1f} doublings beyond the largest {transfer.dial} {sizes[-1]}, and the study "
                f"spans {spanned:.1f}: intervals hold if the law does, which nothing here has tested so far out"
            )
    if len(sizes) == 2:
        notes.append("two sizes fit any line: a third one would test the law")
    if plan is None:
        power = "the depth" if transfer.dial == DEPTH else "width squared"
        notes.append(f"without a plan of the study, work is taken to go as {power}")
    return tuple(notes)
