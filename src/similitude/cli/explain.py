"""`similitude explain`: every factor of one tensor of a saved plan, with its derivation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD
from similitude.cli.screen import Screen


def explain(
    plan: Path,
    tensor: str,
    /,
    *,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show what a tensor was seen to do, its role, and how each of its factors comes about.

    The exit code is 1 where the tensor is refused.

    Parameters
    ----------
    plan:
        A plan that `similitude plan --save` or `plan.save` wrote.
    tensor:
        Name of the tensor, or of one that it is tied to.
    json:
        Print the explanation as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.scaling.records import Plan

        explained = Plan.load(plan).explain(tensor)
        screen.say(explained)
        screen.result(explained.to_dict())
    return BAD_VERDICT if explained.refused else GOOD
