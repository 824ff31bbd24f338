"""Sharpness along training: one record per measurement, and the history that they make."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from similitude.core.errors import CurvatureError
from similitude.core.verdict import Verdict
from similitude.landscape.tracker_verdict import Edge, edge_of, judge_edge

if TYPE_CHECKING:
    import polars as pl

_LATE = 1 / 3  # part of the measurements, at the end, that the verdict is about


@dataclass(frozen=True)
class SharpnessRecord:
    """The sharpness of the loss on the probe after some steps of training.

    Attributes:
        step: Optimizer steps made before.
        loss: Loss on the probe.
        value: Largest eigenvalue of the Hessian on the probe, as the optimizer's steps see it where there is a threshold
            (diag(scale) H diag(scale), see `Units`), plain otherwise; nan where loss or parameters are not finite.
        bound: Estimated error of `value`: the residual, within which some eigenvalue lies for certain, or its square over
            the gap to the next one as far as that was seen, where it is smaller. Where `value` is not the largest
            eigenvalue at all, which a search rules out with a probability alone, it says nothing.
        products: Products with the Hessian that it took.
        cold: Whether the search began anew, with none of the directions of the last measurement.
        crossing: Whether another direction is on top than at the last measurement.
        units: The optimizer whose threshold applies, e.g. "gradient descent"; empty where none does.
        eta: Learning rate, the largest of the groups; None without an optimizer.
        threshold: What `eta_lambda` may not stay above if the top direction is to be stable; None where none applies.
        values: The k largest eigenvalues, descending, where more than one was asked for.
        directional: d'Hd / d'd along the last update d, of the plain Hessian; None where it was not asked for or no
            step lies behind. It is not a sharpness: it sees one direction.
        note: Why no threshold applies, which parameters the optimizer leaves alone, or what went wrong; else empty.
    """

    step: int
    loss: float
    value: float
    bound: float
    products: int
    cold: bool = False
    crossing: bool = False
    units: str = ""
    eta: float | None = None
    threshold: float | None = None
    values: tuple[float, ...] = ()
    directional: float | None = None
    note: str = ""

    @property
    def eta_lambda(self) -> float | None:
        """Learning rate times sharpness, to be compared with `threshold`; None where none applies."""
        return None if self.threshold is None or self.eta is None else self.eta * self.value

    @property
    def margin(self) -> float | None:
        """`eta_lambda` over `threshold`: 1 at the edge of stability, above 1 beyond it; None where there is no threshold.

        Example:
            >>> SharpnessRecord(10, 0.5, value=1.5, bound=0.0, products=3, eta=1.0, threshold=2.0).margin
            0.75
        """
        return None if self.threshold is None or self.eta_lambda is None else self.eta_lambda / self.threshold

    @property
    def finite(self) -> bool:
        """Whether loss and sharpness are finite numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.value)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; numbers that are not finite become None."""
        data = asdict(self) | {
            "values": list(self.values),
            "eta_lambda": self.eta_lambda,
            "margin": self.margin,
        }
        return {key: _plain(value) for key, value in data.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SharpnessRecord:
        """Read what `to_dict` wrote.

        Raises:
            CurvatureError: The data is no record.
        """
        try:
            found: dict[str, Any] = {f.name: data[f.name] for f in fields(cls)}
            found["values"] = tuple(found["values"])
            for name in ("loss", "value", "bound"):
                found[name] = math.nan if found[name] is None else found[name]
            return cls(**found)
        except (KeyError, TypeError) as error:
            raise CurvatureError(
                f"this is no record of sharpness: {type(error).__name__}: {error}. Read what a SharpnessTracker wrote."
            ) from error


@dataclass(frozen=True)
class SharpnessHistory:
    """The records of one training run in the order of its steps. Made by `similitude.SharpnessTracker`.

    Attributes:
        records: The records.
    """

    records: tuple[SharpnessRecord, ...] = ()

    @classmethod
    def of(cls, records: Iterable[SharpnessRecord]) -> SharpnessHistory:
        """Put records in order: one that goes back in time, as a run resumed from a checkpoint does, replaces what
        came after its step.

        Example:
            >>> a, b, c = (SharpnessRecord(step, 1.0, 1.0, 0.0, 2) for step in (10, 20, 10))
            >>> [record.step for record in SharpnessHistory.of([a, b, c]).records]
            [10]
        """
        kept: list[SharpnessRecord] = []
        for record in records:
            add(record, kept)
        return cls(tuple(kept))

    @property
    def late(self) -> tuple[SharpnessRecord, ...]:
        """The last third of the records, five at least, which the verdict is about."""
        return self.records[-max(5, math.ceil(len(self.records) * _LATE)) :]

    @property
    def edge(self) -> Edge:
        """Where the run is: below the edge of stability, at it, beyond it, diverged, or unknown."""
        return edge_of(self.records, self.late)

    def verdict(self) -> Verdict:
        """Say in words and numbers where the run is; at the edge and below are both good."""
        return judge_edge(self.records, self.late)

    def raise_if_bad(self) -> None:
        """Raise unless the run is at the edge of stability or below it.

        Raises:
            NotEnoughEvidenceError: There are too few measurements, or the optimizer has no threshold.
            BadVerdictError: The run is beyond the edge, or diverged.
        """
        self.verdict().raise_if_bad()

    def to_frame(self) -> pl.DataFrame:
        """Return the records as a table, one row each, with `eta_lambda` and `margin` among its columns."""
        import polars as pl

        kinds = dict.fromkeys(_NUMBERS, pl.Float64) | {"step": pl.Int64, "products": pl.Int64}
        kinds |= {
            "cold": pl.Boolean,
            "crossing": pl.Boolean,
            "units": pl.String,
            "values": pl.List(pl.Float64),
        }
        return pl.DataFrame([{name: r.to_dict()[name] for name in kinds} for r in self.records], schema=kinds)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one JSON object per line and return the path.

        Raises:
            CurvatureError: The file cannot be written.
        """
        with _writing(path, "w") as file:
            file.writelines(line(record) for record in self.records)
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SharpnessHistory:
        """Read what `save` or the log of a tracker wrote; a last line that was cut off is left out.

        Raises:
            CurvatureError: The file cannot be read, or is something else.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CurvatureError(
                f"records of sharpness cannot be read from {os.fspath(path)}: {error}."
            ) from error
        found = []
        for number, text in enumerate(lines):
            if not text:
                continue
            try:
                data = json.loads(text)
            except json.JSONDecodeError as error:
                if number == len(lines) - 1:  # no end of line: the writer was killed
                    continue
                raise CurvatureError(
                    f"line {number + 1} of {os.fspath(path)} is no JSON: {error}. Read what a SharpnessTracker wrote."
                ) from error
            found.append(SharpnessRecord.from_dict(data if isinstance(data, Mapping) else {}))
        return cls.of(found)


def add(record: SharpnessRecord, records: list[SharpnessRecord]) -> None:
    """Put a record at the end of a list, in place of those that are not before it."""
    while records and records[-1].step >= record.step:
        records.pop()
    records.append(record)


def append(record: SharpnessRecord, path: str | os.PathLike[str]) -> None:
    """Add one record to the end of a file; it is on its way to the disk when this returns.

    Raises:
        CurvatureError: The file cannot be written.
    """
    with _writing(path, "a") as file:
        file.write(line(record))


def line(record: SharpnessRecord) -> str:
    """Write a record as one line of JSON."""
    return json.dumps(record.to_dict(), allow_nan=False) + "\n"


def numbers_to_log(record: SharpnessRecord) -> dict[str, float]:
    """Name the numbers of a record for a log; those that it lacks are left out.

    Example:
        >>> numbers_to_log(SharpnessRecord(5, 0.1, 3.0, 0.0, 2, eta=0.5, threshold=2.0))
        {'sharpness': 3.0, 'lr_x_sharpness': 1.5, 'of_threshold': 0.75}
    """
    numbers = {
        "sharpness": record.value,
        "lr_x_sharpness": record.eta_lambda,
        "of_threshold": record.margin,
        "directional_sharpness": record.directional,
    }
    return {name: value for name, value in numbers.items() if value is not None}


_NUMBERS = ("loss", "value", "bound", "eta", "eta_lambda", "threshold", "margin", "directional")


def _writing(path: str | os.PathLike[str], mode: str) -> Any:
    try:
        return open(path, mode, encoding="utf-8")
    except OSError as error:
        raise CurvatureError(
            f"records of sharpness cannot be written to {os.fspath(path)}: {error.strerror}. Choose another place."
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
