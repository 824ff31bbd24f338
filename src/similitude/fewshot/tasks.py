"""The six tasks of CLUES: their files, sizes and kinds of answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["sentence", "pair", "spans", "span", "cloze"]


@dataclass(frozen=True)
class Task:
    """One few-shot task.

    Attributes:
        name: Its name, lower case, as commands take it.
        title: Its name in tables.
        kind: What its answers are: "sentence" and "pair" have one label for one or two texts, "spans" a set of spans
            of the text, "span" one span or none, "cloze" one of the candidates of the item.
        folder: Its folder in the CLUES archive; empty for tasks of users.
        stem: The beginning of its file names.
        labels: All labels of a classification, in a fixed order; empty for others.
        rows_per_shot: Rows of a training file per shot: span sets ask three questions of every sentence.
        test_rows: Rows of the test file; 0 where that is not fixed.
    """

    name: str
    title: str
    kind: Kind
    folder: str = ""
    stem: str = ""
    labels: tuple[str, ...] = ()
    rows_per_shot: int = 1
    test_rows: int = 0


SHOTS = (10, 20, 30)
SPLITS = (1, 2, 3, 4, 5)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("sst-2", "SST-2", "sentence", "SST-2", "sst", ("negative", "positive"), 1, 210),
        Task("mnli", "MNLI", "pair", "MNLI", "mnli", ("contradiction", "entailment", "neutral"), 1, 210),
        Task("conll", "CoNLL-2003", "spans", "CoNLL2003", "conll", (), 3, 600),
        Task("wikiann", "WikiANN", "spans", "WikiANN_EN", "wikiann", (), 3, 600),
        Task("squad", "SQuAD v2", "span", "SQuAD-v2", "squad-v2", (), 1, 200),
        Task("record", "ReCoRD", "cloze", "ReCoRD", "record", (), 1, 200),
    )
}
"""The tasks of CLUES by name, in the order of its tables."""
