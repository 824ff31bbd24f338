"""Run an experiment before the user's eyes: what is trained, how far it is, what was found, the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from similitude.core.errors import ReportError

if TYPE_CHECKING:
    from similitude.cli.screen import Screen
    from similitude.runs.engine import Engine
    from similitude.studies.experiment import Experiment
    from similitude.studies.records import TransferStudy


def watch(
    screen: Screen, experiment: Experiment, storage: str | Path, *, engine: Engine | None = None
) -> tuple[TransferStudy, bool]:
    """Run an experiment with live progress and print its results.

    Returns:
        The study, as far as it came, and whether it was interrupted.
    """
    from similitude.report.terminal import transfer_summary
    from similitude.studies.run import StudyInterrupted, run

    interrupted = False
    try:
        with screen.progress() as bar:
            study = run(experiment, storage, engine=engine, on_progress=bar)
    except StudyInterrupted as stop:
        study, interrupted = stop.study, True
    screen.say(counts(study))
    screen.say(transfer_summary(study))
    if interrupted:
        screen.say("Interrupted: finished runs are kept, and the same command continues from them.")
    elif study.cells_missing:
        screen.say("Missing runs are with another process; the same command shows all once it is done.")
    return study, interrupted


def write_page(
    screen: Screen, studies: TransferStudy | Sequence[TransferStudy], path: Path, *, title: str | None = None
) -> Path | None:
    """Write the report and print its place; None, with the reason said, where it cannot be written.

    A report can be written again at any time, so the results of the run are not given up for it.
    """
    from similitude.report.html import write_report

    try:
        where = write_report(studies, path, title=title).resolve()
    except ReportError as error:
        screen.say(f"No report: {error} The runs are kept; `similitude report` writes it again.")
        return None
    screen.say(f"Report: {where}")
    return where


def report_path(storage: str | Path, given: Path | None = None, *, name: str = "report.html") -> Path:
    """Return where the report of a storage goes: where the user says, else into its folder under a name."""
    if given is not None:
        return given
    return Path(name) if "://" in str(storage) else Path(storage) / name


def describe(experiment: Experiment) -> str:
    """Say in one paragraph what an experiment trains."""
    data = experiment.batches.describe()
    hidden = {"data", "digest"}
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in data.items() if key not in hidden)
    low, high = experiment.lrs[0], experiment.lrs[-1]
    sizes = ", ".join(map(str, experiment.sizes))
    for dial, fixed in experiment.at(experiment.sizes[0]).items():
        sizes += f" at {dial} {fixed}" if dial != experiment.dial else ""
    return (
        f"{data.get('data', type(experiment.batches).__name__)} ({facts}); {experiment.dial}s "
        f"{sizes}; {len(experiment.lrs)} learning rates from {low:.2g} to "
        f"{high:.2g}; {len(experiment.seeds)} seeds; {experiment.steps} steps of "
        f"{getattr(experiment.optimizer, '__name__', 'the optimizer')}; the runs of a {experiment.dial} train as batched "
        "programs."
    )


def counts(study: TransferStudy) -> str:
    """Say how many runs were made, found, and are missing."""
    parts = [f"{study.cells_run} runs in {study.seconds:.0f} s"]
    if study.cells_found:
        parts.append(f"{study.cells_found} finished runs found and not repeated")
    if study.cells_missing:
        parts.append(f"{study.cells_missing} runs missing")
    return "; ".join(parts) + "."
