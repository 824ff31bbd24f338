"""`similitude plan`: how every tensor of the user's model scales from one width to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD
from similitude.cli.roles import Roles
from similitude.cli.screen import Screen


def plan(
    factory: str,
    /,
    *,
    base: int,
    target: int,
    optimizer: str = "AdamW",
    rule: Literal["mup", "sp", "ntp"] = "mup",
    role: Roles = None,
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show role, ratios and factors of every tensor, each with its reason.

    The exit code is 1 where a tensor is refused.

    Parameters
    ----------
    factory:
        A function of the width that returns a model, as module:name or file.py:name.
    base:
        Width that hyperparameters are tuned at.
    target:
        Width to plan for.
    optimizer:
        A class of torch.optim by its name, or module:name.
    rule:
        Parametrization.
    role:
        Role of a tensor that shapes cannot tell: --role.blocks.0.gate input (names may be globs).
    save:
        Write the plan to this JSON file.
    json:
        Print the plan as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.report.terminal import plan_table
        from similitude.scaling.plan import plan as make_plan

        made = make_plan(
            load_factory(factory),
            base=base,
            target=target,
            optimizer=load_optimizer(optimizer),
            rule=rule,
            roles=role,
        )
        screen.say(plan_table(made))
        if save is not None:
            screen.say(f"Plan written to {made.save(save)}")
        screen.result(made.to_dict())
    return BAD_VERDICT if made.refused else GOOD
