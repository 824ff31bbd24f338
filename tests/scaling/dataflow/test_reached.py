"""Parameters that a pass returns, works with but never uses, or does not touch; sums and lengths over a growing side."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import similitude as sim
from similitude.scaling.records import Plan, PlanRow

X = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
Run = Callable[["Net", torch.Tensor], torch.Tensor]


class Net(nn.Module):
    """A stem, a matrix, a gain and a head, put together by a function."""

    def __init__(self, width: int, run: Run) -> None:
        super().__init__()
        self.width, self.run = width, run
        self.stem = nn.Linear(12, width)
        self.mix = nn.Linear(width, width)
        self.gain = nn.Parameter(torch.ones(width))
        self.head = nn.Linear(width, 3)
        self.parts = nn.Parameter(torch.randn(width // 16, 16, width))
        self.spread = nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(self, F.relu(self.mix(F.relu(self.stem(x)))))


def planned(run: Run) -> Plan:
    return sim.plan(lambda width: Net(width, run), base=64, target=256, sample=X, optimizer=torch.optim.AdamW)


def row(plan: Plan, name: str) -> PlanRow:
    return next(r for r in plan.rows if r.name == name)


def rms(h: torch.Tensor) -> torch.Tensor:
    return h * torch.rsqrt(h.pow(2).sum(-1, keepdim=True) / h.shape[-1] + 1e-6)


def test_returned_parameters_are_used():
    plan = planned(lambda m, h: (m.head(h), m.spread.exp()))  # pyright: ignore[reportArgumentType]
    assert row(plan, "spread").role == "finite"
    assert row(plan, "gain").role == "unused"


def test_what_is_worked_with_and_not_understood_is_refused_and_not_called_unused():
    def run(m: Net, h: torch.Tensor) -> torch.Tensor:
        # Learned keys and values, which a fused kernel reads beside the activation.
        memory = m.parts[0, None, None]
        return m.head(F.scaled_dot_product_attention(h[None, None], memory, memory)[0, 0])

    refused = {r.name: r.reason for r in planned(run).refused}
    assert "scaled_dot_product" in refused["parts"]


def test_computed_in_vain_is_unused():
    def run(m: Net, h: torch.Tensor) -> torch.Tensor:
        m.gain.exp().sum()
        return m.head(h)

    assert row(planned(run), "gain").role == "unused"


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (lambda m, h: (h * m.gain).sum(-1), "gain"),
        (lambda m, h: torch.einsum("bhd,hdn->bhn", h.unflatten(-1, (-1, 16)), m.parts).sum(1), "parts"),
    ],
    ids=["a head", "one matrix for every head"],
)
def test_sums_over_a_growing_side_are_refused(run, name):
    refused = {r.name: r.reason for r in planned(run).refused}
    assert "summed over a side that grows" in refused[name]


def test_an_einsum_over_the_same_sides_is_a_matrix():
    def run(m: Net, h: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bhd,hdn->bn", h.unflatten(-1, (-1, 16)), m.parts)

    parts = row(planned(run), "parts")
    assert (parts.role, parts.fan_in_ratio) == ("hidden", 4)


NORMS = {
    # Entries of unit vectors shrink as n^-1/2, so the head needs sqrt(n) more than 1/n.
    "unit vectors": (lambda m, h: m.head(F.normalize(h, dim=-1)), 2.0),
    "unit vectors with a gain": (lambda m, h: m.head(F.normalize(h, dim=-1) * m.gain), 2.0),
    "root mean square": (lambda m, h: m.head(F.normalize(h, dim=-1) * m.width**0.5), 1.0),
    "root mean square, gain last": (lambda m, h: m.head(F.normalize(h, dim=-1) * m.width**0.5 * m.gain), 1.0),
    "root mean square, gain first": (
        lambda m, h: m.head(F.normalize(h, dim=-1) * m.gain * m.width**0.5),
        1.0,
    ),
    "root mean square by a length": (
        lambda m, h: m.head(h / (h.norm(dim=-1, keepdim=True) * m.width**-0.5).clamp(min=1e-6) * m.gain),
        1.0,
    ),
    "root mean square by a sum": (lambda m, h: m.head(rms(h) * m.gain), 1.0),
    "rms_norm": (lambda m, h: m.head(F.rms_norm(h, (m.width,)) * m.gain), 1.0),
}


@pytest.mark.parametrize("case", NORMS)
def test_a_head_on_normalized_vectors(case):
    run, multiplier = NORMS[case]
    plan = planned(run)
    assert not plan.refused
    assert {r.name: r.multiplier for r in plan.rows if r.multiplier != 1} == (
        {"head.weight": pytest.approx(multiplier)} if multiplier != 1 else {}
    )


@pytest.mark.parametrize(("power", "multiplier"), [(0.0, 0.25), (-0.5, 0.5), (-1.0, 1.0)])
def test_a_product_summed_by_hand_is_an_inner_product(power, multiplier):
    class Two(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.width = width
            self.left, self.right = nn.Linear(12, width), nn.Linear(12, width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.left(x) * self.right(x)).sum(-1) * self.width**power

    plan = sim.plan(Two, base=64, target=256, sample=X, optimizer=torch.optim.AdamW)
    assert row(plan, "left.weight").multiplier == pytest.approx(multiplier)
    assert row(plan, "right.weight").multiplier == 1


def test_numbers_are_answered_once():
    class Positions(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.table, self.mix = nn.Embedding(7, width), nn.Linear(width, width)
            self.head = nn.Linear(width, 3)
            self.register_buffer("waves", torch.ones(width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.table(x) * self.table.embedding_dim**0.5 + self.waves
            return self.head(F.relu(self.mix(h)))

    tokens = torch.zeros(4, 5, dtype=torch.long)
    plan = sim.plan(Positions, base=64, target=256, sample=tokens, optimizer=torch.optim.AdamW)
    assert not plan.refused
    assert {r.name: r.multiplier for r in plan.rows if r.multiplier != 1} == {"table.weight": 0.5}
