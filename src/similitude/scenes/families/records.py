"""What a study of widths on rendered scenes found: robustness over width, what small widths forecast, learning orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from similitude.core.plain import finite
from similitude.evaluation.rows import Row
from similitude.scenes.families.forecasts import Forecast, forecast
from similitude.scenes.families.learning import Learned, learned, learning_forecast
from similitude.scenes.families.robustness import Robustness, robustness
from similitude.scenes.families.settings import FamilySettings
from similitude.studies.records import TransferStudy

TRANSFERRED = "at the transferred rate"
BEST = "at its own best rate"


@dataclass(frozen=True)
class FamilyStudy:
    """A study of widths on rendered scenes.

    Attributes:
        settings: What was run.
        digest: Of the pictures.
        transfer: The sweep of learning rates, and whether the best one transfers, by rule.
        rows: A row per run that was tested; see `similitude.scenes.families.trained.trained`.
        found: Tested runs that were there already.
        ran: Tested runs that were made.
        seconds: What this call took.
    """

    settings: FamilySettings
    digest: str
    transfer: TransferStudy
    rows: tuple[Row, ...]
    found: int
    ran: int
    seconds: float

    @property
    def failures(self) -> tuple[Row, ...]:
        """Tested runs that diverged."""
        return tuple(row for row in self.rows if row.failed)

    def group(self, subject: str, rule: str, width: int) -> tuple[Row, ...]:
        """Return the rows of all seeds of one size; those of the base serve all rules, and both rates."""
        named, _ = self.settings.of(rule, width)
        subject = TRANSFERRED if width == self.settings.base else subject
        return tuple(
            row for row in self.rows if (row.subject, row.rule, row.width) == (subject, named, width)
        )

    @cached_property
    def robustness(self) -> tuple[Robustness, ...]:
        """Accuracy in distribution and under each shift, and their ratio, by rate, rule and width."""
        return tuple(
            one
            for subject, rule, width in self._places()
            for one in robustness(
                self.group(subject, rule, width),
                self.settings.shifts,
                subject=subject,
                rule=rule,
                width=width,
            )
        )

    @cached_property
    def learned(self) -> tuple[Learned, ...]:
        """How much of each factor the last features tell, and when they do, by rate, rule and width."""
        return tuple(
            one
            for subject, rule, width in self._places()
            for one in learned(
                self.group(subject, rule, width),
                (0, *self.settings.checkpoint_steps()),
                subject=subject,
                rule=rule,
                width=width,
            )
        )

    @cached_property
    def forecasts(self) -> tuple[Forecast, ...]:
        """What the smallest width says of the largest: robustness under shifts, and the steps of learning."""
        settings, made = self.settings, []
        for subject, rule in self._families():
            small, large = (
                self.group(subject, rule, width) for width in (settings.base, settings.widths[-1])
            )
            made.append(forecast(small, large, settings.shifts, subject=subject, rule=rule))
            checkpoints = (0, *settings.checkpoint_steps())
            made.append(learning_forecast(small, large, checkpoints, subject=subject, rule=rule))
        return tuple(made)

    def _families(self) -> Sequence[tuple[str, str]]:
        return [(subject, rule) for subject in (TRANSFERRED, BEST) for rule in self.settings.rules]

    def _places(self) -> list[tuple[str, str, int]]:
        return [(*family, width) for family in self._families() for width in self.settings.widths]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "settings": self.settings.to_dict(),
                "data": self.digest,
                "rules": {rule: one.to_dict() for rule, one in self.transfer.transfers.items()},
                "robustness": [one.to_dict() for one in self.robustness],
                "learned": [one.to_dict() for one in self.learned],
                "forecasts": [one.to_dict() for one in self.forecasts],
                "rows": [row.to_dict() for row in self.rows],
                "failures": len(self.failures),
                "found": self.found,
                "ran": self.ran,
                "seconds": self.seconds,
            }
        )
