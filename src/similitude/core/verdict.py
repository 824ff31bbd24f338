"""Verdicts: what a measurement means, with the evidence for it and the next thing to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from similitude.core.errors import BadVerdictError, NotEnoughEvidenceError


class Outcome(StrEnum):
    """Every outcome that a result can have; the value is the text that reports and JSON show."""

    OK = "ok"
    TRANSFERS = "transfers"
    SHIFTS = "shifts"
    GROWS = "grows"
    SHRINKS = "shrinks"
    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"
    NOT_BRACKETED = "not_bracketed"
    TOO_NOISY = "too_noisy"
    CANNOT_TELL = "cannot_tell"
    DIVERGED = "diverged"
    REFUSED = "refused"


_GOOD = frozenset({Outcome.OK, Outcome.TRANSFERS, Outcome.CONSISTENT})
_UNDECIDED = frozenset({Outcome.NOT_BRACKETED, Outcome.TOO_NOISY, Outcome.CANNOT_TELL})


@dataclass(frozen=True)
class Evidence:
    """One line of evidence: a measured quantity, what was expected of it, and what it speaks for.

    `value` is a number in the unit that `name` states; `interval` its 95 % interval where one was computed;
    `expected` says in words what a good value is.
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    expected: str = ""

    def __str__(self) -> str:
        text = f"{self.name}: " + ("none" if self.value is None else f"{self.value:.4g}")
        if self.interval is not None:
            text += f" [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"
        return text + (f" (expected {self.expected})" if self.expected else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "value": self.value,
            "interval": list(self.interval) if self.interval is not None else None,
            "expected": self.expected,
        }


@dataclass(frozen=True)
class Verdict:
    """What a result means.

    Attributes:
        outcome: One of `Outcome`.
        summary: One sentence in words and numbers.
        evidence: The measurements behind it, the most telling first.
        causes: Likely causes, ranked, where the outcome is not good.
        next: The next command or change to try.

    Example:
        >>> v = Verdict(Outcome.TRANSFERS, "the optimum stays put")
        >>> v.ok, v.exit_code, str(v.outcome)
        (True, 0, 'transfers')
    """

    outcome: Outcome
    summary: str
    evidence: tuple[Evidence, ...] = ()
    causes: tuple[str, ...] = ()
    next: str = ""

    @property
    def ok(self) -> bool:
        """Whether the outcome is a good one."""
        return self.outcome in _GOOD

    @property
    def undecided(self) -> bool:
        """Whether more evidence is needed before the outcome is good or bad."""
        return self.outcome in _UNDECIDED

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ends with this verdict: 0 good, 1 bad, 3 not enough evidence."""
        return 0 if self.ok else 3 if self.undecided else 1

    def raise_if_bad(self) -> None:
        """Raise unless the outcome is good.

        Raises:
            NotEnoughEvidenceError: More evidence is needed.
            BadVerdictError: The outcome is bad.
        """
        if self.ok:
            return
        text = f"{self.outcome}: {self.summary}" + (f" Next: {self.next}" if self.next else "")
        raise NotEnoughEvidenceError(text) if self.undecided else BadVerdictError(text)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "outcome": str(self.outcome),
            "ok": self.ok,
            "summary": self.summary,
            "evidence": [e.to_dict() for e in self.evidence],
            "causes": list(self.causes),
            "next": self.next,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Verdict:
        """Read what `to_dict` wrote."""
        return cls(
            outcome=Outcome(data["outcome"]),
            summary=data["summary"],
            evidence=tuple(
                Evidence(
                    e["name"],
                    e["value"],
                    tuple(e["interval"]) if e["interval"] is not None else None,
                    e["expected"],
                )
                for e in data["evidence"]
            ),
            causes=tuple(data["causes"]),
            next=data["next"],
        )
