"""`similitude tune family`: tune a model family at its base, verify it at larger sizes, print what the target needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from similitude.cli.knobs import Knobs
from similitude.cli.roles import Roles
from similitude.cli.screen import RUNS_KEPT, ProgressBar, Screen

if TYPE_CHECKING:
    from similitude.tuning.engines.drive import TuningProgress


def tune_family(
    factory: str,
    /,
    *,
    data: str,
    target: Annotated[list[str], Parameter(negative="")],
    widths: Annotated[
        str | None,
        Parameter(help="Widths, separated by commas: the smallest is tuned, the others verify it."),
    ] = None,
    depths: str | None = None,
    base: Annotated[list[str] | None, Parameter(negative="")] = None,
    rule: str = "mup",
    depth_rule: str | None = None,
    space: Path | None = None,
    lr: str = "2^-8",
    trials: int = 30,
    verify: str | None = None,
    points: int = 7,
    optimizer: str = "AdamW",
    loss: str = "similitude.training.losses:cross_entropy",
    steps: int = 200,
    seeds: int = 3,
    batch_size: int | None = None,
    context: int | None = None,
    noise: float | None = None,
    schedule: Literal["constant", "linear", "cosine"] = "constant",
    warmup: int = 0,
    role: Roles = None,
    knob: Knobs = None,
    name: str | None = None,
    storage: str = "similitude-runs",
    seed: int = 0,
    workers: int | None = None,
    engine: str | None = None,
    save: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Tune the knobs of a model family at its smallest size, verify them at the larger ones, and plan the target.

    Finished runs are kept, and the same command continues after an interruption. The exit code is 0 where every tuned
    knob is right at the larger sizes, 1 where one is not, 3 where more runs are needed.

    Parameters
    ----------
    factory:
        A function of the width, or of the width and the depth, that returns a model, as module:name or
        file.py:name.
    data:
        A data set (see `similitude data list`), name=path for your own files (npz=images.npz), or module:name
        of an object with batch(seed, step), evaluation() and describe().
    target:
        Size to plan for: a width, or dials as width=1024,depth=12.
    depths:
        Depths in place of widths, separated by commas. Needs --base and --depth-rule.
    base:
        The dials that stay as they are: --base 128 (or width=128) beside --depths, depth=6 beside --widths.
    rule:
        Parametrization over widths: mup, spectral, sp, ntp, mean_field.
    depth_rule:
        Depth rule over depths: depth_mup, complete_p, an exponent in [0.5, 1], or sp.
    space:
        A TOML file of what is tuned: lr, options of the optimizer, and knobs such as "output.multiplier". The learning
        rate, the weight decay, the init of the matrices and the multipliers of table and head by default.
    lr:
        Learning rate at which the search begins, without --space.
    trials:
        Configurations that the search tries.
    verify:
        The knobs to verify, separated by commas; all by default.
    points:
        Values of each knob at every size of the verification, one octave apart; odd.
    optimizer:
        A class of torch.optim by its name, or module:name.
    loss:
        loss(model, batch) as module:name.
    steps:
        Optimizer steps per run.
    seeds:
        Seeds with which every configuration is trained.
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
    knob:
        A knob that stays as it is: --knob.head.init 0.
    name:
        Name of the search in its storage; the factory's name with "-family" by default.
    storage:
        Folder, or Optuna storage URL.
    seed:
        Seed of the search.
    workers:
        Trials, and runs of the verification, at once, each in a process of its own; 1, in this process, by default.
    engine:
        Where they are computed: inline (this process), process (several of this machine) or ray, perhaps with settings:
        ray:num_gpus=1,address=head:6379. By --workers where it is not given.
    save:
        Write the plan of the target to this JSON file.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json, kept=RUNS_KEPT) as screen:
        from similitude.cli.batches import load_batches
        from similitude.cli.engines import engine_of
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import at_least, depth_rule_of, names, rate, schedule_of, whole_numbers
        from similitude.cli.sizes import size
        from similitude.report.family_table import family_table
        from similitude.studies.tune_family import tune_family as tuned_of
        from similitude.tuning.space.space import Space
        from similitude.tuning.tune import trial_engine

        at_least(trials, 1, "--trials")
        at_least(seeds, 1, "--seeds")
        batches, vain = load_batches(data, batch_size=batch_size, context=context, noise=noise)
        for option in vain:
            screen.say(f"Note: {option} has no effect on --data {data}.")
        if widths is None and depths is None:
            widths = "64,128,256"
        only_dial = depths is not None and len(target) == 1 and "=" not in target[0]
        with engine_of(engine, workers, alone=True) as where, screen.progress() as bar:
            tuned = tuned_of(
                load_factory(factory),
                batches,
                target=size([f"depth={target[0]}"] if only_dial else target, "--target"),
                widths=() if widths is None else whole_numbers(widths, "--widths"),
                depths=() if depths is None else whole_numbers(depths, "--depths"),
                base=None if base is None else size(base, "--base"),
                rule=rule,
                depth_rule=depth_rule_of(depth_rule),
                space=None if space is None else Space.read(space),
                lr=rate(lr, "--lr"),
                loss=load_factory(loss, what="a function loss(model, batch) that returns one number"),
                optimizer=load_optimizer(optimizer),
                steps=at_least(steps, 1, "--steps"),
                seeds=tuple(range(seeds)),
                schedule=schedule_of(schedule, steps=steps, warmup=warmup),
                roles=role,
                knobs=knob,
                trials=trials,
                check=None if verify is None else names(verify),
                points=points,
                name=name or f"{factory.rpartition(':')[2]}-family",
                storage=storage,
                seed=seed,
                engine=trial_engine(
                    engine or ("inline" if workers in (None, 1) else "process"), workers=workers or 1
                ),
                runs=where,
                on_trial=_shown_by(bar, trials),
                on_run=bar,
            )
        screen.say(family_table(tuned))
        if save is not None:
            screen.say(f"Plan: {tuned.plan.save(save).resolve()}")
        screen.result(tuned.to_dict())
    return tuned.verdict.exit_code


def _shown_by(bar: ProgressBar, trials: int) -> Callable[[TuningProgress], None]:
    """Show the trials of the search on the bar on which the runs of the verification are shown after it."""
    from similitude.studies.jobs import Progress

    def show(progress: TuningProgress) -> None:
        done = min(progress.finished + progress.failed, trials)
        best = "" if progress.best is None else f", best {progress.best:.4g}"
        bar(Progress(progress.study, f"search at the base{best}", done, trials, done / trials))

    return show
