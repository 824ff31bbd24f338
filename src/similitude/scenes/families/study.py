"""The study of widths on rendered scenes: pictures are drawn, rates swept, and runs trained, probed and tested."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from similitude.core.citation import cites
from similitude.core.errors import SceneError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.report.files import write_atomically
from similitude.runs.engine import Engine, InProcess
from similitude.scenes.families.dataset import RenderedSet, rendered_set
from similitude.scenes.families.records import BEST, TRANSFERRED, FamilyStudy
from similitude.scenes.families.settings import FamilySettings
from similitude.scenes.families.trained import Run, batches_of, make_network, trained
from similitude.studies.experiment import BASE, Experiment
from similitude.studies.records import TransferStudy
from similitude.studies.run import plan_all
from similitude.studies.run import run as sweep

DEFAULT_FOLDER = Path("scenes-widths")


@cites(17, "Section 4: tuning at the smallest width")
@cites(20, "the factors of scenes and their shifts")
def family_study(
    settings: FamilySettings | None = None,
    *,
    out: str | os.PathLike[str] = DEFAULT_FOLDER,
    engine: Engine | None = None,
    on_done: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> FamilyStudy:
    """Ask of networks that differ in width alone: how robust are they on rendered scenes, and does a small one tell?

    The learning rate is swept at every width under every rule, by the loss in distribution. Runs at the best rate of the
    smallest width, and at each width's own best one, are then tested under shifts of one factor each, and linear probes
    on the last features tell when each factor is learned.

    Args:
        settings: What is run; the defaults where None.
        out: Folder for pictures and results; what is there is not computed again.
        engine: Where pictures are drawn and runs are made; this process where None.
        on_done: Called after every part of the pictures, some of the sweep, and every tested run, with what it was and
            how many of its stage are done.

    Returns:
        What was found; also in the folder, as study.json.

    Raises:
        SceneError: A scene cannot be drawn, or every rate diverged at the smallest width.
        StudyError: The folder holds a sweep of other settings, or cannot be written.
        StudyInterrupted: Ctrl-C within the sweep; what is finished is kept.
        JobsFailedError: Some runs failed; the others are kept.

    Cost:
        About 120 s of processor time for the pictures with the defaults, and rules x widths x rates x seeds runs: half an
        hour of processor time in all.
    """
    started = time.monotonic()
    chosen, folder, where = settings or FamilySettings(), Path(out), engine or InProcess()
    pictures = rendered_set(chosen, out=folder / "pictures", engine=where, on_done=on_done)
    experiment = experiment_of(chosen, pictures)
    transfer = sweep(
        experiment,
        folder / "sweep",
        engine=where,
        on_progress=lambda news: on_done(f"sweep, {news.label}", news.cells_done, news.cells),
    )
    runs = runs_of(chosen, experiment, transfer)
    rows, found = _tested(chosen, pictures, runs, RowFile(folder / "runs.jsonl"), where, on_done)
    study = FamilyStudy(
        settings=chosen,
        digest=pictures.digest,
        transfer=transfer,
        rows=tuple(rows),
        found=found,
        ran=len(runs) - found,
        seconds=time.monotonic() - started,
    )
    write_atomically(folder / "study.json", json.dumps(study.to_dict(), indent=1, allow_nan=False))
    return study


def experiment_of(settings: FamilySettings, pictures: RenderedSet) -> Experiment:
    """Return the sweep of learning rates."""
    return Experiment(
        name="widths",
        make=partial(make_network, len(pictures.classes), settings.depth),
        batches=batches_of(settings, pictures),
        lrs=settings.lrs,
        widths=settings.widths,
        rules=settings.rules,
        steps=settings.steps,
        seeds=settings.seeds,
    )


def runs_of(settings: FamilySettings, experiment: Experiment, transfer: TransferStudy) -> list[Run]:
    """Return the runs to test: every size at the rate of the smallest width, and the wider ones at their own best.

    Raises:
        SceneError: Every rate diverged at the smallest width.
    """
    plans, runs = plan_all(experiment), []
    for rule, one in transfer.transfers.items():
        if one.transferred_lr is None:
            low, high = settings.lrs[0], settings.lrs[-1]
            raise SceneError(
                f"every learning rate from {low:g} to {high:g} diverged at width {settings.base}. Give lower ones."
            )
        for best in one.optima:
            name, width = settings.of(rule, best.size)
            plan = None if name == BASE else plans[rule][width]
            rates = [(TRANSFERRED, one.transferred_lr)]
            if name != BASE and best.lr is not None:
                rates.append((BEST, best.lr))
            runs += [
                Run(name, width, seed, subject, lr, plan) for subject, lr in rates for seed in settings.seeds
            ]
    return list({(run.rule, run.width, run.seed, run.subject): run for run in runs}.values())


def _tested(
    settings: FamilySettings,
    pictures: RenderedSet,
    runs: list[Run],
    file: RowFile,
    engine: Engine,
    on_done: Callable[[str, int, int], None],
) -> tuple[list[Row], int]:
    """Return a row per run, and how many of them were there."""
    known: dict[tuple[object, ...], Row] = {}
    for row in file.read():
        known[row.rule, row.width, row.seed, row.subject, json.dumps(dict(row.params))] = row

    def key(run: Run) -> tuple[object, ...]:
        params = json.dumps(run.params(settings, pictures))
        return run.rule, run.width, run.seed, run.subject, params

    missing = [run for run in runs if key(run) not in known]
    found = len(runs) - len(missing)
    done = found

    def keep(run: Run, row: Row) -> None:
        nonlocal done
        file.add(row)
        known[key(run)] = Row.from_dict(row.to_dict())
        done += 1
        on_done(str(run), done, len(runs))

    if missing:
        missing.sort(key=lambda run: -run.width)  # the longest first, so that no worker ends alone
        engine.map(partial(trained, settings, pictures), missing, on_done=keep)
    return [known[key(run)] for run in runs], found
