"""Read SQuAD, versions 1.1 and 2.0: paragraphs with questions whose answers are spans, or that have none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from similitude.core.errors import DataError
from similitude.data.text import read_text
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.rows import required


def read_squad(path: str | Path) -> tuple[Example, ...]:
    """Read questions in the order of the file; different answers to one are alternatives, none is the empty set.

    Args:
        path: `train-v1.1.json`, `dev-v2.0.json` or another file of that form.

    Raises:
        DataError: The file is missing, not UTF-8, not JSON, lacks a field (which, and where in the file), has an id
            twice, or an answer that is not where its offset says.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "dev.json"
        >>> answers = [{"text": "1066", "answer_start": 3}, {"text": "in 1066", "answer_start": 0}]
        >>> one = {"id": "q1", "question": "When?", "answers": answers}
        >>> none = {"id": "q2", "question": "Why?", "answers": [], "is_impossible": True}
        >>> data = [{"title": "Hastings", "paragraphs": [{"context": "in 1066", "qas": [one, none]}]}]
        >>> _ = file.write_text(json.dumps({"version": "v2.0", "data": data}))
        >>> [len(example.references) for example in read_squad(file)], read_squad(file)[1].answer
        ([2, 1], frozenset())
    """
    try:
        root = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}). Get the file again.") from error
    examples = []
    seen: set[str] = set()
    for where, context, title, question in _questions(root, str(path)):
        name = required(question, "id", str, where)
        if name in seen:
            raise DataError(f"{where}: the id {name!r} is there twice. Correct one of them.")
        seen.add(name)
        texts = tuple(_answers(question, context, where))
        query = Query(name, (context,), required(question, "question", str, where))
        alternatives: tuple[Answer, ...] = tuple(frozenset({text}) for text in dict.fromkeys(texts))
        examples.append(Example(query, alternatives or (frozenset(),), title, texts))
    if not examples:
        raise DataError(f"{path}: holds no question. Name a file of SQuAD with its articles in 'data'.")
    return tuple(examples)


def _questions(root: Any, path: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield the place, context, title and question of every question."""
    for a, article in enumerate(required(root, "data", list, path)):
        at = f"{path}, data[{a}]"
        title = article.get("title", "") if isinstance(article, dict) else ""
        for p, paragraph in enumerate(required(article, "paragraphs", list, at)):
            within = f"{at}.paragraphs[{p}]"
            context = required(paragraph, "context", str, within)
            for q, question in enumerate(required(paragraph, "qas", list, within)):
                yield f"{within}.qas[{q}]", context, str(title), question


def _answers(question: dict[str, Any], context: str, where: str) -> Iterator[str]:
    answers = required(question, "answers", list, where)
    impossible = question.get("is_impossible", False)  # version 1.1 does not have it
    if bool(impossible) != (not answers):
        raise DataError(
            f"{where}: is_impossible is {impossible!r}, but there are {len(answers)} answers. Correct one of them; "
            "questions without answers are for training and scoring those of version 2.0 alone."
        )
    for place, answer in enumerate(answers):
        at = f"{where}.answers[{place}]"
        text, start = required(answer, "text", str, at), required(answer, "answer_start", int, at)
        if not text or start < 0 or not context.startswith(text, start):
            raise DataError(
                f"{at}: {text[:60]!r} is not at offset {start} of the context. Correct the offset."
            )
        yield text
