"""Networks whose tangent kernel is tried against the dense Jacobian, in float64: name -> (builder, inputs)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

D = torch.float64
VOCABULARY = 11


def vectors(n: int = 5) -> Tensor:
    return torch.randn(n, 6, dtype=D)


def images(n: int = 4) -> Tensor:
    return torch.randn(n, 3, 8, 8, dtype=D)


def sequences(n: int = 4) -> Tensor:
    return torch.randn(n, 7, 6, dtype=D)


def tokens(n: int = 4) -> Tensor:
    return torch.randint(VOCABULARY, (n, 6))


def flattened(features: int, *layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3))


class Residual(nn.Module):
    """A residual block with group normalization, strided and not."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(after, after, 3, 1, 1)
        self.norms = nn.ModuleList(nn.GroupNorm(2, after) for _ in range(2))
        self.skip = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(inner)) + self.skip(x))


class Recurrent(nn.Module):
    """A recurrent layer, batch first or time first, read out at its end."""

    def __init__(self, layer: type[nn.RNNBase], *, batch_first: bool = True, **options: Any) -> None:
        super().__init__()
        self.layer = layer(6, 5, batch_first=batch_first, **options)
        self.head = nn.Linear(5 * (1 + self.layer.bidirectional), 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.layer.batch_first else x.transpose(0, 1)
        hidden = self.layer(x)[0]
        return self.head(hidden[:, -1] if self.layer.batch_first else hidden[-1])


class Gpt(nn.Module):
    """Fused attention, embedding tied with the head, positions in two forms, a token in front, a gain."""

    def __init__(self, d: int = 4, length: int = 6) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, d, padding_idx=3)
        self.positions = nn.Parameter(torch.randn(length + 2, d))
        self.places = nn.Embedding(length, d)
        self.first = nn.Parameter(torch.randn(1, 1, d))
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.norm, self.gain = nn.LayerNorm(d), nn.Parameter(torch.ones(d))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) + self.positions[: ids.shape[1]] + self.places(torch.arange(ids.shape[1]))
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1)
        q, k, v = (
            part.unflatten(-1, (2, -1)).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, -1)
        )
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        return (x + self.out(attended) * self.gain)[:, 1:] @ self.embedding.weight.T


class Cross(nn.Module):
    """Attention between two sequences, time first: one projection matrix is used in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(6, 2), nn.Linear(6, 2)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        keys = keys.transpose(0, 1)
        return self.head(self.attention(queries.transpose(0, 1), keys, keys)[0].mean(0))


class Scaled(torch.autograd.Function):
    """A product whose backward pass is written in Python."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        ctx.save_for_backward(x, gain)
        return x * gain

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor]:
        x, gain = ctx.saved_tensors
        return cotangents[0] * gain, (cotangents[0] * x).sum(0)


class Odd(nn.Module):
    """Parameters used in ways that no rule covers, used twice, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(6, 5))
        self.custom, self.gain, self.unused = (nn.Parameter(torch.randn(5)) for _ in range(3))
        self.heads = nn.Parameter(torch.randn(2, 6, 3))
        self.bilinear, self.slope, self.bag = nn.Bilinear(6, 6, 2), nn.PReLU(5), nn.EmbeddingBag(5, 2)
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        mixed = Scaled.apply(x @ self.matrix, self.custom) * self.gain / self.temperature
        mixed = self.slope(mixed - x @ (2 * self.matrix))
        heads = torch.einsum("nd,hde->nhe", x, self.heads).flatten(1)
        bags = self.bag((x[:, :3].abs() * 1.5).long().clamp(max=4))
        return torch.cat([mixed, heads, self.bilinear(x, x), bags], 1)


class Experts(nn.Module):
    """One matrix per expert, all of them used at once; windows of a sequence put into the axis of examples."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.Parameter(torch.randn(2, 6, 4))
        self.windowed = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        windows = self.windowed(x[:, :6].unflatten(1, (2, 3)).flatten(0, 1)).tanh()
        back = windows.unflatten(0, (-1, 2)).flatten(1, 2)
        turned = self.windowed(back.permute(1, 0, 2).flatten(0, 1)).unflatten(0, (6, -1)).mean(0)
        return torch.bmm(torch.stack([turned, turned.tanh()]), self.experts).permute(1, 0, 2).flatten(1)


def batch_normalized(*, eval_mode: bool) -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5), nn.BatchNorm1d(5),
        nn.Tanh(), nn.Linear(5, 3),
    )  # fmt: skip
    return net.train(not eval_mode)


def reparametrized() -> nn.Module:
    norms = nn.utils.parametrizations
    return nn.Sequential(
        norms.weight_norm(nn.Linear(6, 5)), nn.Tanh(), norms.spectral_norm(nn.Linear(5, 4)), nn.Linear(4, 2)
    )


def called_twice() -> nn.Module:
    shared = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    return nn.Sequential(shared, nn.Linear(6, 6), shared, nn.Linear(6, 2))


NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "mlp": (
        lambda: nn.Sequential(
            nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 7, bias=False), nn.Tanh(), nn.Linear(7, 3)
        ),
        vectors,
    ),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 8, 3, stride=2, groups=2, padding=1),
            nn.GELU(),
            nn.Conv2d(8, 8, 3, dilation=2, padding="same", groups=8),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        ),
        images,
    ),
    "transposed convolution": (
        lambda: flattened(
            6 * 64,
            nn.Conv2d(3, 4, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, padding=1, output_padding=1),
        ),
        images,
    ),
    "circular convolution 1d": (
        lambda: flattened(
            20, nn.Conv1d(7, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.Conv1d(4, 4, 2)
        ),
        sequences,
    ),
    "convolution 3d": (
        lambda: flattened(16, nn.Conv3d(2, 4, 2, stride=(1, 2, 1)), nn.ReLU()),
        lambda: torch.randn(3, 2, 3, 3, 3, dtype=D),
    ),
    "resnet": (
        lambda: flattened(6 * 16, nn.Conv2d(3, 4, 3, 1, 1), Residual(4, 4, 1), Residual(4, 6, 2)),
        images,
    ),
    "batch norm train": (lambda: batch_normalized(eval_mode=False), images),
    "batch norm eval": (lambda: batch_normalized(eval_mode=True), images),
    "norms": (
        lambda: nn.Sequential(
            nn.Linear(6, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 4), nn.RMSNorm(4), nn.Linear(4, 2)
        ),
        sequences,
    ),
    "instance norm": (
        lambda: flattened(144, nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU()),
        images,
    ),
    "lstm": (lambda: Recurrent(nn.LSTM, num_layers=2), sequences),
    "gru time first": (lambda: Recurrent(nn.GRU, batch_first=False, bidirectional=True), sequences),
    "gpt": (Gpt, tokens),
    "transformer layer": (lambda: nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), sequences),
    "cross attention": (Cross, lambda: (sequences(), torch.randn(4, 5, 6, dtype=D))),
    "reparametrized": (reparametrized, vectors),
    "odd": (Odd, vectors),
    "odd, one example": (Odd, lambda: vectors(1)),
    "experts and windows": (Experts, sequences),
    "one module twice": (called_twice, sequences),
    "dropout": (lambda: nn.Sequential(nn.Linear(6, 30), nn.Dropout(0.5), nn.Linear(30, 3)), vectors),
}


def build(name: str) -> tuple[nn.Module, Any]:
    """The network and its inputs: always the same numbers."""
    make, inputs = NETS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(list(NETS).index(name))
        return make().to(D), inputs()
