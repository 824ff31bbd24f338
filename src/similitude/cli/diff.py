"""`similitude diff`: what differs between two saved plans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD
from similitude.cli.screen import Screen


def diff(
    old: Path,
    new: Path,
    /,
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show the settings, tensors, roles and factors that two plans do not share.

    The exit code is 0 where both treat every tensor alike, and 1 where they do not.

    Parameters
    ----------
    old:
        A plan that `similitude plan --save` or `plan.save` wrote.
    new:
        The plan to compare with it.
    json:
        Print the differences as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.scaling.diff import diff as compare
        from similitude.scaling.records import Plan

        found = compare(Plan.load(old), Plan.load(new))
        screen.say(found)
        screen.result(found.to_dict())
    return BAD_VERDICT if found else GOOD
