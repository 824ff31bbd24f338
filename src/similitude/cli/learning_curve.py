"""`similitude learning-curve`: what more data, more width and the right ridge buy, predicted and measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from similitude.cli.screen import Screen

_WIDTHS = (32, 48)


def learning_curve(
    factory: str,
    /,
    *,
    data: str,
    labels: str | None = None,
    kernel: Literal["ntk", "nngp"] = "ntk",
    widths: str | None = None,
    rule: str = "ntp",
    examples: int = 1000,
    standardize: bool | None = None,
    weight_variance: float | None = None,
    bias_variance: float | None = None,
    sizes: str | None = None,
    features: str | None = None,
    noise: float = 0.0,
    draws: int = 6,
    seed: int = 0,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Predict learning curves of your model's infinite-width kernel on your data, and measure them beside it.

    The kernel of a pool of samples gives a spectrum, the spectrum the test error for any number of samples, random
    features and ridge. Regressions on samples drawn from the pool say whether that is so. The exit code is 0 where
    measured errors are as predicted, 1 where not, 3 where it cannot be told.

    Parameters
    ----------
    factory:
        A function of the width or of nothing that returns a model, as module:name or file.py:name.
    data:
        A data set (see `similitude data list`), name=path for your own files of its format, or a file: .npy, .npz or
        .csv, as for `similitude kernel`.
    labels:
        Targets of an .npy file (another .npy file), or the name of the target column of a .csv file.
    kernel:
        ntk, the kernel of training by gradient descent, or nngp, that of training the last layer.
    widths:
        Two widths that the model is read at, e.g. 32,48; for a function of the width, which has these by default.
    rule:
        Parametrization whose learning rates the tangent kernel has.
    examples:
        Samples of the pool, drawn at random where there are more.
    standardize:
        Give the columns of a file mean 0 and deviation 1; by default those of a .csv file alone.
    weight_variance:
        Variance of weights times fan-in, in place of what the model's own initialization has.
    bias_variance:
        Variance of biases, likewise.
    sizes:
        Training samples of the curve, e.g. 50,100,200; by default six up to half of the pool.
    features:
        Numbers of random features, e.g. 64,256, or none. With --kernel nngp they are outputs of copies of your model,
        with the tangent kernel Gaussian ones.
    noise:
        Variance of noise to add to the labels, relative to the targets' mean square.
    draws:
        Draws of samples per point.
    seed:
        Seed of the model, of the pool and of all draws.
    report:
        The HTML file; learning-curve.html by default.
    json:
        Print everything as one JSON object on standard output.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.kernel_data import load_samples
        from similitude.cli.options import at_least, whole_numbers
        from similitude.core.errors import DataError, GridError
        from similitude.kernels.entry import kernel as infinite
        from similitude.report.learning_curve_page import write_learning_curve_page
        from similitude.report.learning_curve_table import learning_curve_table
        from similitude.studies.learning_curve_study import learning_curve_study
        from similitude.studies.network_features import network_features
        from similitude.studies.target_rows import target_rows

        if not 0 <= noise < float("inf"):
            raise GridError(f"--noise {noise:g} is no variance. Give a number of at least 0.")
        samples = load_samples(
            data, labels=labels, examples=at_least(examples, 2, "--examples"), test=1, context=None,
            standardize=standardize, seed=seed,
        )  # fmt: skip
        for note in samples.notes:
            screen.say(f"Note: {note}.")
        if samples.y is None:
            raise DataError(
                f"--data {data} has no targets: a learning curve needs one per sample. Give --labels, or other data."
            )
        model, read, build = _model(factory, widths, seed=seed)
        made = infinite(
            model, sample=samples.x[:2], widths=read, rule=rule, weight_variance=weight_variance,
            bias_variance=bias_variance, seed=seed,
        )  # fmt: skip
        rows = target_rows(samples.y)
        with screen.notes.status(f"kernel of {len(rows)} samples"):
            gram = made.grams(samples.x, names=(kernel,))[kernel].numpy()
        own = kernel == "nngp" and weight_variance is None and bias_variance is None
        with screen.notes.status("regressions"):
            study = learning_curve_study(
                gram, rows,
                sizes=None if sizes is None else whole_numbers(sizes, "--sizes"),
                widths=None if features is None else () if features == "none" else whole_numbers(features, "--features"),
                features=network_features(build, samples.x, seed=seed) if own else None,
                **({"features_are": "outputs of copies of the model with fresh weights"} if own else {}),
                noise=noise * float((rows**2).sum(1).mean()), draws=at_least(draws, 2, "--draws"),
                name=factory.rpartition(":")[2], data=samples.name, kernel=kernel, seed=seed,
            )  # fmt: skip
        screen.say(learning_curve_table(study))
        page = write_learning_curve_page(study, report or Path("learning-curve.html")).resolve()
        screen.say(f"Report: {page}")
        screen.result({**study.to_dict(), "report": str(page)})
    return study.verdict.exit_code


def _model(
    factory: str, widths: str | None, *, seed: int
) -> tuple[Any, tuple[int, ...] | None, Callable[[int], Any]]:
    """Return what the kernel is read from, the widths to read it at, and a function of a seed that builds a copy.

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
        read = whole_numbers(widths, "--widths") if widths else _WIDTHS
        size = {"width": max(read)}
        return make, read, lambda copy: build_model(make, size, factory, seed=copy)
    if widths is not None:
        raise GridError(f"--widths {widths}: {factory} takes no width. Leave it out.")
    model = build_model(make, None, factory, seed=seed)
    return model, None, lambda copy: build_model(make, None, factory, seed=copy)
