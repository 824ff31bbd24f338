"""The score S1: against precision and recall written out, strict and fair, and the constants that are known of it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from similitude.core.errors import DataError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.metric import fair_score, score, set_f1, strict_score

TEXTS = st.lists(st.sampled_from(["", "a", "b", "c", "d"]), max_size=5)


def plainly(prediction: list[str], answers: list[str]) -> Fraction:
    """S1 of two lists by precision and recall, element by element."""
    if not prediction or not answers:
        return Fraction(int(not prediction and not answers))
    ours, theirs = sorted(set(prediction)), sorted(set(answers))
    shared = sum(1 for x in ours if x in theirs)
    if shared == 0:
        return Fraction(0)
    precision, recall = Fraction(shared, len(ours)), Fraction(shared, len(theirs))
    return 2 * precision * recall / (precision + recall)


def item(*references: Answer, listed: tuple[str, ...] | None = None, context: str = "text") -> Example:
    return Example(Query("1", (context,), "?"), references, listed=listed)


@given(TEXTS, TEXTS)
def test_it_is_the_harmonic_mean_of_precision_and_recall(prediction, answers):
    assert set_f1(prediction, answers) == pytest.approx(float(plainly(prediction, answers)), abs=1e-15)
    listed = item(frozenset(a for a in answers if a), listed=tuple(answers))
    assert strict_score(frozenset(prediction), listed) == set_f1(prediction, answers)


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=4))
def test_fair_is_the_best_over_references_without_empty_texts(prediction, references):
    example = item(*map(frozenset, references))
    best = max(plainly([t for t in prediction if t], [t for t in reference if t]) for reference in references)
    assert fair_score(frozenset(prediction), example) == pytest.approx(float(best), abs=1e-15)


def test_the_examples_of_the_repository():
    predictions, answers = (["a", "b"], [], ["c"], ["d", "e"]), (["b", "c", "d"], [], [], ["f", "g"])
    assert sum(map(set_f1, predictions, answers)) / 4 == pytest.approx(0.35)


def test_where_strict_and_fair_differ():
    nothing = item(frozenset(), listed=("",))
    for prediction, strict, fair in ((set(), 0, 1), ({""}, 1, 1), ({"a"}, 0, 0), ({"a", ""}, 2 / 3, 0)):
        assert strict_score(frozenset(prediction), nothing) == pytest.approx(strict)
        assert fair_score(frozenset(prediction), nothing) == fair
    impossible = item(frozenset(), listed=())
    assert strict_score(frozenset(), impossible) == fair_score(frozenset(), impossible) == 1
    river = item(frozenset({"Rhine"}), frozenset({"the Rhine"}), listed=("Rhine", "the Rhine", "Rhine"))
    for prediction, strict, fair in (({"Rhine"}, 2 / 3, 1), ({"Rhine", "the Rhine"}, 1, 2 / 3)):
        assert strict_score(frozenset(prediction), river) == pytest.approx(strict)
        assert fair_score(frozenset(prediction), river) == pytest.approx(fair)


def test_without_a_list_of_the_file_the_first_reference_stands_for_it():
    assert strict_score(frozenset({"a"}), item(frozenset({"a"}), frozenset({"b"}))) == 1


def test_scores_of_a_split_have_means_and_texts():
    examples = [item(frozenset({"a"}), context=c) for c in ("x", "x", "y")]
    found = score(
        [frozenset({"a"}), frozenset(), frozenset({"a", "b"})], examples, task="t", shots=10, split=2
    )
    assert found.texts == (0, 0, 1)
    expected = 100 * (1 + 0 + 2 / 3) / 3
    row = found.to_row()
    assert row["fair"] == row["strict"] == pytest.approx(expected)
    assert (row["task"], row["shots"], row["split"]) == ("t", 10, 2)
    with pytest.raises(DataError, match="2 answers to 3 items"):
        score([frozenset()] * 2, examples, task="t", shots=10, split=2)
    with pytest.raises(DataError, match="0 answers to 0 items"):
        score([], [], task="t", shots=10, split=2)
