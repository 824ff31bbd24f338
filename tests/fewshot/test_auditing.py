"""The audit: nothing in clean data, every irregularity where it was put, and those known of the published files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from clues_writer import Rows, clues_rows
from rich.console import Console

from similitude.fewshot.auditing import CHECKS, Audit, audit
from similitude.fewshot.forbidden import Forbidden
from similitude.fewshot.reading import Clues, read_clues

REAL = Path(__file__).parents[3] / "shared" / "data" / "CLUES-JSON.zip"
SST, MNLI = "SST-2/sst_test.jsonl", "MNLI/mnli_test.jsonl"
CONLL, SQUAD = "CoNLL2003/conll_test.jsonl", "SQuAD-v2/squad-v2_test.jsonl"


@pytest.fixture(scope="module")
def rows() -> Rows:
    return clues_rows()


def in_memory(files: Rows) -> Clues:
    rows = {name: tuple(part) for name, part in files.items()}
    return Clues("memory", {}, "0" * 64, (), Forbidden({}, "memory"), rows, {})


@pytest.fixture
def audited(rows: Rows) -> Callable[[Callable[[Rows], object]], Audit]:
    """Audit data after a change to its rows."""

    def make(change: Callable[[Rows], object]) -> Audit:
        files = deepcopy(rows)
        change(files)
        return audit(in_memory(files))

    return make


@pytest.fixture(scope="module")
def clean(rows: Rows) -> Audit:
    return audit(in_memory(rows))


def test_clean_data_has_only_what_its_format_brings(clean: Audit):
    forms = {"answer form", "empty answer", "id type", "context form"}
    assert {finding.check for finding in clean.findings} == forms
    assert {check.name for check in CHECKS} == forms | set(clean.clean)
    assert [(f.task, f.count, f.total) for f in clean.of("context form")] == [("mnli", 510, 510)]
    assert [(f.task, f.statement[-4:]) for f in clean.of("empty answer")] == [
        ("conll", "['']"),
        ("wikiann", "['']"),
        ("squad", "n []"),
    ]


def duplicate(files: Rows) -> None:
    for row, other in zip(files[CONLL][:3], files[CONLL][30:33], strict=True):
        other["context"] = row["context"]


def contradict(files: Rows) -> None:
    one, other = files[SST][0], files[SST][1]
    other["context"] = one["context"]


def leak(files: Rows) -> None:
    files["SST-2/sst_train_10_2.jsonl"][4]["context"] = files[SST][9]["context"].upper() + "  "


def leak_half(files: Rows) -> None:
    files["MNLI/mnli_train_10_2.jsonl"][4]["context"][1] = files[MNLI][9]["context"][0]


def unnest(files: Rows) -> None:
    files["ReCoRD/record_train_20_3.jsonl"] = files["ReCoRD/record_train_20_4.jsonl"]


def unbalance(files: Rows) -> None:
    for row in files["SST-2/sst_train_30_5.jsonl"][:10]:
        row["answer"] = ["positive"]


CHANGES = {
    "duplicates": (duplicate, "conll", 3),
    "contradictions": (contradict, "sst-2", 1),
    "leakage": (leak, "sst-2", 1),
    "nesting": (unnest, "record", 1),
    "balance": (unbalance, "sst-2", 1),
    "label spelling": (lambda f: f[MNLI][3].update(question="entailment, contraction, or neutral?"), "mnli", 1),
    "span in text": (lambda f: f[CONLL][3].update(answer=["Ada s", "Boris s"]), "conll", 1),
    "many answers": (lambda f: f[CONLL][3].update(answer=list("abcdefghijklmnop")), "conll", 1),
    "offsets": (lambda f: f[SQUAD][1]["answer"][0].update(answer_start=5), "squad", 1),
    "flags": (lambda f: f[SQUAD][1].update(is_impossible=True), "squad", 1),
    "partial field": (lambda f: f[SQUAD][1].update(plausible_answers=[]), "squad", 1),
    "alternatives": (lambda f: f[SQUAD][1]["answer"].append({"text": "The", "answer_start": 0}), "squad", 1),
    "id reuse": (lambda f: f["SST-2/sst_train_10_2.jsonl"][0].update(id=f[SST][0]["id"]), "sst-2", 1),
}  # fmt: skip


@pytest.mark.parametrize("check", CHANGES)
def test_an_irregularity_is_found_where_it_was_put(clean: Audit, audited, check):
    change, task, count = CHANGES[check]
    assert not clean.of(check)
    (finding,) = audited(change).of(check)
    assert (finding.task, finding.count) == (task, count)
    assert finding.total >= finding.count


def test_a_text_in_half_of_a_pair_is_leakage_too(audited):
    (finding,) = audited(leak_half).of("leakage")
    assert "as one part of a pair" in finding.statement


def test_every_check_has_an_irregularity_that_brings_it(clean: Audit, audited):
    def tokenise(files: Rows) -> None:
        for name in files:
            if name.startswith("WikiANN"):
                for row in files[name]:
                    row["context"] += " It 's so ."

    (finding,) = audited(tokenise).of("tokenised")
    assert finding.task == "wikiann"
    brought = {*CHANGES, "tokenised", *(f.check for f in clean.findings)}
    assert brought == {check.name for check in CHECKS}


def test_the_table_and_the_json_hold_every_finding(audited):
    found = audited(duplicate)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(found)
    text = console.export_text()
    assert "an item (text and question) is there twice (test)" in text
    assert "duplicates: kept: ids tell them apart" in text
    assert "leakage: none found" in text
    data = json.loads(json.dumps(found.to_dict()))
    assert len(data["findings"]) == len(found.findings)
    assert data["digest"] == found.digest


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here; it is not part of the repository")
def test_what_is_known_of_the_published_files_is_found():
    found = audit(read_clues(REAL))
    counts = {(f.check, f.task): f.count for f in found.findings if "training files" not in f.statement}
    assert counts["duplicates", "conll"] == 3
    assert counts["span in text", "wikiann"] == 9
    assert counts["many answers", "wikiann"] == 1
    assert counts["label spelling", "mnli"] == 510
    assert counts["id type", "sst-2"] == counts["context form", "mnli"] == 510
    assert {task for check, task in counts if check == "answer form"} == {"squad", "record"}
    assert {f.task: f.statement.split()[-1] for f in found.of("empty answer")} == {
        "conll": "['']",
        "wikiann": "['']",
        "squad": "[]",
    }
    assert "up to 6 answers" in found.of("alternatives")[0].statement
    (squad,) = found.of("nesting", "squad")
    assert (squad.count, squad.statement[-15:]) == (4, "nested: split 4")
    assert found.of("nesting", "record")[0].count == 5
    assert {f.task for f in found.of("nesting")} == {"squad", "record"}
    assert "5 entailment/4 neutral/1 contradiction" in found.of("balance", "mnli")[0].examples[0]
    assert "0.23 to 0.50 at 30 shots, 0.495 in the test" in found.of("balance", "squad")[0].statement
    assert {f.task for f in found.of("tokenised")} == {"conll", "wikiann"}
    assert "leakage" in found.clean
