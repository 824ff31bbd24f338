"""abcd-parametrizations: how multiplier, init, learning rate and gradient scale of every kind of tensor go with the
width; paper 14 Section 2.1, and Yang and Hu's abc-parametrizations (arXiv 2011.14522) for SGD.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from similitude.core.citation import cites
from similitude.core.errors import PlanError, RoleError
from similitude.scaling.rules import FAMILIES, ROLES

NAMES = ("sp", "ntp", "mup", "mean_field", "naive_mean_field")
"""Parametrizations that have a name; "mean_field" is the one of a single hidden layer, "naive_mean_field" its
continuation to more."""

Exponent = Fraction | int
_HALF = Fraction(1, 2)
# Exponents of the width in the fan-in and the fan-out of every role.
_SIDES: Mapping[str, tuple[int, int]] = {
    "input": (0, 1),
    "lookup": (0, 1),
    "vector": (0, 1),
    "hidden": (1, 1),
    "bottleneck": (1, 0),
    "output": (1, 0),
    "finite": (0, 0),
}


@dataclass(frozen=True)
class Layer:
    """One kind of tensor at width n: used as n^-a w, drawn with standard deviation n^-b, trained at lr x n^-c.

    Attributes:
        role: One of `similitude.scaling.rules.ROLES`.
        family: One of `similitude.scaling.rules.FAMILIES`: which optimizer trains it.
        a: Exponent of the forward multiplier.
        b: Exponent of the initial standard deviation; None for a tensor that starts at zero.
        c: Exponent of the learning rate.
        d: The gradient is multiplied by n^d before the optimizer sees it; Adam's eps x n^-d is the same.
        fan_in: Exponent of the width in the side that is contracted.
        fan_out: The same for the side that is produced.
        names: The tensors, where it stands for some of a model.
    """

    role: str
    family: str
    a: Fraction
    b: Fraction | None
    c: Fraction
    d: Fraction
    fan_in: Fraction
    fan_out: Fraction
    names: tuple[str, ...] = ()

    @property
    def signal(self) -> Fraction | None:
        """What it gives at the start has entries of the order of n^-signal; None where it gives nothing."""
        return None if self.b is None else self.a + self.b - self.fan_in / 2


@dataclass(frozen=True)
class Parametrization:
    """Exponents of every kind of tensor of a network.

    Attributes:
        name: What it is called.
        layers: The kinds of tensors, from the input's on.
    """

    name: str
    layers: tuple[Layer, ...]

    @cites(14, "Section 2.1: the symmetry of abcd-parametrizations")
    def shift(self, theta: Exponent, *, roles: Collection[str] = ROLES) -> Parametrization:
        """Move n^-theta from the init into the multiplier; the network trains exactly as before.

        (a, b, c, d) -> (a + theta, b - theta, c - theta, d + theta), for every optimizer: SGD's rate is n^-(c - d).

        Args:
            theta: The exponent that is moved.
            roles: Roles of the layers that it is moved in; all by default.

        Raises:
            RoleError: A role does not exist.

        Example:
            >>> moved = abcd("mup", "entrywise").shift(-1, roles=["output"])
            >>> [str(x) for x in (moved.layers[-1].a, moved.layers[-1].b, moved.layers[-1].c)]
            ['0', '1', '1']
        """
        unknown = [role for role in roles if role not in ROLES]
        if unknown:
            raise RoleError(f"role {unknown[0]!r} is unknown. Choose among {', '.join(map(repr, ROLES))}.")
        t = Fraction(theta)
        return replace(
            self,
            layers=tuple(
                replace(x, a=x.a + t, b=None if x.b is None else x.b - t, c=x.c - t, d=x.d + t)
                if x.role in roles
                else x
                for x in self.layers
            ),
        )

    def slower(self, exponent: Exponent, *, roles: Collection[str] = ROLES) -> Parametrization:
        """Multiply the learning rate of all layers by n^-exponent.

        Args:
            exponent: By which power of the width; negative for faster.
            roles: Roles of the layers that are slowed down; all by default.

        Example:
            >>> [str(layer.c) for layer in abcd("sp", "sgd").slower(1).layers]
            ['1', '1', '1']
        """
        t = Fraction(exponent)
        return replace(
            self, layers=tuple(replace(x, c=x.c + t) if x.role in roles else x for x in self.layers)
        )

    def folded(self) -> Parametrization:
        """Return the same parametrization without forward multipliers: every a is 0.

        Example:
            >>> [str(layer.c - layer.d) for layer in abcd("mup", "sgd").folded().layers]
            ['-1', '0', '1']
        """
        return replace(
            self, layers=tuple(Parametrization("", (x,)).shift(-x.a).layers[0] for x in self.layers)
        )


def layer(
    role: str,
    family: str,
    *,
    a: Exponent = 0,
    b: Exponent | None = 0,
    c: Exponent = 0,
    d: Exponent = 0,
) -> Layer:
    """Return a layer whose sides grow as those of its role do.

    Args:
        role: One of `similitude.scaling.rules.ROLES`.
        family: One of `similitude.scaling.rules.FAMILIES`.
        a: Exponent of the forward multiplier, which is n^-a.
        b: Exponent of the init; None for zeros.
        c: Exponent of the learning rate.
        d: Exponent of the gradient's scale.

    Raises:
        RoleError: The role does not exist.
        PlanError: The family does not exist.

    Example:
        >>> str(layer("hidden", "sgd", b=Fraction(1, 2)).signal)
        '0'
    """
    if role not in ROLES:
        raise RoleError(f"role {role!r} is unknown. Choose one of {', '.join(map(repr, ROLES))}.")
    _known_family(family)
    fan_in, fan_out = map(Fraction, _SIDES[role])
    start = None if b is None else Fraction(b)
    return Layer(role, family, Fraction(a), start, Fraction(c), Fraction(d), fan_in, fan_out)


@cites(14, "Table 1 and Section 2.1")
def abcd(name: str, family: str, *, hidden_layers: int = 2) -> Parametrization:
    """Return a parametrization that has a name, for a perceptron with hidden layers of n units.

    "sp" has the constant learning rate and eps of everyday code. Learning rates of the others are the largest stable
    ones. Those of "sgd" are Yang and Hu's, of "entrywise" paper 14's; "orthogonalized" has the same sizes of steps.

    Args:
        name: One of `NAMES`.
        family: One of `similitude.scaling.rules.FAMILIES`.
        hidden_layers: Number of layers of n units; "mean_field" is for one.

    Raises:
        PlanError: The name or the family does not exist, or it is not for that many layers.

    Example:
        >>> [(str(x.a), str(x.b), str(x.c), str(x.d)) for x in abcd("ntp", "entrywise").layers]
        [('0', '0', '1/2', '1/2'), ('1/2', '0', '1', '1'), ('1/2', '0', '1/2', '1/2')]
    """
    _known_family(family)
    if name not in NAMES:
        raise PlanError(f"parametrization {name!r} is unknown. Choose one of {', '.join(map(repr, NAMES))}.")
    if hidden_layers < 1:
        raise PlanError(
            f"hidden_layers={hidden_layers}: a perceptron with a width has at least 1 layer of it."
        )
    if name == "mean_field" and hidden_layers > 1:
        raise PlanError(
            f"'mean_field' is a limit of 1 hidden layer, not of {hidden_layers}: its signal vanishes in a second "
            "one. Pass hidden_layers=1, or take 'naive_mean_field' to see how."
        )
    table = _SGD if family == "sgd" else _ENTRYWISE
    rows: dict[str, tuple[Exponent, ...]] = dict(zip(("input", "hidden", "output"), table[name], strict=True))
    if family == "orthogonalized" and name != "sp":
        rows = {role: _as_orthogonalized(role, row) for role, row in rows.items()}
    roles = ("input", *(["hidden"] if hidden_layers > 1 else []), "output")
    return Parametrization(
        name,
        tuple(layer(role, family, **dict(zip("abcd", rows[role], strict=True))) for role in roles),
    )


def _as_orthogonalized(role: str, row: tuple[Exponent, ...]) -> tuple[Exponent, ...]:
    """Let a step of spectral norm 1 change outputs as one of entries 1 does; eps is held against the whole norm."""
    a, b, c, d = row
    both = Fraction(sum(_SIDES[role]), 2)
    return a, b, c - both, d - both


def _known_family(family: str) -> None:
    if family not in FAMILIES:
        raise PlanError(
            f"optimizer family {family!r} is unknown. Choose one of {', '.join(map(repr, FAMILIES))}."
        )


# a, b, c, d of the first, the hidden and the last layer.
_Rows = tuple[tuple[Exponent, ...], tuple[Exponent, ...], tuple[Exponent, ...]]
_SGD: Mapping[str, _Rows] = {
    "sp": ((0, 0, 0, 0), (0, _HALF, 0, 0), (0, _HALF, 0, 0)),
    "ntp": ((0, 0, 0, 0), (_HALF, 0, 0, 0), (_HALF, 0, 0, 0)),
    "mup": ((-_HALF, _HALF, 0, 0), (0, _HALF, 0, 0), (_HALF, _HALF, 0, 0)),
    "mean_field": ((0, 0, -1, 0), (1, 0, -1, 0), (1, 0, -1, 0)),
    "naive_mean_field": ((0, 0, -1, 0), (1, 0, -1, 0), (1, 0, -1, 0)),
}
_ENTRYWISE: Mapping[str, _Rows] = {
    "sp": ((0, 0, 0, 0), (0, _HALF, 0, 0), (0, _HALF, 0, 0)),
    "ntp": ((0, 0, _HALF, _HALF), (_HALF, 0, 1, 1), (_HALF, 0, _HALF, _HALF)),
    "mup": ((0, 0, 0, 1), (0, _HALF, 1, 1), (1, 0, 0, 1)),
    "mean_field": ((0, 0, 0, 1), (1, 0, 0, 2), (1, 0, 0, 1)),
    "naive_mean_field": ((0, 0, 0, 1), (1, 0, 0, 2), (1, 0, 0, 1)),
}
