"""Embeddings: against states by hand, and that nothing is computed twice or read from another encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.embeddings import Embeddings, fingerprint
from similitude.fewshot.learners.encoder import Encoder
from tests.fewshot.learners.tiny_models import Bag, tiny_encoder, tiny_tokenizer

TEXTS = ["Ann met Bo", "the film is good .", "Ann met Bo", ""]


class Counting(Bag):
    """Counts the rows that it encodes."""

    rows = 0

    def forward(self, ids, mask):
        self.rows += len(ids)
        return super().forward(ids, mask)


def counting_encoder() -> Encoder:
    return Encoder(name="bag", encode=Counting(), tokenizer=tiny_tokenizer(), width=16)


def test_texts_are_unit_means_of_their_tokens():
    encoder = tiny_encoder()
    table = encoder.encode.table.weight.detach()
    ids = torch.tensor(tiny_tokenizer().encode("Ann met Bo").ids)
    mean = 2 * table[ids].mean(0)  # a state is its token's row plus the mean of all rows
    found = Embeddings(encoder).texts(TEXTS)
    np.testing.assert_allclose(found[0], (mean / mean.norm()).numpy(), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.array_equal(found[0], found[2])


def test_words_are_means_of_their_tokens():
    encoder = tiny_encoder()
    table = encoder.encode.table.weight.detach()
    ids = torch.tensor(tiny_tokenizer().encode("Ann met Bo.").ids)
    states = (table[ids] + table[ids].mean(0)).numpy()
    (found,) = Embeddings(encoder).words(["Ann met Bo."])
    np.testing.assert_allclose(found, [states[1], states[2], states[3:5].mean(0)], atol=1e-6)
    assert Embeddings(encoder).words([""])[0].shape == (0, 16)


def test_words_beyond_the_limit_are_zero():
    (found,) = Embeddings(tiny_encoder(max_length=4)).words(["Ann met Bo in Paris"])
    assert (np.abs(found).sum(1) > 0).tolist() == [True, True, False, False, False]


def test_words_can_be_read_from_other_states():
    encoder = tiny_encoder()
    other = Encoder(
        name="bag",
        encode=encoder.encode,
        tokenizer=tiny_tokenizer(),
        width=16,
        encode_words=lambda ids, mask: torch.ones(*ids.shape, 16),
    )
    assert (Embeddings(other).words(["Ann met"])[0] == 1).all()
    assert np.array_equal(Embeddings(other).texts(["Ann met"]), Embeddings(encoder).texts(["Ann met"]))


def test_every_text_is_encoded_once(tmp_path):
    embeddings = Embeddings(counting_encoder(), cache=tmp_path)
    first = embeddings.texts(TEXTS)
    assert embeddings.encoder.encode.rows == 3
    embeddings.texts(TEXTS[::-1])
    assert embeddings.encoder.encode.rows == 3
    again = Embeddings(counting_encoder(), cache=tmp_path)
    assert np.array_equal(again.texts(TEXTS), first)
    assert again.encoder.encode.rows == 0


def test_another_encoder_does_not_read_the_cache(tmp_path):
    Embeddings(counting_encoder(), cache=tmp_path).texts(TEXTS)
    changed = counting_encoder()
    with torch.no_grad():
        changed.encode.table.weight[5] += 1
    Embeddings(changed, cache=tmp_path).texts(TEXTS)
    assert changed.encode.rows == 3
    same, shorter = counting_encoder(), Encoder("bag", Counting(), tiny_tokenizer(), 16, max_length=4)
    assert len({fingerprint(e) for e in (counting_encoder(), same, changed, shorter)}) == 3


def test_a_plain_function_has_no_place_on_disk(tmp_path):
    encoder = Encoder("f", lambda ids, mask: torch.zeros(*ids.shape, 4), tiny_tokenizer(), 4)
    assert Embeddings(encoder).texts(["ann"]).shape == (1, 4)
    with pytest.raises(EvaluationError, match="has no hash"):
        Embeddings(encoder, cache=tmp_path)


def test_modes_of_the_module_and_gradients_are_left_alone():
    encoder = tiny_encoder()
    encoder.encode.train()
    encoder.encode.table.eval()
    Embeddings(encoder).texts(["ann"])
    assert encoder.encode.training
    assert not encoder.encode.table.training
    assert encoder.encode.table.weight.grad is None


def test_no_texts_give_no_rows():
    assert Embeddings(tiny_encoder()).texts([]).shape == (0, 16)
    assert Embeddings(tiny_encoder()).words([]) == []
