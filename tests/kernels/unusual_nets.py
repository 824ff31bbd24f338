"""Networks whose layers neural-tangents lacks, as families of one width; weights of variance `VARIANCE` / fan-in."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

VARIANCE = 1.5
FEATURES, TOKENS, OUTPUTS = 6, 3, 64
HEAD = 64


def linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


class TwoBranches(nn.Module):
    """Two branches through one and the same layer, one of them twice, added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem, self.shared, self.head = (
            linear(FEATURES, width),
            linear(width, width),
            linear(width, OUTPUTS),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        once = self.shared(torch.relu(x))
        return self.head(torch.relu(once + self.shared(torch.relu(once)) + x))


class Recurrent(nn.Module):
    """A recurrent net of tanh on a sequence, written as a loop; its state at the end is read out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read, self.step, self.head = (
            linear(FEATURES, width),
            linear(width, width),
            linear(width, OUTPUTS),
        )

    def forward(self, x: Tensor) -> Tensor:
        state = torch.tanh(self.read(x[:, 0]))
        for t in range(1, x.shape[1]):
            state = torch.tanh(self.step(state) + self.read(x[:, t]))
        return self.head(state)


class Cell(nn.Module):
    """A loop over torch's own recurrent cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cell, self.head = nn.RNNCell(FEATURES, width, bias=False), linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        state = self.cell(x[:, 0], x.new_zeros(len(x), self.cell.hidden_size))
        for t in range(1, x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state)


class Attention(nn.Module):
    """One layer of softmax attention, its tokens averaged.

    Args:
        width: Features.
        head: Features of a head; all of them in one head where None, whose logits are then divided by them.
        causal: Whether tokens see no later ones.
    """

    def __init__(self, width: int, *, head: int | None, causal: bool = False) -> None:
        super().__init__()
        self.power, self.causal, self.heads = (1, causal, 1) if head is None else (0.5, causal, width // head)
        self.stem, self.head = linear(FEATURES, width), linear(width, OUTPUTS)
        self.query, self.key, self.value, self.out = (linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        logits = q @ k.transpose(-2, -1) / q.shape[-1] ** self.power
        if self.causal:
            logits = logits.masked_fill(torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1), -math.inf)
        mixed = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.head((x + self.out(mixed)).mean(1))


class Gated(nn.Module):
    """A product of two layers, one of them through a sigmoid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate, self.value = linear(FEATURES, width), linear(FEATURES, width)
        self.middle, self.head = linear(width, width), linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.sigmoid(self.gate(x)) * self.value(x)
        return self.head(torch.relu(self.middle(mixed)))


def normed_by_batch(width: int) -> nn.Module:
    """Return an MLP with batch norms in train mode."""
    return nn.Sequential(
        linear(FEATURES, width),
        nn.BatchNorm1d(width, affine=False),
        nn.ReLU(),
        linear(width, width),
        nn.BatchNorm1d(width, affine=False),
        nn.ReLU(),
        linear(width, OUTPUTS),
    )


NETWORKS: dict[str, tuple[Callable[[int], nn.Module], bool, int]] = {
    # name: (family, whether it reads sequences, width of the copies)
    "two branches": (TwoBranches, False, 512),
    "recurrent": (Recurrent, True, 512),
    "cell": (Cell, True, 512),
    "gated": (Gated, False, 512),
    "batch norm": (normed_by_batch, False, 512),
    "attention, 1/sqrt(d)": (lambda width: Attention(width, head=HEAD), True, 16 * HEAD),
    "attention, 1/sqrt(d), causal": (lambda width: Attention(width, head=HEAD, causal=True), True, 16 * HEAD),
    "attention, 1/d": (lambda width: Attention(width, head=None), True, 1024),
}


def drawn(module: nn.Module) -> nn.Module:
    """Draw all weights anew."""
    for p in module.parameters():
        nn.init.normal_(p, std=math.sqrt(VARIANCE / p.shape[1]))
    return module


def rates(module: nn.Module) -> dict[str, float]:
    """Return the learning rates of the NTK parametrization."""
    return {name: VARIANCE / p.shape[1] for name, p in module.named_parameters()}
