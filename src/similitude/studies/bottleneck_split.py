"""Where a sequential network has its bottlenecks, and the wide parts between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.errors import PlanError

NARROW = 8
"""A layer of one network is a bottleneck where parts on both sides of it are at least so many times as wide."""


@dataclass(frozen=True)
class Neck:
    """A layer of finite width inside a wide network.

    Attributes:
        name: The child of the network that gives it.
        units: Its width d.
    """

    name: str
    units: int

    def __str__(self) -> str:
        return f"'{self.name}' ({self.units} unit{'s' * (self.units != 1)})"


def find_necks(
    model: nn.Module, inputs: Any, *, named: Sequence[str] | None = None, wider: nn.Module | None = None
) -> tuple[Neck, ...]:
    """Find the bottlenecks of a sequential network by the widths of what its children give.

    Args:
        model: An `nn.Sequential`, whose children may be any modules; nested ones are read as one.
        inputs: A few examples.
        named: Names of the children whose outputs are bottlenecks; found where None.
        wider: A larger member of the same family: bottlenecks are then what does not grow between layers that do.
            Without one, they are what is at least `NARROW` times as narrow as layers on both sides.

    Returns:
        In order, one at least.

    Raises:
        PlanError: The model is not sequential, a name is not there or gives no vectors, or there is no bottleneck.
    """
    outputs = _outputs(model, inputs)
    names, sizes = list(outputs), [found.size for found in outputs.values()]
    if named is not None:
        if not named:
            raise PlanError(
                "bottlenecks is empty. Name one layer at least, or leave it out to have them found."
            )
        for name in named:
            _check_name(name, outputs)
        return tuple(Neck(name, outputs[name].size) for name in names if name in named)
    if wider is not None:
        larger = _outputs(wider, inputs)
        if list(larger) != names:
            raise PlanError(
                f"the networks of two widths have different children, {names} and {list(larger)}. Only sizes may "
                "differ between members of a family."
            )
        grows = [found.size > size for found, size in zip(larger.values(), sizes, strict=True)]
        narrow = [not grows[i] and any(grows[:i]) and any(grows[i:]) for i in range(len(names))]
    else:
        narrow = [
            NARROW * size <= min(max(sizes[:i], default=0), max(sizes[i + 1 :], default=0))
            for i, size in enumerate(sizes)
        ]
    # What acts on the units of a bottleneck alone belongs to the next part.
    first = [i for i in range(1, len(names)) if narrow[i] and not narrow[i - 1] and outputs[names[i]].vector]
    if not first:
        listed = ", ".join(f"'{name}' {found.size}" for name, found in outputs.items())
        raise PlanError(
            f"no bottleneck was found among the widths {listed}: a layer whose outputs are vectors that do not grow with "
            f"the width, or of one network are {NARROW} times as narrow as others before and after it. Name it, e.g. "
            f"bottlenecks=('{names[len(names) // 2]}',)."
        )
    return tuple(Neck(names[i], sizes[i]) for i in first)


def split(model: nn.Module, necks: Sequence[Neck]) -> list[nn.Sequential]:
    """Return the parts of a network between its bottlenecks, which share the network's own parameters and their names.

    Raises:
        PlanError: Two parts share a parameter, so that they are not independent.
    """
    found = [nn.Sequential()]
    ends = {neck.name for neck in necks}
    for name, child in _children(model):
        _put(found[-1], name, child)
        if name in ends:
            found.append(nn.Sequential())
    seen: dict[int, int] = {}
    for i, part in enumerate(found):
        for name, p in part.named_parameters():
            if seen.setdefault(id(p), i) != i:
                raise PlanError(
                    f"parts {seen[id(p)]} and {i} of the network share the parameter '{name}' across a bottleneck. Parts "
                    "on two sides of one are independent in theory; untie them."
                )
    return found


def _children(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(model, nn.Sequential):
        raise PlanError(
            f"the network is a {type(model).__name__}. Pass an nn.Sequential of the parts below and above the "
            "bottleneck; they may be any modules."
        )
    for name, child in model.named_children():
        if type(child) is nn.Sequential:
            yield from _children(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _put(part: nn.Sequential, name: str, child: nn.Module) -> None:
    """Add a child under the name that it has in the network."""
    *path, last = name.split(".")
    for step in path:
        if step not in part._modules:
            part.add_module(step, nn.Sequential())
        part = part.get_submodule(step)  # type: ignore[assignment]
    part.add_module(last, child)


@dataclass(frozen=True)
class _Output:
    """What a child gives: the length of its longest axis but that of examples, and whether it is a vector."""

    size: int
    vector: bool


def _outputs(model: nn.Module, inputs: Any) -> dict[str, _Output]:
    found: dict[str, _Output] = {}
    values = inputs
    with torch.no_grad():
        for name, child in _children(model):
            values = child(values)
            shape = values.shape[1:] if isinstance(values, Tensor) else ()
            found[name] = _Output(max(shape, default=0), len(shape) == 1)
    return found


def _check_name(name: str, outputs: dict[str, _Output]) -> None:
    inner = [known for known in list(outputs)[:-1] if outputs[known].vector]
    if name not in inner:
        raise PlanError(
            f"bottlenecks names {name!r}, which is no child with vectors as outputs and others behind it. There are "
            f"{', '.join(map(repr, inner)) or 'none'}."
        )
