"""The rules of width scaling as a pure table of exponents: paper 17 Tables 3, 8 and 9; paper 7 Condition 1;
paper 14 Section 2.1 (NTP).

Every cell is a power of the fan-in ratio `r_in` and the fan-out ratio `r_out` (target over base; 1 for a side
that does not grow). Forward multipliers are folded into initialization, learning rate and eps, so the model's
own forward pass stays as it is. `docs/rules.md` derives every cell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from similitude.core.citation import cites
from similitude.core.errors import PlanError, RoleError

RULES = ("mup", "sp", "ntp", "mean_field", "spectral", "u_mup")
"""The rules of the papers; `TABLE` also has those that `similitude.register_rule` added."""
ROLES = ("input", "lookup", "vector", "hidden", "bottleneck", "output", "finite")
FAMILIES = ("sgd", "entrywise", "orthogonalized")
WEIGHT_DECAYS = ("independent", "decoupled")
"""What stays while the learning rate is scaled: its product with the weight decay, or the decay's own number."""

Sizes = tuple[float, float]


class Power(NamedTuple):
    """The number `r_in**fan_in * r_out**fan_out`."""

    fan_in: float = 0.0
    fan_out: float = 0.0

    def __call__(self, r_in: float, r_out: float) -> float:
        """Evaluate the power."""
        return r_in**self.fan_in * r_out**self.fan_out

    def __str__(self) -> str:
        parts = [
            f"{side}^{exponent:g}"
            for side, exponent in (("r_in", self.fan_in), ("r_out", self.fan_out))
            if exponent
        ]
        return " ".join(parts) or "1"

    def numbers(self, r_in: float, r_out: float) -> str:
        """Write the power with its ratios in place, e.g. "4^-0.5"; empty where it is 1 whatever they are."""
        sides = ((r_in, self.fan_in), (r_out, self.fan_out))
        return " x ".join(f"{ratio:.6g}^{exponent:g}" for ratio, exponent in sides if exponent)


_ONE = Power()


@dataclass(frozen=True)
class Cell:
    """One row of a rule's table: powers for the init's standard deviation, the learning rate of each family
    of optimizers, and Adam's eps.

    Attributes:
        init: Standard deviation; None where a rule leaves the user's own init as it is.
        sgd: Learning rate of the family of that name, as are `entrywise` and `orthogonalized`.
        entrywise: See `sgd`.
        orthogonalized: See `sgd`.
        eps: Size of one entry of the raw gradient, which Adam's eps is compared with.
        spectral: Whether the init is lowered for a matrix whose output side grows more slowly than its input
            side, so that its spectral norm follows sqrt(fan_out / fan_in).
    """

    init: Power | None
    sgd: Power
    entrywise: Power
    orthogonalized: Power
    eps: Power
    spectral: bool = False

    def lr(self, family: str) -> Power:
        """Return the power of the learning rate for one of `FAMILIES`."""
        return {"sgd": self.sgd, "entrywise": self.entrywise, "orthogonalized": self.orthogonalized}[family]

    def eps_of(self, family: str) -> Power:
        """Return the power of eps: SGD has none, and Muon's is compared with the whole gradient's norm."""
        if family == "entrywise":
            return self.eps
        if family == "sgd" or self.init is None or self == _FINITE:
            return _ONE
        return Power(self.eps.fan_in + 0.5, self.eps.fan_out + 0.5)


_FINITE = Cell(_ONE, _ONE, _ONE, _ONE, _ONE)
_AS_IT_IS = Cell(None, _ONE, _ONE, _ONE, _ONE)
# sigma(W) = sigma(dW) = sqrt(fan_out / fan_in); every cell of muP but the folded head's is a case of it.
_SPECTRAL = Cell(
    Power(-0.5, 0), Power(-1, 1), Power(-1, 0), Power(-0.5, 0.5), eps=Power(0, -1), spectral=True
)
# A lookup and a vector act on a one-hot or constant input, so both are inputs with a fan-in that does not
# grow.
_MUP_INPUT = Cell(_ONE, Power(0, 1), _ONE, Power(0, 0.5), eps=Power(0, -1))
_MUP_OUTPUT = Cell(Power(-1, 0), Power(-1, 0), Power(-1, 0), Power(-0.5, 0), eps=_ONE)
_NTP_INPUT = Cell(_ONE, _ONE, Power(0, -0.5), _ONE, eps=Power(0, -0.5))
_NTP_HIDDEN = Cell(Power(-0.5, 0), Power(-1, 0), Power(-1, -0.5), Power(-0.5, 0), eps=Power(0, -0.5))
_NTP_OUTPUT = Cell(Power(-0.5, 0), Power(-1, 0), Power(-1, 0), Power(-0.5, 0), eps=_ONE)
_MUP = {
    "input": _MUP_INPUT,
    "lookup": _MUP_INPUT,
    "vector": _MUP_INPUT,
    "hidden": _SPECTRAL,
    # Its output is an activation that must not vanish, so it starts at fan-in scale: no exact rule exists.
    "bottleneck": replace(_SPECTRAL, spectral=False),
    "output": _MUP_OUTPUT,
    "finite": _FINITE,
}

TABLE: dict[str, dict[str, Cell]] = {
    "mup": _MUP,
    "sp": dict.fromkeys(ROLES, _AS_IT_IS),
    "ntp": {
        "input": _NTP_INPUT,
        "lookup": _NTP_INPUT,
        "vector": _NTP_INPUT,
        "hidden": _NTP_HIDDEN,
        "bottleneck": _NTP_HIDDEN,
        "output": _NTP_OUTPUT,
        "finite": _FINITE,
    },
    "mean_field": {
        **_MUP,
        "hidden": replace(_SPECTRAL, init=Power(-1, 0), spectral=False),
        "bottleneck": replace(_SPECTRAL, init=Power(-1, 0), spectral=False),
    },
    "spectral": dict.fromkeys(ROLES, _SPECTRAL),
    # As unit-scaled muP has it: lr of tables by r_out^-1/2 over muP's; published for Adam alone, the others alike.
    "u_mup": {
        **_MUP,
        "lookup": replace(_MUP_INPUT, sgd=Power(0, 0.5), entrywise=Power(0, -0.5), orthogonalized=_ONE),
    },
}

KERNEL = {"ntp"}
"""Rules under which features move as width^-1/2; registered ones join."""

_REMARKS = {
    ("mup", "bottleneck"): (
        "a bottleneck in a wide network has no exact muP: fan-in init keeps its activations, and "
        "their change drifts with width"
    ),
    ("mean_field", "hidden"): (
        "the mean-field limit is meant for one hidden layer: every hidden matrix shrinks the signal by "
        "r_in^-0.5 at the start, so more than one degenerates"
    ),
    ("u_mup", "lookup"): (
        "unit-scaled muP trains tables slower than muP by r_out^-0.5, a rule found by experiment: what a step changes in "
        "them falls with the width"
    ),
}


@dataclass(frozen=True)
class Factors:
    """What multiplies the base's values. `init` is None where a rule leaves the user's own init as it is.

    `weight_decay` is meant for optimizers that shrink a weight by lr x weight decay (SGD, AdamW, Muon).

    Attributes:
        init: Standard deviation of the initial values.
        lr: Learning rate.
        eps: The optimizer's eps.
        weight_decay: Weight decay.
        why: Each factor with its formula and numbers.
        scale: The part of `init` that multiplies the user's own initial values whatever their law, constants
            included: the folded forward multipliers.
    """

    init: float | None
    lr: float
    eps: float
    weight_decay: float
    why: str
    scale: float = 1.0


@cites(17, "Tables 3, 8 and 9")
@cites(14, "Section 2.1, NTP and muP as abcd-parametrizations")
@cites(7, "Condition 1 and Parametrization 1")
def factors(
    rule: str,
    role: str,
    family: str,
    *,
    r_in: float,
    r_out: float,
    fan_in: Sizes | None = None,
    fan_out: Sizes | None = None,
    weight_decay: str = "independent",
) -> Factors:
    """Look up how one tensor is initialized and trained, relative to the base.

    Args:
        rule: One of `RULES`, or one that was registered.
        role: One of `ROLES`. The rule "spectral" needs none and treats all alike.
        family: One of `FAMILIES`: "sgd" (with or without momentum), "entrywise" (Adam, AdamW) or
            "orthogonalized" (Muon).
        r_in: Fan-in of the target over fan-in of the base; 1 where it does not grow.
        r_out: The same for the fan-out.
        fan_in: Fan-in at base and target, in entries, as the rule "spectral" uses; (1, 1) for lookups and
            vectors. Without it that rule knows the ratios only, as if the base's sides were equal.
        fan_out: The same for the fan-out.
        weight_decay: One of `WEIGHT_DECAYS`: "independent" keeps lr x weight decay fixed, "decoupled" the number.

    Returns:
        Factors on init (standard deviation), learning rate, eps and weight decay.

    Raises:
        PlanError: The rule, the family or the kind of weight decay does not exist, or a ratio or fan is not positive.
        RoleError: The role is not in the table.

    Example:
        >>> f = factors("mup", "hidden", "entrywise", r_in=4, r_out=4)
        >>> f.init, f.lr, f.eps, f.weight_decay
        (0.5, 0.25, 0.25, 4.0)
        >>> factors("spectral", "input", "sgd", r_in=1, r_out=4, fan_in=(16, 16), fan_out=(16, 64)).lr
        4.0
    """
    known_weight_decay(weight_decay)
    _check(rule, role, family, {"r_in": (r_in,), "r_out": (r_out,), "fan_in": fan_in, "fan_out": fan_out})
    fans = (fan_in, fan_out) if rule == "spectral" and fan_in and fan_out else None
    if fans:
        r_in, r_out = (side[1] / side[0] for side in fans)
    cell = TABLE[rule][role]
    if cell.init is None:
        return Factors(None, 1.0, 1.0, 1.0, f"{rule} leaves everything as it is")
    init, init_why = cell.init(r_in, r_out), _show("init", cell.init, r_in, r_out)
    if fans:
        init, init_why = _spectral_std(*fans)
    elif cell.spectral and r_out < r_in:
        init *= (r_out / r_in) ** 0.5
        init_why = f"init x {cell.init} (r_out / r_in)^0.5 = {init:.6g}"
    power, eps_power = cell.lr(family), cell.eps_of(family)
    lr, eps = power(r_in, r_out), eps_power(r_in, r_out)
    parts = [init_why, _show("lr", power, r_in, r_out)]
    parts += [_show("eps", eps_power, r_in, r_out)] if family != "sgd" else []
    decoupled = weight_decay == "decoupled"
    decay = 1.0 if decoupled else 1.0 / lr
    parts += ["weight decay x 1 (decoupled)" if decoupled else f"weight decay x 1/lr = {decay:.6g}"]
    remark = _REMARKS.get((rule, role))
    why = f"{rule}, {role}, {family}: {', '.join(parts)}" + (f" ({remark})" if remark else "")
    return Factors(init, lr, eps, decay, why)


def known_rule(rule: str) -> str:
    """Return the rule if there is one of its name, of the papers or registered.

    Raises:
        PlanError: There is none.
    """
    if not isinstance(rule, str) or rule not in TABLE:
        raise PlanError(
            f"rule {rule!r} is unknown. Choose one of {', '.join(map(repr, TABLE))}, or register your own: "
            "similitude.register_rule."
        )
    return rule


def known_weight_decay(kind: str) -> str:
    """Return the kind of weight decay if there is one of its name.

    Raises:
        PlanError: There is none.
    """
    if kind not in WEIGHT_DECAYS:
        given = kind if isinstance(kind, int | float) else 0.1
        raise PlanError(
            f"weight_decay={kind!r} is no kind of weight decay. Choose 'independent' (learning rate x weight decay "
            "stays) or 'decoupled' (the number stays); the number itself goes to the groups: plan.groups(model, lr=..., "
            f"weight_decay={given!r})."
        )
    return kind


@cites(17, "Lemma J.1, the abc-symmetry")
def fold(factors: Factors, family: str, multiplier: float) -> Factors:
    """Move a constant forward multiplier of a tensor into its init, learning rate, eps and weight decay.

    A tensor that is used as `multiplier * W` trains exactly as the tensor `multiplier * W` itself does with
    these factors: the gradient of the latter is 1 / multiplier times that of the former.

    Args:
        factors: Factors of the tensor under an explicit multiplier.
        family: One of `FAMILIES`.
        multiplier: What every use of the tensor is multiplied by; positive.

    Returns:
        Factors of the folded tensor. Where `init` is None it stays None, and `scale` alone says what the
        user's own values are multiplied by.

    Raises:
        PlanError: The family is unknown, or the multiplier is not a positive number.

    Example:
        >>> f = fold(Factors(1.0, 1.0, 1.0, 1.0, "as it is"), "sgd", 0.5)
        >>> f.init, f.lr, f.eps, f.weight_decay
        (0.5, 0.25, 1.0, 4.0)
    """
    _check_family(family)
    if not 0 < multiplier < float("inf"):
        raise PlanError(f"a forward multiplier of {multiplier!r} cannot be folded. It must be positive.")
    if multiplier == 1.0:
        return factors
    m, lr, eps, decay = f"{multiplier:.6g}", multiplier, 1 / multiplier, 1 / multiplier
    why = f"init x {m}, lr x {m}, eps / {m}, weight decay / {m}"
    if family == "sgd":
        lr, eps, decay = multiplier**2, 1.0, 1 / multiplier**2
        why = f"init x {m}, lr x {m}^2, weight decay / {m}^2"
    return Factors(
        None if factors.init is None else factors.init * multiplier,
        factors.lr * lr,
        factors.eps * eps,
        factors.weight_decay * decay,
        f"{factors.why}; forward multiplier {m} folded: {why}",
        factors.scale * multiplier,
    )


def _spectral_std(fan_in: Sizes, fan_out: Sizes) -> tuple[float, str]:
    """Ratio of min(1, sqrt(fo / fi)) / sqrt(fi) = sqrt(min(fi, fo)) / fi between target and base."""
    narrow = min(fan_in[1], fan_out[1]) / min(fan_in[0], fan_out[0])
    value = narrow**0.5 * (fan_in[0] / fan_in[1])
    (i0, i1), (o0, o1) = fan_in, fan_out
    return value, (
        f"init from fi^-0.5 min(1, (fo/fi)^0.5) at {i0:g} in, {o0:g} out to the same at {i1:g} in, {o1:g} out "
        f"= {value:.6g}"
    )


def _show(name: str, power: Power, r_in: float, r_out: float) -> str:
    numbers = power.numbers(r_in, r_out)
    return f"{name} x {power} = {numbers} = {power(r_in, r_out):.6g}" if numbers else f"{name} x 1"


def _check(rule: str, role: str, family: str, sizes: dict[str, tuple[float, ...] | None]) -> None:
    known_rule(rule)
    if role not in ROLES:
        raise RoleError(f"role {role!r} is unknown. Choose one of {', '.join(map(repr, ROLES))}.")
    _check_family(family)
    for name, values in sizes.items():
        if values is not None and not all(0 < value < float("inf") for value in values):
            raise PlanError(
                f"{name} = {', '.join(map(str, values))} of a {role} tensor must be positive: a side of a "
                "tensor has at least one entry at the base and at the target."
            )


def _check_family(family: str) -> None:
    if family not in FAMILIES:
        raise PlanError(
            f"optimizer family {family!r} is unknown. Choose one of {', '.join(map(repr, FAMILIES))}."
        )
