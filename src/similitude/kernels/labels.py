"""Labels of axes: which part of every tensor's axis counts samples, positions, or neurons that become infinitely many."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_ids = itertools.count()

SAMPLE, POSITION, NEURON = "sample", "position", "neuron"


@dataclass(frozen=True)
class Factor:
    """A part of an axis: an axis of several factors is their product, the last one fastest.

    Attributes:
        kind: SAMPLE, POSITION or NEURON.
        sizes: Its size in each recorded pass.
        key: Tells it from every other factor.
    """

    kind: str
    sizes: tuple[int, ...]
    key: int = field(default_factory=lambda: next(_ids))

    @property
    def size(self) -> int:
        """Its size in the first pass."""
        return self.sizes[0]


Axis = tuple[Factor, ...]
Layout = tuple[Axis, ...]


def flat(layout: Layout) -> list[Factor]:
    """List the factors of all axes in order."""
    return [factor for axis in layout for factor in axis]


def positions(layout: Layout) -> tuple[Factor, ...]:
    """Return the factors that count positions, in physical order."""
    return tuple(f for f in flat(layout) if f.kind == POSITION)


def of_kind(axis: Axis, kind: str) -> Axis:
    """Return the factors of one kind."""
    return tuple(f for f in axis if f.kind == kind)


def grow(factors: Iterable[Factor]) -> bool:
    """Tell whether one of the factors has other sizes at another width."""
    return any(len(set(f.sizes)) > 1 for f in factors)


def count(factors: Iterable[Factor]) -> int:
    """Return the product of the sizes in the first pass."""
    return math.prod(f.size for f in factors)


@dataclass(frozen=True)
class Split:
    """A factor of neurons that has to be cut: `factor` becomes the factors `parts` in order."""

    factor: Factor
    parts: Axis


class Unmatched(Exception):  # noqa: N818  (it says what happened)
    """The factors of an axis do not fit the axis that it is to become; the message says why."""


def regroup(layout: Layout, shapes: Sequence[Sequence[int]]) -> tuple[Layout, list[Split]]:
    """Follow a view: distribute factors over the axes of a new shape, cutting factors where needed.

    Args:
        layout: Axes before.
        shapes: The new shape in each recorded pass.

    Returns:
        The new axes, and the factors that had to be cut.

    Raises:
        Unmatched: An axis of the new shape begins or ends within a factor that cannot be cut there.
    """
    rest = [f for f in flat(layout) if any(n != 1 for n in f.sizes)]
    rest.reverse()
    axes: list[Axis] = []
    splits: list[Split] = []
    for sizes in zip(*shapes, strict=True):
        need, axis = tuple(sizes), []
        while any(n != 1 for n in need):
            if not rest:
                raise Unmatched("it has more entries than what it views")
            factor = rest.pop()
            if all(n % f == 0 for n, f in zip(need, factor.sizes, strict=True)):
                axis.append(factor)
                need = tuple(n // f for n, f in zip(need, factor.sizes, strict=True))
            elif all(f % n == 0 for n, f in zip(need, factor.sizes, strict=True)):
                parts = cut(factor, need)
                splits.append(Split(factor, parts))
                axis.append(parts[0])
                rest.append(parts[1])
                need = tuple(1 for _ in need)
            else:
                raise Unmatched(f"an axis of {factor.sizes[0]} {factor.kind}s does not fit one of {need[0]}")
        axes.append(tuple(axis))
    if rest:
        raise Unmatched("it has fewer entries than what it views")
    return tuple(axes), splits


def cut(factor: Factor, left: Sequence[int]) -> Axis:
    """Cut a factor into one of sizes `left` and the rest; of neurons, the side that does not grow becomes positions.

    Where both grow, as heads in number and width, the first one does: positions of independent neurons, whose number no
    rule may read.

    Raises:
        Unmatched: Samples cannot be cut.
    """
    right = tuple(f // n for f, n in zip(factor.sizes, left, strict=True))
    left = tuple(left)
    if factor.kind == POSITION:
        return Factor(POSITION, left), Factor(POSITION, right)
    if factor.kind == SAMPLE:
        raise Unmatched("samples are put together into groups, which mixes them")
    fixed = [len(set(sizes)) == 1 for sizes in (left, right)]
    if fixed[0] or not fixed[1]:  # also where nothing is known of other widths: (heads, head_dim), (3, width)
        return Factor(POSITION, left), Factor(NEURON, right)
    return Factor(NEURON, left), Factor(POSITION, right)
