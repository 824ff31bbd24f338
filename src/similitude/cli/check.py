"""`similitude check`: short runs of the user's own model at several widths or depths, with a verdict and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from similitude.cli.knobs import Knobs
from similitude.cli.roles import Roles
from similitude.cli.screen import Screen

_WIDTHS = "64,128,256"


def check(
    factory: str,
    /,
    *,
    widths: str | None = None,
    depths: Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)] = None,
    base: Annotated[list[str] | None, Parameter(negative="")] = None,
    sample: str | None = None,
    data: str | None = None,
    loss: str | None = None,
    rule: str = "mup",
    depth_rule: str | None = None,
    plan: Path | None = None,
    optimizer: str | None = None,
    lr: str | None = None,
    steps: int | None = None,
    seeds: int = 3,
    role: Roles = None,
    knob: Knobs = None,
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train a few steps at several widths or depths, and say whether every tensor learns alike at all of them.

    The exit code is that of the verdict: 0 alike, 1 not (the tensor and the likely cause are named), 3 not enough
    evidence.

    Parameters
    ----------
    factory:
        A function of the width, or of width and depth, that returns a model, as module:name or file.py:name.
    widths:
        At least three widths, separated by commas (64,128,256 by default); with --depths the one width of all models.
    depths:
        At least three depths, e.g. 4 8 16 32 or 4,8,16,32; the depth then grows in place of the width.
    base:
        Size that hyperparameters are tuned at: 64, width=64 or width=64,depth=4; the smallest one by default.
    sample:
        What the model is trained on, as module:name or file.py:name: a batch, a list of batches, an object with
        batch(seed, step), or a function of nothing or of the width that gives one.
    data:
        In place of --sample: a data set (see `similitude data list`), or name=path for your own files.
    loss:
        loss(model, batch) as module:name. Cross entropy with --data; models that return their own loss need none.
    rule:
        Parametrization that is checked: mup, sp, ntp, mean_field, spectral, u_mup, or one that the
        factory's module registers.
    plan:
        In place of --rule: a plan that `similitude plan --save` wrote, carried over to every width.
    optimizer:
        A class of torch.optim by its name, or module:name; the plan's, or AdamW, by default.
    lr:
        Learning rate at the base; powers of two may be written 2^-9. Found by itself where it is not given.
    steps:
        Optimizer steps per run; 6 by default, after the first ones that follow another law.
    seeds:
        Seeds to begin with; more are added until the intervals are narrow enough, up to 8.
    role:
        Role of a tensor that is known better: --role.blocks.0.gate input (names may be globs).
    knob:
        Multiplier of the base by role, as for `similitude plan`: --knob.embedding 0.5, --knob.head.init 0.
    save:
        Write the check to this JSON file.
    json:
        Print the check, with every exponent, as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.checking.coordinates import check as run_check
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import at_least, depth_rule_of, rate, whole_numbers
        from similitude.cli.samples import load_trained
        from similitude.cli.sizes import size
        from similitude.core.errors import PlanError
        from similitude.report.check_table import check_table
        from similitude.scaling.plan import Plan

        if steps is not None:
            at_least(steps, 1, "--steps")
        at_least(seeds, 1, "--seeds")
        if plan is not None and base is not None:
            raise PlanError(f"--base has no effect on --plan {plan}, which has its own. Give one of them.")
        made = load_factory(factory)
        given = load_trained(sample, data, loss)
        extra: dict[str, Any] = {} if base is None else {"base": size(base, "--base")}
        found = run_check(
            made,
            Plan.load(plan) if plan is not None else rule,
            widths=_widths(widths, deep=depths is not None),
            depths=None if depths is None else whole_numbers(",".join(depths), "--depths"),
            sample=given.sample,
            loss=given.loss,
            optimizer=load_optimizer(optimizer) if optimizer is not None else None,
            lr=rate(lr, "--lr") if lr is not None else None,
            steps=steps,
            seeds=seeds,
            roles=role,
            knobs=knob,
            depth_rule=depth_rule_of(depth_rule),
            **extra,
        )
        screen.say(check_table(found))
        if save is not None:
            screen.say(f"Check written to {found.save(save)}")
        screen.result(found.to_dict())
    return found.verdict.exit_code


def _widths(given: str | None, *, deep: bool) -> tuple[int, ...] | None:
    from similitude.cli.options import whole_numbers

    if given is None and deep:
        return None
    return whole_numbers(given or _WIDTHS, "--widths")
