"""Measured claims in the terminal, and the words that the terminal and the page share."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.text import Text

from similitude.core.claim import Claim
from similitude.report.layout import STYLES, hanging
from similitude.report.numbers import duration, interval, measured
from similitude.report.words import mood

_WORDS = {"good": "pass", "bad": "FAIL", "unsure": "UNDECIDED"}


def claim_mood(claim: Claim) -> str:
    """Return "good", "bad" or "unsure": how a claim is coloured. One that could not be measured is bad."""
    return "bad" if claim.error else mood(claim.verdict)


def claim_word(claim: Claim) -> str:
    """Return "pass", "FAIL", "UNDECIDED", or "ERROR" where it could not be measured."""
    return "ERROR" if claim.error else _WORDS[mood(claim.verdict)]


def measured_cell(claim: Claim) -> str:
    """Write what was measured, with its interval and its unit."""
    return (
        "none"
        if claim.error
        else f"{measured(claim.measured)} {interval(claim.interval)}".strip() + f" {claim.unit}"
    )


def claim_lines(claim: Claim) -> Group:
    """Show a measured claim in the terminal: statement, claimed, measured, whether it holds, and what it took."""
    parts = [Text(f"{claim.name}: {claim.statement}"), hanging(f"claimed:  {claim.claimed}")]
    if not claim.error:
        parts.append(hanging(f"measured: {measured_cell(claim)}"))
    size = ", full size" if claim.full else ""
    said = f"{claim_word(claim)}: {claim.verdict.summary} ({duration(claim.seconds)}{size})"
    return Group(*parts, hanging(said, STYLES[claim_mood(claim)]))


def counts(claims: Iterable[Claim]) -> str:
    """Count claims by what became of them.

    Example:
        >>> counts([])
        '0 passed, 0 failed, 0 undecided'
    """
    words = [claim_word(claim) for claim in claims]
    text = ", ".join(
        f"{words.count(word)} {name}"
        for word, name in (("pass", "passed"), ("FAIL", "failed"), ("UNDECIDED", "undecided"))
    )
    return text + (f", {words.count('ERROR')} could not be measured" if "ERROR" in words else "")
