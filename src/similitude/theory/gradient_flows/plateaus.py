"""Plateaus and drops of a measured loss curve, whatever trained it, and what changed at each drop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from similitude.core.errors import TheoryError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.theory.ridge.arrays import numbers

Array = np.ndarray
_FEWEST = 20  # points below which nothing can be told
_BINS = 10  # thin levels per half of the smallest drop, which is how flat a plateau is
_SURE = 6.0  # standard deviations of the noise that a smallest drop has to be
_WIDEST = 0.05  # share of the run over which losses may be averaged against noise
_GAUSSIAN = 0.6745 * math.sqrt(6)  # median of |second differences| of noise of deviation 1
_CONTRAST = 3.0  # how much longer a curve stays at plateaus than at any level between them
_POINTS = 3  # fewest points of a plateau
_LEARNED = 0.5  # share of its range by which a column changes at the drop that learns it


@dataclass(frozen=True)
class Plateau:
    """A stretch on which the loss nearly stands still: from one time to another, at a level."""

    start: float
    end: float
    level: float


@dataclass(frozen=True)
class LossDrop:
    """A drop between two plateaus.

    Attributes:
        time: When the loss has fallen half way.
        start: When the plateau before ends.
        end: When the plateau after begins.
        before: Level before.
        after: Level after.
        learned: Columns of the run of which at least half of the range changes here, the largest share first.
    """

    time: float
    start: float
    end: float
    before: float
    after: float
    learned: tuple[str, ...]

    @property
    def size(self) -> float:
        """By how much the loss falls."""
        return self.before - self.after


@dataclass(frozen=True)
class LossStaircase:
    """What `find_staircase` found.

    Attributes:
        plateaus: In the order of time.
        drops: Between them, one fewer.
        window: Points over which the losses were averaged against noise; 1 where there is none.
        verdict: Whether there is a staircase.
        notes: What lies outside of the plateaus.
    """

    plateaus: tuple[Plateau, ...]
    drops: tuple[LossDrop, ...]
    window: int
    verdict: Verdict
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "plateaus": [asdict(plateau) for plateau in self.plateaus],
            "drops": [{**asdict(drop), "size": drop.size} for drop in self.drops],
            "window": self.window,
            "notes": list(self.notes),
            "verdict": self.verdict.to_dict(),
        }


def find_staircase(
    losses: ArrayLike,
    times: ArrayLike | None = None,
    *,
    columns: Mapping[str, ArrayLike] | None = None,
    smallest: float = 0.02,
    shortest: float = 0.02,
    clock: Literal["linear", "log"] = "linear",
) -> LossStaircase:
    """Find the plateaus of a loss curve and the drops between them.

    A plateau is a level at which the curve stays long: within half a smallest drop for at least `shortest`
    of the run, and three times as long as at some level on the way to the next. A curve that falls evenly, or ever
    more slowly, has none but its end.

    Args:
        losses: Loss at each point of the run, shape (T,).
        times: Time or step of each, increasing; the number of the point by default.
        columns: What else the run recorded, by name, shape (T,) each: columns that change at a drop name what is learned.
        smallest: Smallest drop, relative to the range of the loss.
        shortest: Shortest plateau, relative to the length of the run.
        clock: "log" measures lengths in the logarithm of time, for runs whose plateaus grow ever longer.

    Raises:
        TheoryError: Losses are not finite, times do not increase, or a number is out of range.

    Example:
        >>> t = np.arange(300)
        >>> found = find_staircase(np.where(t < 100, 3.0, np.where(t < 180, 1.0, 0.2)))
        >>> [(drop.time, drop.before, drop.after) for drop in found.drops]
        [(100.0, 3.0, 1.0), (180.0, 1.0, 0.2)]
    """
    values = numbers(losses, "losses")
    at = np.arange(len(values), dtype=float) if times is None else numbers(times, "times")
    named = {name: numbers(column, name) for name, column in (columns or {}).items()}
    _check(values, at, named, smallest=smallest, shortest=shortest, clock=clock)
    if len(values) < _FEWEST:
        return _none(
            Outcome.CANNOT_TELL,
            f"{len(values)} losses are too few to tell plateaus from drops",
            next="log more often",
        )
    span = float(np.ptp(values))
    window = _window(values, smallest * span)
    if window is None:
        return _none(
            Outcome.TOO_NOISY,
            f"losses differ from one point to the next by more than drops of {100 * smallest:.2g} % of their range could",
            next="log the loss of a larger batch, or pass a larger smallest drop",
        )
    averaged = _averaged(values, window)
    calm = np.minimum.accumulate(averaged)
    lengths = at if clock == "linear" else np.log(np.maximum(at, at[at > 0][0]))
    found = _plateaus(calm, lengths, smallest=smallest, shortest=shortest)
    plateaus = [Plateau(float(at[i]), float(at[j]), float(np.median(values[i : j + 1]))) for i, j in found]
    drops = []
    for k in range(len(found) - 1):
        (a, b), (c, d) = found[k], found[k + 1]
        before, after = plateaus[k].level, plateaus[k + 1].level
        below = np.flatnonzero(calm[b : c + 1] <= (before + after) / 2)
        half = b + int(below[0]) if below.size else c
        learned = _changed(named, slice(a, b + 1), slice(c, d + 1))
        drops.append(LossDrop(float(at[half]), float(at[b]), float(at[c]), before, after, learned))
    notes = []
    if plateaus and values[:window].max() - plateaus[0].level > smallest * span:
        notes.append(
            f"the run begins with a descent from {values[0]:.4g} to the first plateau, not with a plateau"
        )
    if plateaus and plateaus[-1].level - averaged[-1] > smallest * span:
        notes.append(f"the loss falls on after the last plateau, to {averaged[-1]:.4g}")
    return LossStaircase(tuple(plateaus), tuple(drops), window, _verdict(tuple(drops), span), tuple(notes))


def _check(
    losses: Array, times: Array, columns: Mapping[str, Array], *, smallest: float, shortest: float, clock: str
) -> None:
    for name, column in {"times": times, **columns}.items():
        if column.shape != losses.shape:
            raise TheoryError(
                f"{name} has {len(column)} numbers for {len(losses)} losses. Pass one per loss."
            )
    if not (np.diff(times) > 0).all():
        place = int(np.argmin(np.diff(times) > 0))
        raise TheoryError(
            f"times do not increase: {times[place]:g} is followed by {times[place + 1]:g}. Sort the run, or pass one run."
        )
    for name, value in (("smallest", smallest), ("shortest", shortest)):
        if not 0 < value < 0.5:
            raise TheoryError(f"{name}={value}: pass a share between 0 and 0.5, e.g. 0.02.")
    if clock not in ("linear", "log"):
        raise TheoryError(f"clock={clock!r}: choose 'linear' or 'log'.")
    if clock == "log" and not times[-1] > 0:
        raise TheoryError(f"times end at {times[-1]:g}, which has no logarithm. Use clock='linear'.")


def _window(losses: Array, drop: float) -> int | None:
    """Return over how many points to average so that noise is small beside a drop; None for too many."""
    noise = float(np.median(np.abs(np.diff(losses, 2)))) / _GAUSSIAN
    window = max(1, math.ceil((_SURE * noise / drop) ** 2)) if drop > 0 else 1
    return window if window <= max(1, _WIDEST * len(losses)) else None


def _averaged(losses: Array, window: int) -> Array:
    if window == 1:
        return losses
    padded = np.pad(losses, (window // 2, window - 1 - window // 2), mode="edge")
    return np.convolve(padded, np.full(window, 1 / window), mode="valid")


def _plateaus(calm: Array, lengths: Array, *, smallest: float, shortest: float) -> list[tuple[int, int]]:
    """Return first and last point of every plateau of a curve that never rises."""
    high, low = float(calm[0]), float(calm[-1])
    if high == low:
        return [(0, len(calm) - 1)]
    count = math.ceil(2 * _BINS / smallest)
    # How long the curve stays in each of many thin levels, from the top; a point lasts until the next.
    level = np.minimum(((high - calm) / (high - low) * count).astype(int), count - 1)
    stay = np.bincount(level, weights=np.diff(lengths, append=lengths[-1]), minlength=count)
    within = np.convolve(stay, np.ones(_BINS), mode="valid")
    found = []
    for first, last in _peaks(within, least=shortest * float(np.ptp(lengths))):
        inside = np.flatnonzero((level >= first) & (level < last + _BINS))
        if len(inside) >= _POINTS:
            found.append((int(inside[0]), int(inside[-1])))
    return found


def _peaks(values: Array, *, least: float) -> list[tuple[int, int]]:
    """Return where a sequence is highest: peaks of at least some height, apart by valleys well below both.

    Returns:
        First and last place of each peak, those at which it is not below its height by more than rounding.
    """
    found: list[int] = []
    lowest = math.inf  # since the last peak
    for place, value in enumerate(values):
        lowest = min(lowest, float(value))
        if value < least:
            continue
        if not found or _CONTRAST * lowest < min(float(values[found[-1]]), float(value)):
            found.append(place)
        elif value > values[found[-1]]:
            found[-1] = place
        else:
            continue
        lowest = float(value)
    top = [np.flatnonzero(np.isclose(values, values[place], rtol=1e-9, atol=0)) for place in found]
    return [(place, _last_in_row(places, place)) for place, places in zip(found, top, strict=True)]


def _last_in_row(places: Array, first: int) -> int:
    """Return the last of consecutive places from a first one on."""
    row = places[places >= first]
    return int(row[np.arange(len(row)) == row - first][-1])


def _changed(columns: Mapping[str, Array], before: slice, after: slice) -> tuple[str, ...]:
    shares = {}
    for name, column in columns.items():
        reach = float(np.ptp(column))
        if reach > 0:
            shares[name] = abs(float(np.median(column[after]) - np.median(column[before]))) / reach
    return tuple(sorted((n for n, share in shares.items() if share >= _LEARNED), key=lambda n: -shares[n]))


def _verdict(drops: tuple[LossDrop, ...], span: float) -> Verdict:
    if not drops:
        return Verdict(
            Outcome.INCONSISTENT,
            "no staircase: the loss has no two plateaus with a drop between them",
            causes=(
                "features are learned at once",
                "the initialization is not small, so that plateaus are short",
            ),
            next="train from a smaller initialization or at a larger gamma, or look on a logarithmic clock",
        )
    evidence = tuple(
        Evidence(f"loss after the drop at {drop.time:.4g}", drop.after, None, f"below {drop.before:.4g}")
        for drop in drops
    )
    total = sum(drop.size for drop in drops)
    word = "drop" if len(drops) == 1 else "drops"
    share = 100 * total / span
    return Verdict(
        Outcome.OK,
        f"{len(drops)} {word} between plateaus, {share:.0f} % of the range of the loss in all",
        evidence,
    )


def _none(outcome: Outcome, summary: str, *, next: str) -> LossStaircase:
    return LossStaircase((), (), 1, Verdict(outcome, summary, next=next))
