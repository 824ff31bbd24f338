"""Unmodified modules whose kernels are exact, bounded, estimated or refused: the cases of docs/kernels_modules.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

OUTPUTS = 32


@dataclass(frozen=True)
class Case:
    """One module.

    Attributes:
        make: Builds it for a width.
        x: Its inputs.
        becomes: "exact", "bounded" or "estimated"; else a part of the refusal.
        family: Whether the family is read, at two widths; else one module, whose hidden axes all count as infinite.
    """

    make: Callable[[int], nn.Module]
    x: Any
    becomes: str
    family: bool = True


class Net(nn.Module):
    """A stem, a body written in place, a readout."""

    def __init__(
        self, body: Callable[[Any, Tensor], Tensor], *, inputs: int = 5, stem: int, **layers: nn.Module
    ) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(inputs, stem), nn.Linear(stem, OUTPUTS)
        self.body = body
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self, self.stem(x)))


def vectors(width: int, body: Callable[[Any, Tensor], Tensor], **layers: nn.Module) -> nn.Module:
    return Net(body, stem=width, **layers)


def mlp(act: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
    return lambda width: nn.Sequential(
        nn.Linear(5, width), act(), nn.Linear(width, width), act(), nn.Linear(width, OUTPUTS)
    )


def residual(norm: Callable[[int], nn.Module]) -> Callable[[int], nn.Module]:
    return lambda width: vectors(
        width, lambda m, h: F.relu(h + 0.5 * m.b(F.relu(m.a(m.n(h))))), n=norm(width), a=nn.Linear(width, width),
        b=nn.Linear(width, width),
    )  # fmt: skip


class HandNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        del width

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5)


def conv(*layers: Callable[[int], nn.Module], pixels: int) -> Callable[[int], nn.Module]:
    return lambda width: nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), *(layer(width) for layer in layers), nn.Flatten(),
        nn.Linear(width * pixels, OUTPUTS),
    )  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self, width: int, kind: type[nn.Module]) -> None:
        super().__init__()
        self.cells, self.head = kind(3, width, batch_first=True), nn.Linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x)[0][:, -1])


class Tokens(nn.Module):
    def __init__(self, width: int, *, tied: bool = False) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, width), nn.Parameter(torch.randn(1, 6, width))
        self.layer, self.head = nn.Linear(width, width), nn.Linear(width, 11, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, t: Tensor) -> Tensor:
        return self.head(F.gelu(self.layer(self.tokens(t) + self.places)).mean(1))


class Attention(nn.Module):
    def __init__(self, width: int, *, power: float, causal: bool = False, heads: int = 2) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, width), nn.Linear(width, OUTPUTS)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.power, self.causal, self.heads = power, causal, heads

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(h).chunk(3, -1))
        scale = q.shape[-1] ** -self.power
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, scale=scale)
        return self.head(F.relu(h + self.out(y.transpose(1, 2).flatten(2))).mean(1))


class Padded(nn.Module):
    """Attention of torch, by fused or by single operations, of sequences of which the last token is padding."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, width), nn.Linear(width, OUTPUTS)
        self.fused, self.plain = (
            nn.MultiheadAttention(width, width // 8, batch_first=True) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        gone = torch.arange(x.shape[1]).expand(x.shape[:2]) == x.shape[1] - 1
        h = h + self.fused(h, h, h, key_padding_mask=gone, need_weights=False)[0]
        return self.head((h + self.plain(h, h, h, key_padding_mask=gone)[0]).mean(1))


class Mixer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem, self.tokens, self.head = nn.Linear(4, width), nn.Linear(4, 4), nn.Linear(width, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        return self.head(F.relu(h + self.tokens(h.transpose(1, 2)).transpose(1, 2)).mean(1))


class Block(nn.Module):
    """A block of ConvNeXt."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix, self.norm = nn.Conv2d(width, width, 3, padding=1, groups=width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.mix(x).permute(0, 2, 3, 1))
        return x + self.down(F.gelu(self.up(y))).permute(0, 3, 1, 2)


class Einsum(nn.Module):
    """Matrices on either side, and one of its own for each of two heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem, self.left, self.heads, self.head = (
            nn.Parameter(torch.randn(*shape) / shape[-2 if i in (0, 2) else -1] ** 0.5)
            for i, shape in enumerate(
                [(5, width), (2 * width, width), (2, width, width), (OUTPUTS, 2 * width)]
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(torch.einsum("bi,io->bo", x, self.stem))
        h = F.relu(torch.einsum("oi,bi->bo", self.left, h)).unflatten(-1, (2, -1))
        h = F.relu(torch.einsum("bhi,hio->bho", h, self.heads))
        return torch.einsum("bi,oi->bo", h.flatten(1), self.head)


class Encoder(nn.Module):
    def __init__(self, width: int, *, heads: int = 2) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(4, width), nn.Linear(width, OUTPUTS)
        self.layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.stem(x)).mean(1))


def _draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


VECTORS, IMAGES, STEPS, SEQUENCES = _draw(3, 5), _draw(3, 3, 4, 4), _draw(3, 3, 3), _draw(3, 4, 4)
WORDS = torch.randint(0, 11, (3, 6), generator=torch.Generator().manual_seed(0))


def _linear(width: int, *, times: int = 1) -> nn.Linear:
    return nn.Linear(width, times * width)


CASES: dict[str, Case] = {
    **{
        f"mlp, {act.__name__}": Case(mlp(act), VECTORS, becomes)
        for becomes, acts in {
            "exact": (nn.ReLU, nn.GELU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.Hardtanh, nn.Identity),
            "bounded": (nn.Tanh, nn.SiLU, nn.ELU, nn.Softplus, nn.Mish, nn.Sigmoid),
        }.items()
        for act in acts
    },
    "mlp, dropout in training": Case(
        mlp(lambda: nn.Sequential(nn.ReLU(), nn.Dropout(0.2))), VECTORS, "exact"
    ),
    "residual": Case(residual(lambda width: nn.Identity()), VECTORS, "exact"),
    "residual, LayerNorm": Case(residual(nn.LayerNorm), VECTORS, "exact"),
    "residual, RMSNorm": Case(residual(nn.RMSNorm), VECTORS, "exact"),
    "residual, norm by hand": Case(residual(HandNorm), VECTORS, "exact"),
    "norm after an activation": Case(
        lambda width: vectors(
            width, lambda m, h: F.relu(m.a(m.n(F.relu(h)))), n=nn.LayerNorm(width), a=_linear(width)
        ),
        VECTORS,
        "exact",
    ),
    "one layer twice in depth": Case(
        lambda width: vectors(width, lambda m, h: F.relu(m.a(F.relu(m.a(F.relu(h))))), a=_linear(width)),
        VECTORS,
        "exact",
    ),
    "two branches through one layer": Case(
        lambda width: vectors(width, lambda m, h: F.relu(m.a(F.relu(h)) + m.a(F.tanh(h))), a=_linear(width)),
        VECTORS,
        "bounded",
    ),
    "concatenation of neurons": Case(
        lambda width: vectors(
            width,
            lambda m, h: F.relu(m.b(torch.cat([F.relu(h), F.relu(m.a(h))], -1))),
            a=_linear(width, times=2),
            b=nn.Linear(3 * width, width),
        ),
        VECTORS,
        "exact",
    ),
    "gated linear unit": Case(
        lambda width: vectors(
            width, lambda m, h: m.b(F.glu(m.a(F.relu(h)))), a=_linear(width, times=2), b=_linear(width)
        ),
        VECTORS,
        "bounded",
    ),
    "SwiGLU": Case(
        lambda width: vectors(
            width,
            lambda m, h: m.c(F.silu(m.a(h)) * m.b(h)),
            a=_linear(width),
            b=_linear(width),
            c=_linear(width),
        ),
        VECTORS,
        "bounded",
    ),
    "convolutions, flattened": Case(
        conv(lambda w: nn.Conv2d(w, w, 3, stride=2), lambda w: nn.ReLU(), pixels=1), IMAGES, "exact"
    ),
    "convolutions, global average": Case(
        conv(
            lambda w: nn.Conv2d(w, w, 3, padding=1),
            lambda w: nn.ReLU(),
            lambda w: nn.AdaptiveAvgPool2d(1),
            pixels=1,
        ),
        IMAGES,
        "exact",
    ),
    "dilated, in groups, average pooling": Case(
        conv(
            lambda w: nn.Conv2d(w, w, 3, padding=2, dilation=2, groups=2),
            lambda w: nn.GELU(),
            lambda w: nn.AvgPool2d(2),
            pixels=4,
        ),
        IMAGES,
        "exact",
    ),
    "transposed convolution": Case(
        conv(lambda w: nn.ConvTranspose2d(w, w, 2, stride=2), lambda w: nn.ReLU(), pixels=64), IMAGES, "exact"
    ),
    "convolution, GroupNorm": Case(
        conv(lambda w: nn.Conv2d(w, w, 3), lambda w: nn.GroupNorm(4, w), lambda w: nn.ReLU(), pixels=4),
        IMAGES,
        "exact",
    ),
    "convolution, upsampled": Case(
        conv(
            lambda w: nn.Upsample(scale_factor=2),
            lambda w: nn.Conv2d(w, w, 3, stride=2),
            lambda w: nn.ReLU(),
            pixels=9,
        ),
        IMAGES,
        "exact",
    ),
    "convolution, resized by bilinear interpolation": Case(
        conv(
            lambda w: nn.Upsample(size=(6, 6), mode="bilinear"),
            lambda w: nn.AdaptiveAvgPool2d(3),
            lambda w: nn.Conv2d(w, w, 2),
            lambda w: nn.ReLU(),
            pixels=4,
        ),
        IMAGES,
        "exact",
    ),
    "depthwise convolution": Case(
        conv(
            lambda w: nn.Conv2d(w, w, 3, padding=1, groups=w),
            lambda w: nn.Conv2d(w, w, 1),
            lambda w: nn.ReLU(),
            pixels=16,
        ),
        IMAGES,
        "exact",
    ),
    "groups of four channels at every width": Case(
        conv(
            lambda w: nn.Conv2d(w, w, 3, groups=w // 4),
            lambda w: nn.Conv2d(w, w, 1),
            lambda w: nn.ReLU(),
            pixels=4,
        ),
        IMAGES,
        "exact",
    ),
    "ConvNeXt block": Case(conv(Block, lambda w: nn.AdaptiveAvgPool2d(1), pixels=1), IMAGES, "exact"),
    "linear layers written by einsum": Case(Einsum, VECTORS, "exact"),
    "batch norm in eval mode": Case(
        lambda width: conv(lambda w: nn.Conv2d(w, w, 3), nn.BatchNorm2d, lambda w: nn.ReLU(), pixels=4)(
            width
        ).eval(),
        IMAGES,
        "exact",
    ),
    "batch norm in training": Case(
        lambda width: vectors(
            width, lambda m, h: F.relu(m.n(m.a(F.relu(h)))), a=_linear(width), n=nn.BatchNorm1d(width)
        ),
        VECTORS,
        "exact",
    ),
    "recurrent": Case(lambda width: Recurrent(width, nn.RNN), STEPS, "bounded"),
    "embeddings with positions": Case(Tokens, WORDS, "exact"),
    "attention, logits of 1/d": Case(lambda width: Attention(width, power=1.0), SEQUENCES, "exact"),
    "causal attention, logits of 1/d": Case(
        lambda width: Attention(width, power=1.0, causal=True), SEQUENCES, "exact"
    ),
    "attention, logits of 1/sqrt(d)": Case(
        lambda width: Attention(width, power=0.5), SEQUENCES, "estimated", family=False
    ),
    "transformer encoder layer": Case(Encoder, SEQUENCES, "estimated", family=False),
    "attention, heads of 8 neurons": Case(
        lambda width: Attention(width, power=0.5, heads=width // 8), SEQUENCES, "estimated"
    ),
    "causal attention, heads of 8 neurons": Case(
        lambda width: Attention(width, power=0.5, causal=True, heads=width // 8), SEQUENCES, "estimated"
    ),
    "transformer encoder layer, heads of 8 neurons": Case(
        lambda width: Encoder(width, heads=width // 8), SEQUENCES, "estimated"
    ),
    "attention, padded keys, heads of 8 neurons": Case(Padded, SEQUENCES, "estimated"),
    "two heads at every width, 1/sqrt(d)": Case(
        lambda width: Attention(width, power=0.5), SEQUENCES, "2 heads at every width"
    ),
    "gated recurrent unit": Case(lambda width: Recurrent(width, nn.GRU), STEPS, "not Gaussian"),
    "LSTM": Case(lambda width: Recurrent(width, nn.LSTM), STEPS, "not Gaussian"),
    "embedding tied to the readout": Case(lambda width: Tokens(width, tied=True), WORDS, "used in two ways"),
    "matrix and its transpose": Case(
        lambda width: vectors(width, lambda m, h: F.linear(F.relu(m.a(h)), m.a.weight.T), a=_linear(width)),
        VECTORS,
        "used in two ways",
    ),
    "bottleneck": Case(
        lambda width: vectors(
            width, lambda m, h: m.b(F.relu(m.a(h))), a=nn.Linear(width, 4), b=nn.Linear(4, width)
        ),
        VECTORS,
        "bottleneck",
    ),
    "activation of a nonlinear sum": Case(
        lambda width: vectors(width, lambda m, h: F.relu(F.relu(h) + m.a(F.relu(h))), a=_linear(width)),
        VECTORS,
        "not Gaussian",
    ),
    "softmax over the hidden axis": Case(
        lambda width: vectors(width, lambda m, h: m.a(torch.softmax(h, -1)), a=_linear(width)),
        VECTORS,
        "softmax over infinitely many",
    ),
    "maximum pooling": Case(
        conv(lambda w: nn.MaxPool2d(2), pixels=4), IMAGES, "maximum of several Gaussians"
    ),
    "activation of a depthwise convolution": Case(
        conv(lambda w: nn.Conv2d(w, w, 3, groups=w), lambda w: nn.ReLU(), pixels=4),
        IMAGES,
        "Gaussian given the filter alone",
    ),
    "linear over tokens (MLP-Mixer)": Case(Mixer, SEQUENCES, "contracts positions of a wide value"),
    "softmax over three outputs": Case(
        lambda width: nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 3), nn.Softmax(-1)),
        VECTORS,
        "a function of 3 Gaussians",
    ),
    "instance norm": Case(
        conv(lambda w: nn.Conv2d(w, w, 3), nn.InstanceNorm2d, pixels=4), IMAGES, "instance norm"
    ),
}
