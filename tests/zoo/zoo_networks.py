"""Hand-written recurrent, convolutional and fully connected models, and models that are parametrised already."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from zoo_case import CLASSES, VOCABULARY, Case, normal, tokens

BASE = 64  # width at which a model that is parametrised already leaves everything as it is


class Recurrent(nn.Module):
    """Two recurrent layers between an embedding and a head on the last state."""

    def __init__(self, width: int, cell: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.cells = cell(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cells(self.embed(x))[0][:, -1])


class UNet(nn.Module):
    """One step down and up; the way up concatenates what came down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.GroupNorm(8, width)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.join = nn.Conv2d(2 * width, width, 3, padding=1)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = F.relu(self.norm(self.stem(x)))
        h = F.relu(self.up(F.relu(self.middle(F.relu(self.down(skip))))))
        return self.head(F.relu(self.join(torch.cat([skip, h], 1))))


class Separable(nn.Module):
    """Depthwise and pointwise convolutions with batch norms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.deep = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.deep_norm = nn.BatchNorm2d(width)
        self.point = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(2 * width)
        self.head = nn.Linear(2 * width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.stem_norm(self.stem(x)))
        h = F.relu(self.deep_norm(self.deep(h)))
        h = F.relu(self.point_norm(self.point(h)))
        return self.head(h.mean((2, 3)))


class Grouped(nn.Module):
    """A convolution in four groups, as in ResNeXt, with a squeeze-and-excitation gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.conv = nn.Conv2d(width, width, 3, padding=1, groups=4)
        self.squeeze = nn.Linear(width, width // 4)
        self.excite = nn.Linear(width // 4, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.stem(x))
        y = self.conv(h)
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3))))))
        h = h + y * gate[:, :, None, None]
        return self.head(h.mean((2, 3)))


class Normalized(nn.Module):
    """An MLP whose layers pass through `hidden`, a norm of weights; `ends` wraps the first and the last too."""

    def __init__(self, width: int, norm: Callable[[nn.Module], nn.Module], ends: bool) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.mix = norm(nn.Linear(width, width))
        self.head = nn.Linear(width, CLASSES)
        if ends:
            self.stem, self.head = norm(self.stem), norm(self.head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.mix(F.relu(self.stem(x)))))


class LayerScale(nn.Module):
    """Branches times a small learned vector, as in CaiT."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1e-2))
        self.rezero = nn.Parameter(torch.zeros(1))
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        h = h + self.gamma * self.down(F.gelu(self.up(self.norm(h))))
        h = h + self.rezero * F.gelu(self.mix(h))
        return self.head(h)


class PostNorm(nn.Module):
    """Norms at the end of the branches, as in Swin v2 and OLMo 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        h = h + self.norm(self.down(F.gelu(self.up(h))))
        return self.head(h)


class SelfGate(nn.Module):
    """Values times a gate that is computed from them: a product, and no residual branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.gate = nn.Linear(width, width)
        self.mix = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        h = h * torch.sigmoid(self.gate(h))
        h = self.mix(h)
        # The cubic of the approximate GELU adds x to a power of x, with no weight between.
        h = 0.5 * h * (1 + torch.tanh(0.8 * (h + 0.045 * h**3)))
        return self.head(h)


class Autoencoder(nn.Module):
    """A narrow layer of 64 inside, whatever the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.narrow = nn.Linear(width, 64)
        self.wide = nn.Linear(64, width)
        self.head = nn.Linear(width, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.relu(self.wide(self.narrow(F.relu(self.stem(x))))))


class Policy(nn.Module):
    """Two heads and a free spread, on features of length 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, CLASSES)
        self.value = nn.Linear(width, 1)
        self.spread = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        h = F.normalize(torch.tanh(self.mix(torch.tanh(self.stem(x)))), dim=-1)
        return self.head(h), self.value(h), self.spread.exp()


class Summed(nn.Module):
    """A matrix for every head whose outputs are summed by hand, and a last layer that is a vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.parts = nn.Parameter(torch.randn(width // 16, 16, width) * width**-0.5)
        self.last = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.stem(x)).unflatten(-1, (-1, 16))
        h = F.relu(torch.einsum("bhd,hdn->bhn", h, self.parts).sum(1))
        return (h * self.last).sum(-1)


class DividedReadout(nn.Module):
    """A head that is divided by the width already, as the readout of the mup package."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ratio = width / BASE
        self.stem = nn.Linear(12, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.mix(F.relu(self.stem(x))))
        return self.head(h / self.ratio)


class NTP(nn.Module):
    """Standard normal weights, and 1 / sqrt(fan-in) in the forward pass."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Parameter(torch.randn(12, width))
        self.mix = nn.Parameter(torch.randn(width, width))
        self.head = nn.Parameter(torch.randn(width, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(x @ self.stem / self.stem.shape[0] ** 0.5)
        h = F.relu(h @ self.mix / self.mix.shape[0] ** 0.5)
        return h @ self.head / self.head.shape[0] ** 0.5


_MLP = {
    "stem.weight": "input",
    "head.weight": "output",
    "head.bias": "finite",
    "*norm*": "vector",
    "*bias": "vector",
    "*": "hidden",
}

CASES: dict[str, Case] = {
    "LSTM": Case(
        lambda width: Recurrent(width, nn.LSTM),
        tokens(),
        {
            "embed.weight": "lookup",
            "cells.weight*": "hidden",
            "cells.bias*": "vector",
            **_MLP,
        },
        (),
    ),
    "GRU": Case(
        lambda width: Recurrent(width, nn.GRU),
        tokens(),
        {
            "embed.weight": "lookup",
            "cells.weight*": "hidden",
            "cells.bias*": "vector",
            **_MLP,
        },
        # Its new state is z h + (1 - z) n, a step from h towards what comes of h: a branch of the recurrence.
        ("cells.*_hh_l*",),
    ),
    "U-Net": Case(UNet, normal(2, 3, 8, 8), _MLP, ()),
    "separable convolutions": Case(Separable, normal(2, 3, 8, 8), {"deep.weight": "input", **_MLP}, ()),
    "grouped convolution, squeeze and excitation": Case(Grouped, normal(2, 3, 8, 8), _MLP, ("conv.*",)),
    "weight norm": Case(
        lambda width: Normalized(width, weight_norm, True),
        normal(4, 12),
        {
            "stem.*original0": "vector",  # lengths
            "stem.*original1": "input",
            "mix.*original0": "vector",
            "mix.*original1": "hidden",
            "head.*original0": "finite",
            "head.*original1": "output",
            **_MLP,
        },
        (),
        # Rows of the head are n^-1/2 long, and its directions turn as those of a matrix of scale 1/n.
        {"head.parametrizations.weight.original0": 0.5, "head.parametrizations.weight.original1": 2.0},
    ),
    "spectral norm inside": Case(
        lambda width: Normalized(width, spectral_norm, False), normal(4, 12), _MLP, ()
    ),
    "spectral norm everywhere": Case(
        lambda width: Normalized(width, spectral_norm, True),
        normal(4, 12),
        {
            "stem.*original": "refused: its own norm",
            "head.*original": "refused: its own norm",
            **_MLP,
        },
        (),
    ),
    "layer scale": Case(
        LayerScale,
        normal(4, 12),
        {"gamma": "vector", "rezero": "finite", **_MLP},
        ("gamma", "rezero"),
    ),
    "post-norm": Case(PostNorm, normal(4, 12), _MLP, ("norm.weight", "norm.bias")),
    "self-gate": Case(SelfGate, normal(4, 12), _MLP, ()),
    "autoencoder with a narrow middle": Case(
        Autoencoder,
        normal(4, 12),
        {"narrow.weight": "bottleneck", "narrow.bias": "finite", "wide.weight": "input", **_MLP},
        (),
    ),
    "policy and value on unit features": Case(
        Policy,
        normal(4, 12),
        {"value.weight": "output", "value.bias": "finite", "spread": "finite", **_MLP},
        (),
        # Entries of unit vectors shrink as n^-1/2, so of the head's 1/n only n^-1/2 is left to do.
        {"head.weight": 2.0, "value.weight": 2.0},
    ),
    "sums by hand": Case(
        Summed,
        normal(4, 12),
        {"parts": "refused: summed over a side", "last": "refused: summed over a side", **_MLP},
        (),
    ),
    "readout divided by the width": Case(
        DividedReadout, normal(4, 12), {**_MLP, "head.weight": "refused: already parametrised"}, ()
    ),
    "NTP, written out": Case(
        NTP,
        normal(4, 12),
        # The head's own n^-1/2 can be undone: it leaves its tensor with n^-1/2 of the 1/n that it needs.
        {"stem": "input", "mix": "refused: already parametrised", "head": "output"},
        (),
        {"head": 2.0},
    ),
}
