"""Learning curves as tables for the terminal: predicted beside measured errors, and what more of anything buys."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import duration
from similitude.studies.learning_curve_records import Buy, CurvePoint, LearningCurveStudy, MeasuredCurve

KERNELS = {"nngp": "NNGP kernel", "ntk": "tangent kernel"}


def learning_curve_table(study: LearningCurveStudy) -> RenderableType:
    """Show what `learning_curve_study` found.

    Args:
        study: What it returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    head = (
        f"{study.name} on {study.data}, {KERNELS.get(study.kernel, study.kernel)}: a pool of {study.pool} samples; "
        f"{duration(study.seconds)}"
    )
    parts: list[RenderableType] = [
        Text.assemble((f"{head}  ", "bold"), coloured(study.verdict)),
        hanging(study.verdict.summary),
        Text(""),
        Text("test error over the mean square of the targets, against training samples"),
        _curves(study, study.samples, "samples"),
    ]
    if study.widths:
        n = study.widths[0].points[0].n
        parts += [
            Text(""),
            Text(f"the same at {n} samples, against random features ({study.features})"),
            _curves(study, study.widths, "features"),
        ]
    parts += [Text(""), Text("what buys how much", style="bold"), _bought(study)]
    parts += [hanging(line) for line in findings(study)]
    parts += [hanging(f"evidence: {line}") for line in study.verdict.evidence if not study.verdict.ok]
    parts += [hanging(f"likely cause: {cause}") for cause in study.verdict.causes]
    parts += [hanging(f"next: {study.verdict.next}", "bold")] if study.verdict.next else []
    parts += [hanging(f"note: {note}") for note in study.notes]
    return Group(*parts)


def findings(study: LearningCurveStudy) -> list[str]:
    """Return what was found beside the curves, a sentence each."""
    n = study.samples[0].points[-1].n
    found = [f"recommended ridge at {n} samples: {ridge_words(study.ridge)}, added to the kernel's diagonal"]
    if study.coefficient is not None:
        found.append(
            f"interpolating {n} samples multiplies noise by {study.coefficient:.3g} (1 would be harmless); by the "
            f"spectrum overfitting is {study.taxonomy}"
        )
    for name, what in (
        ("alpha", "eigenvalues fall as i"),
        ("beta", "the target's squared coefficients as i"),
    ):
        law = getattr(study, name)
        if law is not None:
            found.append(f"{what}^-{law[0]:.2f} [{law[1]:.2f}, {law[2]:.2f}]")
    return found


def ridge_words(ridge: float) -> str:
    """Write a ridge.

    Example:
        >>> ridge_words(0.0), ridge_words(0.1234), ridge_words(float("inf"))
        ('none', '0.123', 'endless: predict zero')
    """
    return "none" if ridge == 0 else "endless: predict zero" if ridge == math.inf else f"{ridge:.3g}"


def measured_cell(study: LearningCurveStudy, point: CurvePoint) -> str:
    """Write the measured error of a point with its interval, relative to the targets."""
    low, high = (end / study.power for end in point.interval)
    return f"{point.mean / study.power:.3f} [{low:.3f}, {high:.3f}]"


def predicted_cell(study: LearningCurveStudy, point: CurvePoint) -> str:
    """Write the predicted error of a point, relative to the targets."""
    return "inf" if point.predicted == math.inf else f"{point.predicted / study.power:.3f}"


def change_cell(buy: Buy) -> str:
    """Write the change of the error that something buys, in percent.

    Example:
        >>> change_cell(Buy("", 2.0, 1.5, True))
        '-25.0 %'
    """
    return "from infinite" if math.isnan(buy.change) else f"{100 * buy.change:+.1f} %"


def _curves(study: LearningCurveStudy, curves: tuple[MeasuredCurve, ...], axis: str) -> Table:
    table = plain_table()
    table.add_column(axis, justify="right")
    for curve in curves:
        table.add_column(f"{curve.label}: predicted", justify="right")
        table.add_column("measured", justify="left", no_wrap=True)
    for points in zip(*(curve.points for curve in curves), strict=True):
        at = points[0].n if axis == "samples" else points[0].features
        cells = [cell for p in points for cell in (predicted_cell(study, p), measured_cell(study, p))]
        table.add_row(f"{at:g}", *cells)
    return table


def _bought(study: LearningCurveStudy) -> Table:
    table = plain_table()
    for name in ("change", "error before", "after", "difference"):
        table.add_column(name, justify="left" if name == "change" else "right", overflow="fold")
    for buy in study.buys:
        ends = ("inf" if v == math.inf else f"{v / study.power:.3f}" for v in (buy.before, buy.after))
        table.add_row(buy.what, *ends, change_cell(buy))
    return table
