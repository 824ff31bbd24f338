"""Words, their tokens and their states, against means by hand."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from similitude.fewshot.learners.words import pool_words, spelling, token_words, word_ranges
from tests.fewshot.learners.tiny_models import tiny_tokenizer


def test_tokens_belong_to_the_words_that_they_end_in():
    text = "Ann met Bo, in Paris."
    encoding = tiny_tokenizer().encode(text)
    assert encoding.tokens == ["[CLS]", "ann", "met", "bo", ",", "in", "paris", ".", "[SEP]"]
    assert token_words(encoding, word_ranges(text)) == [-1, 0, 1, 2, 2, 3, 4, 4, -1]


def test_tokens_of_the_other_text_belong_to_no_word():
    encoding = tiny_tokenizer().encode("who is ann ?", "ann met bo")
    assert token_words(encoding, word_ranges("ann met bo"), sequence=1) == [-1] * 6 + [0, 1, 2, -1]


def test_byte_tokens_that_begin_with_the_space_before_them():
    """Offsets of byte-level tokenizers may include the space before a word; the word is that of their last character."""
    letters = sorted({*pre_tokenizers.ByteLevel.alphabet()})
    tokenizer = Tokenizer(BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    found = token_words(tokenizer.encode("ab cé"), word_ranges("ab cé"))
    assert [k for k in found if k >= 0] == [0, 0, 1, 1, 1]


def test_states_of_a_word_are_the_mean_over_its_tokens():
    states = torch.arange(12.0).reshape(6, 2)
    pooled = pool_words(states, [-1, 0, 2, 2, -1], 4)
    assert pooled.tolist() == [[2.0, 3.0], [0.0, 0.0], [5.0, 6.0], [0.0, 0.0]]


def test_spelling():
    text = "NATO met 3 , Ann"
    assert spelling(text, word_ranges(text)).tolist() == [
        [1, 1, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0],
    ]
    assert spelling("", []).shape == (0, 5)
