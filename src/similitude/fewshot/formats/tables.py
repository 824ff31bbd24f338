"""Read tab-separated tables of texts with labels, as GLUE has them: one text, or two, and a label a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from similitude.core.errors import DataError
from similitude.data.text import read_text
from similitude.fewshot.examples import Example, Query

SST2_LABELS = {"0": "negative", "1": "positive"}


def read_table(
    path: str | Path,
    texts: Sequence[str],
    *,
    label: str,
    question: str = "",
    labels: Mapping[str, str] | None = None,
    genre: str | None = None,
    id: str | None = None,
) -> tuple[Example, ...]:
    r"""Read a table with a header line; quotation marks are text, as in GLUE.

    Args:
        path: The file, UTF-8, columns separated by tabs.
        texts: Name of the column of the text, or of both texts of a pair.
        label: Name of the column of the label.
        question: What is asked of every row.
        labels: Names of labels by what the file has; None to take them as they are. Rows with others are refused.
        genre: Name of the column of the genre; None for none.
        id: Name of the column of ids; None for line numbers.

    Raises:
        DataError: The file is missing, not UTF-8, has no such column, a line of another length, an unknown or empty
            label, or an id twice.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "dev.tsv"
        >>> _ = file.write_text("sentence\tlabel\nno \"fun\" at all\t0\n")
        >>> read_table(file, ["sentence"], label="label", labels=SST2_LABELS)[0].answer
        frozenset({'negative'})
    """
    lines = read_text(path).removesuffix("\n").split("\n")
    header = lines[0].rstrip("\r").split("\t")
    places = {name: _place(name, header, path) for name in (*texts, label, genre, id) if name is not None}
    examples = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[1:], 2):
        cells = line.rstrip("\r").split("\t")
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {number}: has {len(cells)} columns, but the header has {len(header)}. Correct the line; "
                "texts must not hold tabs."
            )
        row = {name: cells[place] for name, place in places.items()}
        name = str(number) if id is None else row[id]
        if name in seen:
            raise DataError(
                f"{path}, lines {seen[name]} and {number}: both have the id {name!r}. Leave id= out to take line numbers."
            )
        seen[name] = number
        answer = _label(row[label], labels, f"{path}, line {number}")
        query = Query(name, tuple(row[text] for text in texts), question)
        listed = (answer,)
        examples.append(Example(query, (frozenset(listed),), "" if genre is None else row[genre], listed))
    return tuple(examples)


def read_sst2(path: str | Path) -> tuple[Example, ...]:
    """Read `train.tsv` or `dev.tsv` of GLUE's SST-2 into the form of the CLUES task "sst-2".

    Raises:
        DataError: As of `read_table`; the `test.tsv` of GLUE has no labels.
    """
    return read_table(path, ["sentence"], label="label", labels=SST2_LABELS, question="positive or negative?")


def read_mnli(path: str | Path) -> tuple[Example, ...]:
    """Read `train.tsv` or `dev_matched.tsv` of GLUE's MNLI into the form of the CLUES task "mnli".

    Raises:
        DataError: As of `read_table`; the test files of GLUE have no labels.
    """
    return read_table(
        path,
        ["sentence1", "sentence2"],
        label="gold_label",
        labels={name: name for name in ("contradiction", "entailment", "neutral")},
        question="entailment, contradiction, or neutral?",
        genre="genre",
        id="pairID",
    )


def _place(name: str, header: Sequence[str], path: str | Path) -> int:
    if header.count(name) != 1:
        raise DataError(
            f"{path}: has {header.count(name)} columns named {name!r}, but 1 is expected; its columns are "
            f"{', '.join(header)[:200]}. Name another column, or a file with labels."
        )
    return header.index(name)


def _label(value: str, labels: Mapping[str, str] | None, where: str) -> str:
    if not value or (labels is not None and value not in labels):
        known = "" if labels is None else f"; known are {', '.join(labels)}"
        raise DataError(f"{where}: the label is {value!r}{known}. Correct the line, or give it in labels=.")
    return value if labels is None else labels[value]
