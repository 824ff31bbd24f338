"""`similitude data list`: the data sets that similitude knows, and where they are."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD
from similitude.cli.screen import Screen


def list_(*, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """List every data set: what it is, whether it is here, its licence, and the command that supplies it.

    Parameters
    ----------
    json:
        Print one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from rich.table import Table

        from similitude.data import available

        listings = available()
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("name", "kind", "here", "what", "licence"):
            table.add_column(column, overflow="fold")
        for entry in listings:
            here = "file" if entry.needs_path else "yes" if entry.found else "no"
            table.add_row(entry.name, entry.kind, here, entry.size, entry.licence)
        screen.say(table)
        screen.say("")
        for entry in listings:
            screen.say(f"{entry.name}: {entry.where if entry.found else entry.get}")
        screen.result({"data": [entry.to_dict() for entry in listings]})
    return GOOD
