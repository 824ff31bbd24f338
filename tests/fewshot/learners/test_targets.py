"""What is read off tokens, against losses and answers by hand from numbers set on single tokens."""

from __future__ import annotations

import math

import pytest
import torch

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.targets import ClozeTarget, LabelTarget, SpanSetTarget, SpanTarget, target_of
from similitude.fewshot.tasks import TASKS
from tests.fewshot.learners.tiny_models import labelled, named, tiny_encoder

ENCODER = tiny_encoder()


def read(target, query):
    """Return a query's tokens and zeros of their outputs."""
    (encoding,) = ENCODER.tokens([target.texts(query)])
    return encoding, torch.zeros(len(encoding.ids), target.outputs)


def at(encoding, token: str) -> int:
    """Return the place of a token in the second text."""
    return next(k for k, t in enumerate(encoding.tokens) if t == token and encoding.sequence_ids[k] == 1)


def test_a_label_is_the_softmax_of_the_mean():
    target = LabelTarget(("bad", "good"))
    (example,) = labelled([("ann is good", "good")])
    encoding, tokens = read(target, example.query)
    tokens[1, 1] = 5.0
    assert target.loss(tokens, encoding, example).item() == pytest.approx(math.log(1 + math.exp(-1.0)))
    assert target.answer(tokens, encoding, example.query) == {"good"}
    padded = torch.cat([tokens, torch.full((3, 2), -99.0)])
    assert torch.equal(target.loss(padded, encoding, example), target.loss(tokens, encoding, example))


def test_tags_of_words_make_spans():
    target = SpanSetTarget()
    query = Query("1", ("Ann met Bo in Paris .",), "list the people")
    encoding, tokens = read(target, query)
    tokens[:, 0] = 1.0
    for token, tag in (("ann", 1), ("met", 2), ("bo", 1), ("paris", 2)):
        tokens[at(encoding, token), tag] = 2.0
    assert target.answer(tokens, encoding, query) == {"Ann met", "Bo", "Paris"}
    example = Example(query, (frozenset({"Ann met", "Bo"}),))
    outside = -math.log(math.exp(1) / (math.exp(1) + 2))
    right = -math.log(math.exp(2) / (math.exp(2) + math.exp(1) + 1))
    wrong = -math.log(math.exp(1) / (math.exp(2) + math.exp(1) + 1))
    expected = (3 * right + wrong + 2 * outside) / 6
    assert target.loss(tokens, encoding, example).item() == pytest.approx(expected, rel=1e-5)


def test_two_spans_may_stand_side_by_side():
    target = SpanSetTarget()
    query = Query("1", ("Ann Bo",), "?")
    encoding, tokens = read(target, query)
    tokens[[at(encoding, "ann"), at(encoding, "bo")], 1] = 1.0
    assert target.answer(tokens, encoding, query) == {"Ann", "Bo"}


def test_one_span_by_its_ends_or_nothing():
    target = SpanTarget()
    query = Query("1", ("Ann met Bo in Paris.",), "who met ann ?")
    encoding, tokens = read(target, query)
    assert target.answer(tokens, encoding, query) == frozenset()
    tokens[at(encoding, "bo"), 0] = 9.0
    tokens[at(encoding, "paris"), 1] = 9.0
    assert target.answer(tokens, encoding, query) == {"Bo in Paris"}
    tokens[at(encoding, "ann"), 1] = 99.0
    assert target.answer(tokens, encoding, query) != {"Bo Ann"}
    tokens[0] = 10_000.0
    assert target.answer(tokens, encoding, query) == frozenset()


def test_the_loss_of_a_span_is_that_of_both_ends():
    target = SpanTarget()
    query = Query("1", ("Ann met Bo .",), "?")
    encoding, tokens = read(target, query)
    zeros = 2 * math.log(5)
    for answer in ({"Ann met"}, set(), {"nowhere"}):
        example = Example(query, (frozenset(answer),))
        assert target.loss(tokens, encoding, example).item() == pytest.approx(zeros)
    tokens[at(encoding, "met"), 1] = 3.0
    example = Example(query, (frozenset({"Ann met"}),))
    scores = [0.0, 3.0, 0.0, 0.0, 3.0 / len(encoding.ids)]
    expected = math.log(5) + math.log(sum(map(math.exp, scores))) - 3.0
    assert target.loss(tokens, encoding, example).item() == pytest.approx(expected, rel=1e-5)


def test_candidates_are_scored_where_the_passage_names_them():
    target = ClozeTarget()
    query = Query(
        "1",
        ("Ann met Bo . Bo is good .",),
        "@placeholder lives . What is @placeholder?",
        ("Ann", "Bo", "Rome"),
    )
    encoding, tokens = read(target, query)
    tokens[at(encoding, "ann"), 0] = 1.0
    tokens[at(encoding, "bo"), 0] = 4.0  # the other of two mentions has 0
    assert target.answer(tokens, encoding, query) == {"Bo"}
    loss = target.loss(tokens, encoding, Example(query, (frozenset({"Ann"}),))).item()
    assert loss == pytest.approx(math.log(1 + math.exp(1.0)), rel=1e-5)
    assert target.loss(tokens, encoding, Example(query, (frozenset({"Rome"}),))).item() == 0.0


@pytest.mark.parametrize(
    "target", [SpanSetTarget(), SpanTarget(), ClozeTarget()], ids=lambda t: type(t).__name__
)
def test_empty_texts_have_finite_losses_with_gradients(target):
    query = Query("1", ("",), "who ?", ("Ann",))
    encoding, tokens = read(target, query)
    tokens.requires_grad_()
    loss = target.loss(tokens, encoding, Example(query, (frozenset(),)))
    loss.backward()
    assert loss.isfinite()
    assert tokens.grad.isfinite().all()
    assert target.answer(tokens.detach(), encoding, query) in (frozenset(), {"Ann"})


def test_kinds_have_their_targets():
    assert isinstance(target_of(TASKS["conll"], named()), SpanSetTarget)
    assert target_of(TASKS["sst-2"], labelled([("a", "y"), ("b", "x")])) == LabelTarget(("x", "y"))
    with pytest.raises(LearnerError, match="2 answers"):
        target_of(TASKS["sst-2"], [Example(Query("1", ("a",), "?"), (frozenset({"a", "b"}),))])
