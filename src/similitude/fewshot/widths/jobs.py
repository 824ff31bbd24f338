"""Single runs of fine-tuning: the held-out loss within a split, and the score on the test."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from similitude.core.errors import LearnerError
from similitude.core.seeding import numpy_generator
from similitude.evaluation.rows import Row
from similitude.fewshot.examples import Example
from similitude.fewshot.learners.fine_tune import FineTune, fine_tuned
from similitude.fewshot.learners.targets import target_of
from similitude.fewshot.learners.tuned import Recipe, Tuned
from similitude.fewshot.predictions import VERSION
from similitude.fewshot.protocol import SUITE, run
from similitude.fewshot.reading import Clues, clues_task
from similitude.fewshot.widths.pretraining import Pretraining, load_encoder, make_encoder
from similitude.fewshot.widths.settings import WidthSettings
from similitude.scaling.plan import Plan

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Place:
    """What every run of fine-tuning works with.

    Attributes:
        settings: Sizes and steps.
        tokenizer: The tokenizer of all encoders.
        clues: The data.
        folder: Folder of the study, with the weights.
    """

    settings: WidthSettings
    tokenizer: Tokenizer
    clues: Clues
    folder: Path


@dataclass(frozen=True)
class Cell:
    """One run of fine-tuning.

    Attributes:
        task: Name of the task.
        shots: Shots of the split.
        split: Number of the split.
        encoder: The run of pretraining whose encoder it starts from.
        lr: Learning rate, as of the base.
        subject: Name of the subject in tables; empty for a held-out loss.
        gamma: Richness.
        plan: Plan of the encoder with its readout; None where it would change nothing.
    """

    task: str
    shots: int
    split: int
    encoder: Pretraining
    lr: float
    subject: str = ""
    gamma: float = 1.0
    plan: Plan | None = None

    def __str__(self) -> str:
        size = f"{self.encoder.rule}, width {self.encoder.width}"
        what = self.subject or "held-out loss"
        return f"{self.task}, {self.shots} shots, split {self.split}, {size}, rate {self.lr:.3g}: {what}"


def make_tuned(settings: WidthSettings, vocabulary: int, outputs: int, width: int) -> nn.Module:
    """Build the encoder of a width with a readout: what plans of fine-tuning are made of."""
    return Tuned(make_encoder(settings, vocabulary, width), width, outputs)


def folds_of(examples: Sequence[Example], folds: int, seed: int) -> list[list[Example]]:
    """Cut a split into parts of nearly as many texts; questions on one text stay together.

    Args:
        examples: The split.
        folds: How many parts; as many as there are texts where those are fewer.
        seed: Seed of the order of the texts.

    Example:
        >>> from similitude.fewshot.examples import Query
        >>> rows = [Example(Query(str(i), (str(i // 2),), "?"), (frozenset(),)) for i in range(6)]
        >>> sorted(len(part) for part in folds_of(rows, 2, 0))
        [2, 4]
    """
    texts = list(dict.fromkeys(example.query.context for example in examples))
    order = numpy_generator(seed, "folds").permutation(len(texts))
    parts = min(folds, len(texts))
    part = {texts[k]: place % parts for place, k in enumerate(order)}
    return [[e for e in examples if part[e.query.context] == fold] for fold in range(parts)]


def recipe_of(settings: WidthSettings, examples: int, lr: float, plan: Plan | None) -> Recipe:
    """Return a recipe of about as many steps, whatever the number of examples."""
    per_epoch = math.ceil(examples / settings.rows)
    return Recipe(lr=lr, epochs=math.ceil(settings.steps / per_epoch), batch_size=settings.rows, plan=plan)


def held_out_loss(place: Place, cell: Cell) -> Row:
    """Fine-tune on all parts of a split but one, for each in turn, and return the mean loss of what was held out.

    The test is not looked at. A run that diverges has no score, but its row says so.
    """
    started, settings = time.monotonic(), place.settings
    examples = place.clues.train(cell.task, cell.shots, cell.split)
    target = target_of(clues_task(cell.task), examples)
    encoder = load_encoder(settings, place.tokenizer, place.folder, cell.encoder, name="encoder")
    parts = folds_of(examples, settings.folds, settings.seed)
    total, error = 0.0, ""
    for held in parts:
        seen = [example for part in parts if part is not held for example in part]
        recipe = recipe_of(settings, len(seen), cell.lr, cell.plan)
        try:
            total += len(held) * fine_tuned(encoder, target, seen, recipe, seed=settings.seed).loss(held)
        except LearnerError as fault:
            total, error = math.nan, str(fault)
            break
    loss = total / len(examples)
    if not error and not math.isfinite(loss):
        error = "the held-out loss is not finite"
    return Row(
        suite=SUITE,
        task=cell.task,
        subject="held-out loss",
        score=-loss if not error else math.nan,
        params=sweep_params(cell),
        seed=settings.seed,
        seconds=time.monotonic() - started,
        width=cell.encoder.width,
        depth=settings.depth,
        rule=cell.encoder.rule,
        version=VERSION,
        error=error,
    )


def sweep_params(cell: Cell) -> dict[str, str | int | float | bool | None]:
    """Return what tells a held-out loss from others of its task and size."""
    return {
        "shots": cell.shots,
        "split": cell.split,
        "lr": rounded(cell.lr),
        "pretraining_lr": rounded(cell.encoder.lr),
    }


def rounded(lr: float) -> float:
    """Return a rate to nine digits, so that one computed again is the same."""
    return float(f"{lr:.9g}")


def scored(place: Place, cell: Cell) -> Row:
    """Fine-tune on a whole split, under the guard of the protocol, and score the answers to the test.

    A run that diverges has no score, but its row says so.
    """
    settings = place.settings
    count = len(place.clues.train(cell.task, cell.shots, cell.split))
    encoder = load_encoder(settings, place.tokenizer, place.folder, cell.encoder, name="encoder")
    learner = FineTune(encoder, recipe_of(settings, count, cell.lr, cell.plan))
    found = run(
        place.clues,
        learner,
        tasks=[cell.task],
        shots=[cell.shots],
        splits=[cell.split],
        seed=settings.seed,
    )
    (row,) = found.rows
    return replace(
        row,
        subject=cell.subject,
        metrics={
            **row.metrics,
            "lr": rounded(cell.lr),
            "pretraining_lr": rounded(cell.encoder.lr),
            "gamma": cell.gamma,
        },
        width=cell.encoder.width,
        depth=settings.depth,
        rule=cell.encoder.rule,
    )
