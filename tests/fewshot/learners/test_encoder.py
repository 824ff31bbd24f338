"""Encoders: padding and truncation, states by hand, and what is refused."""

from __future__ import annotations

import pytest
import torch

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.encoder import Encoder, mean_pool
from tests.fewshot.learners.tiny_models import Bag, equal_states, tiny_encoder, tiny_tokenizer


def test_padding_does_not_change_states():
    encoder = tiny_encoder()
    short, long = encoder.tokens([("ann met bo",), ("the film is not very good",)])
    both, alone = encoder.states([short, long]), encoder.states([short])
    assert both.shape == (2, 8, 16)
    assert equal_states(both[0, :5], alone[0])


def test_the_users_tokenizer_is_left_as_it_was():
    tokenizer = tiny_tokenizer()
    tokenizer.enable_padding(length=50)
    encoder = Encoder(name="bag", encode=Bag(), tokenizer=tokenizer, width=16, max_length=6)
    (row,) = encoder.tokens([("the film is not very good and poor",)])
    assert len(row.ids) == 6
    assert len(tokenizer.encode("the film is not very good and poor").ids) == 50


def test_pairs_are_read_together_and_their_texts_are_told_apart():
    encoder = tiny_encoder(segments=True)
    ids, mask, segments = encoder.batch(encoder.tokens([("ann", "met bo"), ("a",)]))
    assert segments.tolist() == [[0, 0, 0, 1, 1, 1], [0] * 6]
    assert mask.sum(1).tolist() == [6, 3]
    assert ids.shape == (2, 6)


def test_mean_pool_is_the_mean_of_the_tokens():
    states = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 0], [0, 0, 0]])
    assert equal_states(mean_pool(states, mask), torch.stack([states[0, :2].mean(0), torch.zeros(4)]))


def test_what_cannot_be_used_is_refused_with_numbers():
    wrong = Encoder(name="ids", encode=lambda ids, mask: ids, tokenizer=tiny_tokenizer(), width=16)
    rows = wrong.tokens([("ann",)])
    with pytest.raises(EvaluationError, match=r"gave \(1, 3\) for ids \(1, 3\).*width=16"):
        wrong.states(rows)
    with pytest.raises(EvaluationError, match="a function, which has no parameters"):
        _ = wrong.module
    with pytest.raises(EvaluationError, match="3 texts at once"):
        tiny_encoder().tokens([("a", "b", "c")])
    with pytest.raises(EvaluationError, match="width=0"):
        Encoder(name="none", encode=Bag(), tokenizer=tiny_tokenizer(), width=0)
