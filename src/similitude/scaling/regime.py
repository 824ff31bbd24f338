"""In which regime a parametrization trains as the width grows: unstable, trivial, kernel or feature learning; paper 14
Section 2.3, and Yang and Hu (arXiv 2011.14522, Section 3) for SGD. All exponents are exact fractions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.abcd import Layer, Parametrization

Kind = Literal["unstable", "vanishing", "trivial", "kernel", "feature learning"]
_OUTCOMES: dict[str, Outcome] = {
    "unstable": Outcome.GROWS,
    "vanishing": Outcome.SHRINKS,
    "trivial": Outcome.SHRINKS,
    "kernel": Outcome.SHRINKS,
    "feature learning": Outcome.OK,
}
_CARRIED = "change of the outputs by features through the initial head"
# value = constant + slope x t, where all learning rates are multiplied by n^-t.
_Line = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Condition:
    """One inequality between exponents.

    Attributes:
        name: What must not grow.
        value: Its exponent: the quantity goes as n^-value.
        exact: Whether it must also not vanish, so that the exponent must be 0.
    """

    name: str
    value: Fraction
    exact: bool = False

    @property
    def holds(self) -> bool:
        """Whether the exponent is what it must be."""
        return self.value == 0 if self.exact else self.value >= 0

    def __str__(self) -> str:
        sign = ("= 0" if self.exact else ">= 0") + ("" if self.holds else ", broken")
        return f"{self.name}: n^{power(-self.value)} ({self.value} {sign})"


@dataclass(frozen=True)
class Regime:
    """What a parametrization does in the limit of infinite width.

    Attributes:
        parametrization: The exponents.
        backward: Gradients with respect to activations have entries of the order of n^-backward.
        change: For every layer r: its own steps change what it gives by n^-r.
        faithful: For every layer, what is missing in d to keep the gradient that Adam sees comparable with its eps: 0
            where it is right, positive where eps wins in wide networks, negative where it loses; 0 for SGD.
        starting: The inequalities that signals at the start must obey.
        training: Those that changes in training must obey.
        r: The feature-learning exponent: features change by n^-r.
        readout: The change of the outputs that steps of the output layers make goes as n^-readout; None without any.
        carried: The same for the change of features that the initial output layers pass on; None where they are zero.
        slowdown: By which n^-slowdown all learning rates must be multiplied to be the largest stable ones.
        layer_slowdown: The same where outputs may grow: each layer's own steps are what must not.
    """

    parametrization: Parametrization
    backward: Fraction
    change: tuple[Fraction, ...]
    faithful: tuple[Fraction, ...]
    starting: tuple[Condition, ...]
    training: tuple[Condition, ...]
    r: Fraction
    readout: Fraction | None
    carried: Fraction | None
    slowdown: Fraction
    layer_slowdown: Fraction

    @property
    def name(self) -> str:
        """The parametrization's name."""
        return self.parametrization.name

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every inequality that stability needs."""
        return (*self.starting, *self.training)

    @property
    def stable(self) -> bool:
        """Whether nothing grows with the width, at the start and in training."""
        return all(condition.value >= 0 for condition in self.conditions)

    @property
    def nontrivial(self) -> bool:
        """Whether the outputs change in a number of steps that does not grow with the width."""
        moved = [x for x in (self.readout, self.carried) if x is not None]
        return min(moved) <= 0 if moved else self.r <= 0

    @property
    def kind(self) -> Kind:
        """The regime in a word; "vanishing" where an activation is gone at the start."""
        if not self.stable:
            return "unstable"
        if not all(condition.holds for condition in self.conditions):
            return "vanishing"
        if not self.nontrivial:
            return "trivial"
        return "feature learning" if self.r == 0 else "kernel"

    @property
    def learning(self) -> tuple[Layer, ...]:
        """The layers whose own steps change what they give by the order of 1."""
        return tuple(
            layer for layer, r in zip(self.parametrization.layers, self.change, strict=True) if r == 0
        )

    def at_largest_rate(self) -> Regime:
        """Return the regime at the largest stable learning rate, the ratios between layers as they are."""
        return classify(self.parametrization.slower(self.slowdown))

    @property
    def verdict(self) -> Verdict:
        """Good where features are learned at every width alike; the evidence has every condition."""
        broken = [condition for condition in self.conditions if not condition.holds]
        evidence = tuple(
            Evidence(condition.name, float(-condition.value), None, "0" if condition.exact else "at most 0")
            for condition in (*broken, *(c for c in self.conditions if c.holds))
        )
        return Verdict(_OUTCOMES[self.kind], _summary(self, broken), evidence, (), _next(self))

    def raise_if_bad(self) -> None:
        """Raise unless features are learned at every width alike."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; exponents are text such as "1/2"."""
        layers = [
            {
                "role": layer.role,
                "family": layer.family,
                **{x: _text(getattr(layer, x)) for x in ("a", "b", "c", "d", "fan_in", "fan_out")},
                "r": str(r),
                "eps": str(missing),
                "tensors": list(layer.names),
            }
            for layer, r, missing in zip(self.parametrization.layers, self.change, self.faithful, strict=True)
        ]
        return {
            "name": self.name,
            "kind": self.kind,
            "r": str(self.r),
            "backward": str(self.backward),
            "readout": _text(self.readout),
            "carried": _text(self.carried),
            "slowdown": str(self.slowdown),
            "layer_slowdown": str(self.layer_slowdown),
            "layers": layers,
            "conditions": [
                {"name": c.name, "value": str(c.value), "holds": c.holds} for c in self.conditions
            ],
            "verdict": self.verdict.to_dict(),
        }

    def __str__(self) -> str:
        return "\n".join([f"{self.name}: {self.kind}", self.verdict.summary, *map(str, self.conditions)])


@cites(14, "Section 2.3: stability, faithfulness, and feature learning iff r = 0")
def classify(parametrization: Parametrization) -> Regime:
    """Tell in which regime a parametrization trains.

    Steps are taken to be aligned with what the layers read, as gradients are, and features with the output layer that
    they were learned for. Normalization layers are not: they can hide a signal that grows, and cannot mend a step.

    Args:
        parametrization: The exponents.

    Raises:
        PlanError: It has no layer.

    Example:
        >>> from similitude.scaling.abcd import abcd
        >>> [classify(abcd(name, "sgd")).kind for name in ("sp", "ntp", "mup")]
        ['unstable', 'kernel', 'feature learning']
        >>> str(classify(abcd("sp", "sgd")).slowdown), classify(abcd("sp", "sgd")).at_largest_rate().kind
        ('1', 'kernel')
    """
    layers = parametrization.layers
    if not layers:
        raise PlanError(f"parametrization {parametrization.name!r} has no layer, so it has no regime.")
    back = _backward(layers)
    lines = [_change(layer, back) for layer in layers]
    inner = [
        line for layer, found in zip(layers, lines, strict=True) if layer.role != "output" for line in found
    ]
    readout = [
        line for layer, found in zip(layers, lines, strict=True) if layer.role == "output" for line in found
    ]
    held = [x.a + x.b - x.fan_in for x in layers if x.role == "output" and x.b is not None]
    features = [line for x, found in zip(layers, lines, strict=True) if _is_feature(x) for line in found]
    carried = [(h + at, slope) for h in held for at, slope in features]
    trained = [
        Condition(f"change of {_of(layer)} by its own steps", _at_zero(found))
        for layer, found in zip(layers, lines, strict=True)
    ]
    if carried:
        trained.append(Condition(_CARRIED, _at_zero(carried)))
    backward = _at_zero(back)
    return Regime(
        parametrization,
        backward,
        tuple(map(_at_zero, lines)),
        tuple(_missing(layer, backward) for layer in layers),
        tuple(_start(layers)),
        tuple(trained),
        _at_zero(features or inner or readout),
        _at_zero(readout) if readout else None,
        _at_zero(carried) if carried else None,
        _least([*inner, *readout, *carried]),
        _least([*inner, *readout]),
    )


def power(exponent: Fraction) -> str:
    """Write an exponent with its sign.

    Example:
        >>> power(Fraction(1, 2)), power(Fraction(-1)), power(Fraction(0))
        ('+1/2', '-1', '0')
    """
    return f"+{exponent}" if exponent > 0 else str(exponent)


def _is_feature(layer: Layer) -> bool:
    """Whether it makes activations whose number grows or that are read further on, and no output."""
    return layer.role not in ("output", "finite")


def _backward(layers: Iterable[Layer]) -> list[_Line]:
    """Return lines whose minimum is the exponent of gradients with respect to activations.

    They come through the output layer: through its initial values, and through what its own steps made of it.
    """
    found: list[_Line] = []
    for layer in layers:
        if layer.role == "output":
            found += [(layer.a + layer.b, Fraction(0))] if layer.b is not None else []
            # Nothing lies behind an output layer, so its own change needs no backward exponent.
            found += [
                (at + layer.fan_in, slope) for at, slope in _change(layer, [(Fraction(0), Fraction(0))])
            ]
    return found or [(Fraction(1), Fraction(0))]  # the loss is a mean over the activations themselves


def _change(layer: Layer, back: list[_Line]) -> list[_Line]:
    """Return lines whose minimum is r of one layer: its own steps change what it gives by n^-r."""
    if layer.family == "entrywise":
        return [(layer.a + layer.c - layer.fan_in, Fraction(1))]
    if layer.family == "orthogonalized":
        return [(layer.a + layer.c - layer.fan_in / 2 + layer.fan_out / 2, Fraction(1))]
    at = 2 * layer.a + layer.c - layer.d - layer.fan_in
    return [(at + layer.fan_out * g, 1 + layer.fan_out * slope) for g, slope in back]


def _missing(layer: Layer, backward: Fraction) -> Fraction:
    """Return the exponent of the gradient that the optimizer sees, n^d included; what eps is compared with."""
    if layer.family == "sgd":
        return Fraction(0)
    size = layer.a + layer.fan_out * backward - layer.d
    return size - (layer.fan_in + layer.fan_out) / 2 if layer.family == "orthogonalized" else size


def _start(layers: Iterable[Layer]) -> list[Condition]:
    """List what initial signals must be: outputs may vanish, and so may vectors; other activations may not."""
    found = []
    for layer in layers:
        if layer.signal is not None and layer.role != "finite":
            exact = layer.role not in ("output", "vector")
            found.append(Condition(f"{_of(layer)} at the start", layer.signal, exact))
    return found


def _of(layer: Layer) -> str:
    what = {
        "input": "what input layers give",
        "lookup": "what lookup tables give",
        "vector": "what vectors add or scale",
        "hidden": "what hidden layers give",
        "bottleneck": "what bottlenecks give",
        "output": "outputs",
        "finite": "what tensors of fixed size give",
    }[layer.role]
    return what + (f" ({_some(layer.names)})" if layer.names else "")


def _some(names: tuple[str, ...]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _at_zero(lines: list[_Line]) -> Fraction:
    return min(at for at, _ in lines)


def _least(lines: list[_Line]) -> Fraction:
    """Return the least t at which every line is at least 0; each grows with t."""
    return max(-at / slope for at, slope in lines)


def _summary(regime: Regime, broken: list[Condition]) -> str:
    if regime.kind in ("unstable", "vanishing"):
        worst = _worst(broken)
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        text = f"{worst.name} goes as n^{power(-worst.value)}{more}"
    elif regime.kind == "trivial":
        text = f"neither features (n^{power(-regime.r)}) nor outputs change in wide networks"
    elif regime.kind == "kernel":
        text = f"outputs change alike at every width, features by n^{power(-regime.r)}: a kernel in the limit"
    else:
        text = "features and outputs change alike at every width"
    return f"{regime.kind}: {text}"


def _worst(broken: list[Condition]) -> Condition:
    """Choose what to say first: what grows most; what only follows from it is listed last."""
    growing = [c for c in broken if c.value < 0] or broken
    own = [c for c in growing if c.name != _CARRIED] or growing
    return min(own, key=lambda c: c.value)


def _next(regime: Regime) -> str:
    if regime.kind == "feature learning":
        return ""
    if any(condition.value < 0 for condition in regime.starting):
        return "no learning rate mends a start that grows with the width: rule mup rescales the init too"
    if regime.slowdown <= 0:
        return "rule mup learns features at every width"
    slower = regime.at_largest_rate()
    text = f"one learning rate for the whole is stable up to n^{power(-regime.slowdown)} ({slower.kind}, where features "
    text += f"change by n^{power(-slower.r)})"
    if regime.layer_slowdown < regime.slowdown:
        text += f"; up to n^{power(-regime.layer_slowdown)} if outputs may grow"
    return f"{text}. Rule mup has a rate per layer"


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)
