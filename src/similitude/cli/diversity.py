"""`similitude diversity`: whether the layers of the user's residual network learn different things, or the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from similitude.cli.screen import Screen


def diversity(
    factory: str,
    /,
    *,
    base: Annotated[list[str], Parameter(negative="")],
    sample: str | None = None,
    data: str | None = None,
    loss: str | None = None,
    plan: Path | None = None,
    optimizer: str = "AdamW",
    lr: str | None = None,
    steps: int = 40,
    seeds: int = 3,
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure how different the layers of a residual network are: the gradients they get, and what they make of them.

    The exit code is 0 where that can be told, 1 where training diverged, 3 where it was too short or the network is
    not deep enough.

    Parameters
    ----------
    factory:
        A function of the width and depth that returns a model, as module:name or file.py:name.
    base:
        Size of the model: width=64,depth=16.
    sample:
        What the model is trained on, as module:name or file.py:name: a batch, a list of batches, an object with
        batch(seed, step), or a function of nothing or of the width that gives one.
    data:
        In place of --sample: a data set (see `similitude data list`), or name=path for your own files.
    loss:
        loss(model, batch) as module:name. Cross entropy with --data; models that return their own loss need none.
    plan:
        Parametrization of the model: a plan that `similitude plan --save` wrote for this size.
    optimizer:
        A class of torch.optim by its name, or module:name.
    lr:
        Learning rate; powers of two may be written 2^-9. Found by itself where it is not given.
    steps:
        Optimizer steps; 0 measures at initialization alone.
    seeds:
        Networks that are built.
    save:
        Write the numbers to this JSON file.
    json:
        Print the numbers as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.checking.diversity import diversity as measure
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import at_least, rate
        from similitude.cli.samples import load_trained
        from similitude.cli.sizes import size
        from similitude.scaling.plan import Plan

        at_least(steps, 0, "--steps")
        at_least(seeds, 1, "--seeds")
        made = load_factory(factory)
        given = load_trained(sample, data, loss)
        found = measure(
            made,
            given.sample,
            base=size(base, "--base"),
            loss=given.loss,
            plan=Plan.load(plan) if plan is not None else None,
            optimizer=load_optimizer(optimizer),
            lr=rate(lr, "--lr") if lr is not None else None,
            steps=steps,
            seeds=seeds,
        )
        screen.say(found)
        if save is not None:
            screen.say(f"Diversity written to {found.save(save)}")
        screen.result(found.to_dict())
    return found.verdict.exit_code
