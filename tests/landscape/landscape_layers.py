"""Networks around one layer each: activations, norms, attention, convolutions and pools."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from landscape_case import Applied, Case
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

D = torch.float64
CLASSES = 3


def numbers(*shape: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """Normal inputs of a shape and class labels."""
    return lambda: (torch.randn(shape, dtype=D), torch.randint(0, CLASSES, shape[:1]))


def cross_entropy(outputs: Tensor, batch: Any, **options: Any) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, -2), batch[1].flatten(), **options)


VECTORS = numbers(4, 3)
IMAGES = numbers(4, 2, 6, 6)
SEQUENCES = numbers(4, 5, 4)


def classified(name: str, make: Callable[[], nn.Module], batch: Any = VECTORS, **options: Any) -> Case:
    return Case(name, make, batch, cross_entropy, **options)


def activated(activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), activation, nn.Linear(4, CLASSES))


def normed(norm: nn.Module, images: bool = True) -> nn.Module:
    if images:
        return nn.Sequential(
            nn.Conv2d(2, 4, 3), norm, nn.Softplus(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES)
        )
    return nn.Sequential(nn.Linear(3, 4), norm, nn.Tanh(), nn.Linear(4, CLASSES))


ACTIVATIONS = [
    classified(f"activation {name}", lambda act=act: activated(act()))
    for name, act in {
        "relu": nn.ReLU,
        "leaky relu": nn.LeakyReLU,
        "relu6": nn.ReLU6,
        "gelu": nn.GELU,
        "gelu tanh": lambda: nn.GELU(approximate="tanh"),
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "celu": nn.CELU,
        "hardswish": nn.Hardswish,
        "hardtanh": nn.Hardtanh,
        "mish": nn.Mish,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "log sigmoid": nn.LogSigmoid,
        "softsign": nn.Softsign,
        "prelu": lambda: nn.PReLU(4),
    }.items()
]
ACTIVATIONS.append(
    classified(
        "activation hardsigmoid", lambda: activated(nn.Hardsigmoid()), twice=False
    )  # no second derivative
)

NORMS = [
    *(
        classified(
            f"norm batch 1d {'train' if train else 'eval'}",
            lambda: normed(nn.BatchNorm1d(4), images=False),
            train=train,
            mean=not train,
        )
        for train in (True, False)
    ),
    *(
        classified(
            f"norm batch 2d {'train' if train else 'eval'}",
            lambda: normed(nn.BatchNorm2d(4)),
            IMAGES,
            train=train,
            mean=not train,
        )
        for train in (True, False)
    ),
    classified(
        "norm batch cumulative",
        lambda: normed(nn.BatchNorm1d(4, momentum=None, affine=False), images=False),
        mean=False,
    ),
    classified(
        "norm batch without statistics",
        lambda: normed(nn.BatchNorm1d(4, track_running_stats=False), images=False),
        train=False,
        mean=False,
    ),
    classified("norm layer", lambda: normed(nn.LayerNorm(4), images=False)),
    classified(
        "norm layer images", lambda: normed(nn.LayerNorm((4, 4, 4), elementwise_affine=False)), IMAGES
    ),
    classified("norm group", lambda: normed(nn.GroupNorm(2, 4)), IMAGES),
    *(
        classified(
            f"norm instance {'train' if train else 'eval'}",
            lambda: normed(nn.InstanceNorm2d(4, affine=True, track_running_stats=True)),
            IMAGES,
            train=train,
        )
        for train in (True, False)
    ),
    classified("norm rms", lambda: normed(nn.RMSNorm(4), images=False)),
    classified("norm local response", lambda: normed(nn.LocalResponseNorm(3)), IMAGES),
    classified(
        "norm weight",
        lambda: nn.Sequential(
            parametrizations.weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, CLASSES)
        ),
        twice=False,  # its fused backward pass takes the norms as constants when it is differentiated
    ),
    *(
        # In training the power iteration's vectors follow the weight, and the gradient takes them as constants.
        classified(
            f"norm spectral {'train' if train else 'eval'}",
            lambda: nn.Sequential(
                parametrizations.spectral_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, CLASSES)
            ),
            train=train,
            mean=not train,
            follows=not train,
        )
        for train in (True, False)
    ),
    classified(
        "norm unit length",
        lambda: Applied(
            lambda m, x: m.out(F.normalize(m.inner(x), dim=-1)),
            inner=nn.Linear(3, 4),
            out=nn.Linear(4, CLASSES),
        ),
    ),
]


class Attention(nn.Module):
    """Two heads of two numbers each over five tokens; `attend(q, k, v)` mixes them."""

    def __init__(self, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.out, self.attend = nn.Linear(4, 12), nn.Linear(4, CLASSES), attend

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.inner(x).unflatten(-1, (3, 2, 2)).permute(2, 0, 3, 1, 4)
        return self.out(self.attend(q, k, v).transpose(1, 2).flatten(-2)[:, -1])


def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ v


def fused(**options: Any) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


KEPT = torch.ones(5, 5, dtype=torch.bool).tril() | torch.eye(5, dtype=torch.bool).flip(0)

ATTENTION = [
    classified("attention by hand", lambda: Attention(by_hand), SEQUENCES),
    classified("attention fused", lambda: Attention(fused()), SEQUENCES),
    classified("attention fused causal", lambda: Attention(fused(is_causal=True, scale=0.9)), SEQUENCES),
    classified("attention fused boolean mask", lambda: Attention(fused(attn_mask=KEPT)), SEQUENCES),
    classified(
        "attention fused float mask",
        lambda: Attention(
            lambda q, k, v: F.scaled_dot_product_attention(
                q, k, v, attn_mask=torch.linspace(-1, 1, 25, dtype=q.dtype).view(5, 5)
            )
        ),
        SEQUENCES,
    ),
    classified(
        "attention fused dropout",
        lambda: Attention(fused(dropout_p=0.3)),
        SEQUENCES,
        mean=False,
    ),
    classified(
        "attention grouped queries",
        lambda: Attention(
            lambda q, k, v: F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True)
        ),
        SEQUENCES,
    ),
    *(
        classified(
            f"attention module {'with' if weights else 'without'} weights",
            lambda weights=weights: Applied(
                lambda m, x: m.out(m.mix(x, x, x, need_weights=weights)[0].mean(1)),
                mix=nn.MultiheadAttention(4, 2, batch_first=True),
                out=nn.Linear(4, CLASSES),
            ),
            SEQUENCES,
        )
        for weights in (True, False)
    ),
    *(
        classified(
            f"transformer layer {'train' if train else 'eval'}",
            lambda: Applied(
                lambda m, x: m.out(m.layer(x, src_mask=torch.ones(5, 5, dtype=torch.bool).triu(1))[:, -1]),
                layer=nn.TransformerEncoderLayer(
                    4, 2, 6, dropout=0.2, activation="gelu", batch_first=True, norm_first=True
                ),
                out=nn.Linear(4, CLASSES),
            ),
            SEQUENCES,
            train=train,
            mean=not train,
        )
        for train in (True, False)
    ),
]

POOLS = {
    "max": lambda: nn.MaxPool2d(2),
    "average": lambda: nn.AvgPool2d(2, stride=1),
    "adaptive average": lambda: nn.AdaptiveAvgPool2d((2, 3)),
    "adaptive max": lambda: nn.AdaptiveMaxPool2d(2),
    "power": lambda: nn.LPPool2d(2, 2),
    "bilinear": lambda: nn.Upsample(scale_factor=1.5, mode="bilinear"),
    "bicubic": lambda: nn.Upsample(size=5, mode="bicubic", align_corners=True),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "reflection": lambda: nn.ReflectionPad2d(1),
    "shuffle": lambda: nn.PixelShuffle(2),
    "unfold": lambda: nn.Unfold(2, stride=2),
}

CONVOLUTIONS = [
    classified(
        "convolution 1d",
        lambda: nn.Sequential(
            nn.Conv1d(5, 3, 3, padding="same"), nn.Tanh(), nn.Flatten(), nn.Linear(12, CLASSES)
        ),
        SEQUENCES,
    ),
    classified(
        "convolution 2d grouped dilated",
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, groups=2, dilation=2, stride=2, padding=2),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4, CLASSES),
        ),
        IMAGES,
    ),
    classified(
        "convolution 2d depthwise",
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3, groups=2, padding=1, padding_mode="circular"),
            nn.Conv2d(2, 3, 1),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(3, CLASSES),
        ),
        IMAGES,
    ),
    classified(
        "convolution 2d transposed",
        lambda: nn.Sequential(
            nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1),
            nn.Tanh(),
            nn.AvgPool2d(7),
            nn.Flatten(),
            nn.Linear(12, CLASSES),
        ),
        IMAGES,
    ),
    classified(
        "convolution 3d",
        lambda: nn.Sequential(
            nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.Tanh(), nn.Flatten(), nn.Linear(16, CLASSES)
        ),
        numbers(4, 1, 3, 3, 3),
        mean=False,
    ),
    *(
        classified(
            f"pool {name}",
            lambda pool=pool: Applied(
                lambda m, x: m.out(m.pool(m.inner(x)).tanh().flatten(1)[:, :8]),
                inner=nn.Conv2d(2, 4, 2),
                pool=pool(),
                out=nn.Linear(8, CLASSES),
            ),
            IMAGES,
        )
        for name, pool in POOLS.items()
    ),
]
