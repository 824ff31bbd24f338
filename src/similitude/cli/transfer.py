"""`similitude transfer`: sweep the learning rate of the user's own model at several widths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.screen import Screen


def transfer(
    factory: str,
    /,
    *,
    data: str,
    widths: Annotated[str, Parameter(help="Widths, separated by commas; the smallest is the base.")] = "64,128,256",
    lr_min: str = "2^-11",
    lr_max: str = "2^-4",
    points: int = 8,
    rules: str = "sp,mup",
    optimizer: str = "Adam",
    loss: str = "similitude.training.losses:cross_entropy",
    steps: int = 200,
    seeds: int = 3,
    batch_size: int = 64,
    context: int = 32,
    noise: float = 0.0,
    schedule: Literal["constant", "linear", "cosine"] = "constant",
    warmup: int = 0,
    name: str | None = None,
    storage: str = "similitude-runs",
    workers: int = 1,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train your model at several widths and learning rates, and say whether the best rate transfers.

    Finished runs are kept, and the same command continues after an interruption. The exit code is that of the last
    rule's verdict: 0 transfers, 1 it does not, 3 not enough evidence.

    Parameters
    ----------
    factory:
        A function of the width that returns a model, as module:name or file.py:name.
    data:
        A data set (see `similitude data list`), name=path for your own files (npz=images.npz), or module:name of an
        object with batch(seed, step), evaluation() and describe().
    lr_min:
        Smallest learning rate; powers of two may be written 2^-11.
    lr_max:
        Largest learning rate.
    points:
        Number of learning rates, evenly spaced in their logarithm.
    rules:
        Parametrizations to compare: sp, mup, ntp. The last one's verdict is the exit code.
    optimizer:
        A class of torch.optim by its name, or module:name.
    loss:
        loss(model, batch) as module:name.
    steps:
        Optimizer steps per run.
    seeds:
        Number of seeds.
    batch_size:
        Images or text sequences per batch.
    context:
        Characters per sequence of a text.
    noise:
        Standard deviation of fresh noise on images, in units of their own.
    schedule:
        Learning rate over the steps.
    warmup:
        Steps of linear warmup.
    name:
        Name of the study in its storage; the factory's name by default.
    storage:
        Folder, or Optuna storage URL.
    workers:
        Processes; with more than one, widths train side by side.
    report:
        The HTML file; report.html in the storage folder by default.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    screen = Screen(as_json=json)
    import similitude as sim
    from similitude.cli.factories import load_batches, load_factory, load_optimizer, numbers, rate, schedule_of
    from similitude.cli.quickstart import found
    from similitude.report.terminal import transfer_summary

    experiment = sim.Experiment(
        name=name or factory.rpartition(":")[2],
        make=load_factory(factory),
        batches=load_batches(data, batch_size=batch_size, context=context, noise=noise),
        widths=numbers(widths, "--widths"),
        lrs=sim.rates(rate(lr_min, "--lr-min"), rate(lr_max, "--lr-max"), points),
        rules=tuple(r.strip() for r in rules.split(",") if r.strip()),
        loss=load_factory(loss),
        optimizer=load_optimizer(optimizer),
        steps=steps,
        seeds=tuple(range(seeds)),
        schedule=schedule_of(schedule, steps=steps, warmup=warmup),
    )
    engine = sim.InProcess() if workers == 1 else sim.ProcessPool(workers=workers)
    interrupted = False
    try:
        with screen.progress() as bar:
            study = sim.run(experiment, storage, engine=engine, on_progress=bar)
    except sim.StudyInterrupted as stop:
        study, interrupted = stop.study, True
    screen.say(found(study))
    screen.say(transfer_summary(study))
    where = report or (Path("report.html") if "://" in storage else Path(storage) / "report.html")
    path = sim.write_report(study, where)
    if interrupted:
        screen.say("Interrupted: finished runs are kept, and the same command continues from them.")
    screen.say(f"Report: {path.resolve()}")
    screen.result({**study.to_dict(), "interrupted": interrupted, "report": str(path.resolve())})
    return 130 if interrupted else study.transfers[experiment.rules[-1]].verdict.exit_code
