"""Read CoNLL columns: one token and its tag a line, sentences apart by blank lines, into one item per kind of entity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from similitude.core.errors import DataError
from similitude.data.text import read_text
from similitude.fewshot.examples import Example, Query

QUESTIONS = {
    "PER": "List all the people names in the context",
    "ORG": "List all the organizations in the context",
    "LOC": "List all the locations in the context",
}
"""The questions of CLUES by kind of entity; other kinds (MISC of CoNLL-2003) are not asked for."""


def read_conll(
    path: str | Path, *, questions: Mapping[str, str] = QUESTIONS, tag: int = -1, separator: str | None = None
) -> tuple[Example, ...]:
    """Read tagged sentences into sets of spans, with the tokens joined by spaces as CLUES has them.

    The tags may be of the kind BIO (every entity begins with B-), IOB1 (only where two of a kind touch), or BIOES and
    BILOU. An I- that follows no entity of its kind begins one, which is right for all of these.

    Args:
        path: The file, UTF-8: a token a line, its tag in a column, a blank line after a sentence; lines that begin with
            -DOCSTART- are left out. Where all tokens begin with a language, as in WikiANN ("en:Paris"), it is cut off.
        questions: The question to ask by kind of entity, in order; one item is made of every sentence and question.
        tag: Which column has the tag; the token is in the first.
        separator: What separates columns; None for spaces and tabs.

    Raises:
        DataError: The file is missing or not UTF-8, a line has no such column, or a tag is malformed.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "eng.testb"
        >>> _ = file.write_text("In IN I-PP O\\nBelgrade NNP I-NP I-LOC\\n: : O O\\n")
        >>> [sorted(item.answer) for item in read_conll(file)]
        [[], [], ['Belgrade']]
    """
    sentences: list[list[tuple[str, str]]] = [[]]
    for number, raw in enumerate(read_text(path).split("\n"), 1):
        line = raw.rstrip("\r")
        if not line.strip():
            sentences.append([])
        elif not line.startswith("-DOCSTART-"):
            sentences[-1].append(_token(line, tag, separator, f"{path}, line {number}"))
    sentences = [sentence for sentence in sentences if sentence]
    if not sentences:
        raise DataError(
            f"{path}: holds no tagged sentence. Name a file with a token and its tag on every line."
        )
    language = _common_language(sentences)
    return tuple(
        item
        for number, sentence in enumerate(sentences, 1)
        for item in _items(
            [(token.removeprefix(language), value) for token, value in sentence], questions, number
        )
    )


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return the entities that tags mark: kind, first token, and the one after the last.

    Args:
        tags: Of one sentence, e.g. "O", "B-PER", "I-PER", or "E-", "S-", "L-", "U-".

    Example:
        >>> entities(["I-PER", "I-PER", "B-PER", "O", "B-LOC", "I-ORG"])
        [('PER', 0, 2), ('PER', 2, 3), ('LOC', 4, 5), ('ORG', 5, 6)]
    """
    found: list[tuple[str, int, int]] = []
    open_kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        if open_kind and (kind != open_kind or prefix in "BSU"):
            found.append((open_kind, start, place))
            open_kind = ""
        if kind and not open_kind:
            open_kind, start = kind, place
        if prefix in ("E", "S", "L", "U"):
            found.append((open_kind, start, place + 1))
            open_kind = ""
    return found


def _items(sentence: Sequence[tuple[str, str]], questions: Mapping[str, str], number: int) -> list[Example]:
    tokens = [token for token, _ in sentence]
    spans = entities([tag for _, tag in sentence])
    items = []
    for place, (kind, question) in enumerate(questions.items(), 1):
        texts = dict.fromkeys(" ".join(tokens[start:end]) for of, start, end in spans if of == kind)
        query = Query(f"{number}_{place}", (" ".join(tokens),), question)
        items.append(Example(query, (frozenset(texts),), listed=tuple(texts) or ("",)))
    return items


def _token(line: str, tag: int, separator: str | None, where: str) -> tuple[str, str]:
    cells = line.split(separator)
    if len(cells) < 2 or not -len(cells) <= tag < len(cells):
        raise DataError(
            f"{where}: has {len(cells)} columns, but a token and its tag in column {tag} are expected. Give tag= and "
            "separator= as the file has them."
        )
    value = cells[tag].strip()
    prefix, dash, kind = value.partition("-")
    if value != "O" and (prefix not in ("B", "I", "E", "S", "L", "U") or not dash or not kind):
        raise DataError(f"{where}: the tag is {value!r}, but O, B-KIND, I-KIND or the like is expected.")
    return cells[0], value


def _common_language(sentences: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Return the language that stands before all tokens, as in WikiANN ("en:Paris"), with its colon; else nothing."""
    first = sentences[0][0][0].partition(":")[0] + ":"
    marked = all(token.startswith(first) and token != first for part in sentences for token, _ in part)
    return first if marked and first[:-1].isalpha() and first.islower() else ""
