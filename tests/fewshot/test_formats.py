"""Readers of other data: the true forms of GLUE, CoNLL and SQuAD files, their faults, and splits drawn from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from similitude.core.errors import DataError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.formats import (
    few_shot,
    read_conll,
    read_mnli,
    read_squad,
    read_sst2,
    read_table,
)
from similitude.fewshot.formats.columns import QUESTIONS, entities
from similitude.fewshot.metric import fair_score, strict_score

MNLI_HEADER = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\t"
    "sentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label"
)
CONLL = """-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
call NN I-NP O
. . O O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
Smith NNP I-NP B-PER

"""


def write(folder: Path, text: str, name: str = "file") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_sst2_of_glue_keeps_quotation_marks_and_spaces(tmp_path: Path):
    path = write(tmp_path, 'sentence\tlabel\nhide new secretions \t0\n"a" "b\t1\n')
    examples = read_sst2(path)
    assert [e.query.context for e in examples] == [("hide new secretions ",), ('"a" "b',)]
    assert [e.answer for e in examples] == [{"negative"}, {"positive"}]
    assert [e.id for e in examples] == ["2", "3"]
    assert (
        fair_score(frozenset({"negative"}), examples[0]) == 1 == strict_score(examples[0].answer, examples[0])
    )


def test_mnli_of_glue(tmp_path: Path):
    line = "0\t63735\t63735n\tslate\t( x )\t( y )\t(ROOT x)\t(ROOT y)\tThe new rights.\tAll like.\tneutral\tneutral"
    (example,) = read_mnli(write(tmp_path, f"{MNLI_HEADER}\r\n{line}\r\n"))
    assert example.query == Query(
        "63735n", ("The new rights.", "All like."), "entailment, contradiction, or neutral?"
    )
    assert (example.answer, example.genre) == ({"neutral"}, "slate")


def test_a_table_of_ones_own(tmp_path: Path):
    path = write(tmp_path, "key\tquestion1\tquestion2\tis_duplicate\na\tx\ty\tyes\nb\tx\tz\tno\n")
    examples = read_table(path, ["question1", "question2"], label="is_duplicate", question="same?", id="key")
    assert [(e.id, e.query.context, e.answer) for e in examples] == [
        ("a", ("x", "y"), {"yes"}),
        ("b", ("x", "z"), {"no"}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sentence\tlabel\nx\n", "line 2: has 1 columns, but the header has 2"),
        ("sentence\tlabel\nx\ty\t0\n", "line 2: has 3 columns"),
        ("sentence\tlabel\nx\t2\n", "line 2: the label is '2'; known are 0, 1"),
        ("sentence\tlabel\nx\t\n", "line 2: the label is ''"),
        (
            "index\tsentence\n0\tx\n",
            "has 0 columns named 'label', but 1 is expected; its columns are index, sent",
        ),
        ("sentence\tlabel\tlabel\nx\t0\t1\n", "has 2 columns named 'label'"),
    ],
)
def test_faults_of_tables_are_named(tmp_path: Path, text, said):
    with pytest.raises(DataError, match=said):
        read_sst2(write(tmp_path, text))


def test_ids_of_tables_are_unique(tmp_path: Path):
    path = write(tmp_path, "id\ttext\tlabel\n7\ta\tx\n7\tb\ty\n")
    with pytest.raises(DataError, match="lines 2 and 3: both have the id '7'"):
        read_table(path, ["text"], label="label", id="id")


def test_conll_2003_in_its_own_tags(tmp_path: Path):
    examples = read_conll(write(tmp_path, CONLL))
    assert [e.query.question for e in examples[:3]] == list(QUESTIONS.values())
    assert [e.id for e in examples] == ["1_1", "1_2", "1_3", "2_1", "2_2", "2_3"]
    assert examples[0].query.context == ("EU rejects German call .",)
    assert [set(e.answer) for e in examples] == [
        set(),
        {"EU"},
        set(),
        {"Peter Blackburn", "Smith"},
        set(),
        set(),
    ]
    assert strict_score(frozenset(), examples[0]) == 0 < fair_score(frozenset(), examples[0])


def test_wikiann_loses_its_language_only_where_all_tokens_have_one(tmp_path: Path):
    text = "en:Rome\tB-LOC\nen:and\tO\nen:Acme\tB-ORG\nen:Corp\tI-ORG\n\n"
    examples = read_conll(write(tmp_path, text))
    assert examples[0].query.context == ("Rome and Acme Corp",)
    assert [set(e.answer) for e in examples] == [set(), {"Acme Corp"}, {"Rome"}]
    mixed = read_conll(write(tmp_path, text.replace("en:and", "de:and")))
    assert mixed[0].query.context == ("en:Rome de:and en:Acme en:Corp",)


def test_other_questions_columns_and_separators(tmp_path: Path):
    path = write(tmp_path, "B-GENE|NN|p53 x\nO|VB|binds\n")
    with pytest.raises(DataError, match="line 1: the tag is 'x'"):
        read_conll(path, questions={"GENE": "genes?"})
    path = write(tmp_path, "p53 x|B-GENE|NN\nbinds|O|VB\n")
    (example,) = read_conll(path, questions={"GENE": "genes?"}, tag=1, separator="|")
    assert (example.answer, example.query.context) == ({"p53 x"}, ("p53 x binds",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("EU\n", "line 1: has 1 columns"),
        ("EU X-ORG\n", "line 1: the tag is 'X-ORG'"),
        ("EU B-\n", "line 1: the tag is 'B-'"),
        ("EU ORG\n", "line 1: the tag is 'ORG'"),
        ("-DOCSTART- O\n\n", "holds no tagged sentence"),
    ],
)
def test_faults_of_columns_are_named(tmp_path: Path, text, said):
    with pytest.raises(DataError, match=said):
        read_conll(write(tmp_path, text))


def written(spans: list[tuple[str, int, int]], length: int, scheme: str) -> list[str]:
    """Tag entities token by token from the definition of a scheme."""
    tags = ["O"] * length
    ends = {end: kind for kind, _, end in spans}
    for kind, start, end in spans:
        for place in range(start, end):
            first, last = place == start, place == end - 1
            if scheme == "IOB1":
                letter = "B" if first and ends.get(start) == kind else "I"
            elif scheme == "BIO":
                letter = "B" if first else "I"
            else:
                letter = "S" if first and last else "B" if first else "E" if last else "I"
            tags[place] = (
                f"{letter if scheme != 'BILOU' else {'S': 'U', 'E': 'L'}.get(letter, letter)}-{kind}"
            )
    return tags


@given(st.data(), st.sampled_from(["IOB1", "BIO", "BIOES", "BILOU"]))
def test_entities_come_back_in_every_scheme(data, scheme):
    spans, place = [], 0
    for _ in range(data.draw(st.integers(0, 5))):
        start = place + data.draw(st.integers(0, 2))
        place = start + data.draw(st.integers(1, 3))
        spans.append((data.draw(st.sampled_from(["PER", "LOC"])), start, place))
    assert entities(written(spans, place + 1, scheme)) == spans


def squad() -> dict[str, Any]:
    answers = [{"text": t, "answer_start": s} for t, s in (("1066", 3), ("in 1066", 0), ("1066", 3))]
    questions = [
        {"id": "q1", "question": "When?", "answers": answers, "is_impossible": False},
        {"id": "q2", "question": "Why?", "answers": [], "is_impossible": True, "plausible_answers": answers},
    ]
    paragraph = {"context": "in 1066 at Hastings", "qas": questions}
    return {"version": "v2.0", "data": [{"title": "Normans", "paragraphs": [paragraph]}]}


def test_squad_of_both_versions(tmp_path: Path):
    one, none = read_squad(write(tmp_path, json.dumps(squad())))
    assert one.references == (frozenset({"1066"}), frozenset({"in 1066"}))
    assert one.listed == ("1066", "in 1066", "1066")
    assert (one.genre, one.query.context) == ("Normans", ("in 1066 at Hastings",))
    assert (none.references, none.listed) == ((frozenset(),), ())
    first = squad()
    del first["data"][0]["paragraphs"][0]["qas"][1:]
    del first["data"][0]["paragraphs"][0]["qas"][0]["is_impossible"]
    assert read_squad(write(tmp_path, json.dumps(first))) == (one,)


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(data: dict[str, Any]) -> None:
        *way, last = path.split(".")
        thing: Any = data
        for part in way:
            thing = thing[int(part) if part.isdigit() else part]
        if value is ...:
            del thing[last]
        else:
            thing[last] = value

    return apply


QUESTION = "data.0.paragraphs.0.qas.0"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (change("data", ...), "the field 'data' is missing"),
        (change("data", {}), "'data' is {}, but list"),
        (change("data", []), "holds no question"),
        (change("data.0.paragraphs", ...), r"data\[0\]: the field 'paragraphs'"),
        (change("data.0.paragraphs.0.context", ...), r"data\[0\]\.paragraphs\[0\]: the field 'context'"),
        (change(f"{QUESTION}.id", 3), r"qas\[0\]: 'id' is 3, but str"),
        (change(f"{QUESTION}.id", "q2"), r"qas\[1\]: the id 'q2' is there twice"),
        (change(f"{QUESTION}.answers", []), r"qas\[0\]: is_impossible is False, but there are 0 answers"),
        (change(f"{QUESTION}.is_impossible", True), "is_impossible is True, but there are 3 answers"),
        (change(f"{QUESTION}.answers.0.answer_start", 4), r"answers\[0\]: '1066' is not at offset 4"),
        (change(f"{QUESTION}.answers.1.answer_start", ...), r"answers\[1\]: the field 'answer_start'"),
    ],
)
def test_faults_of_squad_are_named(tmp_path: Path, edit, said):
    data = deepcopy(squad())
    edit(data)
    with pytest.raises(DataError, match=said):
        read_squad(write(tmp_path, json.dumps(data)))


def test_what_is_not_json_is_named(tmp_path: Path):
    for text in ("{", "[" * 100_000):
        with pytest.raises(DataError, match="is not JSON"):
            read_squad(write(tmp_path, text))


def items(labels: str, per_text: int = 1) -> list[Example]:
    return [
        Example(Query(str(i), (f"text {i // per_text}",), str(i % per_text)), (frozenset({label}),))
        for i, label in enumerate(labels)
    ]


def test_splits_are_nested_differ_and_repeat():
    pool = items("ab" * 100)
    for balanced in (False, True):
        ten, twenty = (few_shot(pool, k, split=1, balanced=balanced) for k in (10, 20))
        assert ten == twenty[:10]
        assert len(set(twenty)) == 20
        assert few_shot(pool, 20, split=1, balanced=balanced) == twenty
        assert few_shot(pool, 20, split=2, balanced=balanced) != twenty
        assert few_shot(pool, 20, split=1, seed=1, balanced=balanced) != twenty


@given(st.integers(3, 24), st.integers(1, 50))
def test_balanced_splits_differ_by_one_at_most(shots, split):
    counts = Counter(
        next(iter(e.answer)) for e in few_shot(items("aab" * 8 + "c" * 8), shots, split=split, balanced=True)
    )
    assert sum(counts.values()) == shots
    assert max(counts.values()) - min(counts.values()) <= 1
    assert set(counts) == set("abc")


def test_whole_texts_are_drawn_with_all_their_questions():
    drawn = few_shot(items("abc" * 20, per_text=3), 7, split=3, by_text=True)
    assert len(drawn) == 21
    assert set(Counter(e.query.context for e in drawn).values()) == {3}


def test_every_example_is_drawn_about_equally_often():
    pool = items("a" * 20)
    counts = Counter(e.id for split in range(400) for e in few_shot(pool, 5, split=split))
    assert set(counts) == {e.id for e in pool}
    assert max(abs(count - 100) for count in counts.values()) < 4.5 * (400 * 0.25 * 0.75) ** 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shots": 0}, "draws 0 of 9 examples"),
        ({"shots": 10}, "draws 10 of 9 examples. Ask for 1 to 9"),
        ({"shots": 4, "by_text": True}, "draws 4 of 3 texts"),
        ({"shots": 6, "balanced": True}, r"3 of \['b'\], but there are 1"),
        ({"shots": 2, "balanced": True, "by_text": True}, "balanced answers or whole texts"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, said):
    with pytest.raises(DataError, match=said):
        few_shot(items("aaaaaaaab", per_text=3), split=1, **options)
