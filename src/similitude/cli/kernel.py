"""`similitude kernel`: the infinite-width kernels of the user's own model on data, and what they predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from similitude.cli.exits import GOOD
from similitude.cli.screen import Screen


def kernel(
    factory: str,
    /,
    *,
    data: str,
    labels: str | None = None,
    widths: str | None = None,
    rule: str = "ntp",
    examples: int = 500,
    test: int = 500,
    context: int | None = None,
    standardize: bool | None = None,
    weight_variance: float | None = None,
    bias_variance: float | None = None,
    fallback: Literal["monte carlo"] | None = None,
    copies: int | None = None,
    copy_widths: str | None = None,
    time: float | None = None,
    ridge: str = "loo",
    explain: bool = True,
    verify: bool = True,
    seconds: float = 20.0,
    dtype: Literal["float32", "float64"] = "float64",
    folder: Path | None = None,
    workers: int | None = None,
    engine: str | None = None,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Take the kernels of your model in the limit of infinite width: Gram matrices, spectra, predictions.

    The model is read as it is, nothing is trained. The exit code is that of the comparison with wide copies: 0 where they
    agree, 1 where not, 3 where it cannot be told; 2 where the model has no kernel, with the operation that has none.

    Parameters
    ----------
    factory:
        A function of the width or of nothing that returns a model, as module:name or file.py:name.
    data:
        A data set (see `similitude data list`), name=path for your own files of its format, or a file: .npy, .npz (x and
        y, or x_train, y_train, x_test and y_test), or .csv (a row per sample, the last column is the target). Whole
        numbers as targets are classes.
    labels:
        Targets of an .npy file (another .npy file), or the name of the target column of a .csv file.
    widths:
        Two widths that the model is read at, e.g. 32,48; for a function of the width, which has these by default.
    rule:
        Parametrization whose learning rates the tangent kernel has: ntp, mup, sp and others.
    examples:
        Training samples, drawn at random where there are more.
    test:
        Test samples.
    context:
        Characters per sequence of a text; 32 by default.
    standardize:
        Give the columns of a file mean 0 and deviation 1; by default those of a .csv file alone.
    weight_variance:
        Variance of weights times fan-in, in place of what the model's own initialization has.
    bias_variance:
        Variance of biases, likewise.
    fallback:
        What to do where an operation has no rule: "monte carlo" estimates the kernels from wide copies; by default the
        model is refused.
    copies:
        Wide copies of each width that kernels are estimated from; 64 by default.
    copy_widths:
        Their two widths, e.g. 96,384.
    time:
        Learning rate times steps that nets are trained for, the loss half the sum of squared errors; by default to
        the end.
    ridge:
        Ridge of predictions: a number, or loo for each kernel's best by leave-one-out.
    explain:
        Show which rule gave the kernel of every operation.
    verify:
        Compare the kernels with wide copies of the model on four samples.
    seconds:
        Most time for the copies of one width; a family has copies of two.
    dtype:
        Type that Gram matrices are computed in.
    folder:
        Keep the Gram matrices in this folder; the same command goes on where it was stopped.
    workers:
        Processes that compute tiles; 1, this process, by default.
    engine:
        Where tiles are computed: inline, process, or ray, perhaps with settings: ray:num_gpus=1. By --workers where it is
        not given.
    seed:
        Seed of the model and of the choice of samples.
    json:
        Print everything as one JSON object on standard output.
    """
    kept = (
        "" if folder is None else f"Finished tiles are in {folder}, and the same command continues from them."
    )
    with Screen(as_json=json, kept=kept) as screen:
        import torch

        from similitude.cli.engines import engine_of
        from similitude.cli.kernel_data import load_samples
        from similitude.cli.options import at_least
        from similitude.kernels.entry import kernel as infinite
        from similitude.kernels.gram_bar import GramBar
        from similitude.report.kernel_table import kernel_table
        from similitude.studies.kernel_study import kernel_study

        samples = load_samples(
            data, labels=labels, examples=at_least(examples, 2, "--examples"), test=at_least(test, 1, "--test"),
            context=context, standardize=standardize, seed=seed,
        )  # fmt: skip
        for note in samples.notes:
            screen.say(f"Note: {note}.")
        model, sizes = _model(factory, widths, seed=seed)
        given: dict[str, Any] = {"copies": copies, "copy_widths": _pair(copy_widths)}
        made = infinite(
            model, sample=samples.x[:_LOOKED_AT], widths=sizes, rule=rule, dtype=getattr(torch, dtype),
            weight_variance=weight_variance, bias_variance=bias_variance, seed=seed, fallback=fallback,
            **{name: value for name, value in given.items() if value is not None},
        )  # fmt: skip
        explanation = made.explain()
        if explain:
            screen.say(explanation)
        with engine_of(engine, workers, alone=True) as where, GramBar(screen.notes) as bar:
            study = kernel_study(
                made, samples.x, samples.y, samples.x_test, samples.y_test, name=factory.rpartition(":")[2],
                data=samples.name, time=time, ridge=_ridge(ridge), verify=seconds if verify else 0.0, folder=folder,
                engine=where if engine is not None or workers is not None else None, seed=seed, progress=bar,
            )  # fmt: skip
        screen.say(kernel_table(study))
        if study.folder is not None:
            screen.say(f"Gram matrices: {study.folder}")
        screen.result({**study.to_dict(), "explanation": explanation.to_dict()})
    return GOOD if study.verdict is None else study.verdict.exit_code


def _model(factory: str, widths: str | None, *, seed: int) -> tuple[Any, tuple[int, ...] | None]:
    """Return a function of the width with the widths to read it at, or the one model that there is.

    Raises:
        FactoryError: It cannot be found or made.
        GridError: Widths are no whole numbers, or are given for a function of nothing.
    """
    from similitude.cli.factories import load_factory
    from similitude.cli.models import build_model
    from similitude.cli.options import whole_numbers
    from similitude.core.errors import GridError
    from similitude.scaling.sizes import takes_width

    make = load_factory(factory)
    if takes_width(make):
        return make, whole_numbers(widths, "--widths") if widths else _WIDTHS
    if widths is not None:
        raise GridError(
            f"--widths {widths}: {factory} takes no width, so that all of its hidden axes are read as infinite. Leave "
            "it out."
        )
    return build_model(make, None, factory, seed=seed), None


def _pair(text: str | None) -> tuple[int, ...] | None:
    from similitude.cli.options import whole_numbers

    return None if text is None else whole_numbers(text, "--copy-widths")


def _ridge(text: str) -> Any:
    """Read a ridge: a number, or "loo".

    Raises:
        GridError: It is neither.
    """
    from similitude.core.errors import GridError

    if text == "loo":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise GridError(f"--ridge {text} is neither a number of at least 0 nor loo. Write e.g. --ridge 0.1.")
    return value


_WIDTHS = (32, 48)
_LOOKED_AT = 2  # samples that a model is read on, and whether wide copies have a limit
