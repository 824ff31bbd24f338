"""Read the 96 CLUES files of a folder or zip into examples (paper 18)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from similitude.core.citation import cites
from similitude.core.errors import DataError
from similitude.fewshot.archive import read_named_files
from similitude.fewshot.checksums import checksum, combined, differing
from similitude.fewshot.examples import Example
from similitude.fewshot.forbidden import Forbidden
from similitude.fewshot.rows import Row, parse_lines, to_example
from similitude.fewshot.tasks import SHOTS, SPLITS, TASKS, Task


def clues_files() -> dict[str, tuple[Task, int | None, int | None]]:
    """Return every file's task, shots and split by its name; those of a test file are None.

    Example:
        >>> files = clues_files()
        >>> len(files), [part for part in files["MNLI/mnli_train_10_3.jsonl"][1:]]
        (96, [10, 3])
    """
    files: dict[str, tuple[Task, int | None, int | None]] = {}
    for task in TASKS.values():
        files[_name(task)] = (task, None, None)
        for shots in SHOTS:
            for split in SPLITS:
                files[_name(task, shots, split)] = (task, shots, split)
    return files


@dataclass(frozen=True, repr=False)
class Clues:
    """The data of CLUES, in memory.

    Attributes:
        source: Where it was read from.
        files: SHA-256 of each file by name, e.g. "SST-2/sst_test.jsonl".
        digest: One SHA-256 over all files, which reports and predictions carry.
        notes: What a user should know, e.g. files that differ from the published ones.
        forbidden: The same files, as what learners must not open.
        rows: The lines of each file as they are, which the audit reads.
        examples: The examples of each file.
    """

    source: str
    files: Mapping[str, str]
    digest: str
    notes: tuple[str, ...]
    forbidden: Forbidden = field(compare=False)
    rows: Mapping[str, tuple[Row, ...]] = field(compare=False)
    examples: Mapping[str, tuple[Example, ...]] = field(compare=False)

    def __repr__(self) -> str:
        total = sum(map(len, self.examples.values()))
        return f"Clues({len(self.files)} files, {total:,} items, {self.digest[:12]}, from {self.source!r})"

    @property
    def published(self) -> bool:
        """Whether every file is as it was published."""
        return not differing(self.files)

    def train(self, task: str, shots: int, split: int) -> tuple[Example, ...]:
        """Return the examples of one split.

        Args:
            task: Name of the task, e.g. "sst-2".
            shots: 10, 20 or 30.
            split: 1 to 5.

        Raises:
            DataError: There is no such task, number of shots or split.
        """
        if shots not in SHOTS or split not in SPLITS:
            raise DataError(
                f"{task}, {shots} shots, split {split}: CLUES has {', '.join(map(str, SHOTS))} shots and splits "
                f"{SPLITS[0]} to {SPLITS[-1]}. Choose among them, or make splits of your own with few_shot."
            )
        return self.examples[_name(clues_task(task), shots, split)]

    def test(self, task: str) -> tuple[Example, ...]:
        """Return the test examples of a task.

        Raises:
            DataError: There is no such task.
        """
        return self.examples[_name(clues_task(task))]


@cites(18, "data of the six tasks")
def read_clues(path: str | Path) -> Clues:
    """Read all files of CLUES, check them, and note where they differ from the published ones.

    Answers become alternatives of sets of texts: `[""]` and `[]` both the empty set, the answers of one SQuAD question
    one reference each. Ids become texts, and entities the texts between their offsets (the end inclusive).

    Args:
        path: The folder CLUES-JSON, a folder that holds it, or its zip.

    Raises:
        DataError: A file is missing, malformed, of the wrong length or encoding, or the zip is hostile; the text has
            file, line and field.

    Cost:
        0.2 s and about 20 MB for the published files.
    """
    files = clues_files()
    contents = read_named_files(path, files)
    rows: dict[str, tuple[Row, ...]] = {}
    examples: dict[str, tuple[Example, ...]] = {}
    for name, data in contents.items():
        task, shots, _ = files[name]
        where = f"{path}: {name}"
        rows[name] = parse_lines(data, where)
        wanted = task.test_rows if shots is None else shots * task.rows_per_shot
        if len(rows[name]) != wanted:
            raise DataError(
                f"{where}: has {len(rows[name])} lines, but {wanted} are expected. It is cut, or not of CLUES; get it "
                "again."
            )
        examples[name] = tuple(
            to_example(row, task, f"{where}, line {number}") for number, row in enumerate(rows[name], 1)
        )
        _check_ids(examples[name], where)
    checksums = {name: checksum(data) for name, data in contents.items()}
    return Clues(
        source=str(path),
        files=checksums,
        digest=combined(checksums),
        notes=_notes(checksums),
        forbidden=_forbidden(Path(path), contents),
        rows=rows,
        examples=examples,
    )


def load(
    task: str, shots: int | None = None, *, split: int | None = None, path: str | Path
) -> tuple[Example, ...]:
    """Load the examples of one split, or the test of a task where shots and split are None.

    Args:
        task: Name of the task: "sst-2", "mnli", "conll", "wikiann", "squad" or "record".
        shots: 10, 20 or 30.
        split: 1 to 5.
        path: The folder or zip, as `read_clues` takes it; read `Clues` once to load many splits.

    Raises:
        DataError: As of `read_clues`; or only one of shots and split is given.
    """
    if (shots is None) != (split is None):
        raise DataError(
            f"load('{task}', {shots}, split={split}): a split needs both its shots and its number. Give both, or "
            "neither for the test."
        )
    clues = read_clues(path)
    return clues.test(task) if shots is None or split is None else clues.train(task, shots, split)


def clues_task(name: str) -> Task:
    """Return a task of CLUES by name.

    Raises:
        DataError: There is none of that name.
    """
    if name not in TASKS:
        raise DataError(f"'{name}' is not a task of CLUES. Use one of {', '.join(TASKS)}.")
    return TASKS[name]


def _name(task: Task, shots: int | None = None, split: int | None = None) -> str:
    part = "test" if shots is None else f"train_{shots}_{split}"
    return f"{task.folder}/{task.stem}_{part}.jsonl"


def _forbidden(path: Path, contents: Mapping[str, bytes]) -> Forbidden:
    """The files, and the zip that they came from."""
    everything = [*contents.values(), *([path.read_bytes()] if path.is_file() else [])]
    checksums: dict[int, frozenset[str]] = {}
    for data in everything:
        checksums[len(data)] = checksums.get(len(data), frozenset()) | {checksum(data)}
    return Forbidden(checksums, os.path.realpath(path))


def _check_ids(examples: tuple[Example, ...], where: str) -> None:
    lines: dict[str, int] = {}
    for number, example in enumerate(examples, 1):
        if example.id in lines:
            raise DataError(
                f"{where}, lines {lines[example.id]} and {number}: both have the id {example.id!r}, but predictions "
                "are told apart by id. Correct one, or get the file again."
            )
        lines[example.id] = number


def _notes(checksums: Mapping[str, str]) -> tuple[str, ...]:
    changed = differing(checksums)
    if not changed:
        return ()
    more = ", ..." if len(changed) > 3 else ""
    return (
        f"{len(changed)} of {len(checksums)} files differ from the published ones ({', '.join(changed[:3])}{more}): "
        "scores on them do not compare with published scores.",
    )
