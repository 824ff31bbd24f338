"""The pre-norm transformer block that GPT, ViT and TextEncoder share: x + attention(norm(x)), then x + mlp(norm(x))."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention, softmax(q k^T / sqrt(head_dim)) v, with separate layers for q, k and v.

    The number of heads grows with width while `head_dim` stays fixed, so that the scale 1 / sqrt(head_dim) is
    the same at every width.

    Args:
        width: Numbers per token; a multiple of `head_dim`.
        head_dim: Numbers per head.
        causal: Whether a token sees only itself and the tokens before it.
    """

    def __init__(self, width: int, head_dim: int, *, causal: bool) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.causal = causal
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map tokens (B, T, width) to tokens of the same shape; where `mask` (B, T) is zero no token is looked at."""
        q, k, v = (self._heads(layer(x)) for layer in (self.query, self.key, self.value))
        # Written out because torch's fused attention has no batching rule on the CPU: under vmap it would run
        # the stacked models one after another, with a warning.
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
        if self.causal:
            length = x.shape[-2]
            future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(future, -math.inf)
        if mask is not None:
            # Finite, so that a row of padding alone has states too.
            scores = scores.masked_fill(mask[..., None, None, :] == 0, torch.finfo(scores.dtype).min)
        mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(-3, -2).flatten(-2))

    def _heads(self, x: Tensor) -> Tensor:
        """Split (B, T, width) into heads (B, heads, T, head_dim)."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(-3, -2)


class Block(nn.Module):
    """Attention and a two-layer GELU network of 4 `width` units, each on normed input and added to it."""

    def __init__(self, width: int, head_dim: int, *, causal: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, head_dim, causal=causal)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map tokens (B, T, width) to tokens of the same shape; `mask` (B, T) is zero where there is none."""
        x = x + self.attention(self.norm1(x), mask)
        return x + self.down(F.gelu(self.up(self.norm2(x))))
