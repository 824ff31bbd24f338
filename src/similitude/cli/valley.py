"""`similitude valley`: which pairs of learning rate and branch multiplier are good, and whether depth keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.screen import Screen


def valley(
    factory: str,
    /,
    *,
    data: str,
    base: Annotated[list[str], Parameter(negative="")],
    lrs: str = "2^-9,2^-8,2^-7,2^-6,2^-5",
    multipliers: str = "2^-4,2^-3,2^-2,2^-1,1,2,4,8,16,32",
    depths: str | None = None,
    alpha: float = 0.5,
    lr_exponent: float = 0.5,
    optimizer: str = "Adam",
    loss: str = "similitude.training.losses:cross_entropy",
    steps: int = 120,
    seeds: int = 3,
    batch_size: int | None = None,
    context: int | None = None,
    noise: float | None = None,
    schedule: Literal["constant", "linear", "cosine"] = "constant",
    warmup: int = 0,
    workers: int | None = None,
    engine: str | None = None,
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train your residual network over learning rates and multipliers of its branches; say how both trade, by depth.

    The exit code is 0 where the slope of the best multipliers is known and the same at every depth, 1 where it depends on
    the depth (no rule of depth then keeps both) or every run diverged, 3 where there is not enough evidence.

    Parameters
    ----------
    factory:
        A function of the width, depth and multiplier (the number that every branch is multiplied by) that returns a
        model, as module:name or file.py:name.
    data:
        A data set (see `similitude data list`), name=path for your own files (npz=images.npz), or module:name
        of an object with batch(seed, step), evaluation() and describe().
    base:
        Size of the model: width=40,depth=1.
    lrs:
        Learning rates at the first depth, separated by commas; powers of two may be written 2^-9.
    multipliers:
        Multipliers of the branches at the first depth.
    depths:
        Depths to compare, separated by commas, in place of that of the base.
    alpha:
        At depth L multipliers are those given times (L / first)^-alpha.
    lr_exponent:
        At depth L learning rates are those given times (L / first)^-lr_exponent.
    optimizer:
        A class of torch.optim by its name, or module:name.
    loss:
        loss(model, batch) as module:name.
    steps:
        Optimizer steps per run.
    seeds:
        Number of seeds.
    batch_size:
        Images (64 by default) or text sequences (8) per batch.
    context:
        Characters per sequence of a text; 32 by default.
    noise:
        Standard deviation of fresh noise on images, in units of their own; 0 by default.
    schedule:
        Learning rate over the steps.
    warmup:
        Steps of linear warmup.
    workers:
        Runs at once, each in a process of its own; 1, in this process, by default.
    engine:
        Where runs are computed: inline (this process), process (several of this machine) or ray, perhaps with settings:
        ray:num_gpus=1,address=head:6379. By --workers where it is not given.
    save:
        Write the numbers to this JSON file.
    json:
        Print the numbers as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.batches import load_batches
        from similitude.cli.engines import engine_of
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import at_least, rate, schedule_of, whole_numbers
        from similitude.cli.sizes import size
        from similitude.core.errors import GridError
        from similitude.studies.valley import valley as study

        at_least(steps, 1, "--steps")
        at_least(seeds, 1, "--seeds")
        if save is not None and not save.resolve().parent.is_dir():
            raise GridError(f"--save {save}: there is no folder {save.resolve().parent}. Make it first.")
        batches, vain = load_batches(data, batch_size=batch_size, context=context, noise=noise)
        for option in vain:
            screen.say(f"Note: {option} has no effect on --data {data}.")
        with engine_of(engine, workers, alone=True) as where, screen.progress() as bar:
            found = study(
                load_factory(factory),
                batches,
                base=size(base, "--base"),
                lrs=[rate(text, "--lrs") for text in lrs.split(",")],
                multipliers=[
                    rate(text, "--multipliers", what="multiplier") for text in multipliers.split(",")
                ],
                depths=None if depths is None else whole_numbers(depths, "--depths"),
                alpha=alpha,
                lr_exponent=lr_exponent,
                loss=load_factory(loss, what="a function loss(model, batch) that returns one number"),
                optimizer=load_optimizer(optimizer),
                steps=steps,
                seeds=tuple(range(seeds)),
                schedule=schedule_of(schedule, steps=steps, warmup=warmup),
                engine=where,
                on_progress=bar,
            )
        screen.say(found)
        if save is not None:
            screen.say(f"Valley written to {found.save(save)}")
        screen.result(found.to_dict())
    return found.verdict.exit_code
