"""The width study: encoders pretrained under plans, fine-tuned over rates and widths, and scored on the tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from similitude.core.citation import cites
from similitude.data.catalog import load
from similitude.data.sets import TextSet
from similitude.fewshot.learners.constant import Constant
from similitude.fewshot.protocol import run
from similitude.fewshot.reading import Clues
from similitude.fewshot.widths.records import Corpus, WidthStudy
from similitude.fewshot.widths.settings import WidthSettings
from similitude.fewshot.widths.stages import Stages
from similitude.runs.engine import Engine, InProcess

DEFAULT_FOLDER = Path("fewshot-widths")


@cites(18, "the tasks and their splits")
@cites(17, "Section 4: tuning at the smallest width")
def width_study(
    clues: Clues,
    settings: WidthSettings | None = None,
    *,
    text: TextSet | None = None,
    out: str | os.PathLike[str] = DEFAULT_FOLDER,
    engine: Engine | None = None,
    on_done: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> WidthStudy:
    """Ask of encoders that differ in width alone: does the learning rate transfer, does quality grow, does richness help?

    Bidirectional encoders are pretrained by masked language modelling, at the rate that is best at the smallest width.
    Each is fine-tuned on every split at every rate; what decides is the loss on parts of the split that are held out in
    turn, never the test. The test is then scored at the rate of the smallest width and at each width's own best.

    Args:
        clues: The data; no encoder is pretrained on it.
        settings: What is run; the defaults where None.
        text: What encoders are pretrained on; a book that is shipped where None.
        out: Folder for weights and results. What is there is not computed again.
        engine: Where runs are made; this process where None.
        on_done: Called after every run with what it was, and how many of the stage's runs are done.

    Returns:
        What was found.

    Raises:
        EvaluationError: The folder holds a study of other settings, or the text is too short.
        JobsFailedError: Some runs failed; the others are kept.

    Cost:
        About 80 minutes of processor time with the defaults.
    """
    started = time.monotonic()
    chosen = settings or WidthSettings()
    corpus = text or load("text")
    stages = Stages(chosen, clues, corpus, Path(out), engine or InProcess(), on_done)
    stages.pretrain()
    transfers = stages.sweep()
    rows = stages.score(transfers)
    shots = {chosen.shots, chosen.gamma_shots} if chosen.gammas else {chosen.shots}
    known = {row.key: row for row in stages.files.scores.read()}
    floor = run(clues, Constant(), tasks=chosen.tasks, shots=sorted(shots), splits=chosen.splits).rows
    for row in floor:
        if row.key not in known:
            stages.files.scores.add(row)
    return WidthStudy(
        settings=chosen,
        corpus=Corpus(
            corpus.name,
            corpus.source,
            len(stages.text.train),
            stages.text.vocabulary,
            chosen.pretraining_steps * chosen.batch_size * chosen.length,
        ),
        pretraining=tuple(stages.pretraining),
        pretraining_lr=stages.pretraining_lr,
        transfers=transfers,
        rows=tuple(rows),
        constants=tuple(known.get(row.key, row) for row in floor),
        found=stages.found,
        ran=stages.ran,
        seconds=time.monotonic() - started,
    )
