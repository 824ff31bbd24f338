"""Words of a text: where they stand, how they are spelled, and their states as means over their tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from tokenizers import Encoding

Range = tuple[int, int]
"""Start and end of characters in a text; the end is not included."""


def word_ranges(text: str) -> list[Range]:
    """Return where the words stand: what white space separates.

    Example:
        >>> word_ranges("In Belgrade :")
        [(0, 2), (3, 11), (12, 13)]
    """
    return [match.span() for match in re.finditer(r"\S+", text)]


def token_words(encoding: Encoding, ranges: Sequence[Range], *, sequence: int = 0) -> list[int]:
    """Return the word that each token ends in, -1 for special tokens and tokens of another text.

    Args:
        encoding: One tokenized row.
        ranges: Where the words stand in the text, in order.
        sequence: Which of the row's texts they are words of.
    """
    ends = [end for _, end in ranges]
    found = []
    for (start, end), row in zip(encoding.offsets, encoding.sequence_ids, strict=True):
        at = int(np.searchsorted(ends, end)) if row == sequence and end > start else len(ends)
        found.append(at if at < len(ends) and ranges[at][0] < end else -1)
    return found


def pool_words(states: Tensor, of: Sequence[int], count: int) -> Tensor:
    """Average the states of each word's tokens.

    Args:
        states: Shape (length, width); rows beyond the tokens are padding.
        of: Word of each token, as `token_words` gives it.
        count: Number of words.

    Returns:
        Shape (count, width); zero for words without tokens, which stand beyond the length that is read.
    """
    index = torch.tensor([i for i in of if i >= 0], dtype=torch.int64)
    rows = torch.tensor([k for k, i in enumerate(of) if i >= 0], dtype=torch.int64)
    sums = states.new_zeros(count, states.shape[1]).index_add_(0, index, states[rows])
    sizes = torch.bincount(index, minlength=count).clamp(min=1)
    return sums / sizes[:, None]


def spelling(text: str, ranges: Sequence[Range]) -> np.ndarray:
    """Describe the spelling of words, which encoders without capitals do not see.

    Returns:
        Shape (words, 5) of zeros and ones: begins with a capital, is all capitals, has a digit, has no letter or
        digit, is the first of the text.
    """
    rows = []
    for k, (start, end) in enumerate(ranges):
        word = text[start:end]
        rows.append(
            (
                word[:1].isupper(),
                word.isupper(),
                any(map(str.isdigit, word)),
                not any(map(str.isalnum, word)),
                k == 0,
            )
        )
    return np.array(rows, dtype=np.float32).reshape(len(ranges), 5)
