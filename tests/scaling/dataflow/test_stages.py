"""Stages of residual branches in networks of every shape: how many branches each has, who is inside, what has no rule."""

import pytest
import torch
from torch import nn

from similitude.scaling.dataflow.passes import study_depth
from similitude.scaling.dataflow.stages import depth_growth

N, IN, OUT = 8, 6, 3
X = torch.randn(4, IN, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Base(nn.Module):
    """An input matrix, a trunk, a norm and a head."""

    def __init__(self, depth):
        super().__init__()
        self.depth = depth
        self.stem, self.last, self.head = nn.Linear(IN, N), nn.LayerNorm(N), nn.Linear(N, OUT)
        self.build(depth)
        self.double()

    def build(self, depth):
        self.blocks = nn.ModuleList(Feed() for _ in range(depth))

    def trunk(self, x):
        raise NotImplementedError

    def forward(self, x):
        return self.head(self.last(self.trunk(self.stem(x))))


class Feed(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.a, self.b = nn.LayerNorm(N), nn.Linear(N, 2 * N), nn.Linear(2 * N, N)

    def forward(self, x):
        return self.b(torch.relu(self.a(self.norm(x))))


class Plain(Base):
    def trunk(self, x):
        for block in self.blocks:
            x = x + block(x)
        return x


class Scaled(Base):
    def trunk(self, x):
        for block in self.blocks:
            x = 0.9 * x + block(x)
        return x


class Summed(Base):
    def trunk(self, x):
        for block in self.blocks:
            x = sum([x, block(x)])
        return x


class PostNorm(Base):
    def trunk(self, x):
        for block in self.blocks:
            x = nn.functional.layer_norm(1.5 * x + block(x), (N,))
        return x


class Flow(Base):
    def trunk(self, x):
        for block in self.blocks:
            x = x + 0.1 * (block(x) - x)
        return x


class Injected(Base):
    def trunk(self, x):
        first = x
        for block in self.blocks:
            x = x + block(x + first)
        return x


class Looped(Base):
    def build(self, depth):
        self.blocks = nn.ModuleList([Feed()])

    def trunk(self, x):
        h = torch.zeros_like(x)
        for _ in range(self.depth):
            h = h + x
            h = h + self.blocks[0](h)
        return h


class Skips(Base):
    """Every second block gets an earlier state of the stream back."""

    def build(self, depth):
        self.blocks = nn.ModuleList(Feed() for _ in range(2 * depth))

    def trunk(self, x):
        kept = []
        for block in self.blocks[: self.depth]:
            x = x + block(x)
            kept.append(x)
        for block in self.blocks[self.depth :]:
            x = x + kept.pop()
            x = x + block(x)
        return x


class ValueResidual(Base):
    """The values of the first block are added to those of every other one."""

    def build(self, depth):
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: nn.Linear(N, N) for name in "qkvo"}) for _ in range(depth)
        )

    def trunk(self, x):
        first = None
        for block in self.blocks:
            v = block["v"](x)
            first = v if first is None else first
            v = v if v is first else v + first
            weights = torch.softmax(block["q"](x) @ block["k"](x).mT, -1)
            x = x + block["o"](weights @ v)
        return x


class InnerChain(Base):
    """An addition inside every branch that starts at a norm of the stream."""

    def trunk(self, x):
        for block in self.blocks:
            h = block.norm(x)
            h = h + nn.functional.linear(torch.relu(h), block.b.weight @ block.a.weight)
            x = x + block(h)
        return x


ONE_STREAM = {Plain: 1, Scaled: 1, Summed: 1, PostNorm: 1, Flow: 1, Injected: 1, Looped: 1, Skips: 2}
ONE_STREAM |= {ValueResidual: 1, InnerChain: 1}


def growth(make, small=2, large=6, sample=X):
    deep, shallow = (
        study_depth(make, sample, {"width": N, "depth": d}, growing={}, loss=None, seed=0)
        for d in (large, small)
    )
    return depth_growth(*deep, *shallow)


def of(cls):
    return lambda width, depth: cls(depth)


@pytest.mark.parametrize("cls", ONE_STREAM)
def test_one_stream_is_one_stage(cls):
    found = growth(of(cls))
    grown = [(len(stage.residuals), stage.base_count) for stage in found.stages if stage.ratio != 1]
    assert grown == [(6 * ONE_STREAM[cls], 2 * ONE_STREAM[cls])]
    assert {ratio for name, ratio in found.ratios.items() if "blocks" in name} == {3.0}
    assert found.unclear == {}
    assert found.notes == ()


def test_names_that_shift_are_paired_in_order():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.feed = Feed()

        def forward(self, x):
            return x + self.feed(x)

    def make(width, depth):
        first, second = ([Block() for _ in range(depth)] for _ in range(2))
        return nn.Sequential(
            nn.Linear(IN, N), *first, nn.Linear(N, N), *second, nn.LayerNorm(N), nn.Linear(N, OUT)
        ).double()

    found = growth(make)
    assert [(len(stage.residuals), stage.base_count) for stage in found.stages] == [(6, 2), (6, 2)]
    assert found.unclear == {}


def test_slices_for_every_layer_are_not_shared_and_a_shared_gain_is():
    class Stacked(Base):
        def build(self, depth):
            self.w = nn.Parameter(torch.randn(depth, N, N))
            self.scales = nn.Parameter(torch.ones(depth))

        def trunk(self, x):
            for i in range(self.depth):
                x = x + self.scales[i] * (torch.relu(x) @ self.w[i])
            return x

    assert growth(of(Stacked)).uses == {}
    assert growth(of(Stacked)).ratios == {"w": 3.0, "scales": 3.0}

    class SharedNormed(Base):
        def build(self, depth):
            self.feed = Feed()
            self.feed.b = nn.utils.parametrizations.weight_norm(self.feed.b)

        def trunk(self, x):
            for _ in range(self.depth):
                x = x + self.feed(x)
            return x

    assert set(growth(of(SharedNormed)).uses.values()) == {3.0}
    assert "feed.b.parametrizations.weight.original0" in growth(of(SharedNormed)).uses


class Fused(Plain):
    """Every second block is added by an operation that is no plain addition."""

    def __init__(self, depth, add):
        self.add = add
        super().__init__(2 * depth)

    def trunk(self, x):
        for i, block in enumerate(self.blocks):
            x = self.add(x, block) if i % 2 else x + block(x)
        return x


FUSED = {
    "addmm": lambda x, block: torch.addmm(x, torch.relu(block.a(x)), block.b.weight.mT),
    "lerp": lambda x, block: torch.lerp(x, block(x), 0.5),
    "stack": lambda x, block: torch.stack([x, block(x)]).sum(0),
    "plain": lambda x, block: torch.relu(block(x)),
}


@pytest.mark.parametrize("add", FUSED)
def test_matrices_outside_of_every_branch_are_refused(add):
    found = growth(lambda width, depth: Fused(depth, FUSED[add]))
    assert set(found.unclear) >= {"blocks.11.b.weight"}
    assert "outside of every residual branch" in found.unclear["blocks.11.b.weight"]


def test_a_branch_that_becomes_deeper_itself_is_refused():
    class Deeper(Base):
        def build(self, depth):
            self.layers = nn.ModuleList(nn.Linear(N, N) for _ in range(depth))

        def trunk(self, x):
            h = x
            for layer in self.layers:
                h = torch.relu(layer(h))
            return x + h

    found = growth(of(Deeper))
    assert "has 6 matrices in a row and 2 at the base" in found.unclear["layers.5.weight"]


def test_vectors_that_the_depth_adds_to_the_stream_are_noted():
    class Biased(Base):
        def build(self, depth):
            super().build(depth)
            self.p = nn.ParameterList(torch.zeros(N) for _ in range(depth))

        def trunk(self, x):
            for block, p in zip(self.blocks, self.p, strict=True):
                x = x + block(x) + p
            return x

    (note,) = growth(of(Biased)).notes
    assert note.startswith("'p.2', 'p.3', 'p.4', 'p.5' and the like act on the stream outside")


def test_an_encoder_is_not_inside_the_one_branch_that_reads_it():
    class Translator(nn.Module):
        def __init__(self, depth):
            super().__init__()
            self.stem = nn.Linear(IN, N)
            self.both = nn.Transformer(N, 2, depth, 1, 2 * N, batch_first=True)
            self.head = nn.Linear(N, OUT)
            self.double()

        def forward(self, x):
            return self.head(self.both(self.stem(x), self.stem(x[:, :2])))

    sample = torch.randn(2, 4, IN, dtype=torch.float64)
    found = growth(of(Translator), sample=sample)
    assert found.ratios["both.encoder.layers.5.linear1.weight"] == 3.0
    assert found.ratios["both.decoder.layers.0.linear1.weight"] == 1.0
    assert found.unclear == {}
