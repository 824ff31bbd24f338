"""Which axes grow: every parameter of a model family at two sizes, from builds on the meta device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import nn

from similitude.core.errors import FactoryError, PlanError, SimilitudeError
from similitude.core.seeding import seeded
from similitude.scaling.sizes import (
    WIDTH,
    Factory,
    Size,
    arguments,
    as_size,
    at_width,
    call_text,
    same_dials,
    unnamed_dials,
)

__all__ = [
    "Comparison",
    "Factory",
    "Size",
    "TensorPair",
    "as_size",
    "at_width",
    "build",
    "build_shapes",
    "compare",
    "parameter_count",
    "same_dials",
    "small_sizes",
    "some",
]

MOST_PARAMETERS = 32_000_000
"""Parameters of the largest model that is built with real values by itself: about a second of one core."""

# Multiples of the base to measure at: first those far enough apart to tell laws, then whatever can be built.
_WIDE = tuple(map(Fraction, ["2", "4", "1/2", "1/4", "1/3", "3"]))
_CLOSE = tuple(map(Fraction, ["3/2", "3/4", "2/3", "4/3", "5/4", "5/2", "3/8", "1/8", "5", "6", "7", "8"]))
_CHEAP = 1 / 8  # of the most parameters: what a size other than the base may have before smaller ones win
# Where the base itself is too large: how far to shrink it.
_DIVISORS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256)


@dataclass(frozen=True)
class TensorPair:
    """One parameter at the base and at the target; a tied parameter has several names."""

    names: tuple[str, ...]
    base_shape: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The first name under which the model lists the tensor."""
        return self.names[0]

    @property
    def aliases(self) -> tuple[str, ...]:
        """Its other names, where it is tied."""
        return self.names[1:]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Target over base, per dimension."""
        return tuple(1.0 if b == t else t / b for b, t in zip(self.base_shape, self.shape, strict=True))


@dataclass(frozen=True)
class Comparison:
    """Two sizes of a model family: their modules (without data where the factory allows) and parameters."""

    base: nn.Module
    target: nn.Module
    tensors: tuple[TensorPair, ...]

    @property
    def ratio(self) -> float:
        """The commonest ratio of a growing dimension; 1 where nothing grows."""
        counts = Counter(r for tensor in self.tensors for r in tensor.ratios if r != 1.0)
        return counts.most_common(1)[0][0] if counts else 1.0

    @property
    def size(self) -> int:
        """Number of parameters of the target."""
        return sum(torch.Size(tensor.shape).numel() for tensor in self.tensors)


def build(make: Factory, size: int | Size, *, seed: int = 0) -> nn.Module:
    """Build a real model without leaving a global generator changed.

    Args:
        make: Function of the dials that returns a model. A dial goes by keyword where the signature names
            it, else by position.
        size: A width, or the value of every dial.
        seed: Seed of the initial values.

    Raises:
        FactoryError: `make` cannot be called with the size, raises, or does not return a usable module.
    """
    if not callable(make):
        raise FactoryError(
            f"make={make!r} is not callable. Pass a function of the width that returns a model."
        )
    size = as_size(size, "size")
    args, kwargs = arguments(make, size)
    try:
        with seeded(seed):
            model = make(*args, **kwargs)
    except (Exception, SystemExit) as error:  # a factory that exits must not choose our exit code
        raise FactoryError(
            f"{call_text(make, size)} failed with {type(error).__name__}: {error}. {_contract(make, size)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise FactoryError(
            f"{call_text(make, size)} returned a {type(model).__name__}, not an nn.Module. Return the model "
            "itself."
        )
    lazy = [n for n, p in model.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)]
    if lazy:
        raise FactoryError(
            f"{call_text(make, size)} leaves {some(lazy)} without a shape (a lazy module). Run the model once "
            "on an input inside make, or use modules with explicit sizes."
        )
    return model


def build_shapes(make: Factory, size: int | Size) -> nn.Module:
    """Build on the meta device (no memory, no time); build for real where the factory cannot do that."""
    try:
        with torch.device("meta"):
            return build(make, size)
    except FactoryError:
        return build(make, size)


def compare(make: Factory, base: int | Size, target: int | Size) -> Comparison:
    """Pair every parameter of two sizes of a model family by name.

    Args:
        make: Function of the dials that returns a model. It is called on the meta device where that works.
        base: Size of the base.
        target: Size of the target; only the width may differ.

    Raises:
        FactoryError: The factory does not give a model.
        PlanError: The sizes differ in more than the width, or the two models have different parameters, or
            differ in nothing although the widths do.
    """
    base, target = as_size(base, "base"), as_size(target, "target")
    same_dials(base, target, may=(WIDTH,))
    calls = call_text(make, base), call_text(make, target)
    comparison = _pair_up(build_shapes(make, base), build_shapes(make, target), calls)
    if base != target and all(t.base_shape == t.shape for t in comparison.tensors):
        raise PlanError(
            f"{calls[0]} and {calls[1]} have the same shapes: the width that make receives changes "
            "nothing. Pass it on to the model's hidden sizes."
        )
    return comparison


def small_sizes(
    make: Factory,
    base: int | Size,
    target: int | Size,
    *,
    count: int = 3,
    most_parameters: int = MOST_PARAMETERS,
) -> tuple[Size, ...]:
    """Find sizes near the base at which the family can be built with real values.

    Args:
        make: Function of the dials that returns a model.
        base: Size of the base; it is among the sizes found unless it is too large.
        target: Size of the target. It is found only where the factory can build nothing but base and
            target, and where it is small enough.
        count: How many sizes are wanted.
        most_parameters: Most parameters of one size.

    Returns:
        At most `count` sizes by ascending width, whose models have the same parameters and grow with the
        width; fewer where the factory refuses others, none where everything is too large.

    Raises:
        FactoryError: The base cannot be built.

    Example:
        >>> make = lambda width: nn.Linear(width, width)
        >>> [size["width"] for size in small_sizes(make, 64, 4096)]
        [64, 128, 256]

    Cost: one build on the meta device for each width that is tried.
    """
    base, target = as_size(base, "base"), as_size(target, "target")
    search = _Search(make, base, most_parameters)
    anchor = search.anchor(avoid=target)
    if anchor is None:
        return ()
    for size in search.neighbours(anchor, avoid=target):
        if len(search.found) >= count:
            break
        search.add(size)
    if search.found.keys() == {base[WIDTH]} and count > 1:
        search.add(target)
    return tuple(at_width(base, width) for width in sorted(search.found))


def parameter_count(model: nn.Module) -> int:
    """Count the entries of all parameters."""
    return sum(p.numel() for p in model.parameters())


def some(names: Iterable[str], limit: int = 4) -> str:
    """List a few quoted names and how many more there are."""
    names = list(names)
    text = ", ".join(map(repr, names[:limit]))
    return text + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _contract(make: Factory, size: Size) -> str:
    """Say how make is called."""
    if missing := unnamed_dials(make, size):
        whole = {**size, **dict.fromkeys(missing, 4)}
        dials = ",".join(f"{dial}={value}" for dial, value in whole.items())
        return (
            f"make also takes {' and '.join(missing)}: name it in the size, e.g. {whole} (--base {dials} on the command "
            "line), or wrap it, e.g. lambda width: Model(hidden=width)."
        )
    if len(size) == 1:
        return (
            "make must take the width alone and return an nn.Module: wrap it, e.g. lambda width: "
            "Model(hidden=width)."
        )
    dials = ", ".join(size)
    uses = ", ".join(f"{dial}={dial}" for dial in size)
    return f"make must take {dials} and return an nn.Module: wrap it, e.g. lambda {dials}: Model({uses})."


class _Search:
    """Sizes that were found fit to be built, and where to look for more."""

    def __init__(self, make: Factory, base: Size, most: int) -> None:
        self._make, self._base, self._most = make, base, most
        self._whole = build_shapes(make, base)
        self.found: dict[int, int] = {}  # width -> number of parameters

    def anchor(self, *, avoid: Size) -> Size | None:
        """Find the base itself, or where it is too large a smaller size, one that divides it if there is one."""
        if self.add(self._base):
            return self._base
        entries, base = parameter_count(self._whole), self._base[WIDTH]
        for most in (self._most * _CHEAP, self._most):
            for divisor in sorted(_DIVISORS, key=lambda d: base % d != 0):
                width = base // divisor
                # Matrices shrink with the square of the width, tables less: what stays too large is skipped.
                if width < 1 or width == avoid[WIDTH] or entries > most * divisor**2:
                    continue
                size = at_width(self._base, width)
                if self.add(size, most):
                    return size
        return None

    def neighbours(self, anchor: Size, *, avoid: Size) -> Iterator[Size]:
        """Propose multiples of a size that fits, the most telling first."""
        entries = self.found[anchor[WIDTH]]
        wide = sorted(_WIDE, key=lambda m: m > 1 and entries * m**2 > self._most * _CHEAP)
        for multiple in (*wide, *_CLOSE):
            width = anchor[WIDTH] * multiple
            # What grows grows at least linearly: what must become too large is skipped.
            affordable = entries * min(multiple, multiple**2) <= self._most
            if width.denominator == 1 and width != avoid[WIDTH] and affordable:
                yield at_width(self._base, int(width))

    def add(self, size: Size, most: float | None = None) -> bool:
        """Keep a size whose model is affordable, has the base's parameters, and grows with the width."""
        if size[WIDTH] in self.found:
            return False
        try:
            model = self._whole if size == self._base else build_shapes(self._make, size)
            _pair_up(self._whole, model, (call_text(self._make, self._base), call_text(self._make, size)))
        except SimilitudeError:
            return False
        entries = parameter_count(model)
        grows = all((entries - n) * (size[WIDTH] - width) > 0 for width, n in self.found.items())
        if entries <= (self._most if most is None else most) and grows:
            self.found[size[WIDTH]] = entries
            return True
        return False


def _pair_up(small: nn.Module, large: nn.Module, calls: tuple[str, str]) -> Comparison:
    before, after = _names(small), _names(large)
    if before.keys() != after.keys():
        missing = [n for n in before if n not in after]
        added = [n for n in after if n not in before]
        raise PlanError(
            f"{calls[0]} and {calls[1]} have different parameters, so their depth differs: "
            + "; ".join(
                f"{len(names)} only in {call} ({some(names)})"
                for names, call in zip((missing, added), calls, strict=True)
                if names
            )
            + ". Keep depth and structure fixed while the width changes."
        )
    return Comparison(small, large, tuple(_pair(names, small, large) for names in _ties(small, large, after)))


def _names(model: nn.Module) -> dict[str, nn.Parameter]:
    return dict(model.named_parameters(remove_duplicate=False))


def _ties(small: nn.Module, large: nn.Module, names: Iterable[str]) -> list[tuple[str, ...]]:
    """Group the names of one and the same tensor; the groups must agree at both sizes."""
    groups = []
    for model in (small, large):
        by_tensor: dict[int, list[str]] = {}
        for name, parameter in _names(model).items():
            by_tensor.setdefault(id(parameter), []).append(name)
        groups.append([tuple(group) for group in by_tensor.values()])
    if set(groups[0]) != set(groups[1]):
        odd = sorted(set(groups[0]) ^ set(groups[1]), key=len, reverse=True)[0]
        raise PlanError(
            f"{some(odd)} share one tensor at one size and not at the other. Tie weights at every size or "
            "at none."
        )
    order = {name: i for i, name in enumerate(names)}
    return sorted(groups[1], key=lambda group: order[group[0]])


def _pair(names: tuple[str, ...], small: nn.Module, large: nn.Module) -> TensorPair:
    base_shape = tuple(small.get_parameter(names[0]).shape)
    shape = tuple(large.get_parameter(names[0]).shape)
    if len(base_shape) != len(shape) or any(
        (b == 0) != (t == 0) for b, t in zip(base_shape, shape, strict=False)
    ):
        raise PlanError(
            f"{names[0]!r} has shape {base_shape} at the base and {shape} at the target: not one tensor at "
            "two widths. Keep the structure fixed while the width changes."
        )
    return TensorPair(names, base_shape, shape)
