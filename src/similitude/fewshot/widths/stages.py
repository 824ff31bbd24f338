"""The stages of a width study, each of which computes what its file lacks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from similitude.core.errors import EvaluationError
from similitude.data.sets import TextSet
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.fewshot.learners.targets import target_of
from similitude.fewshot.predictions import VERSION
from similitude.fewshot.protocol import SUITE
from similitude.fewshot.reading import Clues, clues_task
from similitude.fewshot.widths.claiming import PRETRAINING, claimed
from similitude.fewshot.widths.jobs import (
    Cell,
    Place,
    held_out_loss,
    make_tuned,
    rounded,
    scored,
    sweep_params,
)
from similitude.fewshot.widths.masking import MaskedText
from similitude.fewshot.widths.pretraining import Pretrained, Pretraining, make_masked, pretrain
from similitude.fewshot.widths.records import BEST, TRANSFERRED, richness
from similitude.fewshot.widths.settings import WidthSettings
from similitude.runs.engine import Engine
from similitude.scaling.plan import Plan, Planner
from similitude.studies.experiment import BASE
from similitude.studies.records import Curve, Transfer, TransferStudy
from similitude.studies.shift import transfer

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True)
class Files:
    """Where the rows of each stage are; those of tests alone have the name that reports look for."""

    pretraining: RowFile
    losses: RowFile
    scores: RowFile


@dataclass
class Stages:
    """The stages of a study, in order: `pretrain`, `sweep`, `score`.

    Attributes:
        settings: What is run.
        clues: The data.
        corpus: What encoders are pretrained on.
        folder: Where weights and rows are kept.
        engine: Where runs are made.
        on_done: Called after every run.
        found: Runs that were there already.
        ran: Runs that were made.
        pretraining: Rows of the pretraining, once it is done.
        pretraining_lr: Its best rate at the smallest width.
    """

    settings: WidthSettings
    clues: Clues
    corpus: TextSet
    folder: Path
    engine: Engine
    on_done: Callable[[str, int, int], None]
    found: int = 0
    ran: int = 0
    pretraining: list[Row] = field(default_factory=list)
    pretraining_lr: float = math.nan

    def __post_init__(self) -> None:
        digest = hashlib.sha256(f"{self.corpus.train}\0{self.corpus.test}".encode()).hexdigest()[:12]
        inner = self.settings.length - 2
        self.tokenizer, train, test = claimed(
            self.folder,
            {**self.settings.fixed(), "text": digest, "data": self.clues.digest[:12]},
            text=self.corpus,
            vocabulary=self.settings.vocabulary,
            least=inner,
        )
        self.text = MaskedText(
            np.array(train),
            np.array(test),
            self.tokenizer.get_vocab_size(),
            self.settings.batch_size,
            self.settings.length,
            digest,
        )
        self.files = Files(
            RowFile(self.folder / PRETRAINING),
            RowFile(self.folder / "losses.jsonl"),
            RowFile(self.folder),
        )
        self.place = Place(self.settings, self.tokenizer, self.clues, self.folder)
        self.encoders: dict[tuple[str, int], Pretraining] = {}
        self.planners: dict[tuple[int, float], Planner] = {}
        self.plans: dict[tuple[int, float, str, int], Plan] = {}

    def pretrain(self) -> None:
        """Try the rates at the smallest width, then pretrain the others at the best of them."""
        settings = self.settings
        first = [Pretraining(BASE, settings.base, lr) for lr in settings.pretraining_lrs]
        tried = self._pretrained(first)
        losses = {row.params["lr"]: -row.score for row in tried if not row.failed}
        if not losses:
            raise EvaluationError(
                f"pretraining diverged at width {settings.base} at every rate from {settings.pretraining_lrs[0]:g} to "
                f"{settings.pretraining_lrs[-1]:g}. Give lower ones."
            )
        best = min(first, key=lambda job: losses.get(rounded(job.lr), math.inf))
        self.pretraining_lr = best.lr
        sample, _ = self.text.evaluation()
        planner = Planner(
            partial(make_masked, settings, self.text.vocabulary),
            base=settings.base,
            sample=tuple(part[:2] for part in sample),
            optimizer=torch.optim.AdamW,
        )
        rest = [
            Pretraining(rule, width, best.lr, planner.plan(width, rule=rule))
            for rule, width in settings.sizes()
            if rule != BASE
        ]
        others = self._pretrained(_widest_first(rest, lambda job: job.width))
        self.pretraining = [*tried, *others]
        diverged = {(row.rule, row.width) for row in others if row.failed}
        self.encoders = {
            (job.rule, job.width): job for job in (best, *rest) if (job.rule, job.width) not in diverged
        }

    def sweep(self) -> dict[str, TransferStudy]:
        """Take the held-out losses of every size and rate, and judge whether the best rate transfers."""
        settings = self.settings
        cells = [
            Cell(task, settings.shots, split, job, lr, plan=self.plan(task, settings.shots, split, job))
            for task in settings.tasks
            for job in self.encoders.values()
            for split in settings.splits
            for lr in settings.lrs
        ]
        rows = self._rows(
            self.files.losses,
            cells,
            held_out_loss,
            lambda cell, row: _same_place(cell, row) and dict(row.params) == sweep_params(cell),
        )
        losses = {
            (cell.task, cell.encoder.rule, cell.encoder.width, cell.lr, cell.split): -row.score
            for cell, row in zip(cells, rows, strict=True)
        }

        def curve(task: str, rule: str, width: int) -> Curve:
            where = (task, *settings.of(rule, width))
            values = tuple(
                tuple(_loss(losses.get((*where, lr, split))) for split in settings.splits)
                for lr in settings.lrs
            )
            return Curve(width, settings.lrs, values)

        return {
            task: TransferStudy(
                name=task,
                transfers={
                    rule: transfer(rule, [curve(task, rule, width) for width in settings.widths])
                    for rule in settings.rules
                },
                plans={},
                settings={"shots": settings.shots, "splits": list(settings.splits), "folds": settings.folds},
                cells_found=0,
                cells_run=len([cell for cell in cells if cell.task == task]),
                cells_missing=0,
                seconds=sum(row.seconds for cell, row in zip(cells, rows, strict=True) if cell.task == task),
            )
            for task in settings.tasks
        }

    def score(self, transfers: dict[str, TransferStudy]) -> list[Row]:
        """Score the tests at the rate of the smallest width, at each width's own, and over richness."""
        settings, cells = self.settings, []
        for task, study in transfers.items():
            for rule, one in study.transfers.items():
                cells += self._scores_of(task, rule, one)
            lr = study.transfers[settings.rules[0]].transferred_lr
            for width in dict.fromkeys((settings.base, settings.widths[-1])):
                job = self.encoders.get(settings.of(settings.rules[0], width))
                if job is None or lr is None:
                    continue
                cells += [
                    self._cell(task, settings.gamma_shots, split, job, lr, richness(gamma), gamma)
                    for gamma in settings.gammas
                    for split in settings.splits
                ]
        unique = list({_key(cell): cell for cell in cells}.values())
        return self._rows(
            self.files.scores,
            unique,
            scored,
            lambda cell, row: (
                _same_place(cell, row)
                and (row.subject, row.params.get("shots"), row.params.get("split"))
                == (cell.subject, cell.shots, cell.split)
                and row.params.get("data") == self.clues.digest[:12]
                and (row.metrics.get("lr"), row.metrics.get("pretraining_lr"), row.metrics.get("gamma"))
                == (rounded(cell.lr), rounded(cell.encoder.lr), cell.gamma)
            ),
        )

    def _scores_of(self, task: str, rule: str, one: Transfer) -> list[Cell]:
        settings, cells = self.settings, []
        for best in one.optima:
            job = self.encoders.get(settings.of(rule, best.size))
            rates = ((TRANSFERRED, one.transferred_lr), (BEST, best.lr))
            for subject, lr in rates:
                if job is None or lr is None or (subject == BEST and best.size == settings.base):
                    continue
                cells += [
                    self._cell(task, settings.shots, split, job, lr, subject) for split in settings.splits
                ]
        return cells

    def _cell(
        self, task: str, shots: int, split: int, job: Pretraining, lr: float, subject: str, gamma: float = 1.0
    ) -> Cell:
        plan = self.plan(task, shots, split, job, gamma)
        return Cell(task, shots, split, job, lr, subject, gamma, plan)

    def plan(self, task: str, shots: int, split: int, job: Pretraining, gamma: float = 1.0) -> Plan | None:
        """Plan the encoder of a size with its readout; None where the plan would change nothing."""
        rule = "sp" if job.rule == BASE else job.rule
        if rule == "sp" and gamma == 1.0:
            return None
        settings = self.settings
        outputs = target_of(clues_task(task), self.clues.train(task, shots, split)).outputs
        if (outputs, gamma) not in self.planners:
            ids = torch.zeros(2, min(8, settings.length), dtype=torch.int64)
            self.planners[outputs, gamma] = Planner(
                partial(make_tuned, settings, self.text.vocabulary, outputs),
                base=settings.base,
                sample=(ids, torch.ones_like(ids)),
                optimizer=torch.optim.AdamW,
                gamma=gamma,
            )
        key = (outputs, gamma, rule, job.width)
        if key not in self.plans:
            self.plans[key] = self.planners[outputs, gamma].plan(job.width, rule=rule)
        return self.plans[key]

    def _pretrained(self, jobs: Sequence[Pretraining]) -> list[Row]:
        rows = {
            (row.rule, row.width, row.params["lr"]): row
            for row in self.files.pretraining.read()
            if row.failed or self._weights(row).is_file()
        }

        def keep(job: Pretraining, result: Pretrained) -> None:
            row = _pretraining_row(self.settings, job, result)
            self.files.pretraining.add(row)
            rows[row.rule, row.width, row.params["lr"]] = row

        def key(job: Pretraining) -> tuple[str, int, float]:
            return (job.rule, job.width, rounded(job.lr))

        self._run(
            [job for job in jobs if key(job) not in rows],
            partial(pretrain, self.settings, self.text, self.folder),
            keep,
            len(jobs),
        )
        return [rows[key(job)] for job in jobs]

    def _weights(self, row: Row) -> Path:
        return Pretraining(row.rule or "", row.width or 0, float(row.params["lr"] or 0)).file(self.folder)

    def _rows(
        self,
        file: RowFile,
        cells: Sequence[Cell],
        function: Callable[[Place, Cell], Row],
        matches: Callable[[Cell, Row], bool],
    ) -> list[Row]:
        """Return a row per cell, of which those that the file lacks are computed, the widest first."""
        stored = file.read()
        index: dict[tuple[str, str | None, int | None], list[Row]] = {}
        for row in stored:
            index.setdefault((row.task, row.rule, row.width), []).append(row)
        known: dict[int, Row] = {}
        for place, cell in enumerate(cells):
            same = index.get((cell.task, cell.encoder.rule, cell.encoder.width), [])
            hit = next((row for row in same if matches(cell, row)), None)
            if hit is not None:
                known[place] = hit
        missing = [place for place in range(len(cells)) if place not in known]

        def keep(place: int, row: Row) -> None:
            file.add(row)
            known[place] = row

        places = {_key(cells[place]): place for place in missing}
        self._run(
            _widest_first([cells[place] for place in missing], lambda cell: cell.encoder.width),
            partial(function, self.place),
            lambda cell, row: keep(places[_key(cell)], row),
            len(cells),
        )
        return [known[place] for place in range(len(cells))]

    def _run(
        self, jobs: Sequence[J], function: Callable[[J], R], keep: Callable[[J, R], None], total: int
    ) -> None:
        self.found += total - len(jobs)
        done = total - len(jobs)

        def on_done(job: J, result: R) -> None:
            nonlocal done
            keep(job, result)
            done += 1
            self.ran += 1
            self.on_done(str(job), done, total)

        if jobs:
            self.engine.map(function, jobs, on_done=on_done)


def _pretraining_row(settings: WidthSettings, job: Pretraining, result: Pretrained) -> Row:
    diverged = not math.isfinite(result.loss)
    return Row(
        suite=SUITE,
        task="masked language modelling",
        subject="pretraining",
        score=math.nan if diverged else -result.loss,
        params={"lr": rounded(job.lr)},
        metrics={"parameters": result.parameters},
        seed=settings.seed,
        seconds=result.seconds,
        width=job.width,
        depth=settings.depth,
        rule=job.rule,
        version=VERSION,
        error="the loss is not finite" if diverged else "",
    )


def _same_place(cell: Cell, row: Row) -> bool:
    return (row.task, row.rule, row.width) == (cell.task, cell.encoder.rule, cell.encoder.width)


def _key(cell: Cell) -> tuple[object, ...]:
    job = cell.encoder
    return (cell.task, cell.shots, cell.split, job.rule, job.width, rounded(cell.lr), cell.subject)


def _loss(value: float | None) -> float:
    return math.inf if value is None or not math.isfinite(value) else value


def _widest_first(jobs: Sequence[J], width: Callable[[J], int]) -> list[J]:
    """Order jobs so that the longest do not come last, when the other workers have nothing to do."""
    return sorted(jobs, key=width, reverse=True)
