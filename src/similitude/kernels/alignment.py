"""Two values that meet entry by entry: their axes cut to the same factors, their positions stored in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from similitude.kernels.labels import NEURON, POSITION, Axis, Factor, Layout, Split, Unmatched, cut, positions
from similitude.kernels.moves import divided, read
from similitude.kernels.values import Wide


def aligned(values: Sequence[Wide]) -> tuple[Layout, tuple[Factor, ...], list[Wide]]:
    """Broadcast wide values against each other.

    Returns:
        The common axes, the order in which positions are stored, and the values with those.

    Raises:
        Unmatched: Their samples, positions and neurons do not meet each other.
    """
    found = list(values)
    for _ in range(64):
        problem = _first_cut(found)
        if problem is None:
            break
        index, split = problem
        found[index] = divided(found[index], split)
    rank = max(len(v.layout) for v in found)
    axes: list[Axis] = []
    maps: list[dict[int, Factor]] = [{} for _ in found]
    for dim in range(rank):
        here = [_axis(v, dim - rank) for v in found]
        longest = max(here, key=len)
        axis = tuple(Factor(f.kind, f.sizes) if f.kind == POSITION else f for f in longest)
        for i, own in enumerate(here):
            if not own:
                if any(f.kind == NEURON for f in longest):
                    raise Unmatched(
                        "one random neuron, which stays random at infinite width, meets infinitely many"
                    )
                continue
            for mine, common in zip(own, axis, strict=True):
                if mine.kind != common.kind:
                    raise Unmatched(f"an axis of {mine.kind}s meets one of {common.kind}s")
                maps[i][common.key] = mine
        axes.append(axis)
    layout = tuple(axes)
    order = _order(layout, found, maps)
    return layout, order, [_stored(v, layout, order, maps[i]) for i, v in enumerate(found)]


def _axis(value: Wide, dim: int) -> Axis:
    return value.layout[dim] if -dim <= len(value.layout) else ()


def _first_cut(values: list[Wide]) -> tuple[int, Split] | None:
    """Find a factor that is longer than the one that it meets."""
    rank = max(len(v.layout) for v in values)
    for dim in range(-rank, 0):
        axes = [(i, _axis(v, dim)) for i, v in enumerate(values) if _axis(v, dim)]
        for place in range(max((len(axis) for _, axis in axes), default=0)):
            here = [(i, axis[place]) for i, axis in axes if place < len(axis)]
            _, small = min(here, key=lambda p: p[1].size)
            for j, factor in here:
                if factor.sizes == small.sizes:
                    continue
                if any(a % b for a, b in zip(factor.sizes, small.sizes, strict=True)):
                    raise Unmatched(f"{factor.size} {factor.kind}s meet {small.size} {small.kind}s")
                return j, Split(factor, cut(factor, small.sizes))
    return None


def _order(layout: Layout, values: list[Wide], maps: list[dict[int, Factor]]) -> tuple[Factor, ...]:
    """Return the order in which the first value with all positions stores them, so that it is not moved."""
    physical = positions(layout)
    for value, mine in zip(values, maps, strict=True):
        if all(f.key in mine for f in physical):
            place = {f.key: i for i, f in enumerate(value.order)}
            if len(place) == len(physical):
                return tuple(sorted(physical, key=lambda f: place[mine[f.key].key]))
    return physical


def _stored(value: Wide, layout: Layout, order: tuple[Factor, ...], mine: dict[int, Factor]) -> Wide:
    place = {f.key: i for i, f in enumerate(value.order)}
    where = torch.arange(value.positions).reshape([f.size for f in value.order])
    there = [f for f in order if f.key in mine]
    where = where.permute([place[mine[f.key].key] for f in there])
    where = (
        where.reshape([f.size if f.key in mine else 1 for f in order])
        .expand([f.size for f in order])
        .flatten()
    )
    return read(value, layout, order, where)
