"""Unmodified models: golden roles of every parameter, residual branches and folds; the published table holds."""

from __future__ import annotations

import functools
import random
from fnmatch import fnmatchcase
from typing import Any

import numpy
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_case import Case, normal, tokens
from zoo_disguise import renamed, transposed
from zoo_table import BASE, CASES, PAGE, TARGET, counts, planned, row

import similitude as sim
from similitude.scaling.records import Plan


def _roles(plan: Plan) -> dict[str, str]:
    return {r.name: r.role for r in plan.rows} | {r.name: f"refused: {r.reason}" for r in plan.refused}


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    case, plan = CASES[name], planned(name)
    found = _roles(plan)
    assert set(found) == {n for n, _ in case.make(BASE).named_parameters()}
    wrong = {}
    for tensor, role in found.items():
        expected = case.expected(tensor)
        refusal = expected.removeprefix("refused: ")
        if not (
            role == expected or (refusal != expected and role.startswith("refused: ") and refusal in role)
        ):
            wrong[tensor] = f"{role}, expected {expected}"
    assert not wrong
    carried = {r.name: r.multiplier for r in plan.rows if r.multiplier != 1}
    carriers = {t: next((m for g, m in case.multipliers.items() if fnmatchcase(t, g)), 1.0) for t in found}
    assert carried == pytest.approx({t: m for t, m in carriers.items() if m != 1})
    assert tuple(hook.module for hook in plan.hooks) == case.hooks
    if case.ends is not None:
        ends = {end for branch in plan.branches for end in branch.ends}
        assert {e for e in ends if not any(fnmatchcase(e, g) for g in case.ends)} == set()
        assert {g for g in case.ends if not any(fnmatchcase(e, g) for e in ends)} == set()
    new = row(name)
    assert new in PAGE.read_text().splitlines(), (
        f"docs/models.md is old; run python tests/zoo/zoo_table.py, or write\n{new}"
    )


def test_published_table():
    numbers = counts(PAGE.read_text())
    assert list(numbers) == list(CASES)
    tensors, refused = (sum(n[i] for n in numbers.values()) for i in (0, 2))
    assert refused <= 0.05 * tensors


def _factors(plan: Plan, make) -> list[tuple | None]:
    """Return everything that a plan says, by the position of the tensor instead of its name."""
    rows = {r.name: r for r in plan.rows}
    return [
        (
            r.role,
            r.fan_in_ratio,
            r.fan_out_ratio,
            r.init,
            r.rescale,
            r.lr,
            r.eps,
            r.weight_decay,
            r.multiplier,
        )
        if (r := rows.get(name))
        else None
        for name, _ in make(BASE).named_parameters()
    ]


def _same(plan: Plan, make, other: Plan, remake) -> None:
    one, two = _factors(plan, make), _factors(other, remake)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert a[0] == b[0]
            assert a[1:] == pytest.approx(b[1:], rel=0.02)


def _plan(make, sample) -> Plan:
    return sim.plan(make, base=BASE, target=TARGET, sample=sample, optimizer=torch.optim.AdamW)


RENAMED = [
    "GPT-2, tied, heads fixed",
    "Qwen3, head size grows",
    "BERT, masked words, tied",
    "T5, tied",
    "Mixtral",
    "Mamba, tied",
    "ConvNeXt",
    "einsum attention, no holes",
    "nn.TransformerEncoder, post-norm",
    "experts in a list",
    "LSTM",
    "U-Net",
    "weight norm",
]


QUICK = {"Mixtral", "ConvNeXt", "einsum attention, no holes", "weight norm", "SwiGLU, rounded", "ViT"}


def _broad(names: list[str]) -> list[Any]:
    """Leave a few models to the quick tests, of every kind one; the others are slow."""
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", _broad(RENAMED))
def test_names_do_not_matter(name):
    case = CASES[name]
    remake = lambda width: renamed(case.make(width))  # noqa: E731
    old, new = (dict(make(BASE).named_parameters()) for make in (case.make, remake))
    assert not set(old) & set(new)
    _same(planned(name), case.make, _plan(remake, case.sample), remake)


LAYOUTS = [
    "Llama, grouped queries, 2 key heads, tied",
    "BERT, masked words, tied",
    "ViT",
    "nn.TransformerEncoder, pre-norm",
    "SwiGLU, rounded",
    "grouped convolution, squeeze and excitation",
    "autoencoder with a narrow middle",
]


@pytest.mark.parametrize("name", _broad(LAYOUTS))
def test_layouts_do_not_matter(name):
    case = CASES[name]
    remake = lambda width: transposed(case.make(width))  # noqa: E731
    _same(planned(name), case.make, _plan(remake, case.sample), remake)


class _Ordered(nn.Module):
    """Attention over raw parameters whose dimensions are stored in a given order."""

    def __init__(self, width: int, qkv: str, experts: str) -> None:
        super().__init__()
        self.width, self.orders = width, (qkv, experts)
        sizes = {"i": width, "c": 3, "o": width, "e": 4, "h": width // 16, "d": 16}
        self.stem = nn.Parameter(torch.randn(12, width))
        self.qkv = nn.Parameter(torch.randn(*(sizes[s] for s in qkv)) * width**-0.5)
        self.experts = nn.Parameter(torch.randn(*(sizes[s] for s in experts)) * width**-0.5)
        self.head = nn.Parameter(torch.randn(10, width) * width**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.einsum("btp,pi->bti", x, self.stem)
        qkv, experts = self.orders
        whole = "o" in qkv  # or heads and their entries apart
        fused = torch.einsum(f"bti,{qkv}->{'cbto' if whole else 'cbthd'}", h, self.qkv)
        q, k, v = fused.unflatten(-1, (self.width // 16, 16)) if whole else fused
        logits = torch.einsum("bqhd,bkhd->bhqk", q, k) / 4
        h = h + torch.einsum("bhqk,bkhd->bqhd", logits.softmax(-1), v).flatten(-2)
        h = h + torch.einsum(f"bti,{experts}->ebto", F.relu(h), self.experts).mean(0)
        return torch.einsum("bti,ci->btc", h, self.head)


@pytest.mark.parametrize(
    ("qkv", "experts"), [("cio", "eoi"), ("ico", "ieo"), ("oic", "oie"), ("chdi", "ioe"), ("dich", "eio")]
)
def test_any_order_of_the_dimensions_of_an_einsum(qkv, experts):
    reference = _plan(lambda width: _Ordered(width, "ioc", "eio"), normal(2, 6, 12))
    plan = _plan(lambda width: _Ordered(width, qkv, experts), normal(2, 6, 12))
    assert _roles(plan) == {"stem": "input", "qkv": "hidden", "experts": "hidden", "head": "output"}
    for one, two in zip(reference.rows, plan.rows, strict=True):
        assert (one.lr, one.init, one.eps) == pytest.approx((two.lr, two.init, two.eps), rel=0.02)


def test_planning_leaves_the_world_as_it_was():
    case: Case = CASES["experts in a list"]
    torch.manual_seed(0)
    before = case.make(BASE).state_dict()
    states = (
        random.getstate(),
        numpy.random.get_state(legacy=False)["state"]["key"].tolist(),
        torch.get_rng_state().tolist(),
    )
    settings = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    _plan(case.make, case.sample)
    assert states == (
        random.getstate(),
        numpy.random.get_state(legacy=False)["state"]["key"].tolist(),
        torch.get_rng_state().tolist(),
    )
    assert settings == (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    torch.manual_seed(0)
    after = case.make(BASE)
    assert all(torch.equal(value, before[name]) for name, value in after.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in after.modules())


def test_a_loss_is_traced_in_place_of_the_call():
    case = CASES["Llama, untied"]
    batch = (tokens(), tokens())
    loss = lambda model, batch: F.cross_entropy(model(batch[0]).logits.flatten(0, 1), batch[1].flatten())  # noqa: E731
    plan = sim.plan(case.make, base=BASE, target=TARGET, sample=batch, loss=loss, optimizer=torch.optim.AdamW)
    assert _roles(plan) == _roles(planned("Llama, untied"))


def test_a_model_of_two_dials():
    make = functools.partial(CASES["U-Net"].make)
    plan = sim.plan(make, base={"width": BASE}, target={"width": TARGET}, sample=normal(2, 3, 8, 8))
    assert _roles(plan) == _roles(planned("U-Net"))
