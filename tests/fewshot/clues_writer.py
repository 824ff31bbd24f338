"""Writer of small CLUES data in the true format: all 96 files with their row counts, made-up texts, no irregularities."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

Rows = dict[str, list[dict[str, Any]]]

STEMS = {
    "SST-2": "sst",
    "MNLI": "mnli",
    "CoNLL2003": "conll",
    "WikiANN_EN": "wikiann",
    "SQuAD-v2": "squad-v2",
    "ReCoRD": "record",
}
WORDS = [
    "harbour",
    "lantern",
    "meadow",
    "copper",
    "violet",
    "thunder",
    "saddle",
    "orchard",
    "pepper",
    "canyon",
    "ribbon",
    "glacier",
]
NAMES = ["Ada", "Boris", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hiro"]
PLACES = ["Lisbon", "Quito", "Oslo", "Perth", "Cairo", "Turin"]
FIRMS = ["Acme", "Globex", "Initech", "Umbrella", "Hooli"]
LABELS = ("contradiction", "entailment", "neutral")


def clues_rows(seed: int = 0) -> Rows:
    """Return the lines of every file; the splits of a task are nested and drawn from one stream of new texts."""
    draw = random.Random(seed)
    files: Rows = {}
    for folder, stem in STEMS.items():
        number = iter(range(1, 100_000))
        count = {"SST-2": 210, "MNLI": 210}.get(folder, 200)
        files[f"{folder}/{stem}_test.jsonl"] = _items(folder, count, number, draw)
        for split in range(1, 6):
            items = [_items(folder, 1, number, draw, place) for place in range(30)]
            for shots in (10, 20, 30):
                rows = [dict(row) for part in items[:shots] for row in part]
                files[f"{folder}/{stem}_train_{shots}_{split}.jsonl"] = rows
    return files


def write_clues(folder: Path, files: Rows) -> Path:
    """Write every file below `folder`/CLUES-JSON; return that folder."""
    top = folder / "CLUES-JSON"
    for name, rows in files.items():
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return top


def zip_clues(file: Path, files: Rows, prefix: str = "CLUES-JSON/") -> Path:
    """Write every file into a zip under `prefix`."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in files.items():
            archive.writestr(prefix + name, "".join(json.dumps(row) + "\n" for row in rows))
    return file


def _items(folder: str, count: int, number: Any, draw: random.Random, first: int = 0) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i in range(first, first + count):
        n = next(number)
        text = f"{' '.join(draw.choices(WORDS, k=5))} {n}"
        if folder == "SST-2":
            answer = ["negative", "positive"][i % 2]
            rows.append({"answer": [answer], "question": "positive or negative?", "id": n, "context": text})
        elif folder == "MNLI":
            rows.append(
                {
                    "genre": "fiction",
                    "answer": [LABELS[i % 3]],
                    "question": "entailment, contradiction, or neutral?",
                    "id": str(n),
                    "context": [text, f"other {text}"],
                }
            )
        elif folder in ("CoNLL2003", "WikiANN_EN"):
            name, place = draw.choice(NAMES), draw.choice(PLACES)
            for q, (what, found) in enumerate(
                (("people names", [name]), ("organizations", [""]), ("locations", [place])), 1
            ):
                question = f"List all the {what} in the context"
                context = f"{name} saw {place} {text}"
                rows.append({"answer": found, "question": question, "id": f"{n}_{q}", "context": context})
        elif folder == "SQuAD-v2":
            impossible = i % 2 == 0
            context = f"The {text} was found by {draw.choice(NAMES)}."
            answers = [] if impossible else [{"text": text, "answer_start": 4}]
            row = {"question": f"What was found in {n}?", "id": f"q{n}", "answer": answers}
            rows.append({**row, "is_impossible": impossible, "context": context})
        else:
            name, firm = draw.choice(NAMES), draw.choice(FIRMS)
            context = f"{name} left {firm} for {text}. {firm} wept."
            start = len(name) + 6
            end = context.rindex(firm)
            entities = [(0, len(name) - 1), (start, start + len(firm) - 1), (end, end + len(firm) - 1)]
            rows.append(
                {
                    "id": f"r{n}",
                    "context": context,
                    "entities": [{"start": a, "end": b} for a, b in entities],
                    "question": f"@placeholder missed {name} in {n}. What is @placeholder?",
                    "answer": [{"text": firm, "answer_start": start}],
                    "is_impossible": False,
                }
            )
    return rows
