"""Prompts: what is shown and asked, and answers against scores by hand."""

from __future__ import annotations

import pytest

from similitude.core.errors import EvaluationError, LearnerError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.language_model import LanguageModel, open_language_model
from similitude.fewshot.learners.prompt import Prompt, asked, chosen
from similitude.fewshot.tasks import TASKS
from tests.fewshot.learners.test_cloze_probe import item
from tests.fewshot.learners.test_language_model import direct
from tests.fewshot.learners.tiny_models import named, sentiments, write_causal

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> LanguageModel:
    return open_language_model(write_causal(tmp_path_factory.mktemp("causal")))


def test_labels_are_shown_in_turn():
    shown = chosen(sentiments(), TASKS["sst-2"], count=6, seed=0)
    labels = [example.answer for example in shown]
    assert [len({*labels[k : k + 2]}) for k in (0, 2, 4)] == [2, 2, 2]
    assert shown != chosen(sentiments(), TASKS["sst-2"], count=6, seed=1)
    assert len(chosen(named(), TASKS["conll"], count=99, seed=0)) == len(named())


@pytest.mark.parametrize("calibrate", [True, False])
def test_the_label_of_the_best_score_is_given(model, calibrate):
    query = Query("9", ("the plot is poor",), "positive or negative ?")
    learner = Prompt(model, demonstrations=2, calibrate=calibrate)
    shown = chosen(sentiments(), TASKS["sst-2"], count=2, seed=0)
    begun = "".join(f"{asked(e.query)} {next(iter(e.answer))}\n\n" for e in shown)

    def score(label: str) -> float:
        value = direct(model, begun + asked(query), f" {label}")
        empty = Query("9", ("N/A",), query.question)
        return value - calibrate * direct(model, begun + asked(empty), f" {label}")

    best = max(("negative", "positive"), key=score)
    assert learner.fit(sentiments(), TASKS["sst-2"], seed=0).predict([query]) == [{best}]


def test_every_kind_is_answered(model):
    cloze = [item(0, "Ann", "Bo"), item(1, "Bo", "Ann")]
    (answer,) = Prompt(model, demonstrations=1).fit(cloze, TASKS["record"], seed=0).predict([cloze[0].query])
    assert answer in ({"Ann"}, {"Bo"})
    spans = Prompt(model).fit(named(), TASKS["conll"], seed=0)
    answers = spans.predict([example.query for example in named()])
    assert all(
        part in example.query.context[0]
        for answer, example in zip(answers, named(), strict=True)
        for part in answer
    )


def test_what_is_written_is_split_and_must_stand_in_the_text(model, monkeypatch):
    monkeypatch.setattr(LanguageModel, "write", lambda self, *read, most: "Bo; Rome ;Ann; Pari")
    query = Query("1", ("Ann met Bo in Paris .",), "?")
    several = Prompt(model, 0).fit(named(), TASKS["conll"], seed=0)
    assert several.predict([query]) == [{"Ann", "Bo"}]
    one = Prompt(model, 0).fit([Example(query, (frozenset(),))], TASKS["squad"], seed=0)
    assert one.predict([query]) == [{"Bo"}]


def test_long_texts_and_demonstrations_keep_to_the_limit(model):
    short = LanguageModel("short", model.model, model.tokenizer, max_length=60)
    long = Query("1", ("the film is good " * 200,), "positive or negative ?")
    predictor = Prompt(short, demonstrations=8).fit(sentiments(), TASKS["sst-2"], seed=0)
    assert 0 < predictor.length <= 30
    assert predictor.predict([long])[0] <= {"positive", "negative"}


def test_mistakes_are_refused(model):
    with pytest.raises(EvaluationError, match="demonstrations=-1"):
        Prompt(model, demonstrations=-1)
    cloze = Prompt(model, 0).fit([item(0, "Ann", "Bo")], TASKS["record"], seed=0)
    with pytest.raises(LearnerError, match="item '7': has no candidates"):
        cloze.predict([Query("7", ("t",), "?")])
