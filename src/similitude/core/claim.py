"""Claims: a published statement, what it says the value is, and what we measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from similitude.core.chart import Chart
from similitude.core.citation import PAPERS, Paper
from similitude.core.plain import finite, number
from similitude.core.verdict import Verdict


@dataclass(frozen=True)
class Claim:
    """The result of measuring one statement of a paper.

    Attributes:
        name: Short name, unique in the registry, e.g. `"17.transfer"`.
        paper: The paper's number in `similitude.core.citation.PAPERS`.
        statement: What the paper says, in one sentence.
        claimed: The claimed value, in words, as it is held against the measurement.
        measured: The measured value; its unit is named in `unit`. nan where the measurement failed.
        interval: 95 % interval of `measured`, or None where none can be computed.
        unit: Unit of `measured`.
        verdict: `ok` where the measurement agrees with the statement, `inconsistent` where it does not.
        seconds: What the measurement took, by the clock.
        figures: Figures of the paper redrawn from the measurement.
        full: Whether it was measured at its full size.
        error: Why there is no measurement; empty where there is one.
        settings: What ran it, by name: command, date, versions.
        cpu_seconds: Processor time that it took, over all threads and processes, which other work on the machine
            disturbs less than the clock; None where it was not taken.
    """

    name: str
    paper: int
    statement: str
    claimed: str
    measured: float
    interval: tuple[float, float] | None
    unit: str
    verdict: Verdict
    seconds: float
    figures: tuple[Chart, ...] = ()
    full: bool = False
    error: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    cpu_seconds: float | None = None

    @property
    def source(self) -> Paper:
        """The paper that makes the statement."""
        return PAPERS[self.paper]

    @property
    def passed(self) -> bool:
        """Whether the measurement agrees with the statement."""
        return self.verdict.ok

    def raise_if_bad(self) -> None:
        """Raise unless the measurement agrees with the statement."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite is None."""
        data = {
            "paper": self.paper,
            "claim": self.name,
            "claimed": self.claimed,
            "measured": self.measured,
            "interval": self.interval,
            "passed": self.passed,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "unit": self.unit,
            "statement": self.statement,
            "verdict": self.verdict.to_dict(),
            "title": self.source.title,
            "arxiv": self.source.arxiv,
            "full": self.full,
            "error": self.error,
            "figures": [chart.to_dict() for chart in self.figures],
            "settings": dict(self.settings),
        }
        return finite(data)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Claim:
        """Read what `to_dict` wrote."""
        ends = data["interval"]
        return cls(
            name=data["claim"],
            paper=data["paper"],
            statement=data["statement"],
            claimed=data["claimed"],
            measured=number(data["measured"]),
            interval=None if ends is None else (number(ends[0]), number(ends[1])),
            unit=data["unit"],
            verdict=Verdict.from_dict(data["verdict"]),
            seconds=float(data["seconds"]),
            figures=tuple(map(Chart.from_dict, data["figures"])),
            full=data["full"],
            error=data["error"],
            settings=dict(data["settings"]),
            cpu_seconds=data.get("cpu_seconds"),  # earlier versions did not take it
        )
