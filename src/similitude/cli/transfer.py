"""`similitude transfer`: sweep the learning rate of the user's own model at several widths or depths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.exits import INTERRUPTED, NOT_ENOUGH, WRONG_USE
from similitude.cli.roles import Roles
from similitude.cli.screen import Screen


def transfer(
    factory: str,
    /,
    *,
    data: str,
    widths: Annotated[
        str | None,
        Parameter(help="Widths, separated by commas; the smallest is the base. 64,128,256 by default."),
    ] = None,
    depths: str | None = None,
    base: Annotated[list[str] | None, Parameter(negative="")] = None,
    depth_rule: str | None = None,
    lr_min: str = "2^-11",
    lr_max: str = "2^-4",
    points: int = 8,
    rules: str | None = None,
    optimizer: str = "Adam",
    loss: str = "similitude.training.losses:cross_entropy",
    steps: int = 200,
    seeds: int = 3,
    batch_size: int | None = None,
    context: int | None = None,
    noise: float | None = None,
    schedule: Literal["constant", "linear", "cosine"] = "constant",
    warmup: int = 0,
    role: Roles = None,
    name: str | None = None,
    storage: str = "similitude-runs",
    workers: int | None = None,
    engine: str | None = None,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train your model at several widths (or depths) and learning rates, and say whether the best rate transfers.

    Finished runs are kept, and the same command continues after an interruption. The exit code is that of
    the last rule's verdict: 0 transfers, 1 it does not, 3 not enough evidence.

    Parameters
    ----------
    factory:
        A function of the width, or of the width and the depth, that returns a model, as module:name or
        file.py:name.
    data:
        A data set (see `similitude data list`), name=path for your own files (npz=images.npz), or module:name
        of an object with batch(seed, step), evaluation() and describe().
    depths:
        Depths in place of widths, separated by commas; the smallest is the base. Needs --base and --depth-rule.
    base:
        The dials that stay as they are: --base 128 (or width=128) beside --depths, depth=6 beside --widths.
    depth_rule:
        Depth rules to compare: sp, depth_mup, complete_p, or an exponent in [0.5, 1]. The last one's verdict is the
        exit code.
    lr_min:
        Smallest learning rate; powers of two may be written 2^-11.
    lr_max:
        Largest learning rate.
    points:
        Number of learning rates, evenly spaced in their logarithm.
    rules:
        Parametrizations to compare over widths: sp, mup, ntp, mean_field, spectral; sp,mup by default. The last one's
        verdict is the exit code.
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
    role:
        Role of a tensor that shapes cannot tell: --role.blocks.0.gate input (names may be globs).
    name:
        Name of the study in its storage; the factory's name by default.
    storage:
        Folder, or Optuna storage URL.
    workers:
        Runs at once, each in a process of its own; 1, in this process, by default.
    engine:
        Where runs are computed: inline (this process), process (several of this machine) or ray, perhaps with settings:
        ray:num_gpus=1,address=head:6379. By --workers where it is not given.
    report:
        The HTML file; report.html in the storage folder by default.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.batches import load_batches
        from similitude.cli.engines import engine_of
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import at_least, depth_rules, names, rate, schedule_of, whole_numbers
        from similitude.cli.sizes import size
        from similitude.cli.watch import describe, report_path, watch, write_page
        from similitude.studies.experiment import Experiment, rates

        if widths is None and depths is None:
            widths = "64,128,256"
        at_least(steps, 1, "--steps")
        at_least(seeds, 1, "--seeds")
        batches, vain = load_batches(data, batch_size=batch_size, context=context, noise=noise)
        experiment = Experiment(
            name=name or factory.rpartition(":")[2],
            make=load_factory(factory),
            batches=batches,
            widths=() if widths is None else whole_numbers(widths, "--widths"),
            depths=() if depths is None else whole_numbers(depths, "--depths"),
            base=None if base is None else size(base, "--base"),
            lrs=rates(rate(lr_min, "--lr-min"), rate(lr_max, "--lr-max"), points),
            rules=None if rules is None else names(rules),
            depth_rule=None if depth_rule is None else depth_rules(depth_rule),
            loss=load_factory(loss, what="a function loss(model, batch) that returns one number"),
            optimizer=load_optimizer(optimizer),
            steps=steps,
            seeds=tuple(range(seeds)),
            schedule=schedule_of(schedule, steps=steps, warmup=warmup),
            roles=role,
        )
        for option in vain:
            screen.say(f"Note: {option} has no effect on --data {data}.")
        screen.say(describe(experiment))
        with engine_of(engine, workers, alone=True) as where:
            study, interrupted = watch(screen, experiment, storage, engine=where)
        page = write_page(screen, study, report_path(storage, report))
        screen.result(
            {**study.to_dict(), "interrupted": interrupted, "report": None if page is None else str(page)}
        )
    if interrupted:
        return INTERRUPTED
    if page is None:
        return WRONG_USE
    # A study that others are still at cannot say yet what it will say.
    return (
        NOT_ENOUGH
        if study.cells_missing
        else study.transfers[list(experiment.compared())[-1]].verdict.exit_code
    )
