"""What a check of the audit is given, what it finds, and how it reads the lines of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from similitude.fewshot.rows import Row
from similitude.fewshot.tasks import Task

SHOWN = 3
"""Examples that a finding shows."""


@dataclass(frozen=True)
class TaskFiles:
    """The files of one task.

    Attributes:
        task: The task.
        test: Lines of its test.
        train: Lines of its training files by shots and split.
    """

    task: Task
    test: tuple[Row, ...]
    train: Mapping[tuple[int, int], tuple[Row, ...]]

    def files(self) -> Iterator[tuple[str, tuple[Row, ...]]]:
        """Yield every file's name in words and its lines, the test first."""
        yield "test", self.test
        for (shots, split), rows in self.train.items():
            yield f"{shots} shots, split {split}", rows

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Yield every line of every file with the file's name in words."""
        for where, rows in self.files():
            for row in rows:
                yield where, row


@dataclass(frozen=True)
class Finding:
    """One irregularity of one task.

    Attributes:
        check: What was looked for.
        task: Name of the task.
        count: How many were found.
        total: Out of how many.
        statement: What was found, in words.
        examples: Up to `SHOWN` of them.
    """

    check: str
    task: str
    count: int
    total: int
    statement: str
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "examples": list(self.examples)}


@dataclass(frozen=True)
class Check:
    """Something that the audit looks for.

    Attributes:
        name: Its name.
        looks_for: What it looks for, in words.
        handled: What similitude makes of it.
        run: Returns what it finds in a task.
    """

    name: str
    looks_for: str
    handled: str
    run: Callable[[TaskFiles], list[Finding]]


def item_key(row: Row) -> str:
    """Return what makes two lines the same item: text and question, whatever their ids."""
    return json.dumps([row["context"], row["question"]])


def context_key(row: Row) -> str:
    """Return the text of a line, or both of a pair, as one string that can be compared."""
    return json.dumps(row["context"])


def answer_texts(row: Row) -> list[str]:
    """Return the answers of a line as the file lists them, whatever their form."""
    return [answer["text"] if isinstance(answer, dict) else answer for answer in row["answer"]]


def is_empty(row: Row) -> bool:
    """Return whether a line's answer is that there is none."""
    return not any(answer_texts(row))


def shorten(text: str, width: int = 48) -> str:
    """Return text cut to a width, with dots where it was cut."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
