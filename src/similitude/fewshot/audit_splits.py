"""Checks across items and files: duplicates, contradictions, nesting of shots, balance of labels, leakage into tests."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from similitude.fewshot.audit_files import (
    SHOWN,
    Check,
    Finding,
    TaskFiles,
    answer_texts,
    context_key,
    is_empty,
    item_key,
    shorten,
)
from similitude.fewshot.rows import Row


def duplicates(files: TaskFiles) -> list[Finding]:
    """Count items that a file has twice under different ids."""
    findings = []
    for where, rows in files.files():
        first: dict[str, str] = {}
        pairs = []
        for row in rows:
            other = first.setdefault(item_key(row), str(row["id"]))
            if other != str(row["id"]):
                pairs.append(f"{other} = {row['id']}: {shorten(str(row['context']))}")
        if pairs:
            statement = f"an item (text and question) is there twice ({where})"
            findings.append(
                Finding("duplicates", files.task.name, len(pairs), len(rows), statement, tuple(pairs[:SHOWN]))
            )
    return findings


def contradictions(files: TaskFiles) -> list[Finding]:
    """Count items that have different answers in different places."""
    answers: dict[str, set[frozenset[str]]] = defaultdict(set)
    ids: dict[str, str] = {}
    for _, row in files.rows():
        answers[item_key(row)].add(frozenset(answer_texts(row)))
        ids[item_key(row)] = str(row["id"])
    wrong = [key for key, found in answers.items() if len(found) > 1]
    if not wrong:
        return []
    statement = "one item has different answers in different places"
    examples = tuple(ids[key] for key in wrong[:SHOWN])
    return [Finding("contradictions", files.task.name, len(wrong), len(answers), statement, examples)]


def nesting(files: TaskFiles) -> list[Finding]:
    """Find splits whose fewer shots are not part of their more shots."""
    items = {place: {item_key(row) for row in rows} for place, rows in files.train.items()}
    steps = list(pairwise(sorted({shots for shots, _ in items})))
    splits = sorted({split for _, split in items})
    broken = {}
    for split in splits:
        parts = [
            f"{few} in {more}: {len(items[few, split] & items[more, split])} of {len(items[few, split])}"
            for few, more in steps
            if not items[few, split] <= items[more, split]
        ]
        if parts:
            broken[split] = f"split {split}: {', '.join(parts)}"
    if not broken:
        return []
    nested = [split for split in splits if split not in broken]
    kept = f"; nested: split {', '.join(map(str, nested))}" if nested else ""
    statement = f"fewer shots are not part of more shots, curves over shots mix nested and new examples{kept}"
    return [Finding("nesting", files.task.name, len(broken), len(splits), statement, tuple(broken.values()))]


def balance(files: TaskFiles) -> list[Finding]:
    """Compare the shares of labels, or of nothing, in splits with those in the test."""
    shares = {place: _shares(files, rows) for place, rows in files.train.items()}
    test = _shares(files, files.test)
    names = sorted({name for found in (test, *shares.values()) for name in found})
    if len(names) < 2:
        return []

    def off(place: tuple[int, int]) -> float:
        """By how many examples the label that is furthest from its share in the test is off."""
        found = shares[place]
        return max(abs(found[name] - found.total() * test[name] / test.total()) for name in names)

    uneven = [place for place in shares if off(place) >= 1]
    if not uneven:
        return []
    ranges = []
    for shots in sorted({shots for shots, _ in shares}):
        of_shots = [found[names[0]] / found.total() for (few, _), found in shares.items() if few == shots]
        ranges.append(f"{min(of_shots):.2f} to {max(of_shots):.2f} at {shots} shots")
    statement = (
        f"splits are not balanced as the test is: the share of {names[0]} is {', '.join(ranges)}, "
        f"{test[names[0]] / test.total():.3f} in the test"
    )
    worst = sorted(uneven, key=lambda place: off(place) / place[0], reverse=True)[:SHOWN]
    examples = tuple(
        f"{shots} shots, split {split}: "
        + "/".join(f"{count} {name}" for name, count in shares[shots, split].most_common())
        for shots, split in worst
    )
    return [Finding("balance", files.task.name, len(uneven), len(shares), statement, examples)]


def leakage(files: TaskFiles) -> list[Finding]:
    """Count training items whose text is in the test, as it is, in other case or spacing, or as one part of a pair."""
    rows = [(where, row) for where, row in files.rows() if where != "test"]
    findings = []
    for how, key in (
        ("as it is", lambda row: [context_key(row)]),
        ("in other case or spacing", lambda row: ["\n".join(_parts(row))]),
        ("as one part of a pair", _parts),
    ):
        there = {text for row in files.test for text in key(row)}
        leaked = [f"{row['id']} ({where})" for where, row in rows if there.intersection(key(row))]
        if leaked:
            statement = f"the text of a training item is in the test, {how}"
            findings.append(
                Finding("leakage", files.task.name, len(leaked), len(rows), statement, tuple(leaked[:SHOWN]))
            )
            break  # what is there as it is would be there in the weaker senses too
    return findings


def _shares(files: TaskFiles, rows: Sequence[Row]) -> Counter[str]:
    if files.task.labels:
        return Counter(answer_texts(row)[0] for row in rows)
    return Counter("'nothing'" if is_empty(row) else "answers" for row in rows)


def _parts(row: Row) -> list[str]:
    texts = row["context"] if isinstance(row["context"], list) else [row["context"]]
    return [" ".join(text.casefold().split()) for text in texts]


SPLIT_CHECKS = (
    Check("duplicates", "items twice in one file", "kept: ids tell them apart", duplicates),
    Check("contradictions", "one item with different answers", "left as they are", contradictions),
    Check(
        "nesting",
        "shots that are not nested",
        "splits are used as they are; compare shot counts across splits, not within one",
        nesting,
    ),
    Check(
        "balance",
        "splits that are not balanced as the test",
        "splits are used as they are, and the constant row shows what the majority scores",
        balance,
    ),
    Check("leakage", "training texts in the test, in any case or spacing", "reported alone", leakage),
)
