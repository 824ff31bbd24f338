"""`similitude claims list|run`: what the papers claim, and what is measured here."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD, NOT_ENOUGH
from similitude.cli.screen import Screen


def list_(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List every claim: its paper, its statement and the claimed value.

    Parameters
    ----------
    json:
        Print one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from rich.table import Table

        from similitude.claims.registry import registered

        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("claim", "paper", "statement", "claimed", "takes"):
            table.add_column(column, overflow="fold")
        for entry in registered().values():
            paper = f"{entry.source.title} (arXiv {entry.source.arxiv})"
            table.add_row(entry.name, paper, entry.statement, entry.claimed, f"{entry.minutes:g} min")
        screen.say(table)
        screen.result({"claims": [entry.to_dict() for entry in registered().values()]})
    return GOOD


def run(*names: str, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Measure claims, all of them if none is named.

    The exit code is 1 if one does not hold here, 3 if one is undecided.

    Parameters
    ----------
    names:
        Claims as `similitude claims list` names them; a paper's number runs all of its claims.
    json:
        Print one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.claims.registry import measure, select

        results = []
        for entry in select(names):
            screen.say(f"{entry.name}: {entry.statement}")
            claim = measure(entry)
            interval = f" [{claim.interval[0]:.3g}, {claim.interval[1]:.3g}]" if claim.interval else ""
            word = "pass" if claim.passed else "UNDECIDED" if claim.verdict.undecided else "FAIL"
            screen.say(f"  claimed:  {claim.claimed}")
            screen.say(f"  measured: {claim.measured:.3g}{interval} {claim.unit}")
            screen.say(f"  {word}: {claim.verdict.summary} ({claim.seconds:.0f} s)")
            results.append(claim)
        screen.result({"claims": [claim.to_dict() for claim in results]})
    codes = {claim.verdict.exit_code for claim in results}
    return next(code for code in (BAD_VERDICT, NOT_ENOUGH, GOOD) if code in codes)
