"""The registry of claims: statements of papers, each with a measurement that uses no formula of the paper."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import pkgutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.claims.needs import unmet
from similitude.core.chart import Chart
from similitude.core.citation import PAPERS, Paper
from similitude.core.claim import Claim
from similitude.core.errors import SimilitudeError
from similitude.core.verdict import Verdict


@dataclass(frozen=True)
class Measured:
    """What a measurement gives.

    Attributes:
        value: The number that stands for it.
        interval: Its 95 % interval, or None where it has none.
        unit: Its unit.
        verdict: Whether the statement holds.
        figures: Figures of the paper redrawn from what was measured.
    """

    value: float
    interval: tuple[float, float] | None
    unit: str
    verdict: Verdict
    figures: tuple[Chart, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A registered claim.

    Attributes:
        name: Its name, "<paper>.<short name>".
        paper: The paper's number.
        statement: What the paper says.
        claimed: The value or relation that the measurement is held against.
        minutes: What the measurement takes on one core, about.
        measurement: Measures it; a statement that does not hold is reported so. Where there is a full size it takes
            `full`, whether to measure at that.
        full_minutes: What the measurement takes at its full size, about; None where it has one size only.
        together: Name of what is computed once for several claims of a process, so that the first one that is measured
            takes the time of all; empty where nothing is shared.
        needs: Names in `needs.NEEDS` of what the user must bring; without it the claim cannot be measured.
    """

    name: str
    paper: int
    statement: str
    claimed: str
    minutes: float
    measurement: Callable[..., Measured]
    full_minutes: float | None = None
    together: str = ""
    needs: tuple[str, ...] = ()

    @property
    def source(self) -> Paper:
        """The paper that makes the statement."""
        return PAPERS[self.paper]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: the keys of a measured claim, and what it takes."""
        return {
            "paper": self.paper,
            "claim": self.name,
            "claimed": self.claimed,
            "measured": None,
            "interval": None,
            "passed": None,
            "seconds": None,
            "statement": self.statement,
            "title": self.source.title,
            "arxiv": self.source.arxiv,
            "minutes": self.minutes,
            "full_minutes": self.full_minutes,
            "needs": unmet(self.needs),
        }


_ENTRIES: dict[str, Entry] = {}


def claim(
    name: str,
    *,
    paper: int,
    statement: str,
    claimed: str,
    minutes: float,
    full_minutes: float | None = None,
    together: str = "",
    needs: tuple[str, ...] = (),
) -> Callable[[Callable[..., Measured]], Callable[..., Measured]]:
    """Register the decorated function as the measurement of a claim.

    Args:
        name: "<paper>.<short name>".
        paper: The paper's number.
        statement: What the paper says.
        claimed: The value or relation that the measurement is held against.
        minutes: What the measurement takes on one core, about.
        full_minutes: What it takes at its full size; the function then takes a keyword `full`.
        together: Name of what it shares with other claims, which are then measured in one process.
        needs: What the user must bring, by its names in `needs.NEEDS`.

    Raises:
        ValueError: The name is taken, does not begin with the paper's number, the paper is unknown, or the function
            takes `full` without full minutes, or not with them.
    """

    def register(measurement: Callable[..., Measured]) -> Callable[..., Measured]:
        if paper not in PAPERS or not name.startswith(f"{paper}."):
            raise ValueError(f"claim {name!r}: begin with the number of a known paper, e.g. '17.transfer'.")
        if name in _ENTRIES:
            raise ValueError(f"claim {name!r} is registered twice.")
        if ("full" in inspect.signature(measurement).parameters) != (full_minutes is not None):
            raise ValueError(
                f"claim {name!r}: a measurement takes a keyword 'full' where full_minutes are given, and only there."
            )
        _ENTRIES[name] = Entry(
            name, paper, statement, claimed, minutes, measurement, full_minutes, together, needs
        )
        return measurement

    return register


def registered() -> dict[str, Entry]:
    """Return every claim by name, in the order of the papers."""
    package = importlib.import_module("similitude.claims")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"similitude.claims.{module.name}")
    return dict(sorted(_ENTRIES.items(), key=lambda item: (item[1].paper, item[0])))


def entry_of(name: str) -> Entry:
    """Return the claim of a name; nothing is imported where it is known already."""
    return _ENTRIES[name] if name in _ENTRIES else registered()[name]


def select(names: Sequence[str]) -> list[Entry]:
    """Return the claims of some names or paper numbers.

    Args:
        names: Names such as "6.errors" or "06.errors", and numbers of papers such as "6" or "06".

    Raises:
        SimilitudeError: A name is unknown.
    """
    entries = registered()
    chosen: dict[str, Entry] = {}
    for name in names:
        bare = name.lstrip("0")  # sheets and folders call paper 6 "06"
        matching = [e for e in entries.values() if bare in (e.name, str(e.paper))]
        if not matching:
            close = difflib.get_close_matches(name, entries, n=3, cutoff=0.3)
            raise SimilitudeError(
                f"there is no claim '{name}'. "
                + (f"Did you mean {' or '.join(close)}? " if close else "")
                + "`similitude claims list` has them all."
            )
        chosen.update({e.name: e for e in matching})
    return list(chosen.values())


def groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Return claims by what they share, in their order; what shares nothing stands alone."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.together or entry.name, []).append(entry)
    return list(found.values())


def expected_minutes(entries: Sequence[Entry], *, full: bool = False, at_once: int = 1) -> float:
    """Return what some claims take, about, where what they share is computed once.

    Args:
        entries: The claims.
        full: Whether at full size, where there is one.
        at_once: How many are measured at once, on a core each, the longest first.
    """

    def minutes(entry: Entry) -> float:
        return (entry.full_minutes if full else None) or entry.minutes

    each = [max(map(minutes, group)) for group in groups(entries)]
    return max(sum(each) / at_once, max(each, default=0.0))


def measure(entry: Entry, *, full: bool = False) -> Claim:
    """Measure a claim.

    Args:
        entry: The claim.
        full: Measure at its full size, where it has one.
    """
    full = full and entry.full_minutes is not None
    started, used = time.monotonic(), _processor_seconds()
    got = entry.measurement(full=True) if full else entry.measurement()
    return Claim(
        name=entry.name,
        paper=entry.paper,
        statement=entry.statement,
        claimed=entry.claimed,
        measured=got.value,
        interval=got.interval,
        unit=got.unit,
        verdict=got.verdict,
        seconds=time.monotonic() - started,
        figures=got.figures,
        full=full,
        cpu_seconds=_processor_seconds() - used,
    )


def _processor_seconds() -> float:
    """Return the processor time of this process and of those that it has seen end."""
    return sum(os.times()[:4])
