"""Learning rates of a tangent kernel under a rule: the factors of the plan's own table, followed to infinite width.

A tensor's share of the tangent kernel goes with the width ratio r as its learning rate, times the entries that it sums
over, times the variance of the readout behind it; shares of the largest power are what is left (paper 17, Tables 3, 8).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from similitude.core.citation import cites
from similitude.core.errors import KernelError
from similitude.scaling.rules import TABLE, Factors, factors

NTP = "ntp"
"""The rule whose rates are the variances of the initial values."""

_FAR = (2.0**30, 2.0**31)  # ratios of widths between which the power of a factor is read off
_SAME = 1e-6  # difference of powers below which they are one; the table's are halves


@dataclass(frozen=True)
class Use:
    """One use of a tensor, as training sees it.

    Attributes:
        kind: "matrix", "bias" or "rows" (embeddings and positions).
        variance: Variance of an entry at the recorded width; of a matrix times the fan-in.
        fan_in: Entries that a matrix sums over at the recorded width, else 1.
        fan_out: Entries that it makes.
        grows: Whether a matrix sums over neurons, whose number goes to infinity.
        readout: Whether it makes the module's outputs, whose number stays.
        table: Whether it has several rows: embeddings, positions.
        trained: Whether it is trained.
        multiplier: Number that the module multiplies it with before it uses it; the variance is after that.
    """

    kind: str
    variance: float
    fan_in: int
    fan_out: int
    grows: bool = False
    readout: bool = False
    table: bool = False
    trained: bool = True
    multiplier: float = 1.0

    @property
    def role(self) -> str:
        """The role that the plan's table has for it.

        Example:
            >>> Use("matrix", 1.0, 8, 8, grows=True).role, Use("bias", 0.0, 1, 3, readout=True).role
            ('hidden', 'finite')
        """
        if self.kind == "matrix":
            names = {(True, True): "output", (True, False): "hidden", (False, False): "input"}
            return names.get((self.grows, self.readout), "finite")
        if self.readout:
            return "finite"
        return "lookup" if self.table else "vector"


@dataclass(frozen=True)
class Rate:
    """What a rule makes of one use of a tensor at infinite width.

    Attributes:
        rate: What training it adds to the tangent kernel, per unit of covariance; 0 where others outgrow it.
        variance: Its variance at infinite width as `Use.variance`; of a readout, that at the recorded width.
        note: The same in words.
    """

    rate: float
    variance: float
    note: str


@dataclass(frozen=True)
class Rates:
    """What a rule makes of all tensors.

    Attributes:
        uses: By parameter and kind of use.
        growth: Power of the width ratio by which the tangent kernel has been divided; 0 where it has a limit.
        outputs: Power of the width ratio that the variance of the initial outputs goes with; 0 where it stays.
    """

    uses: Mapping[tuple[str, str], Rate]
    growth: float
    outputs: float


@dataclass(frozen=True)
class _Law:
    """A number that goes with the width ratio r as factor r^power."""

    power: float
    factor: float


def known_rule(rule: str) -> str:
    """Return the rule if the plan's table has one of its name.

    Raises:
        KernelError: It has none.
    """
    if not isinstance(rule, str) or rule not in TABLE:
        raise KernelError(
            f"rule={rule!r} has no tangent kernel here. Pass one of {', '.join(map(repr, TABLE))}, or register your own: "
            "similitude.register_rule."
        )
    return rule


@cites(17, "Tables 3 and 8, SGD: the powers of the learning rates")
@cites(8, "Section A: the NTK parametrization")
def rule_rates(rule: str, uses: Mapping[tuple[str, str], Use], *, features: bool = False) -> Rates:
    """Weigh every tensor's share of the tangent kernel by the learning rate that a rule's plan gives it.

    At the recorded width every tensor is trained by SGD with learning rate 1; under "ntp" with the variance that it is
    drawn with, as a standard normal tensor times its deviation is.

    Args:
        rule: A rule of the plan's table.
        uses: Uses of the tensors, by parameter and kind.
        features: Whether the module's outputs are neurons, whose number grows, so that there is no readout.

    Raises:
        KernelError: There is no such rule, or under it the values behind a hidden layer vanish or grow without bound.

    Example:
        >>> hidden, head = Use("matrix", 1.0, 8, 8, grows=True), Use("matrix", 1.0, 8, 1, grows=True, readout=True)
        >>> found = rule_rates("mup", {("h", "matrix"): hidden, ("o", "matrix"): head})
        >>> [use.rate for use in found.uses.values()], found.growth, found.outputs
        ([8.0, 8.0], 0.0, -1.0)
    """
    known_rule(rule)
    drawn = {key: _variance(rule, key[0], use) for key, use in uses.items()}
    ends = {key: use.variance > 0 for key, use in uses.items() if use.role == "output"}
    outputs = max((drawn[key].power for key, alive in ends.items() if alive), default=0.0)
    silent = bool(ends) and not any(ends.values())  # readouts of zero pass no gradient on
    shares: dict[tuple[str, str], _Law] = {}
    for key, use in uses.items():
        unseen = silent and not use.readout and not features
        base = use.variance if rule == NTP else use.fan_in * use.multiplier**2
        speed = _law(rule, use, "lr")
        behind = 0.0 if use.readout or features else outputs
        shares[key] = _Law(
            speed.power + (1.0 if use.grows else 0.0) + behind,
            base * speed.factor if use.trained and not unseen else 0.0,
        )
    growth = max((share.power for share in shares.values() if share.factor), default=0.0)
    found: dict[tuple[str, str], Rate] = {}
    for key, use in uses.items():
        behind = shares[key].power - growth
        found[key] = Rate(
            shares[key].factor if behind > -_SAME else 0.0,
            use.variance * drawn[key].factor,
            _words(rule, use, behind) if shares[key].factor and rule != NTP else "",
        )
    return Rates(found, growth, outputs)


def _variance(rule: str, name: str, use: Use) -> _Law:
    """Return how the variance of a tensor, times the entries that it sums over, goes with the width.

    Raises:
        KernelError: It does not stay, and nonlinear functions see it.
    """
    if (
        use.variance == 0 or _factors(rule, use, 1.0).init is None
    ):  # the second: the rule leaves the module's own init
        return _Law(0.0, 1.0)
    found = _law(rule, use, "init")
    power = 2 * found.power + (1.0 if use.grows else 0.0)
    if abs(power) > _SAME and not use.readout:
        does = "vanish" if power < 0 else "grow without bound"
        raise KernelError(
            f"rule={rule!r}: '{name}' ({use.role}) is drawn so that the variance of what it gives goes as "
            f"width^{power:.4g}: the values behind it {does}, and the kernels have no limit. Take rule='mup' or 'ntp', "
            "which keep it."
        )
    return _Law(power, found.factor**2)


def _law(rule: str, use: Use, what: str) -> _Law:
    """Read how a factor of the plan's table goes with the width, from two large ratios."""
    near, far = (getattr(_factors(rule, use, ratio), what) for ratio in _FAR)
    power = round(math.log(far / near) / math.log(_FAR[1] / _FAR[0]), 6)
    return _Law(power, near / _FAR[0] ** power)


def _factors(rule: str, use: Use, ratio: float) -> Factors:
    r_in, r_out = (ratio if grows else 1.0 for grows in (use.grows, not use.readout))
    sizes = ((use.fan_in, use.fan_in * r_in), (use.fan_out, use.fan_out * r_out))
    fan_in, fan_out = sizes if use.kind == "matrix" else (None, None)
    return factors(rule, use.role, "sgd", r_in=r_in, r_out=r_out, fan_in=fan_in, fan_out=fan_out)


def _words(rule: str, use: Use, behind: float) -> str:
    power = _law(rule, use, "lr").power
    said = f"trained as {use.role} with lr x {f'r^{power:g}' if power else '1'}"
    return said if behind > -_SAME else f"{said}, whose share falls as r^{behind:g} beside the rest"
