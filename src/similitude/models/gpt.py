"""A decoder-only transformer for language: embeddings, causal pre-norm blocks, a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from similitude.models.dials import ModelError, check_counts, check_divides, zero_
from similitude.models.transformer import Block


class GPT(nn.Module):
    """Language model with `depth` blocks of `width` numbers per token and width / head_dim heads.

    Parameters are `tokens.weight`, `positions.weight`, `blocks.<i>.*`, `norm.*` and `head.*`: the width
    changes shapes alone, the depth adds `blocks.<i>` alone. Everything is in torch's default initialization,
    so embeddings start as standard normal numbers.

    Args:
        vocabulary: Number of different tokens.
        context: Longest sequence, in tokens.
        width: Numbers per token; a multiple of `head_dim`.
        depth: Blocks, at least 1.
        head_dim: Numbers per attention head, fixed while the width grows.
        zero_head: Whether the head starts at zero.
        tie: Whether the head's weight is the token embedding itself; it then keeps the embedding's
            initialization.

    Raises:
        ModelError: A size is not a positive integer, the heads do not divide the width, or a tied head is to
            be zero.

    Example:
        >>> GPT(65, 16, width=32)(torch.zeros(2, 7, dtype=torch.long)).shape
        torch.Size([2, 7, 65])
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        *,
        width: int,
        depth: int = 2,
        head_dim: int = 16,
        zero_head: bool = False,
        tie: bool = False,
    ) -> None:
        super().__init__()
        check_counts(
            "GPT", vocabulary=vocabulary, context=context, width=width, depth=depth, head_dim=head_dim
        )
        check_divides("GPT", "width", width, "head_dim", head_dim, "heads")
        if tie and zero_head:
            raise ModelError(
                "GPT(tie=True, zero_head=True): the head's weight is the token embedding, so 1 tensor has 2 "
                "roles and zeroing the head would erase the embedding. Drop tie=True or zero_head=True."
            )
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, head_dim, causal=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)
        if tie:
            self.head.weight = self.tokens.weight
        if zero_head:
            zero_(self.head)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token numbers (B, T) of type long to logits (B, T, vocabulary) of the next token.

        Raises:
            ModelError: The sequence is longer than the context.
        """
        length = tokens.shape[-1]
        if length > self.context:
            raise ModelError(
                f"GPT.forward: the sequence has {length} tokens but context={self.context}. Pass at most "
                f"{self.context} tokens, or build the model with context={length}."
            )
        x = self.tokens(tokens) + self.positions(torch.arange(length, device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
