"""Budgets: what all trials together, and each alone, may cost."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from similitude.core.errors import TuningError
from similitude.tuning.space.dimension import plain


@dataclass(frozen=True)
class Budget:
    """What a study may cost, in the unit in which its trials tell their cost.

    Attributes:
        total: Of all trials together, failed ones included; no limit where None.
        per_trial: Of one trial. The search avoids what is likely to cost more, and engines end a trial that does.
        unit: Name of the unit, e.g. "gpu-hour"; "seconds", "minutes" and "hours" are measured times.

    Raises:
        TuningError: A limit is not above 0, or a trial may cost more than all.

    Example:
        >>> Budget(total=50, per_trial=2, unit="gpu-hour")
        Budget(total=50, per_trial=2, unit='gpu-hour')
    """

    total: float | None = None
    per_trial: float | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        for name in ("total", "per_trial"):
            limit = plain(getattr(self, name))
            object.__setattr__(self, name, limit)
            if limit is None:
                continue
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < math.inf:
                raise TuningError(
                    f"Budget({name}={limit!r}): give a finite number above 0, or None for no limit."
                )
        if not isinstance(self.unit, str | None):
            raise TuningError(
                f'Budget(unit={self.unit!r}): give the name of the unit, e.g. "gpu-hour", or None.'
            )
        if self.total is not None and self.per_trial is not None and self.per_trial > self.total:
            raise TuningError(
                f"Budget(total={self.total:g}, per_trial={self.per_trial:g}): one trial may cost more than all. Lower "
                "per_trial, or raise total."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Budget:
        """Read what `to_dict` wrote."""
        return cls(**data)
