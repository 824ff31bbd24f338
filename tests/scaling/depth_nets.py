"""Small residual networks of every kind that the depth tests need, in double precision."""

import torch
from torch import nn

IN, OUT = 6, 3


class Block(nn.Module):
    """One branch: its matrices, an optional norm before, and an explicit multiplier for oracles."""

    def __init__(self, width, kind, multiplier=1.0):
        super().__init__()
        self.kind, self.multiplier = kind, multiplier
        self.norm = nn.LayerNorm(width)
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width) if kind in ("two", "post", "scaled") else None
        self.act = nn.GELU() if kind == "activation" else None
        self.scale = nn.Parameter(torch.full((width,), 0.3)) if kind == "scaled" else None

    def branch(self, x):
        if self.kind == "relu":
            return torch.relu(self.a(x))
        if self.kind == "centred":
            y = torch.relu(self.a(x))
            return y - y.mean(-1, keepdim=True)
        if self.act is not None:
            return self.act(self.a(x))
        if self.kind == "gelu":
            return nn.functional.gelu(self.a(x))
        if self.kind == "one":
            return self.a(torch.tanh(self.norm(x)))
        y = self.b(torch.relu(self.a(x if self.kind == "post" else self.norm(x))))
        return y if self.scale is None else self.scale * y

    def forward(self, x):
        y = x + self.multiplier * self.branch(x) if self.multiplier != 1.0 else x + self.branch(x)
        return self.norm(y) if self.kind == "post" else y


class Net(nn.Module):
    """A residual network: an input matrix, `depth` blocks, a norm and a head."""

    def __init__(self, width, depth, kind="two", multiplier=1.0):
        super().__init__()
        self.inside = nn.Linear(IN, width)
        self.blocks = nn.ModuleList(Block(width, kind, multiplier) for _ in range(depth))
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, OUT)

    def forward(self, x):
        x = self.inside(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.last(x))


class Shared(Net):
    """The same block at every depth."""

    def __init__(self, width, depth, kind="two"):
        super().__init__(width, 1, kind)
        self.repeats = depth

    def forward(self, x):
        x = self.inside(x)
        for _ in range(self.repeats):
            x = self.blocks[0](x)
        return self.head(self.last(x))


def family(kind="two", cls=Net):
    return lambda width, depth: cls(width, depth, kind).double()
