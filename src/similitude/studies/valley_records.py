"""The valley of (learning rate, multiplier of branches): the best multiplier at every rate and its slope, by depth."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from similitude.core.errors import GridError
from similitude.core.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class ValleyPoint:
    """The best multiplier at one learning rate.

    Attributes:
        lr: Learning rate, as the optimizer takes it.
        multiplier: The best multiplier, refined between those that were tried; None where every run diverged.
        interval: Its 95 % interval; None where it has none.
        edge: "low" or "high" where it may lie beyond the smallest or largest multiplier that was tried.
        losses: Final losses, shape (multipliers, seeds); nan or inf where a run diverged.
    """

    lr: float
    multiplier: float | None
    interval: tuple[float, float] | None
    edge: str | None
    losses: tuple[tuple[float, ...], ...]

    @property
    def bracketed(self) -> bool:
        """Whether smaller and larger multipliers are both clearly worse than the best one."""
        return self.multiplier is not None and self.edge is None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a diverged loss is null."""
        return {
            "lr": self.lr,
            "multiplier": self.multiplier,
            "interval": _ends(self.interval),
            "edge": self.edge,
            "losses": [[v if math.isfinite(v) else None for v in row] for row in self.losses],
        }


@dataclass(frozen=True)
class Valley:
    """The valley of one size.

    Attributes:
        size: Value of every dial.
        multipliers: Multipliers that were tried, as the model takes them.
        points: The best of them by increasing learning rate.
        slope: d log(best multiplier) / d log(rate) over the rates at which it is bracketed; None with fewer than two.
        interval: 95 % interval of the slope: from the noise of every best multiplier, or from how far they lie off a
            line, whichever is wider; None where there is none.
    """

    size: Mapping[str, int]
    multipliers: tuple[float, ...]
    points: tuple[ValleyPoint, ...]
    slope: float | None
    interval: tuple[float, float] | None

    @property
    def bracketed(self) -> dict[float, float]:
        """The best multiplier by learning rate, where it is bracketed."""
        return {p.lr: p.multiplier for p in self.points if p.bracketed and p.multiplier is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "size": dict(self.size),
            "multipliers": list(self.multipliers),
            "slope": self.slope,
            "interval": _ends(self.interval),
            "points": [point.to_dict() for point in self.points],
        }


@dataclass(frozen=True)
class ValleyStudy:
    """Valleys of one model family at one depth, or at several. Made by `similitude.valley`.

    Attributes:
        valleys: By increasing depth.
        change: Slope at the largest depth less that at the smallest; None for one depth, or where a slope is unknown.
        change_interval: Its 95 % interval; None where it has none.
        alpha: Multipliers at depth L are those of the first depth times (L / first)^-alpha.
        lr_exponent: Learning rates are those of the first depth times (L / first)^-lr_exponent.
        settings: What was run, as names and plain values.
        verdict: `ok` for one depth with a slope; `consistent` or `shifts` for several whose slopes agree or do not;
            `not_bracketed`, `too_noisy`, `cannot_tell` or `diverged`.
    """

    valleys: tuple[Valley, ...]
    change: float | None
    change_interval: tuple[float, float] | None
    alpha: float
    lr_exponent: float
    settings: Mapping[str, Any]
    verdict: Verdict

    def raise_if_bad(self) -> None:
        """Raise unless the slope is known, and the same at every depth.

        Raises:
            NotEnoughEvidenceError: More runs are needed.
            BadVerdictError: The slope depends on the depth, or every run diverged.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "change": self.change,
            "change_interval": _ends(self.change_interval),
            "alpha": self.alpha,
            "lr_exponent": self.lr_exponent,
            "valleys": [valley.to_dict() for valley in self.valleys],
            "settings": dict(self.settings),
        }

    def save(self, path: str | Path) -> Path:
        """Write the numbers as JSON and return the path.

        Raises:
            GridError: The file cannot be written.
        """
        path = Path(path)
        try:
            path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise GridError(
                f"the valley cannot be written to {path}: {error}. Choose another place."
            ) from error
        return path

    def __str__(self) -> str:
        lines = []
        for valley in self.valleys:
            size = ", ".join(f"{dial} {value}" for dial, value in valley.size.items())
            lines.append(f"Valley at {size}: best multiplier by learning rate")
            lines += [f"  {_row(point)}" for point in valley.points]
        lines.append(f"{self.verdict.outcome}: {self.verdict.summary}")
        lines += [f"  {row}" for row in self.verdict.evidence]
        lines += [f"  cause: {cause}" for cause in self.verdict.causes]
        return "\n".join(lines + ([f"next: {self.verdict.next}"] if self.verdict.next else []))

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text(str(self))


def _row(point: ValleyPoint) -> str:
    if point.multiplier is None:
        return f"{point.lr:.4g}: every multiplier diverged"
    span = "" if point.interval is None else " [{:.3g}, {:.3g}]".format(*point.interval)
    words = {None: "", "low": ", or smaller: not bracketed", "high": ", or larger: not bracketed"}
    return f"{point.lr:.4g}: {point.multiplier:.3g}{span}{words[point.edge]}"


def _ends(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
