"""The embedding spectrum along a run: when each dimension switches on, and whether one by one (paper 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.verdict import Evidence, Outcome, Verdict

Array = np.ndarray
_ON = 0.1  # of the largest eigenvalue at the end: smaller ones have not switched on
SPILL = 0.25  # of its end the next dimension may have reached at a step, for the two to count as separate
_FEWEST = 5  # records
_RISE = 0.1  # of the time, and of the end


@dataclass(frozen=True)
class EmbeddingStep:
    """One dimension of an embedding that switched on.

    Attributes:
        dimension: Its place in the sorted spectrum, from 1.
        time: When its eigenvalue first reached half of what it is at the end, between two records.
        final: The eigenvalue at the end.
        spill: Share of its own end that the next dimension had reached then; None for the last one that is on.
        rising: Whether it grew by more than a tenth of its end in the last tenth of the time: then its end, and with it
            the time, is that of the run and not of training.
    """

    dimension: int
    time: float
    final: float
    spill: float | None
    rising: bool


@dataclass(frozen=True, eq=False)
class EmbeddingHistory:
    """Eigenvalues of the embedding's cross-correlation along a run. Made by `EmbeddingTracker` or `train_encoder`.

    Attributes:
        times: Of the records, rising, shape (T,).
        eigenvalues: Of C, each record's falling, shape (T, dim).
        losses: Loss at each record, nan where it was not given, infinite where it was not finite, shape (T,).

    Raises:
        TheoryError: The shapes do not fit, or times do not rise.

    Example:
        >>> t = np.linspace(0, 10, 201)
        >>> grown = [1 / (1 + np.exp(-8 * (t - at))) for at in (2.0, 4.0, 7.0)]
        >>> history = EmbeddingHistory.of(t, np.stack(grown, 1))
        >>> [round(step.time, 3) for step in history.steps()], history.verdict().ok
        ([2.0, 4.0, 7.0], True)
    """

    times: Array
    eigenvalues: Array
    losses: Array

    @classmethod
    def of(
        cls, times: ArrayLike, eigenvalues: ArrayLike, losses: ArrayLike | None = None
    ) -> EmbeddingHistory:
        """Make a history from arrays; eigenvalues are sorted.

        Args:
            times: Shape (T,).
            eigenvalues: In any order within a record, shape (T, dim).
            losses: Shape (T,).
        """
        t, values = np.asarray(times, dtype=float), np.asarray(eigenvalues, dtype=float)
        if t.ndim != 1 or values.ndim != 2 or len(t) != len(values) or not values.size:
            raise TheoryError(
                f"times has shape {t.shape} and eigenvalues {values.shape}: pass (T,) and (T, dim), one row per record."
            )
        if not (np.diff(t) > 0).all():
            raise TheoryError(
                "times do not rise from record to record: sort them, and leave out what was logged twice."
            )
        lost = np.full(len(t), np.nan) if losses is None else np.asarray(losses, dtype=float)
        if lost.shape != t.shape:
            raise TheoryError(f"losses has shape {lost.shape} for {len(t)} records: pass one each.")
        return cls(t, -np.sort(-values, axis=1), lost)

    @property
    def ranks(self) -> Array:
        """Effective rank of every record, (sum of eigenvalues)^2 over the sum of their squares, shape (T,)."""
        return np.array([effective_rank(row) for row in self.eigenvalues])

    @cites(11, "Figure 1: stepwise growth of embedding eigenvalues")
    def steps(self) -> tuple[EmbeddingStep, ...]:
        """Return the dimensions that switched on, in the order of the sorted spectrum.

        A dimension is on where its eigenvalue ends above a tenth of the largest, and switched on where it ends at more
        than twice of what it began with.
        """
        final, first = self.eigenvalues[-1], self.eigenvalues[0]
        if not np.isfinite(self.eigenvalues).all() or not final[0] > 0:
            return ()
        on = [j for j in range(len(final)) if final[j] > _ON * final[0] and first[j] < final[j] / 2]
        crossed = {j: self._half_time(j) for j in on}
        last = self.times[-1] - _RISE * (self.times[-1] - self.times[0])
        late = [np.interp(last, self.times, column) for column in self.eigenvalues.T]
        found = []
        for place, j in enumerate(on):
            spill = None
            if place + 1 < len(on):
                following = on[place + 1]
                there = np.interp(crossed[j], self.times, self.eigenvalues[:, following])
                spill = float(there / final[following])
            found.append(
                EmbeddingStep(
                    j + 1, crossed[j], float(final[j]), spill, bool(late[j] < (1 - _RISE) * final[j])
                )
            )
        return tuple(found)

    def verdict(self, *, spill: float = SPILL) -> Verdict:
        """Say whether the dimensions switched on one by one.

        Args:
            spill: Share of its end that the next dimension may have at a step, for the two to be separate.
        """
        lost = ~np.isfinite(self.eigenvalues).all(1) | np.isinf(self.losses)
        if lost.any():
            return Verdict(
                Outcome.DIVERGED,
                f"embedding or loss are not finite from time {self.times[int(lost.argmax())]:g} on",
                next="Lower the learning rate; a linear model needs less than 1 / (4 gamma_1)."
                if not lost[0]
                else "Look for nan or inf in the views and the encoder; VICReg needs two samples or more.",
            )
        steps = self.steps()
        evidence = tuple(
            Evidence(
                f"time of dimension {s.dimension}",
                s.time,
                None,
                "" if s.spill is None else f"the next below {spill:.0%} of its end; it is at {s.spill:.0%}",
            )
            for s in steps
        )
        if len(self.times) < _FEWEST or len(steps) < 2:
            return Verdict(
                Outcome.CANNOT_TELL,
                f"{len(steps)} of {self.eigenvalues.shape[1]} dimensions switched on in {len(self.times)} records",
                evidence,
                causes=("the run is too short", "the embedding is not small at the start"),
                next="Train longer, record more often, or start from a smaller last layer.",
            )
        apart = sum(s.spill is not None and s.spill <= spill for s in steps)
        summary = f"{len(steps)} of {self.eigenvalues.shape[1]} dimensions switched on in {apart + 1} separate steps"
        if rising := [s.dimension for s in steps if s.rising]:
            many = len(rising) > 1
            summary += f"; dimension{'s' * many} {', '.join(map(str, rising))} still rise{'' if many else 's'} at the end"
        if 2 * len(rising) > len(steps):
            return Verdict(
                Outcome.CANNOT_TELL,
                summary,
                evidence,
                causes=(
                    "the run is too short",
                    "the loss does not bound the embedding, as SimCLR on raw products",
                ),
                next="Train longer; of a loss without bound compare effective ranks along time, `history.ranks`.",
            )
        if 2 * (apart + 1) > len(steps):
            return Verdict(Outcome.OK, summary, evidence)
        return Verdict(
            Outcome.INCONSISTENT,
            summary,
            evidence,
            causes=(
                "the embedding is not small at the start: steps blur as it grows",
                "the loss normalizes embeddings, so that there is no small scale",
                "the views' correlations along these dimensions are nearly equal",
            ),
            next="Start from a smaller last layer (a hundredth), or use a loss without normalization.",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; numbers that are not known or not finite are None."""
        return {
            "times": self.times.tolist(),
            "eigenvalues": [
                [x if np.isfinite(x) else None for x in row] for row in self.eigenvalues.tolist()
            ],
            "losses": [x if np.isfinite(x) else None for x in self.losses.tolist()],
            "steps": [vars(s) for s in self.steps()],
            "verdict": self.verdict().to_dict(),
        }

    def _half_time(self, j: int) -> float:
        half = self.eigenvalues[-1, j] / 2
        k = int(np.argmax(self.eigenvalues[:, j] >= half))  # at least 1: it began below
        (low, high), (before, after) = self.eigenvalues[k - 1 : k + 1, j], self.times[k - 1 : k + 1]
        return float(before + (after - before) * (half - low) / (high - low))


def effective_rank(eigenvalues: ArrayLike) -> float:
    """Return the participation ratio of a spectrum; negative eigenvalues count as zero, an empty spectrum as rank 0.

    Example:
        >>> effective_rank([1.0, 1.0, 0.0])
        2.0
    """
    values = np.maximum(np.asarray(eigenvalues, dtype=float), 0)
    size = values.max(initial=0.0)
    if not size > 0:
        return 0.0
    return float((values / size).sum() ** 2 / ((values / size) ** 2).sum())
