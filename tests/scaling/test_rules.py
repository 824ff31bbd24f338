"""The table of rules against measured growth, explicit multipliers, and its own laws."""

from __future__ import annotations

from collections.abc import Callable

import growth_oracle as oracle
import pytest
import torch

from similitude.core.citation import cite
from similitude.core.errors import PlanError, RoleError
from similitude.scaling.rules import FAMILIES, ROLES, RULES, factors

WIDTHS = (64, 192, 512)
# Steps small enough for a linear response of the network; eps of the size of a gradient entry at the base.
STEPS: dict[str, tuple[float, float]] = {"sgd": (1e-4, 0.0), "entrywise": (1e-7, 3e-3)}


def _factors(rule: str, name: str, family: str, width: int):
    r = width / oracle.BASE
    role = oracle.ROLE_OF[name]
    r_in = r if role in ("hidden", "output") else 1.0
    r_out = r if role in ("input", "lookup", "vector", "hidden") else 1.0
    return factors(rule, role, family, r_in=r_in, r_out=r_out)


def _measure(rule: str, name: str, family: str, *, scale_eps: bool = True) -> oracle.Growth:
    lr, eps = STEPS[family]

    def step(tensor: torch.Tensor, width: int) -> torch.optim.Optimizer:
        f = _factors(rule, name, family, width)
        if family == "sgd":
            return torch.optim.SGD([tensor], lr=lr * f.lr, momentum=0.9)
        return torch.optim.Adam([tensor], lr=lr * f.lr, eps=eps * (f.eps if scale_eps else 1.0))

    def init(tensor: str, width: int) -> float:
        return _factors(rule, tensor, family, width).init or 1.0

    return oracle.growth(name, widths=WIDTHS, seeds=8, init=init, step=step)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", oracle.ROLE_OF)
@pytest.mark.parametrize(("rule", "features"), [("mup", 0.0), ("ntp", -0.5)])
def test_every_tensor_moves_the_output_alike_at_every_width(rule, features, name, family):
    measured = _measure(rule, name, family)
    assert abs(measured.logits) < 0.12, measured
    if oracle.ROLE_OF[name] not in ("output", "finite"):
        assert abs(measured.features - features) < 0.12, measured


@pytest.mark.parametrize("name", ["table", "first", "shift", "middle"])
def test_an_eps_that_is_not_scaled_freezes_wide_layers(name):
    assert _measure("mup", name, "entrywise", scale_eps=False).logits < -0.2


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", RULES)
def test_at_the_base_every_factor_is_exactly_one(rule, role, family):
    f = factors(rule, role, family, r_in=1.0, r_out=1.0)
    assert f.init in (None, 1.0)
    assert (f.lr, f.eps, f.weight_decay) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", ["mup", "ntp"])
def test_two_steps_of_a_plan_make_one(rule, role, family):
    def at(r: float):
        return factors(rule, role, family, r_in=r, r_out=r)

    for part in ("init", "lr", "eps", "weight_decay"):
        assert getattr(at(2.0), part) * getattr(at(4.0), part) == pytest.approx(
            getattr(at(8.0), part), rel=1e-14
        )


def test_published_numbers():
    """Paper 17, Table 3 with a ratio of 4; paper 7 for a matrix whose sides grow differently."""
    hidden = factors("mup", "hidden", "entrywise", r_in=4, r_out=4)
    assert (hidden.init, hidden.lr, hidden.eps, hidden.weight_decay) == (0.5, 0.25, 0.25, 4.0)
    assert factors("mup", "hidden", "sgd", r_in=4, r_out=4).lr == 1.0
    head = factors("mup", "output", "sgd", r_in=4, r_out=1)
    assert (head.init, head.lr, head.eps, head.weight_decay) == (0.25, 0.25, 1.0, 4.0)
    assert factors("mup", "vector", "sgd", r_in=1, r_out=4).lr == 4.0
    assert factors("mup", "lookup", "entrywise", r_in=1, r_out=4).eps == 0.25
    uneven = factors("mup", "hidden", "sgd", r_in=16, r_out=4)
    assert (uneven.init, uneven.lr) == (0.125, 0.25)


def test_sp_touches_nothing():
    f = factors("sp", "hidden", "entrywise", r_in=4, r_out=4)
    assert (f.init, f.lr, f.eps, f.weight_decay) == (None, 1.0, 1.0, 1.0)


Make = Callable[..., torch.optim.Optimizer]
OPTIMIZERS: dict[str, tuple[str, Make, dict[str, float]]] = {
    "sgd": ("sgd", torch.optim.SGD, {}),
    "sgd with weight decay": ("sgd", torch.optim.SGD, {"weight_decay": 0.1}),
    "momentum": ("sgd", lambda p, **k: torch.optim.SGD(p, momentum=0.9, nesterov=True, **k), {}),
    "adam": ("entrywise", torch.optim.Adam, {"eps": 1e-3}),
    "adamw": ("entrywise", torch.optim.AdamW, {"eps": 1e-3, "weight_decay": 0.1}),
}
# Multiplier form, from the papers: forward multiplier, then lr and eps factors of the unfolded tensor, as
# powers of the ratio. Weight decay of the unfolded tensor keeps lr x weight decay.
UNFOLDED = {
    ("mup", "output", "sgd"): (-1.0, 1.0, 0.0),
    ("mup", "output", "entrywise"): (-1.0, 0.0, -1.0),
    ("ntp", "hidden", "sgd"): (-0.5, 0.0, 0.0),
    ("ntp", "hidden", "entrywise"): (-0.5, -1.0, -1.0),
    ("ntp", "output", "sgd"): (-0.5, 0.0, 0.0),
    ("ntp", "output", "entrywise"): (-0.5, -0.5, -0.5),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("rule", "role"), sorted({key[:2] for key in UNFOLDED}))
def test_folding_equals_an_explicit_forward_multiplier(rule, role, optimizer):
    family, make, options = OPTIMIZERS[optimizer]
    r, lr = 3.0, 0.05
    a, c, d = UNFOLDED[rule, role, family]
    folded = factors(rule, role, family, r_in=r, r_out=r if role == "hidden" else 1.0)
    unfolded_lr = r**c
    losses = []
    for multiplier, init, lr_factor, eps_factor, decay_factor in (
        (r**a, 1.0, unfolded_lr, r**d, 1 / unfolded_lr),
        (1.0, folded.init, folded.lr, folded.eps, folded.weight_decay),
    ):
        g = torch.Generator().manual_seed(0)
        x, y = (torch.randn(7, 5, generator=g, dtype=torch.float64) for _ in range(2))
        weight = (torch.randn(5, 5, generator=g, dtype=torch.float64) * init).requires_grad_()
        scaled = {k: v * {"eps": eps_factor, "weight_decay": decay_factor}[k] for k, v in options.items()}
        stepper = make([weight], lr=lr * lr_factor, **scaled)
        trace = []
        for _ in range(10):
            loss = (torch.tanh(multiplier * (x @ weight.T)) - y).square().mean()
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            trace.append(loss.item())
        losses.append(trace)
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    assert losses[0][-1] < losses[0][0]


def test_unknown_names_are_told():
    with pytest.raises(PlanError, match=r"rule 'mp' is unknown\. Choose one of 'mup', 'sp', 'ntp'"):
        factors("mp", "hidden", "sgd", r_in=1, r_out=1)
    with pytest.raises(RoleError, match="role 'body' is unknown"):
        factors("mup", "body", "sgd", r_in=1, r_out=1)
    with pytest.raises(PlanError, match="family 'spectral' is unknown"):
        factors("mup", "hidden", "spectral", r_in=1, r_out=1)


def test_the_table_cites_its_papers():
    assert {c.paper.number for c in cite(factors)} == {14, 17}
