"""What turns texts into hidden states: any function of token ids and a mask, with its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from similitude.core.errors import EvaluationError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

MAX_LENGTH = 256
"""Tokens after which a text is cut, unless told otherwise: nearly all texts of CLUES are shorter."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """A tokenizer and what maps its ids to hidden states.

    Attributes:
        name: Its name in tables; stored results are told apart by it, so give other weights another one.
        encode: `encode(ids, mask) -> states`: int64 ids and mask of shape (batch, length), 1 where a token stands and
            0 where the row is padded, to floating-point states of shape (batch, length, width). A module can be
            fine-tuned; a plain function can only be used frozen.
        tokenizer: A tokenizer of the `tokenizers` library; a fast one of transformers has it as
            `backend_tokenizer`. It is copied, so that neither its padding nor its truncation is changed.
        width: Size of the states.
        max_length: Tokens after which texts are cut.
        pad: Id that rows are padded with.
        segments: Whether `encode` takes a third argument, which text (0 or 1) each token belongs to.
        encode_words: What the states of single words are read from where the encoder is frozen; `encode` unless given.

    Raises:
        EvaluationError: A size is below 1.
    """

    name: str
    encode: Callable[..., Tensor]
    tokenizer: Tokenizer
    width: int
    max_length: int = MAX_LENGTH
    pad: int = 0
    segments: bool = False
    encode_words: Callable[..., Tensor] | None = None
    _tokenizer: Tokenizer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.width < 1 or self.max_length < 1:
            raise EvaluationError(
                f"encoder {self.name!r}: width={self.width} and max_length={self.max_length} must be at least 1."
            )
        own = type(self.tokenizer).from_str(self.tokenizer.to_str())
        own.no_padding()
        own.enable_truncation(self.max_length)
        object.__setattr__(self, "_tokenizer", own)

    @property
    def label(self) -> str:
        """Its name, with the length that it reads where that is not the usual one."""
        return self.name if self.max_length == MAX_LENGTH else f"{self.name}, max_length={self.max_length}"

    @property
    def module(self) -> nn.Module:
        """`encode`, if it is a module.

        Raises:
            EvaluationError: It is a plain function, so nothing can be trained.
        """
        if isinstance(self.encode, nn.Module):
            return self.encode
        raise EvaluationError(
            f"encoder {self.name!r}: encode is a {type(self.encode).__name__}, which has no parameters to train. Pass a "
            "torch.nn.Module, or use the learner 'probe', which trains no encoder."
        )

    def tokens(self, texts: Sequence[tuple[str, ...]]) -> list[Encoding]:
        """Tokenize one text or a pair of texts per row, with special tokens, cut at `max_length`.

        Raises:
            EvaluationError: A row holds neither one nor two texts.
        """
        for row in texts:
            if len(row) not in (1, 2):
                raise EvaluationError(
                    f"encoder {self.name!r}: got {len(row)} texts at once; it reads one or two."
                )
        return self._tokenizer.encode_batch([row if len(row) == 2 else row[0] for row in texts])

    def batch(self, encodings: Sequence[Encoding]) -> tuple[Tensor, ...]:
        """Pad rows to one length: ids, mask and, where `segments`, the text of each token; each (batch, length)."""
        length = max(1, *(len(row.ids) for row in encodings))
        ids = torch.full((len(encodings), length), self.pad, dtype=torch.int64)
        mask, kinds = torch.zeros_like(ids), torch.zeros_like(ids)
        for i, row in enumerate(encodings):
            ids[i, : len(row.ids)] = torch.tensor(row.ids, dtype=torch.int64)
            mask[i, : len(row.ids)] = 1
            kinds[i, : len(row.ids)] = torch.tensor(row.type_ids, dtype=torch.int64)
        return (ids, mask, kinds) if self.segments else (ids, mask)

    def states(self, encodings: Sequence[Encoding], *, words: bool = False) -> Tensor:
        """Return the hidden states of tokenized rows.

        Args:
            encodings: What `tokens` gave.
            words: Whether single words are to be read from them, by `encode_words` where there is one.

        Returns:
            Shape (batch, length, width).

        Raises:
            EvaluationError: The states have another shape.
        """
        inputs = self.batch(encodings)
        encode = self.encode_words if words and self.encode_words is not None else self.encode
        return require_states(encode(*inputs), inputs[0], self)


def require_states(states: Any, ids: Tensor, encoder: Encoder) -> Tensor:
    """Return states if they are a tensor of the shape that ids and the encoder's width ask for.

    Raises:
        EvaluationError: They are not.
    """
    expected = (*ids.shape, encoder.width)
    if isinstance(states, Tensor) and tuple(states.shape) == expected:
        return states
    got = tuple(states.shape) if isinstance(states, Tensor) else f"a {type(states).__name__}"
    raise EvaluationError(
        f"encoder {encoder.name!r}: encode(ids, mask) gave {got} for ids {tuple(ids.shape)}; states of shape "
        f"{expected} are expected (batch, length, width={encoder.width})."
    )


def mean_pool(states: Tensor, mask: Tensor) -> Tensor:
    """Average states over the tokens of each row.

    Args:
        states: Shape (batch, length, width).
        mask: Shape (batch, length), 1 where a token stands.

    Returns:
        Shape (batch, width); zero for a row without tokens.

    Example:
        >>> mean_pool(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).item()
        2.0
    """
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
