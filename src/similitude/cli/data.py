"""`similitude data list|get`: the data sets that similitude knows, where they are, and how to get one checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

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


def get(
    name: Literal["clues"],
    /,
    *,
    from_: Annotated[str, Parameter(name="--from")],
    to: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Put a data set in place from a folder, a zip or an address, and check every file of it.

    Parameters
    ----------
    name:
        The data set; others than clues come by the commands that `similitude data list` shows.
    from_:
        A folder, a zip file, or an address that begins with https://.
    to:
        The folder to write into; by default $SIMILITUDE_DATA, or the current folder where that is not set.
    json:
        Print one JSON object on standard output, with the SHA-256 of every file.
    """
    with Screen(as_json=json) as screen:
        from similitude.data.entries import ENTRIES, VARIABLE
        from similitude.fewshot.getting import FOLDER, get_clues

        folder = to if to is not None else Path(os.environ.get(VARIABLE) or ".")
        found = get_clues(from_, folder)
        screen.say(f"{name}: {len(found.files)} files in {folder / FOLDER}")
        screen.say(f"licence: {ENTRIES[name].licence}")
        screen.say(*(found.notes or ("All files are as they were published.",)))
        screen.result(
            {
                "name": name,
                "path": str(folder / FOLDER),
                "digest": found.digest,
                "published": found.published,
                "notes": list(found.notes),
                "files": dict(found.files),
            }
        )
    return GOOD
