"""A bidirectional transformer for text: embeddings, pre-norm blocks in which every token sees all others, a norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from similitude.models.dials import ModelError, check_counts, check_divides
from similitude.models.transformer import Block


class TextEncoder(nn.Module):
    """Map token numbers and their mask to a state per token; `depth` blocks with width / head_dim heads.

    Parameters are `tokens.weight`, `positions.weight`, `blocks.<i>.*` and `norm.*`: the width changes shapes alone, the
    depth adds `blocks.<i>` alone. Everything is in torch's default initialization.

    Args:
        vocabulary: Number of different tokens.
        context: Longest sequence, in tokens.
        width: Numbers per token; a multiple of `head_dim`.
        depth: Blocks, at least 1.
        head_dim: Numbers per attention head, fixed while the width grows.

    Raises:
        ModelError: A size is not a positive integer, or the heads do not divide the width.

    Example:
        >>> ids = torch.zeros(2, 7, dtype=torch.long)
        >>> TextEncoder(65, 16, width=32)(ids, torch.ones_like(ids)).shape
        torch.Size([2, 7, 32])
    """

    def __init__(
        self, vocabulary: int, context: int, *, width: int, depth: int = 2, head_dim: int = 16
    ) -> None:
        super().__init__()
        check_counts(
            "TextEncoder",
            vocabulary=vocabulary,
            context=context,
            width=width,
            depth=depth,
            head_dim=head_dim,
        )
        check_divides("TextEncoder", "width", width, "head_dim", head_dim, "heads")
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, head_dim, causal=False) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Map token numbers (B, T) and their mask, zero where a row is padded, to states (B, T, width).

        Raises:
            ModelError: The sequence is longer than the context.
        """
        length = ids.shape[-1]
        if length > self.context:
            raise ModelError(
                f"TextEncoder.forward: the sequence has {length} tokens but context={self.context}. Pass at most "
                f"{self.context} tokens, or build the model with context={length}."
            )
        x = self.tokens(ids) + self.positions(torch.arange(length, device=ids.device))
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)
