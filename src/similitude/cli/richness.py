"""`similitude richness`: the phase diagram of the user's own model in the plane of richness and learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.screen import RUNS_KEPT, Screen


def richness(
    factory: str,
    /,
    *,
    data: str = "digits",
    base: Annotated[list[str] | None, Parameter(negative="")] = None,
    gammas: str = "0.001,0.01,0.1,1,10,100,1000",
    lr_min: str | None = None,
    lr_max: str | None = None,
    points: int = 12,
    optimizer: str = "SGD",
    loss: str = "similitude.training.losses:cross_entropy",
    steps: int = 200,
    seeds: int = 3,
    batch_size: int | None = None,
    context: int | None = None,
    noise: float | None = None,
    schedule: Literal["constant", "linear", "cosine"] = "constant",
    warmup: int = 0,
    centre: bool = True,
    layers: int | None = None,
    budgets: str | None = None,
    name: str | None = None,
    storage: str = "similitude-runs",
    workers: int | None = None,
    engine: str | None = None,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Map what training does at every gamma and learning rate: diverged, no progress, plateau, staircase, learned.

    The output is divided by gamma: below 1 training is lazier (nearer to a kernel), above 1 richer. Beside the map: the
    best and the largest stable rates and their exponents in gamma, the best gamma after fewer steps, and whether loss
    curves of large gammas are one curve in rescaled time. Runs are those of `similitude gamma`: neither trains again
    what the other has. The exit code is 1 where rates do not follow the law, 3 where the grid of rates is too short
    (it says which way) or the best gamma is not bracketed, else 0.

    Parameters
    ----------
    factory:
        A function of the width, or of nothing, that returns a model, as module:name or file.py:name.
    data:
        A data set (see `similitude data list`), name=path for your own files (npz=images.npz), or module:name
        of an object with batch(seed, step), evaluation() and describe().
    base:
        Size of the model: a width (64 by default), or dials as width=64,depth=4.
    gammas:
        Richnesses, separated by commas. The law needs two of at most 0.01 or of at least 100.
    lr_min:
        Smallest learning rate, together with --lr-max; powers of two may be written 2^-11. Without both, rates are
        searched from around 1 until the best and the largest stable one are bracketed.
    lr_max:
        Largest learning rate.
    points:
        Number of learning rates between --lr-min and --lr-max.
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
    centre:
        Take the initial output off; not needed where the head starts at zero.
    layers:
        Number of weight layers on the longest path; read off a traced pass by default. No law is claimed of models with
        norms or residual branches: their exponents are measured.
    budgets:
        Numbers of steps after which gammas are compared as well, separated by commas; an eighth, a quarter, a half and
        all of the steps by default.
    name:
        Name of the study in its storage; the factory's name with "-gamma" by default.
    storage:
        Folder, or Optuna storage URL.
    workers:
        Runs at once, each in a process of its own; 1, in this process, by default.
    engine:
        Where runs are computed: inline (this process), process (several of this machine) or ray, perhaps with settings:
        ray:num_gpus=1,address=head:6379. By --workers where it is not given.
    report:
        The HTML file; richness.html in the storage folder by default.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json, kept=RUNS_KEPT) as screen:
        from similitude.cli.batches import load_batches
        from similitude.cli.engines import engine_of
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import at_least, rate, rate_grid, schedule_of, whole_numbers
        from similitude.cli.sizes import size
        from similitude.cli.watch import report_path
        from similitude.report.richness_page import write_richness_page
        from similitude.report.richness_table import richness_table
        from similitude.studies.richness.phase_sweep import sweep

        at_least(seeds, 1, "--seeds")
        batches, vain = load_batches(data, batch_size=batch_size, context=context, noise=noise)
        for option in vain:
            screen.say(f"Note: {option} has no effect on --data {data}.")
        with engine_of(engine, workers, alone=True) as where, screen.progress() as bar:
            diagram = sweep(
                load_factory(factory),
                tuple(rate(text, "--gammas", what="gamma") for text in gammas.split(",")),
                rate_grid(lr_min, lr_max, points),
                batches=batches,
                base=size(base or ["64"], "--base"),
                loss=load_factory(loss, what="a function loss(model, batch) that returns one number"),
                optimizer=load_optimizer(optimizer),
                steps=at_least(steps, 1, "--steps"),
                seeds=tuple(range(seeds)),
                schedule=schedule_of(schedule, steps=steps, warmup=warmup),
                budgets=None if budgets is None else whole_numbers(budgets, "--budgets"),
                centre=centre,
                layers=layers,
                name=name or f"{factory.rpartition(':')[2]}-gamma",
                storage=storage,
                engine=where,
                on_progress=bar,
            )
        screen.say(richness_table(diagram))
        page = write_richness_page(diagram, report_path(storage, report, name="richness.html")).resolve()
        screen.say(f"Report: {page}")
        screen.result({**diagram.to_dict(), "report": str(page)})
    return diagram.verdict.exit_code
