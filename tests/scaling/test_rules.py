"""The table of rules against measured growth, spectral norms, and its own laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import growth_oracle as oracle
import pytest
import torch

from similitude.core.citation import cite
from similitude.core.errors import PlanError, RoleError
from similitude.scaling.optimizers import resolve
from similitude.scaling.rules import FAMILIES, ROLES, RULES, TABLE, Factors, factors, fold

WIDTHS = (64, 192, 512)
MUON_WIDTHS = (64, 128, 256)  # ten times as fast: its iteration multiplies whole matrices
Make = Callable[..., torch.optim.Optimizer]
# The learning rate is small enough for a linear response of the network, and eps of the size of the gradient
# (an entry of it, or all of it for Muon) at the base.
MAKERS: dict[str, tuple[Make, float, float]] = {
    "sgd": (lambda p, lr, eps: torch.optim.SGD(p, lr=lr, momentum=0.9), 1e-4, 0.0),
    "entrywise": (lambda p, lr, eps: torch.optim.Adam(p, lr=lr, eps=eps), 1e-7, 3e-3),
    "orthogonalized": (
        lambda p, lr, eps: torch.optim.Muon(p, lr=lr, eps=eps, weight_decay=0.0),
        1e-6,
        1e-2,
    ),
}
ALIKE = ("AdamW", "NAdam", "Adamax", "RMSprop")  # their first steps are those of Adam but for a factor
ENTRYWISE = ("Adam", "AdamW", "NAdam", "Adamax", "RMSprop", "Adagrad")


def _factors(rule: str, name: str, family: str, width: int) -> Factors:
    r = width / oracle.BASE
    role = oracle.ROLE_OF[name]
    r_in = r if role in ("hidden", "output") else 1.0
    r_out = r if role in ("input", "lookup", "vector", "hidden") else 1.0
    return factors(rule, role, family, r_in=r_in, r_out=r_out)


def _measure(rule: str, name: str, family: str, *, scale_eps: bool = True) -> oracle.Growth:
    make, lr, eps = MAKERS[family]

    def step(tensor: torch.Tensor, width: int) -> torch.optim.Optimizer:
        f = _factors(rule, name, family, width)
        # A lookup is stored with its sides swapped; Muon's own scale follows the storage, so it is taken out.
        own = math.sqrt(max(1.0, tensor.shape[0] / tensor.shape[-1])) if family == "orthogonalized" else 1.0
        return make([tensor], lr=lr * f.lr / own, eps=eps * (f.eps if scale_eps else 1.0))

    def init(tensor: str, width: int) -> float:
        return _factors(rule, tensor, family, width).init or 1.0

    widths = MUON_WIDTHS if family == "orthogonalized" else WIDTHS
    return oracle.growth(name, widths=widths, seeds=8, init=init, step=step)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", [n for n in oracle.ROLE_OF if n != "offset"])
@pytest.mark.parametrize(("rule", "features"), [("mup", 0.0), ("ntp", -0.5)])
def test_every_tensor_moves_the_output_alike_at_every_width(rule, features, name, family):
    measured = _measure(rule, name, family)
    assert abs(measured.logits) < 0.12, measured
    if oracle.ROLE_OF[name] != "output":
        assert abs(measured.features - features) < 0.12, measured


def test_a_tensor_that_does_not_grow_needs_nothing():
    assert abs(_measure("mup", "offset", "sgd").logits) < 1e-9


@pytest.mark.parametrize("name", ["table", "first", "shift", "middle"])
def test_an_eps_that_is_not_scaled_freezes_wide_layers(name):
    assert _measure("mup", name, "entrywise", scale_eps=False).logits < -0.2


SIDES: dict[str, tuple[str, Callable[[int], int], Callable[[int], int]]] = {
    "square": ("hidden", lambda n: n, lambda n: n),
    "wide": ("hidden", lambda n: n, lambda n: 4 * n),
    "tall": ("hidden", lambda n: 4 * n, lambda n: n),
    "uneven growth": ("hidden", lambda n: n, lambda n: n * n // 64),
    "input": ("input", lambda n: n, lambda n: 24),
    "vector": ("vector", lambda n: n, lambda n: 1),
    "head": ("output", lambda n: 10, lambda n: n),
    "bottleneck": ("bottleneck", lambda n: 16, lambda n: n),
}


def _sized(rule: str, side: str, family: str, width: int) -> tuple[Factors, int, int]:
    role, rows, columns = SIDES[side]
    fan_in, fan_out = (columns(64), columns(width)), (rows(64), rows(width))
    ratios = {"r_in": fan_in[1] / fan_in[0], "r_out": fan_out[1] / fan_out[0]}
    return factors(rule, role, family, **ratios, fan_in=fan_in, fan_out=fan_out), rows(width), columns(width)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("rule", ["mup", "spectral"])
@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n in ALIKE))
        for n in ("SGD", *ENTRYWISE, "Muon", "Muon match_rms_adamw")
    ],
)
def test_a_step_has_the_same_natural_norm_at_every_width(optimizer, rule, side):
    """Paper 7, Condition 1 with real optimizers: the norm of a step over sqrt(fan-out / fan-in) stays."""
    name, *adjust = optimizer.split()
    options = {"adjust_lr_fn": adjust[0]} if adjust else {}
    cls = getattr(torch.optim, name)
    spec = resolve(lambda p: cls(p, **options))
    norms = []
    for width in (64, 96, 160) if name == "Muon" else (64, 128, 256):
        f, rows, columns = _sized(rule, side, spec.family, width)
        base = SIDES[side][1](64), SIDES[side][2](64)
        lr = f.lr / spec.adjustment(base, (rows, columns))
        # Half the gradient's size, so that a wrong factor on eps shows.
        eps = {"sgd": None, "entrywise": 0.5 / base[0], "orthogonalized": 2 * (base[1] / base[0]) ** 0.5}
        size = eps[spec.family]
        given = options if size is None else {**options, "eps": size * f.eps}
        norms.append(oracle.stepped(rows, columns, lambda w, lr=lr, k=given: cls([w], lr=lr, **k)))
    # Muon's iteration in bfloat16 gives singular values between 0.7 and 1.2 that jump with rounding.
    assert max(norms) / min(norms) < (1.08 if name == "Muon" else 1 + 1e-9), norms


@pytest.mark.parametrize("side", SIDES)
def test_the_spectral_init_follows_the_sides(side):
    """The natural norm of a random matrix is 1 + sqrt(shorter / longer side) times its std over the rule's."""
    _, rows, columns = SIDES[side]
    std = min(1.0, (rows(64) / columns(64)) ** 0.5) / columns(64) ** 0.5
    for width in (64, 128, 256):
        n, m = rows(width), columns(width)
        g = torch.Generator().manual_seed(0)
        draws = [torch.randn(n, m, generator=g, dtype=torch.float64) for _ in range(3)]
        init = _sized("spectral", side, "sgd", width)[0].init
        assert init is not None
        norm = sum(oracle.natural_norm(draw * std * init) for draw in draws) / 3
        assert norm == pytest.approx(1 + (min(n, m) / max(n, m)) ** 0.5, rel=0.15)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", RULES)
def test_at_the_base_every_factor_is_exactly_one(rule, role, family):
    for fans in ({}, {"fan_in": (48.0, 48.0), "fan_out": (7.0, 7.0)}):
        f = factors(rule, role, family, r_in=1.0, r_out=1.0, **fans)
        assert f.init in (None, 1.0)
        assert (f.lr, f.eps, f.weight_decay, f.scale) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", [r for r in RULES if r != "sp"])
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
    narrow = factors("mup", "bottleneck", "entrywise", r_in=4, r_out=1)
    assert (narrow.init, narrow.lr) == (0.5, 0.25)
    assert "no exact muP" in narrow.why


@pytest.mark.parametrize(
    ("role", "r_in", "r_out", "lr"),
    [("hidden", 16, 4, 0.5), ("bottleneck", 16, 1, 0.25), ("output", 16, 1, 0.25), ("input", 1, 16, 4.0)],
)
def test_orthogonalized_steps_go_by_the_root_of_the_sides(role, r_in, r_out, lr):
    assert factors("mup", role, "orthogonalized", r_in=r_in, r_out=r_out).lr == lr


def test_sp_touches_nothing():
    for family in FAMILIES:
        f = factors("sp", "hidden", family, r_in=4, r_out=4)
        assert (f.init, f.lr, f.eps, f.weight_decay) == (None, 1.0, 1.0, 1.0)


def test_mean_field_is_mup_but_for_the_init_inside():
    """With one hidden layer (no hidden matrix) they are the same; a hidden matrix shrinks the signal."""
    for role in set(ROLES) - {"hidden", "bottleneck"}:
        assert TABLE["mean_field"][role] == TABLE["mup"][role]
    hidden = factors("mean_field", "hidden", "sgd", r_in=4, r_out=4)
    assert hidden.init == 0.25
    assert hidden.lr == factors("mup", "hidden", "sgd", r_in=4, r_out=4).lr
    assert "more than one degenerates" in hidden.why

    def features(width: int) -> float:
        r = width / oracle.BASE
        middle = factors("mean_field", "hidden", "sgd", r_in=r, r_out=r).init or 0.0
        tensors = oracle.draw(width, lambda name: middle if name == "middle" else 1.0, 0)
        x = torch.randn(16, oracle.INPUTS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return float(oracle.network(tensors, x, torch.arange(16) % 5)[1].square().mean().sqrt())

    widths = (512, 1024, 2048)
    assert oracle.slope(widths, [math.log(features(w)) for w in widths]) == pytest.approx(-0.5, abs=0.1)


def test_spectral_uses_the_sides_themselves():
    """An input of 256 entries is still wider than a base of 64, so its init rises until the sides meet."""
    f = factors("spectral", "input", "entrywise", r_in=1, r_out=16, fan_in=(256, 256), fan_out=(64, 1024))
    assert (f.init, f.lr, f.eps) == (2.0, 1.0, 1 / 16)
    assert factors("spectral", "input", "entrywise", r_in=1, r_out=16).init == 1.0
    head = factors("spectral", "output", "sgd", r_in=4, r_out=1, fan_in=(64, 256), fan_out=(10, 10))
    assert (head.init, head.lr) == (0.25, 0.25)
    kinds = {
        factors("spectral", role, "sgd", r_in=4, r_out=2, fan_in=(8, 32), fan_out=(8, 16)).init
        for role in ROLES
    }
    assert len(kinds) == 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", RULES)
def test_powers_of_four_are_exact(rule, role, family):
    f = factors(rule, role, family, r_in=4.0, r_out=16.0, fan_in=(10, 40), fan_out=(24, 384))
    for value in (f.init or 1.0, f.lr, f.eps, f.weight_decay):
        assert math.log2(value) == round(math.log2(value))


def test_the_reason_has_every_number():
    why = factors("mup", "hidden", "entrywise", r_in=4, r_out=2).why
    assert "init x r_in^-0.5 (r_out / r_in)^0.5 = 0.353553" in why
    assert "lr x r_in^-1 = 4^-1 = 0.25" in why
    assert "eps x r_out^-1 = 2^-1 = 0.5" in why
    assert "weight decay x 1/lr = 4" in why


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("sgd", (0.5, 0.25, 1.0, 4.0)),
        ("entrywise", (0.5, 0.5, 2.0, 2.0)),
        ("orthogonalized", (0.5, 0.5, 2.0, 2.0)),
    ],
)
def test_fold_moves_a_multiplier_into_everything(family, expected):
    one = Factors(1.0, 1.0, 1.0, 1.0, "as it is")
    f = fold(one, family, 0.5)
    assert (f.init, f.lr, f.eps, f.weight_decay) == expected
    assert f.scale == 0.5
    assert "forward multiplier 0.5 folded" in f.why
    assert fold(f, family, 2.0) == Factors(1.0, 1.0, 1.0, 1.0, fold(f, family, 2.0).why)
    assert fold(one, family, 1.0) is one
    untouched = fold(Factors(None, 1.0, 1.0, 1.0, "sp"), family, 0.5)
    assert (untouched.init, untouched.scale) == (None, 0.5)


def test_the_head_of_mup_is_a_folded_output_multiplier():
    """Paper 17: Table 8 (forward 1 / r, lr x r for SGD and x 1 for Adam, eps / r) folds into Table 3."""
    for family, unfolded in (("sgd", Factors(1, 4, 1, 0.25, "")), ("entrywise", Factors(1, 1, 0.25, 1, ""))):
        a, b = fold(unfolded, family, 0.25), factors("mup", "output", family, r_in=4, r_out=1)
        assert (a.init, a.lr, a.eps, a.weight_decay) == (b.init, b.lr, b.eps, b.weight_decay)


def test_unknown_names_and_impossible_numbers_are_told():
    with pytest.raises(PlanError, match=r"rule 'mp' is unknown\. Choose one of 'mup', 'sp', 'ntp'"):
        factors("mp", "hidden", "sgd", r_in=1, r_out=1)
    with pytest.raises(RoleError, match="role 'body' is unknown"):
        factors("mup", "body", "sgd", r_in=1, r_out=1)
    with pytest.raises(PlanError, match="family 'spectral' is unknown"):
        factors("mup", "hidden", "spectral", r_in=1, r_out=1)
    with pytest.raises(PlanError, match=r"r_in = 0 of a hidden tensor must be positive"):
        factors("mup", "hidden", "sgd", r_in=0, r_out=1)
    with pytest.raises(PlanError, match=r"fan_out = 8, nan of a hidden tensor must be positive"):
        factors("spectral", "hidden", "sgd", r_in=1, r_out=1, fan_in=(8, 8), fan_out=(8, math.nan))
    with pytest.raises(PlanError, match="family 'adam' is unknown"):
        fold(Factors(1.0, 1.0, 1.0, 1.0, ""), "adam", 0.5)
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(PlanError, match="cannot be folded"):
            fold(Factors(1.0, 1.0, 1.0, 1.0, ""), "sgd", bad)


def test_the_table_cites_its_papers():
    assert {c.paper.number for c in cite(factors)} == {7, 14, 17}
    assert {c.paper.number for c in cite(fold)} == {17}
