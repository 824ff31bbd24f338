"""Masked language modelling: batches of a text with hidden tokens, and the model that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from similitude.core.seeding import numpy_generator
from similitude.fewshot.widths.tokenizer import FIRST, LAST, MASK

SHARE = 0.15
"""Share of the tokens that are to be named; of those four fifths are hidden, a tenth each replaced and left (BERT)."""

HELD_OUT = 128
"""Sequences of the evaluation."""

Batch = tuple[tuple[Tensor, Tensor, Tensor], Tensor]
"""Ids and mask of shape (rows, length) and places to name of shape (rows, places); ids that stood there."""


@dataclass(frozen=True, eq=False)
class MaskedText:
    """Batches of sequences of a text, each with as many places to name.

    Attributes:
        train: Token ids to train on, shape (tokens,), int64.
        test: Token ids of the hold-out.
        vocabulary: Number of different tokens.
        rows: Sequences per batch.
        length: Tokens per sequence, its frame included.
        digest: What tells the text and its tokens from others.
    """

    train: np.ndarray
    test: np.ndarray
    vocabulary: int
    rows: int
    length: int
    digest: str

    @property
    def places(self) -> int:
        """Tokens to name in a sequence."""
        return max(1, round(SHARE * (self.length - 2)))

    def batch(self, seed: int, step: int) -> Batch:
        """Return the batch of a step: sequences that begin anywhere in the text."""
        return self._draw(self.train, self.rows, numpy_generator(seed, "masked text", step))

    def evaluation(self) -> Batch:
        """Return sequences of the hold-out, always the same."""
        return self._draw(self.test, HELD_OUT, numpy_generator(0, "masked text", "evaluation"))

    def describe(self) -> dict[str, Any]:
        """Return what decides the batches."""
        return {
            "data": self.digest,
            "tokens": len(self.train),
            "rows": self.rows,
            "length": self.length,
            "vocabulary": self.vocabulary,
        }

    def _draw(self, tokens: np.ndarray, rows: int, draw: np.random.Generator) -> Batch:
        inner = self.length - 2
        starts = draw.integers(len(tokens) - inner + 1, size=rows)
        ids = np.empty((rows, self.length), np.int64)
        ids[:, 0], ids[:, -1] = FIRST, LAST
        ids[:, 1:-1] = tokens[starts[:, None] + np.arange(inner)]
        places = 1 + np.sort(draw.random((rows, inner)).argsort(1)[:, : self.places], 1)
        answers = np.take_along_axis(ids, places, 1)
        kind = draw.random(places.shape)
        others = draw.integers(MASK + 1, self.vocabulary, size=places.shape)
        shown = np.where(kind < 0.8, MASK, np.where(kind < 0.9, others, answers))
        np.put_along_axis(ids, places, shown, 1)
        inputs = (torch.from_numpy(ids), torch.ones(rows, self.length, dtype=torch.int64))
        return (*inputs, torch.from_numpy(places)), torch.from_numpy(answers)


class MaskedModel(nn.Module):
    """An encoder with a linear readout of tokens at given places.

    Args:
        encode: Maps ids and mask to states of shape (rows, length, width).
        width: Size of the states.
        vocabulary: Number of different tokens.
    """

    def __init__(self, encode: nn.Module, width: int, vocabulary: int) -> None:
        super().__init__()
        self.encode = encode
        self.head = nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor, mask: Tensor, places: Tensor) -> Tensor:
        """Return logits of shape (rows, places, vocabulary)."""
        states = self.encode(ids, mask)
        return self.head(states.take_along_dim(places[..., None], dim=-2))


def masked_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean cross-entropy in nats of the tokens that stood at the places to name."""
    inputs, answers = batch
    return F.cross_entropy(model(*inputs).flatten(0, -2), answers.flatten())
