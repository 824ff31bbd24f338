"""`similitude plan`: how every tensor of the user's model scales from one size to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD
from similitude.cli.knobs import Knobs
from similitude.cli.roles import Roles
from similitude.cli.screen import Screen


def plan(
    factory: str,
    /,
    *,
    base: Annotated[list[str], Parameter(negative="")],
    target: Annotated[list[str], Parameter(negative="")],
    sample: str | None = None,
    data: str | None = None,
    loss: str | None = None,
    optimizer: str = "AdamW",
    rule: str = "mup",
    depth_rule: str | None = None,
    gamma: float = 1.0,
    role: Roles = None,
    knob: Knobs = None,
    weight_decay: Literal["independent", "decoupled"] = "independent",
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Show role, ratios and factors of every tensor, each with its reason.

    One forward pass at two small sizes is traced; nothing is trained. The exit code is 1 where a tensor is
    refused.

    Parameters
    ----------
    factory:
        A function of the width, or of width and depth, that returns a model, as module:name or file.py:name.
    base:
        Size that hyperparameters are tuned at: 256, width=256, or width=256,depth=4.
    target:
        Size to plan for.
    sample:
        What the model is called with, as module:name or file.py:name: a tensor, a tuple or dict of arguments,
        or a function of nothing or of the width that gives one.
    data:
        In place of --sample: a data set (see `similitude data list`); the loss on a batch is traced.
    loss:
        loss(model, sample) as module:name, traced in place of the model's own call.
    optimizer:
        A class of torch.optim by its name, or module:name.
    rule:
        Parametrization: mup, sp, ntp, mean_field, spectral, u_mup, or one that the factory's module registers.
    role:
        Role of a tensor that is known better: --role.blocks.0.gate input (names may be globs).
    knob:
        Multiplier of the base by role: --knob.embedding 0.5, or of one part: --knob.head.lr 2. Zero heads and
        attention queries: --knob.head.init 0 --knob.query.init 0.
    weight_decay:
        What stays while the learning rate is scaled: its product with the weight decay (independent), or the
        decay's own number (decoupled).
    save:
        Write the plan to this JSON file.
    json:
        Print the plan as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import depth_rule_of
        from similitude.cli.samples import load_traced
        from similitude.cli.sizes import size
        from similitude.report.plans import plan_table
        from similitude.scaling.plan import plan as make_plan

        small, large = size(base, "--base"), size(target, "--target")
        make = load_factory(factory)
        traced = load_traced(sample, data, loss)
        made = make_plan(
            make,
            base=small,
            target=large,
            sample=traced.sample,
            loss=traced.loss,
            optimizer=load_optimizer(optimizer),
            rule=rule,
            depth_rule=depth_rule_of(depth_rule),
            gamma=gamma,
            roles=role,
            knobs=knob,
            weight_decay=weight_decay,
        )
        screen.say(plan_table(made))
        if save is not None:
            screen.say(f"Plan written to {made.save(save)}")
        screen.result(made.to_dict())
    return BAD_VERDICT if made.refused else GOOD
