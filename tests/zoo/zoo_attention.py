"""Hand-written attention models and mixtures of experts, as people write them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from zoo_case import CLASSES, VOCABULARY, Case, normal, tokens

HEAD = 16


class EinsumAttention(nn.Module):
    """Raw parameters alone, contracted by einsum: patches (batch, 16, 12) -> logits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.patch = nn.Parameter(torch.randn(12, width) * 12**-0.5)
        self.start = nn.Parameter(torch.randn(1, 1, width))
        self.places = nn.Parameter(0.1 * torch.randn(1, 17, width))
        self.qkv = nn.Parameter(torch.randn(width, 3, width) * width**-0.5)
        self.mix = nn.Parameter(torch.randn(self.heads, HEAD, width) * width**-0.5)
        self.temperature = nn.Parameter(torch.tensor(1.0))
        self.hole = nn.Parameter(torch.zeros(width))
        self.readout = nn.Parameter(torch.randn(width, CLASSES) * width**-0.5)

    def forward(self, x: torch.Tensor, holes: torch.Tensor | None = None) -> torch.Tensor:
        h = torch.einsum("btp,pn->btn", x, self.patch)
        if holes is not None:
            h = torch.where(holes[..., None], self.hole, h)
        h = torch.cat([self.start.expand(len(h), -1, -1), h], 1) + self.places
        q, k, v = torch.einsum("btn,ncm->cbtm", h, self.qkv).unflatten(-1, (self.heads, HEAD))
        logits = torch.einsum("bqhd,bkhd->bhqk", q, k) * (self.temperature * HEAD**-0.5)
        mixed = torch.einsum("bhqk,bkhd->bqhd", logits.softmax(-1), v)
        h = h + torch.einsum("bqhd,hdn->bqn", mixed, self.mix)
        return torch.einsum("bn,nc->bc", h[:, 0], self.readout)


class EncoderClassifier(nn.Module):
    """Torch's own encoder between an embedding and a head."""

    def __init__(self, width: int, norm_first: bool) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        layer = nn.TransformerEncoderLayer(
            width, width // HEAD, 2 * width, batch_first=True, norm_first=norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x)).mean(1))


class SwiGLU(nn.Module):
    """Gated MLP whose feed-forward size is rounded to a multiple of 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        size = -(-8 * width // 3 // 16) * 16
        self.stem = nn.Linear(12, width)
        self.gate = nn.Linear(width, size, bias=False)
        self.up = nn.Linear(width, size, bias=False)
        self.down = nn.Linear(size, width, bias=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        h = h + self.down(F.silu(self.gate(h)) * self.up(h))
        return self.head(h)


class ParallelBlocks(nn.Module):
    """Attention and MLP side by side on one norm, as in GPT-J and PaLM."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.embed = nn.Embedding(VOCABULARY, width)
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x)
        y = self.norm(h)
        q, k, v = self.qkv(y).unflatten(-1, (3, self.heads, HEAD)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        attention = self.proj(mixed.transpose(1, 2).flatten(-2))
        h = h + attention + self.down(F.gelu(self.up(y)))
        return self.head(self.last(h))


class SharedBlock(nn.Module):
    """One block that is run three times."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        for _ in range(3):
            h = h + self.down(F.relu(self.up(self.norm(h))))
        return self.head(h)


class ScaledEmbedding(nn.Module):
    """Embeddings times sqrt(width), as in the first Transformer; tied or not."""

    def __init__(self, width: int, tied: bool = False) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(VOCABULARY, width)
        nn.init.normal_(self.embed.weight, std=width**-0.5)
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x) * self.width**0.5
        return self.head(self.norm(h + F.gelu(self.mix(h))))


class TiedWithoutNorm(nn.Module):
    """A tied head that reads a sum which other layers read too: only a hook can carry its multiplier."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.mix = nn.Linear(width, width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x)
        return self.head(h + F.gelu(self.mix(h)))


class StackedExperts(nn.Module):
    """Top-1 mixture of experts that are one tensor each way, (experts, in, out)."""

    def __init__(self, width: int, experts: int = 4) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.router = nn.Linear(width, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, width, 2 * width) * width**-0.5)
        self.down = nn.Parameter(torch.randn(experts, 2 * width, width) * width**-0.5)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x)
        weight, best = self.router(h).softmax(-1).max(-1)
        chosen = F.one_hot(best, self.up.shape[0]).to(h.dtype) * weight[..., None]
        inner = F.relu(torch.einsum("btn,enm->ebtm", h, self.up))
        outer = torch.einsum("ebtm,emn->ebtn", inner, self.down)
        h = h + torch.einsum("bte,ebtn->btn", chosen, outer)
        return self.head(h.mean(1))


class GatheredExperts(nn.Module):
    """Top-1 mixture that gathers the matrices of the chosen expert for every token."""

    def __init__(self, width: int, experts: int = 4) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.router = nn.Linear(width, experts)
        self.experts = nn.Parameter(torch.randn(experts, width, width) * width**-0.5)
        self.offset = nn.Parameter(torch.zeros(experts, width))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x).flatten(0, 1)
        weight, best = self.router(h).softmax(-1).max(-1)
        out = torch.bmm(h[:, None], self.experts[best])[:, 0] + self.offset[best]
        h = h + weight[:, None] * F.relu(out)
        return self.head(h)


class ListedExperts(nn.Module):
    """Top-1 mixture of modules, whose tokens are taken out and added back by index."""

    def __init__(self, width: int, experts: int = 3) -> None:
        super().__init__()
        self.stem = nn.Linear(12, width)
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
            for _ in range(experts)
        )
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.stem(x).flatten(0, 1)
        weight, best = self.router(h).softmax(-1).max(-1)
        out = torch.zeros_like(h)
        for i, expert in enumerate(self.experts):
            (rows,) = torch.where(best == i)
            out.index_add_(0, rows, expert(h[rows]) * weight[rows, None])
        return self.head(h + out)


class Queries(nn.Module):
    """Learned queries that read a sequence, as in Perceiver and DETR, and waves for positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.embed = nn.Embedding(VOCABULARY, width)
        self.latents = nn.Parameter(torch.randn(4, width))
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.keys = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.head = nn.Linear(width, CLASSES)
        steps, rates = torch.arange(16.0)[:, None], 10 ** -torch.linspace(0, 4, width)
        self.register_buffer("waves", torch.sin(steps * rates))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embed(x) * self.embed.embedding_dim**0.5 + self.waves
        k, v = self.keys(h).unflatten(-1, (2, self.heads, HEAD)).permute(2, 0, 3, 1, 4)
        latents = self.latents.expand(len(x), -1, -1)
        q = self.query(self.norm(latents)).unflatten(-1, (self.heads, HEAD)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)
        return self.head((latents + self.proj(mixed)).mean(1))


_ENCODER = {
    "embed.weight": "lookup",
    "head.weight": "output",
    "head.bias": "finite",
    "*norm*": "vector",
    "*bias": "vector",
    "*weight": "hidden",
}
_MLP = {
    "stem.weight": "input",
    "router.weight": "output",
    "router.bias": "finite",
    "head.weight": "output",
    "head.bias": "finite",
    "*norm*": "vector",
    "last.*": "vector",
    "*bias": "vector",
}
_EINSUM = {
    "patch": "input",
    "start": "vector",
    "places": "lookup",
    "qkv": "hidden",
    "mix": "hidden",
    "temperature": "finite",
    "hole": "vector",
    "readout": "output",
}
_HOLES = torch.arange(32).reshape(2, 16) % 5 == 0

CASES: dict[str, Case] = {
    "einsum attention": Case(EinsumAttention, (normal(2, 16, 12), _HOLES), _EINSUM, ("mix",)),
    "einsum attention, no holes": Case(
        EinsumAttention, normal(2, 16, 12), {**_EINSUM, "hole": "unused"}, ("mix",)
    ),
    "nn.TransformerEncoder, pre-norm": Case(
        lambda width: EncoderClassifier(width, True),
        tokens(),
        _ENCODER,
        ("*out_proj.*", "*linear2.*"),
    ),
    "nn.TransformerEncoder, post-norm": Case(
        lambda width: EncoderClassifier(width, False),
        tokens(),
        _ENCODER,
        ("*out_proj.*", "*linear2.*"),
    ),
    "nn.MultiheadAttention": Case(
        lambda width: nn.MultiheadAttention(width, width // HEAD, batch_first=True),
        lambda width: (normal(2, 8, width),) * 3,
        {"*bias": "vector", "*weight": "hidden"},
        (),
    ),
    "SwiGLU, rounded": Case(SwiGLU, normal(4, 12), {**_MLP, "*": "hidden"}, ("down.weight",)),
    "parallel attention and MLP": Case(
        ParallelBlocks,
        tokens(),
        {"embed.weight": "lookup", **_MLP, "*": "hidden"},
        ("proj.weight", "down.weight", "down.bias"),
    ),
    "shared block": Case(SharedBlock, normal(4, 12), {**_MLP, "*": "hidden"}, ("down.weight", "down.bias")),
    "embedding times sqrt(n)": Case(
        ScaledEmbedding,
        tokens(),
        {"embed.weight": "lookup", **_MLP, "*": "hidden"},
        ("mix.*",),
        {"embed.weight": 0.5},
    ),
    "embedding times sqrt(n), tied": Case(
        lambda width: ScaledEmbedding(width, tied=True),
        tokens(),
        {"embed.weight": "lookup", **_MLP, "*": "hidden"},
        ("mix.*",),
        # The table gets n^-1/2 for its use as a table; of the head's 1/n, sqrt(n) is left over for the norm.
        {"embed.weight": 0.5, "norm.weight": 0.5, "norm.bias": 0.5},
    ),
    "tied without a norm": Case(
        TiedWithoutNorm,
        tokens(),
        {"embed.weight": "lookup", **_MLP, "*": "hidden"},
        ("mix.*",),
        hooks=("head",),
    ),
    "learned queries": Case(
        Queries,
        tokens(),
        {"embed.weight": "lookup", "latents": "lookup", **_MLP, "*": "hidden"},
        ("proj.*",),
        {"embed.weight": 0.5},
    ),
    "experts in one tensor": Case(StackedExperts, normal(2, 16, 12), {**_MLP, "*": "hidden"}, ("down",)),
    "experts gathered by token": Case(
        GatheredExperts,
        normal(2, 16, 12),
        {"offset": "lookup", **_MLP, "*": "hidden"},
        ("experts", "offset"),
    ),
    "experts in a list": Case(ListedExperts, normal(2, 16, 12), {**_MLP, "*": "hidden"}, ("experts.*.2.*",)),
}
