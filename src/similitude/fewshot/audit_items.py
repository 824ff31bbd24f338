"""Checks of single items: forms of answers, ids and texts, spans that are not in their text, labels spelt wrongly."""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict

from similitude.fewshot.audit_files import (
    SHOWN,
    Check,
    Finding,
    TaskFiles,
    answer_texts,
    is_empty,
    item_key,
    shorten,
)

MANY_ANSWERS = 10
"""Answers above which an item is an outlier: the score of such an item is that of a list."""

TOKENISED = re.compile(r"(?<=\S) (?:[.,;:?!]|'s|n't|'')(?= |$)")
"""A mark or ending that stands alone, as tokenisers leave it and people do not write it."""


def answer_form(files: TaskFiles) -> list[Finding]:
    """Count items whose answers are objects rather than texts."""
    rows = list(files.rows())
    objects = [row for _, row in rows if any(isinstance(answer, dict) for answer in row["answer"])]
    if not objects:
        return []
    statement = "answers are objects {text, answer_start}, not texts"
    example = shorten(str(objects[0]["answer"][0]), 70)
    return [Finding("answer form", files.task.name, len(objects), len(rows), statement, (example,))]


def empty_answer(files: TaskFiles) -> list[Finding]:
    """Count the two ways to write that there is no answer."""
    rows = list(files.rows())
    forms = Counter(str(row["answer"]) for _, row in rows if is_empty(row))
    return [
        Finding("empty answer", files.task.name, count, len(rows), f"nothing is written {form}")
        for form, count in sorted(forms.items())
    ]


def alternatives(files: TaskFiles) -> list[Finding]:
    """Count items of one answer that list several, and those that repeat one."""
    if files.task.kind == "spans":
        return []
    rows = [(where, row, answer_texts(row)) for where, row in files.rows()]
    several = [(row, texts) for _, row, texts in rows if len(set(texts)) > 1]
    repeated = [texts for _, _, texts in rows if len(set(texts)) < len(texts)]
    if not several and not repeated:
        return []
    most = max((len(texts) for _, _, texts in rows), default=0)
    statement = (
        f"up to {most} answers are listed to one question, as alternatives; {len(repeated)} items repeat one"
    )
    examples = tuple(shorten(" | ".join(dict.fromkeys(texts)), 70) for _, texts in several[:SHOWN])
    return [Finding("alternatives", files.task.name, len(several), len(rows), statement, examples)]


def id_type(files: TaskFiles) -> list[Finding]:
    """Count ids that are numbers."""
    rows = list(files.rows())
    numbers = [row["id"] for _, row in rows if not isinstance(row["id"], str)]
    if not numbers:
        return []
    statement = "ids are numbers, not texts"
    return [Finding("id type", files.task.name, len(numbers), len(rows), statement, (f"id {numbers[0]!r}",))]


def id_reuse(files: TaskFiles) -> list[Finding]:
    """Count ids that name different items in different files."""
    items: dict[str, set[str]] = defaultdict(set)
    for _, row in files.rows():
        items[str(row["id"])].add(item_key(row))
    reused = [name for name, keys in items.items() if len(keys) > 1]
    if not reused:
        return []
    statement = "an id names different items in different files"
    worst = max(reused, key=lambda name: len(items[name]))
    example = f"id {worst!r} names {len(items[worst])} items"
    return [Finding("id reuse", files.task.name, len(reused), len(items), statement, (example,))]


def context_form(files: TaskFiles) -> list[Finding]:
    """Count texts that are lists, as those of pairs are."""
    rows = list(files.rows())
    lists = [row for _, row in rows if isinstance(row["context"], list)]
    if not lists:
        return []
    statement = f"the context is a list of {len(lists[0]['context'])} texts, not one"
    return [Finding("context form", files.task.name, len(lists), len(rows), statement)]


def partial_fields(files: TaskFiles) -> list[Finding]:
    """Count fields that only some lines have."""
    rows = list(files.rows())
    counts = Counter(name for _, row in rows for name in row)
    return [
        Finding(
            "partial field", files.task.name, count, len(rows), f"the field '{name}' is not on every line"
        )
        for name, count in sorted(counts.items())
        if count < len(rows)
    ]


def label_spelling(files: TaskFiles) -> list[Finding]:
    """Compare the labels that questions name with those of the answers."""
    rows = list(files.rows())
    found: dict[str, list[str]] = defaultdict(list)
    for _, row in rows if files.task.labels else ():
        words = set(re.findall(r"[a-z]+", row["question"].lower()))
        for label in files.task.labels:
            close = difflib.get_close_matches(label, words, n=1, cutoff=0.7)
            if label not in words:
                found[f"the question names {close[0]!r}" if close else "no question names it"].append(label)
    return [
        Finding(
            "label spelling",
            files.task.name,
            len(labels),
            len(rows),
            f"{statement}, the answers {' and '.join(repr(label) for label in dict.fromkeys(labels))}",
            (repr(rows[0][1]["question"]),),
        )
        for statement, labels in found.items()
    ]


def span_in_text(files: TaskFiles) -> list[Finding]:
    """Count items with an answer that is not in their text, apart in the test and in training files."""
    if files.task.labels:
        return []
    findings = []
    for part in ("test", "training files"):
        rows = [(where, row) for where, row in files.rows() if (where == "test") == (part == "test")]
        absent = [
            (where, row, text)
            for where, row in rows
            for text in answer_texts(row)
            if text and text not in row["context"]
        ]
        items = {(where, str(row["id"])) for where, row, _ in absent}
        if items:
            statement = f"an answer is not in its text ({part}), so no span of the text can match it"
            examples = tuple(dict.fromkeys(f"{row['id']}: {shorten(text)}" for _, row, text in absent))
            findings.append(
                Finding("span in text", files.task.name, len(items), len(rows), statement, examples[:SHOWN])
            )
    return findings


def offsets(files: TaskFiles) -> list[Finding]:
    """Count answers whose offset does not point at them."""
    answers = [
        (row, answer) for _, row in files.rows() for answer in row["answer"] if isinstance(answer, dict)
    ]
    wrong = [
        f"{row['id']}: {shorten(answer['text'])} at {answer['answer_start']}"
        for row, answer in answers
        if not row["context"].startswith(answer["text"], answer["answer_start"])
    ]
    if not wrong:
        return []
    statement = "an answer does not start where its offset says"
    return [Finding("offsets", files.task.name, len(wrong), len(answers), statement, tuple(wrong[:SHOWN]))]


def many_answers(files: TaskFiles) -> list[Finding]:
    """Count items with more answers than a reader would list."""
    rows = list(files.rows())
    counts = {(where, str(row["id"])): len(set(answer_texts(row))) for where, row in rows}
    many = {place: count for place, count in counts.items() if count > MANY_ANSWERS}
    if not many:
        return []
    examples = tuple(f"{name} ({where}): {count} answers" for (where, name), count in many.items())
    statement = f"an item has more than {MANY_ANSWERS} different answers"
    return [Finding("many answers", files.task.name, len(many), len(rows), statement, examples[:SHOWN])]


def flags(files: TaskFiles) -> list[Finding]:
    """Count lines whose flag of impossibility contradicts their answers."""
    flagged = [(where, row) for where, row in files.rows() if "is_impossible" in row]
    wrong = [
        f"{row['id']} ({where})" for where, row in flagged if bool(row["is_impossible"]) != is_empty(row)
    ]
    if not wrong:
        return []
    statement = "is_impossible contradicts the answers"
    return [Finding("flags", files.task.name, len(wrong), len(flagged), statement, tuple(wrong[:SHOWN]))]


def tokenised(files: TaskFiles) -> list[Finding]:
    """Count texts in which marks and endings stand alone, where answers are spans of the text."""
    if files.task.labels:
        return []
    texts = list(dict.fromkeys(row["context"] for _, row in files.rows()))
    split = [text for text in texts if TOKENISED.search(text)]
    if 2 * len(split) < len(texts):
        return []
    statement = "texts are tokenised already: marks and endings stand alone, also in answers"
    example = next((shorten(text, 60) for text in split if " 's" in text), shorten(split[0], 60))
    return [Finding("tokenised", files.task.name, len(split), len(texts), statement, (example,))]


ITEM_CHECKS = (
    Check(
        "answer form",
        "answers that are objects",
        "the text is taken, the offset is used by this audit alone",
        answer_form,
    ),
    Check(
        "empty answer",
        "ways to write nothing",
        'both [""] and [] are the empty set; the strict score keeps the difference, as the repository does',
        empty_answer,
    ),
    Check(
        "alternatives",
        "several answers to one question",
        "the fair score takes the best of them; the strict one their set",
        alternatives,
    ),
    Check("id type", "ids that are numbers", "all ids become texts", id_type),
    Check(
        "id reuse",
        "ids that name different items",
        "an item is told by task, shots, split and id together",
        id_reuse,
    ),
    Check("context form", "contexts that are lists", "every context is a tuple of texts", context_form),
    Check("partial field", "fields that only some lines have", "left out, but for the genre", partial_fields),
    Check(
        "label spelling",
        "labels that questions spell otherwise",
        "labels are those of the answers",
        label_spelling,
    ),
    Check(
        "span in text",
        "answers that are not in their text",
        "left as they are: the best that spans can score is below 100",
        span_in_text,
    ),
    Check("offsets", "offsets that do not point at the answer", "offsets of answers are not used", offsets),
    Check("many answers", "items that list very many answers", "left as they are", many_answers),
    Check("flags", "is_impossible against the answers", "the answers decide", flags),
    Check(
        "tokenised",
        "texts that are tokenised already",
        "left as they are: predictions have to keep the spaces",
        tokenised,
    ),
)
