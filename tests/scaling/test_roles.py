"""Golden roles of every kind of parameter by what it is used for, refusals with their reasons, the user's word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from similitude import models
from similitude.core.errors import RoleError
from similitude.scaling.axes import compare
from similitude.scaling.dataflow.structure import study
from similitude.scaling.roles import RoleResult, infer


def roles(make, sample: Any, base=8, target=32, names: dict[str, str] | None = None) -> dict[str, RoleResult]:
    sizes = {"width": base}, {"width": target}
    structure = study(make, sample, base=sizes[0], target=sizes[1], loss=None, seed=0)
    return {r.name: r for r in infer(compare(make, *sizes), structure, names)}


class Uses(nn.Module):
    """A model that hands its parameters and its input to one function."""

    def __init__(self, use: Callable[..., torch.Tensor], **parts: Any) -> None:
        super().__init__()
        self.use = use
        for name, part in parts.items():
            whole = part if isinstance(part, nn.Module) else nn.Parameter(torch.randn(part))
            setattr(self, name, whole)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.use(self, x)


def rows(width: int) -> torch.Tensor:
    return torch.randn(4, 5, width)


def image(width: int) -> torch.Tensor:
    return torch.randn(2, width, 8, 8)


THREE = torch.randn(4, 5, 3)
TOKENS = torch.zeros(4, 5, dtype=torch.long)

VECTOR = ("vector", 1, 4)
HIDDEN = ("hidden", 4, 4)
INPUT = ("input", 1, 4)
OUTPUT = ("output", 4, 1)
FINITE = ("finite", 1, 1)
REFUSED = (None, 1, 1)

CASES: dict[str, tuple[Callable[[int], nn.Module], Any, dict[str, tuple]]] = {
    "linear in": (lambda w: nn.Linear(3, w), THREE, {"weight": INPUT, "bias": VECTOR}),
    "linear through": (lambda w: nn.Linear(w, 4 * w), rows, {"weight": HIDDEN, "bias": VECTOR}),
    "linear out": (lambda w: nn.Linear(w, 3), rows, {"weight": OUTPUT, "bias": FINITE}),
    "conv in": (
        lambda w: nn.Conv2d(3, w, 3, bias=False),
        torch.randn(2, 3, 8, 8),
        {"weight": INPUT},
    ),
    "conv through": (lambda w: nn.Conv2d(w, 2 * w, 3, bias=False), image, {"weight": HIDDEN}),
    "conv out": (lambda w: nn.Conv2d(w, 2, 1, bias=False), image, {"weight": OUTPUT}),
    "depthwise": (lambda w: nn.Conv2d(w, w, 3, groups=w, bias=False), image, {"weight": INPUT}),
    "grouped": (lambda w: nn.Conv2d(w, w, 3, groups=4, bias=False), image, {"weight": HIDDEN}),
    "transposed in": (
        lambda w: nn.ConvTranspose2d(3, w, 3, bias=False),
        torch.randn(2, 3, 8, 8),
        {"weight": INPUT},
    ),
    "transposed through": (lambda w: nn.ConvTranspose2d(w, w, 3, bias=False), image, {"weight": HIDDEN}),
    "transposed grouped": (
        lambda w: nn.ConvTranspose2d(w, 2 * w, 3, groups=2, bias=False),
        image,
        {"weight": HIDDEN},
    ),
    "transposed out": (lambda w: nn.ConvTranspose2d(w, 3, 3, bias=False), image, {"weight": OUTPUT}),
    "transposed depthwise": (
        lambda w: nn.ConvTranspose2d(w, w, 3, groups=w, bias=False),
        image,
        {"weight": INPUT},
    ),
    "embedding": (lambda w: nn.Embedding(7, w), TOKENS, {"weight": ("lookup", 1, 4)}),
    "embedding bag": (lambda w: nn.EmbeddingBag(7, w), TOKENS, {"weight": ("lookup", 1, 4)}),
    "layer norm": (lambda w: nn.LayerNorm(w), rows, {"weight": VECTOR, "bias": VECTOR}),
    "rms norm": (lambda w: nn.RMSNorm(w), rows, {"weight": VECTOR}),
    "batch norm": (lambda w: nn.BatchNorm2d(w), image, {"weight": VECTOR, "bias": VECTOR}),
    "group norm": (lambda w: nn.GroupNorm(2, w), image, {"weight": VECTOR, "bias": VECTOR}),
    "instance norm": (
        lambda w: nn.InstanceNorm2d(w, affine=True),
        image,
        {"weight": VECTOR, "bias": VECTOR},
    ),
    "attention": (
        lambda w: Uses(
            lambda m, x: m.a(x, x, x, need_weights=False)[0],
            a=nn.MultiheadAttention(w, w // 4, batch_first=True),
        ),
        rows,
        {
            "a.in_proj_weight": HIDDEN,
            "a.in_proj_bias": VECTOR,
            "a.out_proj.weight": HIDDEN,
            "a.out_proj.bias": VECTOR,
        },
    ),
    "lstm": (
        lambda w: nn.LSTM(3, w, bias=False),
        THREE,
        {"weight_ih_l0": INPUT, "weight_hh_l0": HIDDEN},
    ),
    "projected lstm": (
        lambda w: nn.LSTM(3, w, bias=False, proj_size=2),
        THREE,
        {"weight_ih_l0": INPUT, "weight_hh_l0": INPUT, "weight_hr_l0": ("bottleneck", 4, 1)},
    ),
    "gru cell": (
        lambda w: nn.GRUCell(w, w, bias=False),
        lambda w: (torch.randn(4, w), torch.randn(4, w)),
        {"weight_ih": HIDDEN, "weight_hh": HIDDEN},
    ),
    "class token": (
        lambda w: Uses(lambda m, x: torch.cat([m.p.expand(4, 1, -1), x], 1), p=(1, 1, w)),
        rows,
        {"p": VECTOR},
    ),
    "position table": (
        lambda w: Uses(lambda m, x: x + m.p[:, :5], p=(1, 16, w)),
        rows,
        {"p": ("lookup", 1, 4)},
    ),
    "gate": (lambda w: Uses(lambda m, x: x * torch.sigmoid(m.p), p=(w,)), rows, {"p": VECTOR}),
    "temperature": (
        lambda w: Uses(lambda m, x: m.a(x) * m.p.exp(), p=(), a=nn.Linear(w, w, bias=False)),
        rows,
        {"p": FINITE, "a.weight": HIDDEN},
    ),
    "matrix stored as (in, out)": (
        lambda w: Uses(lambda m, x: x @ m.p, p=(w, 3)),
        rows,
        {"p": OUTPUT},
    ),
    "fused queries by einsum": (
        lambda w: Uses(lambda m, x: torch.einsum("btn,nkm->kbtm", x, m.p).sum(0), p=(w, 3, w)),
        rows,
        {"p": HIDDEN},
    ),
    "one matrix per head": (
        lambda w: Uses(
            lambda m, x: torch.einsum("bthd,hde->bthe", x.view(4, 5, -1, 4), m.p), p=(w // 4, 4, 6)
        ),
        rows,
        {"p": INPUT},
    ),
    "experts by batched product": (
        lambda w: Uses(lambda m, x: torch.einsum("btn,enm->btem", x, m.p).sum(2), p=(5, w, 2 * w)),
        rows,
        {"p": HIDDEN},
    ),
    "concatenated weights": (
        lambda w: Uses(lambda m, x: x @ torch.cat([m.p, m.q], 1), p=(w, w), q=(w, 3)),
        rows,
        {"p": HIDDEN, "q": OUTPUT},
    ),
    "bottleneck": (
        lambda w: nn.Sequential(nn.Linear(w, 4, bias=False), nn.ReLU(), nn.Linear(4, w, bias=False)),
        rows,
        {"0.weight": ("bottleneck", 4, 1), "2.weight": INPUT},
    ),
    "router": (
        lambda w: Uses(
            lambda m, x: m.b(m.a(x) * m.r(x).softmax(-1)[..., :1]),
            r=nn.Linear(w, 5, bias=False),
            a=nn.Linear(w, w, bias=False),
            b=nn.Linear(w, w, bias=False),
        ),
        rows,
        {"r.weight": OUTPUT, "a.weight": HIDDEN, "b.weight": HIDDEN},
    ),
    "weight norm": (
        lambda w: nn.utils.parametrizations.weight_norm(nn.Linear(w, w, bias=False)),
        rows,
        {"parametrizations.weight.original0": VECTOR, "parametrizations.weight.original1": HIDDEN},
    ),
    "spectral norm": (
        lambda w: nn.utils.parametrizations.spectral_norm(nn.Linear(w, w, bias=False)),
        rows,
        {"parametrizations.weight.original": HIDDEN},
    ),
    "spectral norm of an input": (
        lambda w: nn.utils.parametrizations.spectral_norm(nn.Linear(3, w, bias=False)),
        THREE,
        {"parametrizations.weight.original": REFUSED},
    ),
    "matrix through tanh": (lambda w: Uses(lambda m, x: x @ m.p.tanh(), p=(w, w)), rows, {"p": REFUSED}),
    "low rank product": (
        lambda w: Uses(lambda m, x: x @ (m.p @ m.q), p=(w, 2), q=(2, w)),
        rows,
        {"p": REFUSED, "q": REFUSED},
    ),
    "matrix entry by entry": (
        lambda w: Uses(lambda m, x: x @ x.mT * m.p, p=(w, w)),
        lambda w: torch.randn(w, 3),
        {"p": REFUSED},
    ),
    "vocabulary that grows": (lambda w: nn.Embedding(w, w), TOKENS, {"weight": REFUSED}),
    "experts that grow": (
        lambda w: Uses(lambda m, x: torch.einsum("btn,enm->btem", x, m.p).sum(2), p=(w // 4, w, w)),
        rows,
        {"p": REFUSED},
    ),
    "never used": (
        lambda w: Uses(lambda m, x: m.a(x), a=nn.Linear(w, 3, bias=False), idle=nn.Linear(w, w)),
        rows,
        {"a.weight": OUTPUT, "idle.weight": ("unused", 1, 1), "idle.bias": ("unused", 1, 1)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_golden_roles(case):
    make, sample, expected = CASES[case]
    assert {n: (r.role, r.r_in, r.r_out) for n, r in roles(make, sample).items()} == expected


def _kind(name: str) -> str:
    """Role by the place in our own reference models, told from names alone."""
    module, _, local = name.rpartition(".")
    if module == "head":
        return "output" if local == "weight" else "finite"
    if name in ("tokens.weight", "positions.weight", "positions"):
        return "lookup"
    if local != "weight" or "norm" in module:
        return "vector"
    return "input" if module in ("hidden.0", "layers.0.conv", "stem", "embed") else "hidden"


@pytest.mark.parametrize(
    ("make", "sample"),
    [
        (lambda w: models.MLP(10, 3, width=w), torch.randn(2, 10)),
        (lambda w: models.ConvNet(3, 10, width=w), torch.randn(2, 3, 16, 16)),
        (lambda w: models.ResNet(3, 10, width=w), torch.randn(2, 3, 16, 16)),
        (lambda w: models.ViT(8, 1, 10, patch=4, width=w), torch.randn(2, 1, 8, 8)),
        (lambda w: models.GPT(11, 8, width=w), torch.zeros(2, 8, dtype=torch.long)),
    ],
    ids=["mlp", "convnet", "resnet", "vit", "gpt"],
)
def test_reference_models(make, sample):
    found = roles(make, sample, 32, 128)
    assert {n: r.role for n, r in found.items()} == {n: _kind(n) for n in found}


def test_a_head_with_two_dials_is_refused_with_numbers_and_remedy():
    make = lambda w: nn.Linear(w, 10 if w <= 128 else 1000)  # noqa: E731
    refusal = roles(make, rows, 64, 256)["weight"]
    assert refusal.role is None
    assert "could be an output or a hidden matrix" in refusal.evidence
    assert "fan-in x4, fan-out x100" in refusal.evidence
    assert 'roles={"weight": "input"}' in refusal.evidence


def test_rounded_sizes_are_still_hidden():
    result = roles(lambda w: nn.Linear(w, -(-8 * w // 3 // 16) * 16), rows, 64, 256)["weight"]
    assert (result.role, result.r_in) == ("hidden", 4.0)
    assert result.r_out == pytest.approx(4.0, rel=0.1)


def test_evidence_names_the_operation_and_the_sizes():
    evidence = roles(lambda w: nn.Linear(w, 3 * w), rows)["weight"].evidence
    assert evidence == "contracted (addmm) over 8->32, gives 24->96"


def _tied(width: int) -> nn.Module:
    model = nn.Sequential(nn.Embedding(7, width), nn.LayerNorm(width), nn.Linear(width, 7, bias=False))
    model[2].weight = model[0].weight
    return model


def test_a_table_that_is_also_the_head_keeps_both_uses():
    result = roles(_tied, TOKENS)["0.weight"]
    assert (result.role, result.r_in, result.r_out, len(result.tied)) == ("lookup", 1, 4, 1)
    assert "also the head: contracted (mm) over 8->32, gives 7" in result.evidence


@pytest.mark.parametrize(("name", "role", "r"), [("2.weight", "output", (4, 1)), ("0.*", "lookup", (1, 4))])
def test_a_tied_tensor_takes_the_role_that_the_user_names_by_any_of_its_names(name, role, r):
    result = roles(_tied, TOKENS, names={name: role})["0.weight"]
    assert (result.role, (result.r_in, result.r_out)) == (role, r)
    assert "set by you" in result.evidence


def test_a_matrix_used_twice_is_one():
    def make(w):
        model = nn.Sequential(nn.Linear(w, w, bias=False), nn.Linear(w, w, bias=False))
        model[1].weight = model[0].weight
        return model

    (result,) = roles(make, rows).values()
    assert result.role == "hidden"
    assert result.evidence.endswith("used 2 times")


def test_uses_that_need_different_factors_are_refused():
    def make(w):
        return Uses(lambda m, x: m.b((x @ m.p) @ m.p.T), p=(w, w * w), b=nn.Linear(w, 3, bias=False))

    found = roles(make, rows)["p"]
    assert found.role is None
    assert "one tensor in roles that need different factors: as hidden" in found.evidence


def test_a_table_of_learned_vectors_is_data_for_the_matrix_that_reads_it():
    def make(w):
        return Uses(
            lambda m, x: m.head((m.q(m.norm(m.latents)) @ m.k(x).mT / w).softmax(-1) @ x),
            latents=(6, w),
            norm=nn.LayerNorm(w),
            q=nn.Linear(w, w),
            k=nn.Linear(w, w),
            head=nn.Linear(w, 3, bias=False),
        )

    found = {n: r.role for n, r in roles(make, rows).items()}
    assert found["latents"] == "lookup"
    assert (found["q.weight"], found["q.bias"], found["norm.weight"]) == ("hidden", "vector", "vector")
    assert found["head.weight"] == "output"


def test_exact_names_win_over_globs_and_the_first_glob_wins():
    names = {"pos": "input", "pool": "lookup", "q": "output"}

    def make(w):
        return Uses(lambda m, x: m.pos @ x.mT + m.pool @ x.mT + m.q @ x.mT, **dict.fromkeys(names, (3, w)))

    found = roles(make, rows, names={"p*": "input", "*": "output", "pool": "lookup"})
    assert {n: (r.role, r.r_in, r.r_out) for n, r in found.items()} == {
        "pos": ("input", 1, 4),
        "pool": ("lookup", 1, 4),
        "q": ("output", 4, 1),
    }


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (
            {"2.weigth": "output"},
            r"names '2.weigth', which matches none of the 4 tensors. Close names: '2.weight'",
        ),
        ({"zzz*": "output"}, r"matches none of the 4 tensors. The model has '0.weight', '2.weight'"),
        ({"2.weight": "ouput"}, r"role 'ouput', which does not exist. Did you mean 'output'\?"),
    ],
)
def test_misspelt_overrides_are_told(names, text):
    with pytest.raises(RoleError, match=text):
        roles(_tied, TOKENS, names=names)
