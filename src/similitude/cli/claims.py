"""`similitude claims list|run`: what the papers claim, and what is measured here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD, NOT_ENOUGH
from similitude.cli.screen import Screen
from similitude.core.errors import GridError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from similitude.claims.registry import Entry
    from similitude.core.claim import Claim


def list_(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List every claim: its paper, its statement and the claimed value.

    Parameters
    ----------
    json:
        Print a JSON list on standard output, one object per claim, with the keys that measured ones have.
    """
    with Screen(as_json=json) as screen:
        from rich.table import Table

        from similitude.claims.registry import registered

        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("claim", "paper", "statement", "claimed", "takes"):
            table.add_column(column, overflow="fold")
        for entry in registered().values():
            paper = f"{entry.source.title} (arXiv {entry.source.arxiv})"
            takes = f"{entry.minutes:g} min"
            if entry.full_minutes is not None:
                takes += f", full {entry.full_minutes:g}"
            table.add_row(entry.name, paper, entry.statement, entry.claimed, takes)
        screen.say(table)
        screen.result([entry.to_dict() for entry in registered().values()])
    return GOOD


def run(
    *names: str,
    all: Annotated[bool, Parameter(negative="")] = False,
    strict: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure claims: claimed, measured, pass or fail.

    The exit code is 0 whenever all were measured, whatever was found, and 3 where a measurement failed; the others
    are measured all the same.

    Parameters
    ----------
    names:
        Claims as `similitude claims list` names them; a paper's number runs all of its claims.
    all:
        Measure every claim of every paper.
    strict:
        Leave with 1 if a claim does not hold here, with 3 if one is undecided.
    json:
        Print a JSON list on standard output, one object per claim, and all else on standard error.
    """
    with Screen(as_json=json) as screen:
        from similitude.claims.measuring import measure_all

        entries = _selected(names, everything=all)
        minutes = sum(entry.minutes for entry in entries)
        screen.say(f"{len(entries)} claims, about {minutes:.2g} minutes on two cores.")
        claims = measure_all(entries, on_done=lambda claim: _say(screen, claim))
        screen.result([claim.to_dict() for claim in claims])
    return _exit_code(claims, strict=strict)


def _selected(names: Sequence[str], *, everything: bool) -> list[Entry]:
    """Return the claims to measure.

    Raises:
        GridError: None are named, or some beside --all.
        SimilitudeError: A name is unknown.
    """
    from similitude.claims.registry import registered, select

    if everything and names:
        raise GridError(f"--all measures every claim, and {names[0]} is one of them. Drop one of the two.")
    if not everything and not names:
        count, minutes = len(registered()), sum(entry.minutes for entry in registered().values())
        raise GridError(
            f"which claims? Name some, e.g. 6 or 6.errors (`similitude claims list` has them), or pass --all: "
            f"{count} claims, about {minutes:.0f} minutes on two cores."
        )
    return list(registered().values()) if everything else select(names)


def _say(screen: Screen, claim: Claim) -> None:
    screen.say(f"{claim.name}: {claim.statement}")
    screen.say(f"  claimed:  {claim.claimed}")
    if not claim.error:
        interval = f" [{claim.interval[0]:.3g}, {claim.interval[1]:.3g}]" if claim.interval else ""
        screen.say(f"  measured: {claim.measured:.3g}{interval} {claim.unit}")
    word = (
        "ERROR"
        if claim.error
        else "pass"
        if claim.passed
        else "UNDECIDED"
        if claim.verdict.undecided
        else "FAIL"
    )
    screen.say(f"  {word}: {claim.verdict.summary} ({claim.seconds:.0f} s)")


def _exit_code(claims: Sequence[Claim], *, strict: bool) -> int:
    codes = {claim.verdict.exit_code for claim in claims if strict or claim.error}
    return next((code for code in (BAD_VERDICT, NOT_ENOUGH) if code in codes), GOOD)
