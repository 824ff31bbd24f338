"""What a check found: growth exponents by tensor and quantity, and the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from similitude.core.errors import PlanError
from similitude.core.verdict import Verdict
from similitude.scaling.sizes import DEPTH, WIDTH

if TYPE_CHECKING:
    from rich.console import RenderableType

TOLERANCE = 0.25
"""An exponent is wrong where its whole interval is farther than this from the expected one (`scaling` rules 2.7)."""
DEPTH_TOLERANCE = 0.15
"""The same for exponents of the depth, where a wrong factor is a smaller power: depth^1/2 at alpha = 1/2."""
GOOD = 0.15
"""Exponents this near to the expected one are called good: right rules stay within it, wrong ones pass 0.4."""

QUANTITIES: dict[str, str] = {
    "update": "what the change of the tensor adds to the output of its own operation",
    "change": "change of the activation that the operation gives",
    "logits change": "change of the outputs",
    "logits": "size of the outputs after training",
    "stream": "size of the stream at the start, where the last residual branch is added",
    "stream change": "its change: the last activation of a residual network",
    "init norm": "natural spectral norm at the start, less what a finite side adds to a random matrix",
    "update norm": "natural spectral norm of everything that training added",
    "decay": "learning rate times weight decay; a row only where it changes with the size",
    "evaluation": "constant on the outputs in training over that in evaluation",
}
"""Every quantity that a row can have."""


@dataclass(frozen=True)
class CheckRow:
    """The growth exponent of one quantity of one tensor.

    Attributes:
        name: The tensor.
        quantity: One of `QUANTITIES`.
        slope: d log(quantity) / d log(width), or of the depth.
        low: Lower end of the 95 % interval of `slope`.
        high: Upper end.
        expected: Exponent that the plan promises; for a rule given by name what feature learning asks, which is
            0. None where nothing is expected (`Check.observed`).
        ok: Whether the interval reaches within `tolerance` of `expected`, or `note` explains why it does not.
        note: Why a row is not held against the plan although it is off; empty for most.
        role: The tensor's role.
        use: What the tensor does in this operation: "contract", "lookup", "gain", "bias", ...
        values: Geometric mean over seeds, by size.
        unit: For a rule given by name, the exponent of the multiplier that the tensor carries, in units of which
            the quantity is counted.
        tolerance: How far the interval may stay from `expected`.
    """

    name: str
    quantity: str
    slope: float
    low: float
    high: float
    expected: float | None
    ok: bool
    note: str = ""
    role: str = ""
    use: str = ""
    values: tuple[float, ...] = ()
    unit: float = 0.0
    tolerance: float = TOLERANCE

    @property
    def off(self) -> float:
        """How far the exponent is from the expected one; 0 where nothing is expected."""
        return 0.0 if self.expected is None else self.slope - self.expected

    @property
    def good(self) -> bool:
        """Whether the exponent is within 0.15 of the expected one."""
        return abs(self.off) <= GOOD

    @property
    def decided(self) -> bool:
        """Whether the interval is narrow enough to tell a right exponent from a wrong one."""
        if self.expected is None:
            return True
        low, high = self.low - self.expected, self.high - self.expected
        limit = self.tolerance
        return low > limit or high < -limit or (low >= -2 * limit and high <= 2 * limit)


@dataclass(frozen=True)
class Check:
    """Whether networks of several widths or depths learn alike under a plan. Made by `similitude.check`.

    Attributes:
        rule: Name of the parametrization.
        optimizer: Class name of the optimizer.
        widths: Widths that were trained, increasing; one where the depth grows.
        seeds: Seeds that were used at every width.
        steps: Optimizer steps of each run.
        lr: Learning rate at the base.
        base: Size that the factors are ratios to.
        rows: Exponents with an expectation, in the order of the forward pass.
        verdict: What they mean.
        losses: Mean loss at the first and after the last step, by size.
        notes: What a user should know and the rows cannot say.
        observed: Exponents of what no rule speaks about, such as the level of the outputs.
        depths: Depths that were trained, increasing; empty where the width grows.
        depth_rule: Exponent alpha of the residual branches; None where the depth has no rule.
    """

    rule: str
    optimizer: str
    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    lr: float
    base: Mapping[str, int]
    rows: tuple[CheckRow, ...]
    verdict: Verdict
    losses: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()
    observed: tuple[CheckRow, ...] = ()
    depths: tuple[int, ...] = ()
    depth_rule: float | None = None

    @property
    def dial(self) -> str:
        """What grows: "width" or "depth"."""
        return DEPTH if self.depths else WIDTH

    @property
    def ok(self) -> bool:
        """Whether the verdict is good."""
        return self.verdict.ok

    @property
    def offenders(self) -> tuple[CheckRow, ...]:
        """Rows that are held against the plan, in the order of the forward pass."""
        return tuple(row for row in self.rows if not row.ok)

    def raise_if_bad(self) -> None:
        """Raise unless the verdict is good.

        Raises:
            NotEnoughEvidenceError: More seeds or other settings are needed to tell.
            BadVerdictError: The verdict is bad; the text names tensor and cause.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; an interval without an end has null."""
        data = asdict(self)
        for part in ("rows", "observed"):
            data[part] = [{k: _finite(v) for k, v in asdict(row).items()} for row in getattr(self, part)]
        data["losses"] = [[_finite(v) for v in pair] for pair in self.losses]
        data["verdict"] = self.verdict.to_dict()
        return {key: list(value) if isinstance(value, tuple) else value for key, value in data.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Check:
        """Read what `to_dict` wrote.

        Raises:
            PlanError: The data is not a check.
        """
        try:
            rest = {
                f.name: data[f.name] if f.default is MISSING else data.get(f.name, f.default)
                for f in fields(cls)
                if f.name not in ("rows", "observed", "verdict", "losses")
            }
            for name in ("widths", "seeds", "notes", "depths"):
                rest[name] = tuple(rest[name])
            return cls(
                **rest,
                rows=tuple(_row(row) for row in data["rows"]),
                observed=tuple(_row(row) for row in data["observed"]),
                verdict=Verdict.from_dict(data["verdict"]),
                losses=tuple((_number(a), _number(b)) for a, b in data["losses"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PlanError(
                f"this is not a check: {type(error).__name__}: {error}. Read what Check.save or Check.to_dict wrote."
            ) from error

    def save(self, path: str | Path) -> Path:
        """Write the check as JSON and return the path.

        Raises:
            PlanError: The file cannot be written.
        """
        path = Path(path)
        try:
            path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise PlanError(
                f"the check cannot be written to {path}: {error}. Choose another place."
            ) from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Check:
        """Read a check that `save` wrote.

        Raises:
            PlanError: The file cannot be read or holds no check.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PlanError(
                f"{path} cannot be read as a check: {error}. Write one with Check.save."
            ) from error
        return cls.from_dict(data)

    def __str__(self) -> str:
        from similitude.checking.words import lines

        return "\n".join(lines(self))

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text(str(self))


def _row(data: Mapping[str, Any]) -> CheckRow:
    row = dict(data)
    low, high = row["low"], row["high"]
    return CheckRow(
        **{
            **row,
            "low": -math.inf if low is None else low,
            "high": math.inf if high is None else high,
            "values": tuple(row["values"]),
        }
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
