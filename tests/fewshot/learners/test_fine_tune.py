"""Fine-tuning of tiny encoders: every kind of answers can be learned, and nothing of the user's is changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from similitude.core.errors import EvaluationError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.encoder import Encoder
from similitude.fewshot.learners.fine_tune import FineTune, fine_tuned
from similitude.fewshot.learners.pretrained import open_encoder
from similitude.fewshot.learners.targets import LabelTarget
from similitude.fewshot.learners.tuned import Recipe
from similitude.fewshot.tasks import TASKS
from tests.fewshot.learners.test_cloze_probe import item
from tests.fewshot.learners.test_span_probe import asked
from tests.fewshot.learners.tiny_models import (
    mixing_encoder,
    named,
    sentiments,
    tiny_encoder,
    tiny_tokenizer,
    write_bert,
)

FAST = Recipe(lr=0.02, epochs=60, batch_size=4)
PAIRS = [
    Example(Query(str(i), (a, b), "?"), (frozenset({y}),))
    for i, (a, b, y) in enumerate(
        [
            ("ann is good", "ann is bad", "no"),
            ("bo is fine", "bo is fine", "yes"),
            ("a film", "a poor film", "no"),
        ]
        * 2
    )
]
CASES = {
    "sst-2": sentiments(),
    "mnli": PAIRS,
    "conll": named(),
    "squad": asked(answerable=True, count=6) + asked(answerable=False, count=3),
    "record": [item(i, *pair) for i, pair in enumerate([("Ann", "Bo"), ("Bo", "Ann"), ("Rome", "Oslo")])],
}


@pytest.mark.parametrize("task", CASES)
def test_examples_are_learned(task):
    examples = CASES[task]
    predictor = FineTune(mixing_encoder(), FAST).fit(examples, TASKS[task], seed=0)
    answers = predictor.predict([example.query for example in examples])
    right = sum(answer == example.answer for answer, example in zip(answers, examples, strict=True))
    assert right >= 0.8 * len(examples), answers
    assert predictor.result.losses[-1] < 0.5 * predictor.result.losses[0]
    assert predictor.predict([]) == []


def test_the_encoder_is_left_as_it_was_and_the_seed_decides():
    encoder = tiny_encoder()
    before = encoder.module.table.weight.clone()
    learner = FineTune(encoder, Recipe(lr=0.01, epochs=2, batch_size=3))
    state = torch.random.get_rng_state()
    one, again, other = (learner.fit(sentiments(), TASKS["sst-2"], seed=seed) for seed in (0, 0, 1))
    assert torch.equal(encoder.module.table.weight, before)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(one.model.readout.weight, again.model.readout.weight)
    assert not torch.equal(one.model.readout.weight, other.model.readout.weight)


def test_an_encoder_of_hugging_face_is_trained(tmp_path):
    pytest.importorskip("transformers")
    encoder = open_encoder(write_bert(tmp_path))
    predictor = FineTune(encoder, Recipe(lr=3e-3, epochs=15, batch_size=8)).fit(
        sentiments(), TASKS["sst-2"], seed=0
    )
    answers = predictor.predict([example.query for example in sentiments()])
    assert answers == [example.answer for example in sentiments()]


def test_a_plain_function_cannot_be_trained():
    encoder = Encoder("f", lambda ids, mask: torch.zeros(*ids.shape, 4), tiny_tokenizer(), 4)
    with pytest.raises(EvaluationError, match="use the learner 'probe'"):
        FineTune(encoder).fit(sentiments(), TASKS["sst-2"], seed=0)


def test_the_loss_of_examples_is_that_of_the_label_and_a_label_of_no_example_may_be_known():
    target = LabelTarget(("negative", "neither", "positive"))
    found = fine_tuned(tiny_encoder(), target, sentiments(), FAST, seed=0)
    each = [found.loss([example]) for example in sentiments()]
    assert found.loss(sentiments()) == pytest.approx(sum(each) / len(each), rel=1e-4)
    unseen = replace(sentiments()[0], references=(frozenset({"neither"}),))
    assert found.loss([unseen]) > max(each)
