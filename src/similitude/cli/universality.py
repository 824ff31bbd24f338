"""`similitude universality`: whether wide nets of the user's own architecture train as the limit of their kernel says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from similitude.cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from similitude.studies.universality_runs import Task

_PAGE = Path("universality.html")


def universality(
    *factories: str,
    data: str = "digits",
    labels: str | None = None,
    nets: str | None = None,
    widths: str = "64,128,256,512",
    steps: int = 100,
    batch_size: int | None = None,
    step_size: float = 1.0,
    seeds: int = 4,
    examples: int = 24,
    test: int = 12,
    standardize: bool | None = None,
    contrast: str = "mup",
    weight_variance: float | None = None,
    workers: int | None = None,
    engine: str | None = None,
    report: Path = _PAGE,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train nets in the NTK parametrization beside their kernels; say how fast both come together as the width grows.

    Each net and its kernel take the same steps on the same examples from the same start. The exit code is that of the
    worst architecture: 0 where the difference falls with the width as the theory says, 1 where not, 3 where it cannot be
    told; 2 where a model has no kernel.

    Parameters
    ----------
    factories:
        Functions of the width that return a model, as module:name or file.py:name. Without any, reference networks on
        digits: an MLP, a ConvNet, a ResNet with norms and a transformer.
    data:
        A data set of images (see `similitude data list`), name=path for your own files of its format, or a file: .npy,
        .npz (x and y, or x_train, y_train, x_test and y_test), or .csv (a row per sample, the last column is the
        target). Whole numbers as targets are classes.
    labels:
        Targets of an .npy file (another .npy file), or the name of the target column of a .csv file.
    nets:
        Which of the reference networks, separated by commas: MLP, ConvNet, ResNet with norms, transformer.
    widths:
        Widths, separated by commas; initial values are measured at the smallest.
    steps:
        Steps of gradient descent on half the sum of squared errors.
    batch_size:
        Examples of a step; all of them by default.
    step_size:
        Learning rate in units of 1 / the largest eigenvalue of the kernel on the training examples, below 2.
    seeds:
        Number of seeds: nets per width, each with an order of the examples.
    examples:
        Training examples, drawn at random where there are more.
    test:
        Examples that nets and kernels are compared on beside.
    standardize:
        Give the columns of a file mean 0 and deviation 1; by default those of a .csv file alone.
    contrast:
        A parametrization in which kernels change at any width, trained beside: mup and others, or none.
    weight_variance:
        Variance of weights times fan-in, where all have the same; measured by default, and 1 for the reference networks.
    workers:
        Nets at once, each in a process of its own; one per core by default, 1 for this process alone.
    engine:
        Where nets are trained: inline (this process), process (several of this machine) or ray, perhaps with settings:
        ray:num_gpus=1,address=head:6379. By --workers where it is not given.
    report:
        The HTML file.
    seed:
        Seed of the choice of examples.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.engines import engine_of
        from similitude.cli.options import at_least, whole_numbers
        from similitude.report.universality_page import write_universality_page
        from similitude.report.universality_table import universality_table
        from similitude.studies.universality import universality as study_of
        from similitude.studies.universality_nets import WEIGHT_VARIANCE

        makes = _makes(factories, nets)
        task, notes = _task(
            data, labels=labels, examples=at_least(examples, 1, "--examples"), test=at_least(test, 1, "--test"),
            standardize=standardize, seed=seed,
        )  # fmt: skip
        for note in notes:
            screen.say(f"Note: {note}.")
        if weight_variance is None and not factories:
            weight_variance = WEIGHT_VARIANCE
        with engine_of(engine, workers, alone=False) as where, screen.progress() as bar:
            study = study_of(
                makes,
                task,
                widths=whole_numbers(widths, "--widths"),
                steps=at_least(steps, 1, "--steps"),
                batch_size=None if batch_size is None else at_least(batch_size, 1, "--batch-size"),
                step_size=step_size,
                seeds=tuple(range(at_least(seeds, 1, "--seeds"))),
                contrast=None if contrast == "none" else contrast,
                weight_variance=weight_variance,
                engine=where,
                on_progress=bar,
            )
        screen.say(universality_table(study))
        page = write_universality_page(study, report).resolve()
        screen.say(f"Report: {page}")
        screen.result({**study.to_dict(), "report": str(page)})
    return study.verdict.exit_code


def _makes(factories: tuple[str, ...], nets: str | None) -> Mapping[str, Any]:
    """Return what is trained: the user's models, or reference networks, by the name that they are shown under.

    Raises:
        FactoryError: One cannot be found, or does not take a width.
        GridError: There is no such reference network, or both are asked for.
    """
    from similitude.cli.factories import load_factory
    from similitude.cli.options import names
    from similitude.core.errors import FactoryError, GridError
    from similitude.scaling.sizes import takes_width
    from similitude.studies.universality_nets import ARCHITECTURES

    if factories and nets is not None:
        raise GridError(
            f"--nets {nets} chooses among the reference networks, and {factories[0]} is one of yours. Drop one of them."
        )
    if not factories:
        chosen = tuple(ARCHITECTURES) if nets is None else names(nets)
        unknown = [name for name in chosen if name not in ARCHITECTURES]
        if unknown:
            raise GridError(f"--nets {unknown[0]}: there is none. Choose of {', '.join(ARCHITECTURES)}.")
        return {name: ARCHITECTURES[name] for name in chosen}
    found: dict[str, Any] = {}
    for reference in factories:
        make, name = load_factory(reference), reference.rpartition(":")[2]
        if not takes_width(make):
            raise FactoryError(
                f"{reference} takes no width, and nets are compared over widths. Give a function of the width that "
                "returns a model."
            )
        found[reference if name in found else name] = make
    return found


def _task(
    data: str, *, labels: str | None, examples: int, test: int, standardize: bool | None, seed: int
) -> tuple[Task, tuple[str, ...]]:
    """Return the examples with the targets of those that are trained on, and what was done to them.

    Raises:
        DataError: There is no such data, it is malformed, or it has no targets.
    """
    import torch

    from similitude.cli.kernel_data import load_samples
    from similitude.core.errors import DataError
    from similitude.studies.target_rows import target_rows
    from similitude.studies.universality_runs import Task

    samples = load_samples(
        data, labels=labels, examples=examples, test=test, context=None, standardize=standardize, seed=seed
    )
    if samples.y is None:
        raise DataError(
            f"--data {data} has no targets, and nets are trained on them. Give labelled samples, e.g. --data digits."
        )
    inputs = torch.cat([samples.x, samples.x_test]).float()
    rows = target_rows(samples.y, classes=len(samples.classes))
    return Task(inputs, torch.from_numpy(rows).float()), samples.notes
