"""Golden roles of every kind of parameter, refusals with their reasons, and the user's own word."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from similitude import models
from similitude.core.errors import RoleError
from similitude.scaling.axes import compare
from similitude.scaling.roles import RoleResult, infer


def roles(make, base=8, target=32, **names: str) -> dict[str, RoleResult]:
    return {r.name: r for r in infer(compare(make, base, target), names or None)}


def short(make, base=8, target=32) -> dict[str, tuple]:
    return {n: (r.role, r.r_in, r.r_out) for n, r in roles(make, base, target).items()}


def raw(shape) -> nn.Module:
    return nn.ParameterDict({"p": nn.Parameter(torch.zeros(shape))})


MODULES = {
    "linear in": (lambda w: nn.Linear(3, w), {"weight": ("input", 1, 4), "bias": ("vector", 1, 4)}),
    "linear through": (lambda w: nn.Linear(w, 4 * w), {"weight": ("hidden", 4, 4), "bias": ("vector", 1, 4)}),
    "linear out": (lambda w: nn.Linear(w, 3), {"weight": ("output", 4, 1), "bias": ("finite", 1, 1)}),
    "linear fixed": (
        lambda w: nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(w, 3, bias=False)),
        {"0.weight": ("finite", 1, 1), "1.weight": ("output", 4, 1)},
    ),
    "conv in": (lambda w: nn.Conv2d(3, w, 3, bias=False), {"weight": ("input", 1, 4)}),
    "conv through": (lambda w: nn.Conv1d(w, 2 * w, 5, bias=False), {"weight": ("hidden", 4, 4)}),
    "conv out": (lambda w: nn.Conv3d(w, 2, 1, bias=False), {"weight": ("output", 4, 1)}),
    "depthwise": (lambda w: nn.Conv2d(w, w, 3, groups=w, bias=False), {"weight": ("input", 1, 4)}),
    "grouped": (lambda w: nn.Conv2d(w, w, 3, groups=4, bias=False), {"weight": ("hidden", 4, 4)}),
    "growing groups": (
        lambda w: nn.Conv2d(w, w, 3, groups=2 if w == 8 else 4, bias=False),
        {"weight": (None, 1, 1)},
    ),
    "transposed in": (lambda w: nn.ConvTranspose2d(3, w, 3, bias=False), {"weight": ("input", 1, 4)}),
    "transposed through": (lambda w: nn.ConvTranspose1d(w, w, 3, bias=False), {"weight": ("hidden", 4, 4)}),
    "transposed out": (lambda w: nn.ConvTranspose2d(w, 3, 3, bias=False), {"weight": ("output", 4, 1)}),
    "transposed depthwise": (
        lambda w: nn.ConvTranspose2d(w, w, 3, groups=w, bias=False),
        {"weight": ("input", 1, 4)},
    ),
    "embedding": (lambda w: nn.Embedding(7, w), {"weight": ("lookup", 1, 4)}),
    "embedding bag": (lambda w: nn.EmbeddingBag(7, w), {"weight": ("lookup", 1, 4)}),
    "layer norm": (lambda w: nn.LayerNorm(w), {"weight": ("vector", 1, 4), "bias": ("vector", 1, 4)}),
    "rms norm": (lambda w: nn.RMSNorm(w), {"weight": ("vector", 1, 4)}),
    "batch norm": (lambda w: nn.BatchNorm2d(w), {"weight": ("vector", 1, 4), "bias": ("vector", 1, 4)}),
    "group norm": (lambda w: nn.GroupNorm(2, w), {"weight": ("vector", 1, 4), "bias": ("vector", 1, 4)}),
    "instance norm": (
        lambda w: nn.InstanceNorm1d(w, affine=True),
        {"weight": ("vector", 1, 4), "bias": ("vector", 1, 4)},
    ),
    "attention": (
        lambda w: nn.MultiheadAttention(w, w // 4, add_bias_kv=True),
        {
            "in_proj_weight": ("hidden", 4, 4),
            "in_proj_bias": ("vector", 1, 4),
            "bias_k": ("vector", 1, 4),
            "bias_v": ("vector", 1, 4),
            "out_proj.weight": ("hidden", 4, 4),
            "out_proj.bias": ("vector", 1, 4),
        },
    ),
    "cross attention to a fixed size": (
        lambda w: nn.MultiheadAttention(w, w // 4, kdim=3, vdim=3, bias=False),
        {
            "q_proj_weight": ("hidden", 4, 4),
            "k_proj_weight": ("input", 1, 4),
            "v_proj_weight": ("input", 1, 4),
            "out_proj.weight": ("hidden", 4, 4),
        },
    ),
    "lstm": (
        lambda w: nn.LSTM(3, w, bias=False, proj_size=2),
        {
            "weight_ih_l0": ("input", 1, 4),
            "weight_hh_l0": ("input", 1, 4),
            "weight_hr_l0": ("output", 4, 1),
        },
    ),
    "gru cell": (
        lambda w: nn.GRUCell(w, w, bias=False),
        {"weight_ih": ("hidden", 4, 4), "weight_hh": ("hidden", 4, 4)},
    ),
    "raw vector": (lambda w: raw(w), {"p": ("vector", 1, 4)}),
    "class token": (lambda w: raw((1, 1, w)), {"p": ("vector", 1, 4)}),
    "position table": (lambda w: raw((1, 16, w)), {"p": ("lookup", 1, 4)}),
    "raw matrix": (lambda w: raw((w, w)), {"p": ("hidden", 4, 4)}),
    "fused queries": (lambda w: raw((w, 3, w)), {"p": ("hidden", 4, 4)}),
    "experts": (lambda w: raw((5, w, 2 * w)), {"p": ("hidden", 4, 4)}),
    "ambiguous matrix": (lambda w: raw((16, w)), {"p": (None, 1, 1)}),
    "three growing sides": (lambda w: raw((w, w, w)), {"p": (None, 1, 1)}),
    "bilinear": (
        lambda w: nn.Bilinear(w, w, 3, bias=False),
        {"weight": (None, 1, 1)},
    ),
    "vocabulary that grows": (lambda w: nn.Embedding(w, w), {"weight": (None, 1, 1)}),
    "kernel that grows": (lambda w: nn.Conv1d(w, w, w // 8, bias=False), {"weight": (None, 1, 1)}),
    "weight norm": (
        lambda w: nn.utils.parametrizations.weight_norm(nn.Linear(w, w, bias=False)),
        {
            "parametrizations.weight.original0": (None, 1, 1),
            "parametrizations.weight.original1": (None, 1, 1),
        },
    ),
}


@pytest.mark.parametrize("case", MODULES)
def test_golden_roles(case):
    make, expected = MODULES[case]
    assert short(make) == expected


def _kind(name: str) -> str:
    """Role by the place in our own reference models, told from names alone."""
    module, _, local = name.rpartition(".")
    if module == "head":
        return "output" if local == "weight" else "finite"
    if name in ("tokens.weight", "positions.weight"):
        return "lookup"
    if local != "weight" or "norm" in module:
        return "vector"
    return "input" if module in ("hidden.0", "layers.0.conv", "stem", "embed") else "hidden"


@pytest.mark.parametrize(
    "make",
    [
        lambda w: models.MLP(10, 3, width=w),
        lambda w: models.ConvNet(3, 10, width=w),
        lambda w: models.ResNet(3, 10, width=w),
        lambda w: models.ViT(8, 1, 10, patch=4, width=w),
        lambda w: models.GPT(11, 8, width=w),
    ],
    ids=["mlp", "convnet", "resnet", "vit", "gpt"],
)
def test_reference_models(make):
    found = roles(make, 32, 128)
    assert {n: r.role for n, r in found.items()} == {n: _kind(n) for n in found}


def test_a_matrix_with_two_dials_is_refused_with_numbers_and_remedy():
    refusal = roles(lambda w: nn.Linear(w, 10 if w == 64 else 1000), 64, 256)["weight"]
    assert refusal.role is None
    assert "could be an output or a hidden matrix" in refusal.evidence
    assert "fan-in 64->256 is x4, fan-out 10->1000 is x100" in refusal.evidence
    assert 'roles={"weight": "output"}' in refusal.evidence


def test_rounded_sizes_are_still_hidden():
    result = roles(lambda w: nn.Linear(w, -(-8 * w // 3 // 16) * 16), 64, 256)["weight"]
    assert (result.role, result.r_in) == ("hidden", 4.0)
    assert result.r_out == pytest.approx(4.0, rel=0.1)


def _tied(width: int) -> nn.Module:
    model = nn.ModuleDict({"tokens": nn.Embedding(7, width), "head": nn.Linear(width, 7, bias=False)})
    model["head"].weight = model["tokens"].weight
    return model


def test_tied_embedding_and_head_are_refused():
    evidence = roles(_tied)["tokens.weight"].evidence
    assert "'tokens.weight' (lookup) and 'head.weight' (output) are tied" in evidence
    assert "tie_word_embeddings=False" in evidence


@pytest.mark.parametrize(
    ("name", "role", "r"), [("head.weight", "output", (4, 1)), ("tok*", "lookup", (1, 4))]
)
def test_a_tied_tensor_takes_the_role_that_the_user_names_by_any_of_its_names(name, role, r):
    (result,) = infer(compare(_tied, 8, 32), {name: role})
    assert (result.role, (result.r_in, result.r_out)) == (role, r)
    assert "set by you" in result.evidence


def test_tensors_tied_in_one_role_are_one():
    def make(w):
        model = nn.Sequential(nn.Linear(w, w, bias=False), nn.Linear(w, w, bias=False))
        model[1].weight = model[0].weight
        return model

    (result,) = roles(make).values()
    assert result.role == "hidden"
    assert "also used as '1.weight'" in result.evidence


def test_exact_names_win_over_globs_and_the_first_glob_wins():
    make = lambda w: nn.ParameterDict({n: torch.zeros(3, w) for n in ("pos", "pool", "q")})  # noqa: E731
    found = infer(compare(make, 8, 32), {"p*": "input", "*": "output", "pool": "lookup"})
    assert {r.name: (r.role, r.r_in, r.r_out) for r in found} == {
        "pos": ("input", 1, 4),
        "pool": ("lookup", 1, 4),
        "q": ("output", 4, 1),
    }


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (
            {"heed.weight": "output"},
            r"names 'heed.weight', which matches none of the 2 tensors. Close names: 'head.weight'",
        ),
        (
            {"zzz*": "output"},
            r"matches none of the 2 tensors. The model has 'tokens.weight', 'head.weight'",
        ),
        ({"head.weight": "ouput"}, r"role 'ouput', which does not exist. Did you mean 'output'\?"),
    ],
)
def test_misspelt_overrides_are_told(names, text):
    with pytest.raises(RoleError, match=text):
        infer(compare(_tied, 8, 32), names)
