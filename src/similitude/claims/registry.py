"""The registry of claims: statements of papers, each with a measurement that uses no formula of the paper."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.citation import PAPERS, Paper
from similitude.core.claim import Claim
from similitude.core.errors import SimilitudeError
from similitude.core.verdict import Verdict


@dataclass(frozen=True)
class Measured:
    """What a measurement gives: a value in `unit` with its 95 % interval, and whether the statement holds."""

    value: float
    interval: tuple[float, float] | None
    unit: str
    verdict: Verdict


@dataclass(frozen=True)
class Entry:
    """A registered claim.

    Attributes:
        name: Its name, "<paper>.<short name>".
        paper: The paper's number.
        statement: What the paper says.
        claimed: The value or relation that the measurement is held against.
        minutes: What the measurement takes on two cores, about.
        measurement: Measures it; a statement that does not hold is reported so.
    """

    name: str
    paper: int
    statement: str
    claimed: str
    minutes: float
    measurement: Callable[[], Measured]

    @property
    def source(self) -> Paper:
        """The paper that makes the statement."""
        return PAPERS[self.paper]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "paper": self.paper,
            "title": self.source.title,
            "arxiv": self.source.arxiv,
            "statement": self.statement,
            "claimed": self.claimed,
            "minutes": self.minutes,
        }


_ENTRIES: dict[str, Entry] = {}


def claim(
    name: str, *, paper: int, statement: str, claimed: str, minutes: float
) -> Callable[[Callable[[], Measured]], Callable[[], Measured]]:
    """Register the decorated function as the measurement of a claim.

    Raises:
        ValueError: The name is taken, does not begin with the paper's number, or the paper is unknown.
    """

    def register(measurement: Callable[[], Measured]) -> Callable[[], Measured]:
        if paper not in PAPERS or not name.startswith(f"{paper}."):
            raise ValueError(f"claim {name!r}: begin with the number of a known paper, e.g. '17.transfer'.")
        if name in _ENTRIES:
            raise ValueError(f"claim {name!r} is registered twice.")
        _ENTRIES[name] = Entry(name, paper, statement, claimed, minutes, measurement)
        return measurement

    return register


def registered() -> dict[str, Entry]:
    """Return every claim by name, in the order of the papers."""
    package = importlib.import_module("similitude.claims")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"similitude.claims.{module.name}")
    return dict(sorted(_ENTRIES.items(), key=lambda item: (item[1].paper, item[0])))


def select(names: Sequence[str]) -> list[Entry]:
    """Return the claims of some names or paper numbers; all of them for no names.

    Raises:
        SimilitudeError: A name is unknown.
    """
    entries = registered()
    if not names:
        return list(entries.values())
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


def measure(entry: Entry) -> Claim:
    """Measure a claim."""
    started = time.monotonic()
    got = entry.measurement()
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
    )
