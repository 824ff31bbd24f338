"""In which order factors are learned: what the last features tell of each at the start, at the end, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.plain import finite
from similitude.evaluation.aggregate import Estimate, mean_of
from similitude.evaluation.rows import Row
from similitude.scenes.families.factors import FACTORS
from similitude.scenes.families.forecasts import Forecast, compared
from similitude.scenes.families.half_time import half_time

LEARNING = "step at which half of a factor is learned"


@dataclass(frozen=True)
class Learned:
    """How one size learns one factor.

    Attributes:
        subject: At which rate it was trained.
        rule: Parametrization.
        width: Width.
        factor: Name of the factor.
        start: Variance of it that a linear probe of the untrained features explains, mean over seeds with its t-interval.
        final: After the last step, likewise.
        gained: The difference, by seed; below 0 where training forgets it.
        half: Step at which half of the final value is first reached, likewise; 0 where random features have it already.
            None where no seed has learned anything of it.
    """

    subject: str
    rule: str
    width: int
    factor: str
    start: Estimate
    final: Estimate
    gained: Estimate
    half: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "subject": self.subject,
                "rule": self.rule,
                "width": self.width,
                "factor": self.factor,
                "start": self.start.to_dict(),
                "final": self.final.to_dict(),
                "gained": self.gained.to_dict(),
                "half": None if self.half is None else self.half.to_dict(),
            }
        )


def learned(
    rows: Sequence[Row], checkpoints: Sequence[int], *, subject: str, rule: str, width: int
) -> tuple[Learned, ...]:
    """Join the seeds of one size; runs that diverged are left out.

    Args:
        rows: Runs of one size.
        checkpoints: Steps at which they were probed, from 0.
        subject: At which rate they were trained.
        rule: Parametrization.
        width: Width.
    """
    good = [row for row in rows if not row.failed]
    if not good:
        return ()
    found = []
    for factor in FACTORS:
        curves = [_curve(row, factor, checkpoints) for row in good]
        halves = [half for curve in curves if (half := half_time(checkpoints, curve)) is not None]
        found.append(
            Learned(
                subject=subject,
                rule=rule,
                width=width,
                factor=factor,
                start=mean_of([curve[0] for curve in curves]),
                final=mean_of([curve[-1] for curve in curves]),
                gained=mean_of([curve[-1] - curve[0] for curve in curves]),
                half=mean_of(halves) if halves else None,
            )
        )
    return tuple(found)


def learning_forecast(
    small: Sequence[Row], large: Sequence[Row], checkpoints: Sequence[int], *, subject: str, rule: str
) -> Forecast:
    """Compare the steps at which two sizes have learned half of each factor; factors never learned are left out.

    Args:
        small: Runs of the smallest width, a row per seed.
        large: Runs of the largest.
        checkpoints: Steps at which they were probed, from 0.
        subject: At which rate they were trained.
        rule: Parametrization.
    """
    values = [
        {
            row.seed: {
                factor: half
                for factor in FACTORS
                if (half := half_time(checkpoints, _curve(row, factor, checkpoints))) is not None
            }
            for row in rows
            if not row.failed
        }
        for rows in (small, large)
    ]
    return compared(LEARNING, *values, subject=subject, rule=rule)


def _curve(row: Row, factor: str, checkpoints: Sequence[int]) -> list[float]:
    return [row.metrics[f"{factor} at {step}"] for step in checkpoints]
