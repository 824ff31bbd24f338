"""Masked text: which tokens are hidden, that batches repeat, and that the model learns what stood there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.errors import EvaluationError
from similitude.core.seeding import seeded
from similitude.fewshot.widths.masking import MaskedModel, MaskedText, masked_loss
from similitude.fewshot.widths.tokenizer import FIRST, LAST, MASK, read_tokenizer, token_ids, train_tokenizer
from similitude.models import TextEncoder
from similitude.training.loop import train
from tests.fewshot.widths.tiny_study import tiny_text


def text(rows: int = 64, length: int = 42) -> MaskedText:
    ids = np.random.default_rng(0).integers(5, 50, 5000)
    return MaskedText(ids, ids[:500], 50, rows, length, "x")


def test_hidden_tokens_are_those_that_stood_in_the_text() -> None:
    made = text()
    (ids, mask, places), answers = made.batch(0, 3)
    whole = ids.scatter(1, places, answers).numpy()
    assert (whole[:, 0] == FIRST).all()
    assert (whole[:, -1] == LAST).all()
    assert mask.all()
    joined = made.train.tobytes()
    assert all(row[1:-1].tobytes() in joined for row in whole)
    assert places.shape == (64, 6)
    assert (places.diff(dim=1) > 0).all()
    assert places.min() >= 1
    assert places.max() <= 40


def test_four_fifths_are_masked_and_a_tenth_is_left() -> None:
    (ids, _, places), answers = text(rows=2000).batch(0, 0)
    shown = ids.gather(1, places)
    count = shown.numel()
    for share, expected in (((shown == MASK), 0.8), ((shown == answers), 0.1 + 0.1 / 45)):
        deviation = (expected * (1 - expected) / count) ** 0.5
        assert abs(share.float().mean().item() - expected) < 4 * deviation


def test_batches_depend_on_seed_and_step_alone() -> None:
    made = text()
    same = [made.batch(1, 2)[1], made.batch(1, 2)[1]]
    assert torch.equal(*same)
    assert not torch.equal(same[0], made.batch(1, 3)[1])
    assert not torch.equal(same[0], made.batch(2, 2)[1])
    assert torch.equal(made.evaluation()[1], made.evaluation()[1])


def test_a_text_that_can_be_known_is_learned() -> None:
    ids = np.tile(np.arange(5, 15), 100)  # every token tells its neighbours
    made = MaskedText(ids, ids, 15, 16, 14, "x")
    with seeded(0):
        model = MaskedModel(TextEncoder(15, 14, width=32), 32, 15)
    before = masked_loss(model, made.evaluation()).item()
    result = train(
        model, torch.optim.AdamW(model.parameters(), lr=5e-3), batches=made, loss=masked_loss, steps=150
    )
    assert before > 2.0
    assert result.final < 0.5


def test_logits_stand_at_the_places_that_are_asked() -> None:
    with seeded(0):
        model = MaskedModel(TextEncoder(15, 14, width=32), 32, 15)
    ids = torch.arange(14)[None] % 15
    places = torch.tensor([[2, 9]])
    expected = model.head(model.encode(ids, torch.ones_like(ids)))[:, [2, 9]]
    torch.testing.assert_close(model(ids, torch.ones_like(ids), places), expected)


def test_the_tokenizer_keeps_capitals_frames_pairs_and_is_read_again(tmp_path) -> None:
    made = train_tokenizer(tiny_text().train, 200)
    row = made.encode("Oslo", "the harbour")
    assert row.ids[0] == FIRST
    assert row.ids.count(LAST) == 2
    assert row.type_ids[-1] == 1
    assert made.encode("Oslo").ids != made.encode("oslo").ids
    (tmp_path / "t.json").write_text(made.to_str())
    assert read_tokenizer(tmp_path / "t.json").encode("the lantern").ids == made.encode("the lantern").ids
    with pytest.raises(EvaluationError, match="2 tokens"):
        token_ids(made, "the lantern", least=3)
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(EvaluationError, match="no tokenizer"):
        read_tokenizer(tmp_path / "t.json")
