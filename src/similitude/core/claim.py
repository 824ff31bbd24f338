"""Claims: a published statement, what it says the value is, and what we measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from similitude.core.citation import PAPERS, Paper
from similitude.core.verdict import Verdict


@dataclass(frozen=True)
class Claim:
    """The result of measuring one statement of a paper.

    Attributes:
        name: Short name, unique in the registry, e.g. `"17.transfer"`.
        paper: The paper's number in `similitude.core.citation.PAPERS`.
        statement: What the paper says, in one sentence.
        claimed: The claimed value, in words, as it is held against the measurement.
        measured: The measured value; its unit is named in `unit`.
        interval: 95 % interval of `measured`, or None where none can be computed.
        unit: Unit of `measured`.
        verdict: `ok` where the measurement agrees with the statement, `inconsistent` where it does not.
        seconds: What the measurement took.
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
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "paper": self.paper,
            "title": self.source.title,
            "arxiv": self.source.arxiv,
            "statement": self.statement,
            "claimed": self.claimed,
            "measured": self.measured,
            "interval": list(self.interval) if self.interval is not None else None,
            "unit": self.unit,
            "passed": self.passed,
            "verdict": self.verdict.to_dict(),
            "seconds": self.seconds,
        }
