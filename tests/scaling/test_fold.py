"""Folded tensors train exactly as explicit forward multipliers do: 20 steps in float64, every optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import pytest
import torch
from torch import optim
from torch.nn.functional import cross_entropy, layer_norm

from similitude.scaling.factors import TrainingFactors, is_matrix, training_factors
from similitude.scaling.optimizers import resolve

N, TOKENS, LENGTH = 8, 11, 6
Tensors = dict[str, torch.Tensor]
# Where the forward pass is multiplied, and the tensors that carry the multiplier instead.
CARRIERS: dict[str, tuple[str, ...]] = {
    "tied head, by the final norm": ("gain", "shift"),
    "untied head": ("head",),
    "attention logits, by the query": ("query", "query_bias"),
    "residual branch, by its end": ("out", "out_bias"),
    "embedding, by the table": ("positions",),
}
ROLE = {"query": "hidden", "key": "hidden", "value": "hidden", "out": "hidden", "head": "output"}
SPECS: dict[str, partial[optim.Optimizer]] = {
    "sgd": partial(optim.SGD, lr=0.2),
    "sgd with weight decay": partial(optim.SGD, lr=0.2, weight_decay=0.05),
    "momentum": partial(optim.SGD, lr=0.05, momentum=0.9, weight_decay=0.05),
    "nesterov": partial(optim.SGD, lr=0.05, momentum=0.9, nesterov=True),
    "adam": partial(optim.Adam, lr=0.02, eps=1e-3),
    "adam amsgrad": partial(optim.Adam, lr=0.02, eps=1e-3, amsgrad=True, foreach=True),
    "adam with L2": partial(optim.Adam, lr=0.02, eps=1e-3, weight_decay=0.05),
    "adamw": partial(optim.AdamW, lr=0.02, eps=1e-3, weight_decay=0.1),
    "adamw fused": partial(optim.AdamW, lr=0.02, eps=1e-3, weight_decay=0.1, fused=True),
    "nadam": partial(optim.NAdam, lr=0.02, eps=1e-3, weight_decay=0.1, decoupled_weight_decay=True),
    "adamax": partial(optim.Adamax, lr=0.02, eps=1e-3),
    "rmsprop": partial(optim.RMSprop, lr=0.005, eps=1e-3, momentum=0.9, centered=True, weight_decay=0.01),
    "adagrad": partial(optim.Adagrad, lr=0.05, eps=1e-3, lr_decay=0.1),
    "muon": partial(optim.Muon, lr=0.02, weight_decay=0.1),
}
ONE = TrainingFactors("", 1.0, 1.0, 1.0, 1.0, "")


def forward(t: Tensors, tokens: torch.Tensor, m: Mapping[str, float]) -> torch.Tensor:
    """A block of attention with a tied and an untied head; `m` multiplies five of its values."""
    x = t["table"][tokens] + m.get("embedding, by the table", 1.0) * t["positions"]
    h = layer_norm(x, (N,))
    q, k, v = h @ t["query"].T + t["query_bias"], h @ t["key"].T, h @ t["value"].T
    scores = m.get("attention logits, by the query", 1.0) * (q @ k.mT) / math.sqrt(N)
    branch = scores.softmax(-1) @ v @ t["out"].T + t["out_bias"]
    x = x + m.get("residual branch, by its end", 1.0) * branch
    tied = m.get("tied head, by the final norm", 1.0) * (
        layer_norm(x, (N,), t["gain"], t["shift"]) @ t["table"].T
    )
    return tied + m.get("untied head", 1.0) * (torch.tanh(x) @ t["head"].T)


def draw(*, ulps: int = 0) -> Tensors:
    """Initial values, each moved away from 0 by so many times its last digit's weight."""
    g = torch.Generator().manual_seed(0)
    shapes = dict.fromkeys(("query", "key", "value", "out"), (N, N))
    shapes |= {"table": (TOKENS, N), "head": (TOKENS, N), "positions": (LENGTH, N)}
    shapes |= dict.fromkeys(("query_bias", "out_bias", "gain", "shift"), (N,))
    return {
        name: torch.randn(shape, generator=g, dtype=torch.float64) * 0.5 * (1 + ulps * 2.0**-52)
        for name, shape in shapes.items()
    }


def losses(
    make: partial[optim.Optimizer],
    factors: Mapping[str, TrainingFactors],
    multipliers: Mapping[str, float],
    clip: float | None = None,
    steps: int = 20,
    ulps: int = 0,
) -> list[float]:
    """Train with explicit `multipliers` and each tensor's `factors`; matrices alone go to Muon."""
    t = {
        name: (tensor * factors.get(name, ONE).scale).requires_grad_()
        for name, tensor in draw(ulps=ulps).items()
    }
    spec = resolve(make)
    rest: partial[optim.Optimizer] = partial(optim.AdamW, lr=0.02, eps=1e-3)
    sides: dict[str, list[dict[str, object]]] = {}
    for name, tensor in t.items():
        muon = spec.family == "orthogonalized"
        side = "rest" if muon and not is_matrix(ROLE.get(name, "vector"), tuple(tensor.shape)) else "own"
        cls = rest if side == "rest" else make
        f, options = factors.get(name, ONE), resolve(cls).defaults
        scaled = {"lr": cls.keywords["lr"] * f.lr, "weight_decay": options["weight_decay"] * f.weight_decay}
        if "eps" in options:
            scaled["eps"] = options["eps"] * f.eps
        sides.setdefault(side, []).append({"params": [tensor], **scaled})
    optimizers = [(rest if side == "rest" else make)(groups) for side, groups in sides.items()]
    g = torch.Generator().manual_seed(1)
    tokens, targets = (torch.randint(TOKENS, (4, LENGTH), generator=g) for _ in range(2))
    trace = []
    for _ in range(steps):
        loss = cross_entropy(forward(t, tokens, multipliers).flatten(0, 1), targets.flatten())
        for tensor in t.values():
            tensor.grad = None
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(list(t.values()), clip)
        for optimizer in optimizers:
            optimizer.step()
        trace.append(loss.item())
    return trace


def folded(name: str, places: Mapping[str, float]) -> dict[str, TrainingFactors]:
    spec = resolve(SPECS[name])
    carried = {tensor: m for place, m in places.items() for tensor in CARRIERS[place]}
    shapes = {tensor: tuple(value.shape) for tensor, value in draw().items()}
    return {
        tensor: training_factors(
            "sp",
            ROLE.get(tensor, "vector"),
            spec,
            r_in=1,
            r_out=1,
            shape=shapes[tensor],
            base_shape=shapes[tensor],
            multiplier=m,
        )
        for tensor, m in carried.items()
    }


@pytest.mark.parametrize("place", [*CARRIERS, "all of them"])
@pytest.mark.parametrize("name", SPECS)
def test_a_folded_multiplier_is_the_explicit_one(name, place):
    # Muon's bfloat16 is exact under powers of two alone.
    values = {p: 2.0 ** -(i + 1) if name == "muon" else 0.3 * (i + 1) for i, p in enumerate(CARRIERS)}
    places = {p: m for p, m in values.items() if place in (p, "all of them")}
    explicit = losses(SPECS[name], {}, places)
    # What 20 steps make of a last digit differs from optimizer to optimizer (NAdam: 1e-12) and is measured, not guessed.
    rounding = max(abs(a - b) for a, b in zip(losses(SPECS[name], {}, places, ulps=1), explicit, strict=True))
    assert losses(SPECS[name], folded(name, places), {}) == pytest.approx(explicit, abs=1e-14 + 8 * rounding)
    assert rounding < 1e-11
    assert explicit[-1] < explicit[0] - 0.05
    assert losses(SPECS[name], {}, {})[-1] != pytest.approx(explicit[-1], abs=1e-3)


def test_muon_rounds_a_multiplier_that_is_no_power_of_two():
    """The law is the same, and bfloat16 makes the difference: far above 1e-12, far below the multiplier's own."""
    places = {"residual branch, by its end": 0.3}
    explicit = losses(SPECS["muon"], {}, places)
    gap = max(
        abs(a - b) for a, b in zip(losses(SPECS["muon"], folded("muon", places), {}), explicit, strict=True)
    )
    unlike = max(abs(a - b) for a, b in zip(losses(SPECS["muon"], {}, {}), explicit, strict=True))
    assert 1e-9 < gap < 0.05 * unlike


@pytest.mark.parametrize("part", ["lr", "eps", "weight_decay"])
def test_every_part_of_the_fold_is_needed(part):
    places = {"untied head": 0.3}
    f = folded("adamw", places)["head"]
    wrong = {"head": TrainingFactors(**{**vars(f), part: 1.0})}
    gap = max(
        abs(a - b)
        for a, b in zip(losses(SPECS["adamw"], wrong, {}), losses(SPECS["adamw"], {}, places), strict=True)
    )
    assert gap > 1e-4


def test_clipping_all_gradients_together_breaks_the_fold():
    places = {"untied head": 0.3}
    explicit = losses(SPECS["adamw"], {}, places, clip=0.5)
    gap = [
        a - b
        for a, b in zip(losses(SPECS["adamw"], folded("adamw", places), {}, clip=0.5), explicit, strict=True)
    ]
    assert max(map(abs, gap)) > 1e-5
