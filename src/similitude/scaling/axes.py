"""Which axes grow: every parameter of a model family at two sizes, from builds on the meta device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from similitude.core.errors import FactoryError, PlanError
from similitude.core.seeding import seeded

Factory = Callable[[int], nn.Module]


@dataclass(frozen=True)
class Use:
    """One name under which a tensor is reached, with the modules that own it at both sizes."""

    name: str
    base_owner: nn.Module
    owner: nn.Module

    @property
    def local(self) -> str:
        """The tensor's name inside its module."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class TensorPair:
    """One parameter at the base and at the target; a tied parameter has several uses."""

    uses: tuple[Use, ...]
    base_shape: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The first name under which the model lists the tensor."""
        return self.uses[0].name

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


def build(make: Factory, width: int, *, seed: int = 0) -> nn.Module:
    """Build a real model without leaving a global generator changed.

    Raises:
        FactoryError: `make` cannot be called with one width, raises, or does not return a usable module.
    """
    if not callable(make):
        raise FactoryError(
            f"make={make!r} is not callable. Pass a function of the width that returns a model."
        )
    try:
        with seeded(seed):
            model = make(width)
    except (Exception, SystemExit) as error:  # a factory that exits must not choose our exit code
        raise FactoryError(
            f"make({width}) failed with {type(error).__name__}: {error}. make must take the width alone and "
            "return an nn.Module: wrap it, e.g. lambda width: Model(hidden=width)."
        ) from error
    if not isinstance(model, nn.Module):
        raise FactoryError(
            f"make({width}) returned a {type(model).__name__}, not an nn.Module. Return the model itself."
        )
    lazy = [n for n, p in model.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)]
    if lazy:
        raise FactoryError(
            f"make({width}) leaves {some(lazy)} without a shape (a lazy module). Run the model once on an "
            "input inside make, or use modules with explicit sizes."
        )
    return model


def build_shapes(make: Factory, width: int) -> nn.Module:
    """Build on the meta device (no memory, no time); build for real where the factory cannot do that."""
    try:
        with torch.device("meta"):
            return build(make, width)
    except FactoryError:
        return build(make, width)


def compare(make: Factory, base: int, target: int) -> Comparison:
    """Pair every parameter of two sizes of a model family by name.

    Args:
        make: Function of the width that returns a model. It is called on the meta device where that works.
        base: Width of the base.
        target: Width of the target.

    Raises:
        FactoryError: The factory does not give a model.
        PlanError: The two models have different parameters, or differ in nothing although the widths do.
    """
    small, large = build_shapes(make, base), build_shapes(make, target)
    before, after = _names(small), _names(large)
    if before.keys() != after.keys():
        missing = [n for n in before if n not in after]
        added = [n for n in after if n not in before]
        raise PlanError(
            f"make({base}) and make({target}) have different parameters, so their depth differs: "
            + "; ".join(
                f"{len(names)} only at {width} ({some(names)})"
                for names, width in ((missing, base), (added, target))
                if names
            )
            + ". Keep depth and structure fixed while the width changes."
        )
    tensors = tuple(_pair(names, small, large) for names in _ties(small, large, after))
    if base != target and all(t.base_shape == t.shape for t in tensors):
        raise PlanError(
            f"make({base}) and make({target}) have the same shapes: the width that make receives changes "
            "nothing. Pass it on to the model's hidden sizes."
        )
    return Comparison(small, large, tensors)


def some(names: Iterable[str], limit: int = 4) -> str:
    """List a few quoted names and how many more there are."""
    names = list(names)
    text = ", ".join(map(repr, names[:limit]))
    return text + (f" and {len(names) - limit} more" if len(names) > limit else "")


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
    uses = tuple(
        Use(name, small.get_submodule(parent), large.get_submodule(parent))
        for name, parent in ((name, name.rpartition(".")[0]) for name in names)
    )
    base_shape = tuple(small.get_parameter(names[0]).shape)
    shape = tuple(large.get_parameter(names[0]).shape)
    if len(base_shape) != len(shape) or any(
        (b == 0) != (t == 0) for b, t in zip(base_shape, shape, strict=False)
    ):
        raise PlanError(
            f"{names[0]!r} has shape {base_shape} at the base and {shape} at the target: not one tensor at "
            "two widths. Keep the structure fixed while the width changes."
        )
    return TensorPair(uses, base_shape, shape)
