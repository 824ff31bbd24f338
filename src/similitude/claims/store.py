"""Measured claims in a JSON file, one after another, so that an interrupted run keeps what was measured."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from similitude import __version__
from similitude.claims.registry import Entry
from similitude.core.claim import Claim
from similitude.core.errors import StudyError
from similitude.report.files import write_atomically
from similitude.runs.faults import storage_fault
from similitude.runs.lock import FileLock

VERSION = "similitude"
"""Name of the setting that holds our version."""


def read_claims(path: str | os.PathLike[str]) -> list[Claim]:
    """Read the claims that a file holds: one that `add_claim` wrote, or the output of `similitude claims run --json`.

    Raises:
        StudyError: The file cannot be read, or holds something else.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(
            f"cannot read {str(path)!r}: {error.strerror}. Name a file that `similitude claims run --out` wrote."
        ) from error
    except ValueError as error:
        raise StudyError(
            f"{str(path)!r} is not JSON: {error}. Name a file that `claims run --out` wrote."
        ) from error
    try:
        return [Claim.from_dict(one) for one in data]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StudyError(
            f"{str(path)!r} holds no measured claims ({type(error).__name__}: {error}). Name a file that "
            "`similitude claims run --out` wrote, not the output of `claims list`."
        ) from error


def add_claim(path: str | os.PathLike[str], claim: Claim) -> None:
    """Put a claim into a file, in the place of an earlier one (see `latest`); several processes may do so at once.

    Raises:
        StudyError: The file holds something else, or its folder cannot be made.
        ReportError: The file cannot be written.
    """
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_fault(file, error) from error
    with FileLock(file.with_name(f".{file.name}.lock")).held():
        known = latest([*(read_claims(file) if file.exists() else []), claim])
        text = json.dumps([one.to_dict() for one in known], indent=1, allow_nan=False, ensure_ascii=False)
        write_atomically(file, text + "\n")


def latest(claims: Iterable[Claim]) -> list[Claim]:
    """Return the last measurement of every claim, in the order of papers and names.

    One that failed does not take the place of one that did not.
    """
    by_name: dict[str, Claim] = {}
    for claim in claims:
        if not claim.error or by_name.get(claim.name, claim).error:
            by_name[claim.name] = claim
    return sorted(by_name.values(), key=lambda claim: (claim.paper, claim.name))


def still_good(stored: Sequence[Claim], entries: Sequence[Entry], *, full: bool) -> list[Claim]:
    """Return those stored claims that need not be measured again.

    They were measured without an error, by this version, as what is claimed now, and at the size that is asked for or
    a fuller one.

    Args:
        stored: What a file holds.
        entries: What is asked for.
        full: Whether at full size, where there is one.
    """
    asked = {entry.name: entry for entry in entries}
    good = []
    for claim in stored:
        entry = asked.get(claim.name)
        if entry is None or claim.error or claim.settings.get(VERSION) != __version__:
            continue
        same = (claim.statement, claim.claimed) == (entry.statement, entry.claimed)
        if same and (claim.full or not full or entry.full_minutes is None):
            good.append(claim)
    return good
