"""`similitude consistency`: whether sharpness is the same at every size of the user's own model, all along training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from similitude.cli.roles import Roles
from similitude.cli.screen import RUNS_KEPT, Screen

if TYPE_CHECKING:
    from similitude.data.batches import Batches

IMAGES, SEQUENCES = 256, 32
"""Examples of the full batch, or of the probe, where the user gives none."""


def consistency(
    factory: str,
    /,
    *,
    data: str = "digits",
    widths: Annotated[
        str | None,
        Parameter(help="Widths, separated by commas; the smallest is the base. 64,128,256,512 by default."),
    ] = None,
    depths: str | None = None,
    base: Annotated[list[str] | None, Parameter(negative="")] = None,
    rules: str | None = None,
    depth_rules: Annotated[str | None, Parameter(name=("--depth-rules", "--depth-rule"))] = None,
    lr: str | None = None,
    optimizer: str = "SGD",
    loss: str | None = None,
    steps: int = 300,
    every: int = 10,
    seeds: int = 3,
    examples: int | None = None,
    batch_size: int | None = None,
    context: int | None = None,
    noise: float | None = None,
    schedule: Literal["constant", "linear", "cosine"] = "constant",
    warmup: int = 0,
    centre: bool = True,
    top: int = 5,
    windows: str = "0-0,0.07-0.2,0.33-0.67,0.67-1",
    transfer: Annotated[bool, Parameter(negative="")] = False,
    role: Roles = None,
    name: str | None = None,
    storage: str = "similitude-runs",
    workers: int | None = None,
    engine: str | None = None,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train your model at several widths (or depths), and say whether its sharpness is the same at all, all along.

    Learning rate times sharpness is measured on a fixed probe in the units of the optimizer. Finished runs are kept, and
    the same command continues after an interruption. The exit code is that of the first rule's verdict: 0 consistent, 1
    not, 3 not enough evidence.

    Parameters
    ----------
    factory:
        A function of the width, or of the width and the depth, that returns a model, as module:name or
        file.py:name. similitude.studies.consistency_nets has some that are ready.
    data:
        A data set (see `similitude data list`), name=path for your own files (npz=images.npz), or module:name
        of an object with batch(seed, step), evaluation() and describe().
    depths:
        Depths in place of widths, separated by commas; the smallest is the base. Needs --base and --depth-rules.
    base:
        The dials that stay as they are: --base 64 (or width=64) beside --depths, depth=2 beside --widths.
    rules:
        Parametrizations to compare over widths: mup, ntp, sp, mean_field, spectral, u_mup; mup,ntp by default. The first
        one's verdict is the exit code.
    depth_rules:
        Depth rules to compare: depth_mup, complete_p, sp, or an exponent in [0.5, 1]. The first one's verdict is the
        exit code.
    lr:
        Learning rate at the smallest size; powers of two may be written 2^6.5. Found there by itself where it is
        not given.
    optimizer:
        A class of torch.optim by its name, or module:name.
    loss:
        loss(model, batch) as module:name. Squared error against centred one-hot labels for images, cross-entropy for
        texts, where it is not given.
    steps:
        Optimizer steps per run.
    every:
        Steps between measurements.
    seeds:
        Number of seeds; a verdict needs three.
    examples:
        Different examples that are trained on as one full batch, 256 images or 32 sequences of a text by default;
        with --batch-size those of the probe alone.
    batch_size:
        Train on minibatches of this many examples in place of the full batch.
    context:
        Characters per sequence of a text; 32 by default.
    noise:
        Standard deviation of noise on images, in units of their own; 0 by default.
    schedule:
        Learning rate over the steps.
    warmup:
        Steps of linear warmup.
    centre:
        Take the initial output off, so that every size starts from the same loss.
    top:
        Eigenvalues of the Hessian to measure at the ends of windows, beside its parts and the NTK; 0 for the sharpness
        alone, which takes about half of the time.
    windows:
        Parts of the run over which sharpness is averaged, as fractions of its steps.
    transfer:
        Also train at other learning rates, and say how far the best one shifts.
    role:
        Role of a tensor that shapes cannot tell: --role.blocks.0.gate input (names may be globs).
    name:
        Name of the study in its storage; the factory's name with "-consistency" by default.
    storage:
        Folder, or Optuna storage URL.
    workers:
        Runs at once, each in a process of its own; one per core by default, 1 for this process alone.
    engine:
        Where runs are computed: inline (this process), process (several of this machine) or ray, perhaps with settings:
        ray:num_gpus=1,address=head:6379. By --workers where it is not given.
    report:
        The HTML file; consistency.html in the storage folder by default.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json, kept=RUNS_KEPT) as screen:
        from similitude.cli.engines import engine_of
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.options import at_least, names, rate, schedule_of, whole_numbers
        from similitude.cli.options import depth_rules as depth_rules_of
        from similitude.cli.sizes import size
        from similitude.cli.watch import report_path
        from similitude.report.consistency_page import write_consistency_page
        from similitude.report.consistency_table import consistency_table
        from similitude.studies.consistency import consistency as study_of

        if widths is None and depths is None:
            widths = "64,128,256,512"
        at_least(seeds, 1, "--seeds")
        batches, probe, is_text, vain = _data(
            data, examples=examples, batch_size=batch_size, context=context, noise=noise
        )
        for option in vain:
            screen.say(f"Note: {option} has no effect on --data {data}.")
        default_loss = "cross_entropy" if is_text else "squared_error_of_classes"
        with engine_of(engine, workers, alone=False) as where, screen.progress() as bar:
            study = study_of(
                load_factory(factory),
                batches,
                widths=() if widths is None else whole_numbers(widths, "--widths"),
                depths=() if depths is None else whole_numbers(depths, "--depths"),
                base=None if base is None else size(base, "--base"),
                rules=None if rules is None else names(rules),
                depth_rule=None if depth_rules is None else depth_rules_of(depth_rules),
                lr=None if lr is None else rate(lr, "--lr"),
                loss=load_factory(
                    loss or f"similitude.training.losses:{default_loss}",
                    what="a function loss(model, batch) that returns one number",
                ),
                optimizer=load_optimizer(optimizer),
                steps=at_least(steps, 1, "--steps"),
                every=at_least(every, 1, "--every"),
                seeds=tuple(range(seeds)),
                schedule=schedule_of(schedule, steps=steps, warmup=warmup),
                full_batch=batch_size is None,
                probe=probe,
                centre=centre,
                top=at_least(top, 0, "--top"),
                windows=_fractions(windows),
                roles=role,
                transfer=transfer,
                name=name or f"{factory.rpartition(':')[2]}-consistency",
                storage=storage,
                engine=where,
                on_progress=bar,
            )
        screen.say(consistency_table(study))
        page = write_consistency_page(study, report_path(storage, report, name="consistency.html")).resolve()
        screen.say(f"Report: {page}")
        screen.result({**study.to_dict(), "report": str(page)})
    return study.verdict.exit_code


def _data(
    reference: str,
    *,
    examples: int | None,
    batch_size: int | None,
    context: int | None,
    noise: float | None,
) -> tuple[Batches, Any, bool, tuple[str, ...]]:
    """Find what is trained on and what is measured on: the same batch, or minibatches and a probe.

    Returns:
        Batches, the probe (None for the first batch), whether they are of a text, and the options given in vain.
    """
    from similitude.cli.batches import load_batches
    from similitude.cli.options import at_least
    from similitude.data.batches import TextBatches
    from similitude.studies.consistency_batches import FixedBatch

    if examples is not None:
        at_least(examples, 1, "--examples")
    batches, vain = load_batches(reference, batch_size=batch_size, context=context, noise=noise)
    is_text = isinstance(batches, TextBatches)
    own = ":" in reference and "=" not in reference
    if own:
        return batches, None, is_text, (*vain, *(["--examples"] if examples is not None else []))
    count = examples if examples is not None else SEQUENCES if is_text else IMAGES
    full, _ = load_batches(reference, batch_size=count, context=context, noise=noise)
    if batch_size is None:
        return full, None, is_text, vain
    return batches, FixedBatch(full).batch(0, 0), is_text, vain


def _fractions(text: str) -> tuple[tuple[float, float], ...]:
    """Read windows as `0-0,0.5-1`; whether they are parts of a run is for the study to say."""
    from similitude.core.errors import GridError

    found = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        try:
            found.append((float(low), float(high if dash else low)))
        except ValueError:
            raise GridError(
                f"--windows {text}: '{part}' is no part of a run. Write fractions of its steps as first-last, separated "
                "by commas, e.g. 0-0,0.07-0.2,0.5-1."
            ) from None
    return tuple(found)
