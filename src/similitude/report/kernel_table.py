"""A module's kernels on data as tables for the terminal: spectra, predictions, whether wide copies agree."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import duration, measured
from similitude.studies.kernel_records import KernelStudy

_NAMES = {"nngp": "NNGP (outputs at initialization)", "ntk": "tangent kernel (training)"}


def kernel_table(study: KernelStudy) -> RenderableType:
    """Show what `kernel_study` found.

    Args:
        study: What it returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    title = f"{study.name} on {study.data}: {study.train} training and {study.test} test samples"
    parts: list[RenderableType] = [
        Text(f"{title}; Gram matrices in {duration(study.seconds)}", style="bold"),
        Text(""),
    ]
    spectra = plain_table()
    for column in ("kernel", "largest eigenvalues", "mean", "smallest", "effective rank", "alignment"):
        spectra.add_column(column, justify="left" if column in ("kernel", "largest eigenvalues") else "right")
    for s in study.spectra:
        top = ", ".join(measured(value) for value in s.top[:4])
        numbers = (measured(s.mean), measured(s.smallest), f"{s.effective_rank:.3g}", measured(s.alignment))
        spectra.add_row(_NAMES.get(s.kernel, s.kernel), top, *numbers)
    parts.append(spectra)
    ntk = next((s for s in study.spectra if s.kernel == "ntk"), None)
    if ntk is not None and ntk.top and ntk.top[0] > 0:
        law = f"2 / {measured(ntk.top[0])} = {measured(2 / ntk.top[0])}"
        parts.append(
            hanging(
                f"steps on all {study.train} samples (half the sum of squared errors) are stable below {law}"
            )
        )
    if study.fits:
        fits = plain_table()
        for column in ("prediction", study.fits[0].measure, "95 % interval", "how"):
            fits.add_column(
                column, justify="right" if column == study.fits[0].measure else "left", overflow="fold"
            )
        for fit in study.fits:
            share = f"{100 * fit.score:.1f} %"
            ends = f"{100 * fit.interval[0]:.1f} to {100 * fit.interval[1]:.1f} %"
            said = "; ".join(fit.notes) or f"ridge {fit.ridge:.3g}"
            fits.add_row(fit.what, share, ends, said)
        parts += [Text(""), fits]
    if study.verdict is not None:
        parts += [Text(""), coloured(study.verdict), hanging(study.verdict.summary)]
        parts += [hanging(f"evidence: {line}") for line in study.verdict.evidence]
        parts += [hanging(f"likely cause: {cause}") for cause in study.verdict.causes]
        parts += [hanging(f"next: {study.verdict.next}", "bold")] if study.verdict.next else []
    parts += [hanging(f"note: {note}") for note in study.notes]
    return Group(*parts)
