"""Parse the lines of a CLUES file into examples: every irregular form becomes one, every fault names file and line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from typing import Any

from similitude.core.errors import DataError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.tasks import Task

Row = Mapping[str, Any]
"""One line as it is in the file."""


def parse_lines(data: bytes, where: str) -> tuple[Row, ...]:
    """Return the JSON objects of a file, one per line.

    Args:
        data: The file's bytes, UTF-8, with or without a byte order mark.
        where: The file, for messages.

    Raises:
        DataError: It is not UTF-8, a line is not a JSON object, or a text has half a surrogate pair.
    """
    try:
        text = codecs.decode(data, "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where}, line {line}: byte {data[error.start]:#04x} is not UTF-8 ({error.reason}). Convert the file, "
            "e.g. iconv -f LATIN1 -t UTF-8, or get it again."
        ) from error
    # Not splitlines(): it breaks at characters that JSON strings may hold, such as U+2028.
    lines = text.removesuffix("\n").split("\n") if text else []
    return tuple(_parse(line, f"{where}, line {number}") for number, line in enumerate(lines, 1))


def to_example(row: Row, task: Task, where: str) -> Example:
    """Make an example of a line of a task's file.

    Args:
        row: The line.
        task: The task that it belongs to.
        where: File and line, for messages.

    Raises:
        DataError: A field is missing or of a wrong type, a label is unknown, or an entity lies outside the text.
    """
    context = _context(row, task, where)
    listed = _listed(required(row, "answer", list, where), where)
    if task.labels and (len(listed) != 1 or listed[0] not in task.labels):
        raise DataError(
            f"{where}: 'answer' is {list(listed)!r}, but {task.title} has exactly one of {', '.join(task.labels)}. "
            "Correct it, or get the file again."
        )
    if task.kind == "span":
        required(row, "is_impossible", bool, where)
    query = Query(
        id=str(required(row, "id", (str, int), where)),
        context=context,
        question=required(row, "question", str, where),
        candidates=_candidates(row, context[0], where) if task.kind == "cloze" else (),
    )
    genre = row.get("genre", "")
    if not isinstance(genre, str):
        raise DataError(f"{where}: 'genre' is {_shown(genre)}, but text is expected. Correct it.")
    return Example(query, _references(listed, task), genre, listed)


def required(row: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return a field of a JSON object.

    Args:
        row: The object.
        name: Its field.
        kind: The type, or types, that it may have; a truth value is no number.
        where: File and place, for messages.

    Raises:
        DataError: It is no object, the field is missing, or of another type.
    """
    if not isinstance(row, dict) or name not in row:
        there = f"there are {', '.join(row) or 'none'}" if isinstance(row, dict) else f"this is {_shown(row)}"
        raise DataError(f"{where}: the field '{name}' is missing ({there}). Add it, or get the file again.")
    value = row[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise DataError(
            f"{where}: '{name}' is {_shown(value)}, but {' or '.join(k.__name__ for k in kinds)} is expected. "
            "Correct it, or get the file again."
        )
    return value


def _references(listed: tuple[str, ...], task: Task) -> tuple[Answer, ...]:
    texts = [text for text in listed if text]
    if task.kind == "spans":
        return (frozenset(texts),)
    # Several answers to one question are alternatives; `dict` keeps their order, of which the first is trained on.
    return tuple(frozenset({text}) for text in dict.fromkeys(texts)) or (frozenset(),)


def _listed(answers: list[Any], where: str) -> tuple[str, ...]:
    texts = []
    for answer in answers:
        text = answer.get("text") if isinstance(answer, dict) else answer
        if not isinstance(text, str):
            raise DataError(
                f"{where}: 'answer' holds {_shown(answer)}, but a text or {{'text': ..., 'answer_start': ...}} is "
                "expected. Correct it, or get the file again."
            )
        if isinstance(answer, dict):
            required(answer, "answer_start", int, f"{where}, in 'answer'")
        texts.append(text)
    return tuple(texts)


def _context(row: Row, task: Task, where: str) -> tuple[str, ...]:
    if task.kind != "pair":
        return (required(row, "context", str, where),)
    texts = required(row, "context", list, where)
    if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
        raise DataError(
            f"{where}: 'context' is {_shown(texts)}, but a list of two texts is expected (premise, hypothesis). "
            "Correct it, or get the file again."
        )
    return tuple(texts)


def _candidates(row: Row, text: str, where: str) -> tuple[str, ...]:
    spans = []
    for entity in required(row, "entities", list, where):
        start, end = (required(entity, part, int, f"{where}, in 'entities'") for part in ("start", "end"))
        if not 0 <= start <= end < len(text):
            raise DataError(
                f"{where}: an entity runs from {start} to {end} (inclusive), but the context has characters 0 to "
                f"{len(text) - 1}. Correct it, or get the file again."
            )
        spans.append((start, end))
    return tuple(text[start : end + 1] for start, end in sorted(spans))


def _parse(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
        line.encode()
        if "\\u" in line:  # the only way to half a pair that UTF-8 does not refuse already
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: a text holds half of a surrogate pair, which is no character. Correct it."
        ) from error
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(
            f"{where}: is not JSON ({reason}): {_shown(line)}. One JSON object per line is expected."
        ) from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: is {_shown(row)}, but a JSON object is expected on every line.")
    return row


def _shown(value: object, width: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[:width]}..."
