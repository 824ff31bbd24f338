"""Wide values read at other positions, stored in another order, or cut into groups of neurons."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from similitude.kernels.labels import (
    POSITION,
    Factor,
    Layout,
    Split,
    Unmatched,
    count,
    flat,
    positions,
)
from similitude.kernels.values import Field, Heads, Image, One, Term, Where, Wide, combine, moved


def reordered(value: Wide, order: tuple[Factor, ...]) -> Wide:
    """Return a value that stores its positions in another order."""
    if [f.key for f in order] == [f.key for f in value.order]:
        return value
    places = {f.key: i for i, f in enumerate(value.order)}
    where = torch.arange(value.positions).reshape([f.size for f in value.order])
    where = where.permute([places[f.key] for f in order]).flatten()
    return read(value, value.layout, order, where)


def read(value: Wide, layout: Layout, order: tuple[Factor, ...], where: Tensor) -> Wide:
    """Return a value read at other positions, `where` by stored position, -1 for zero."""
    if len(where) == value.positions and torch.equal(where, torch.arange(len(where))):
        return Wide(layout, order, value.terms, value.root, value.function)
    terms = combine(moved(value.terms, where))
    if value.root is None or value.function is None or bool((where < 0).any()):
        return Wide(layout, order, terms)
    root = Wide(layout, order, combine(moved(value.root.terms, where)))
    return Wide(layout, order, terms, root, value.function)


def divided(value: Wide, split: Split) -> Wide:
    """Cut a factor of a value's axes in two; of neurons, the side that does not grow becomes positions."""
    layout = tuple(
        tuple(g for f in axis for g in (split.parts if f.key == split.factor.key else (f,)))
        for axis in value.layout
    )
    if split.factor.kind == POSITION:
        order = tuple(g for f in value.order for g in (split.parts if f.key == split.factor.key else (f,)))
        return Wide(layout, order, value.terms, value.root, value.function)
    (groups,) = (f for f in split.parts if f.kind == POSITION)
    slow = split.parts[0] is groups
    order = (groups, *value.order)
    terms = grouped(value.terms, groups.size, value.positions, slow)
    if value.root is None:
        return Wide(layout, order, terms)
    root = Wide(layout, order, grouped(value.root.terms, groups.size, value.positions, slow))
    return Wide(layout, order, terms, root, value.function)


def grouped(terms: tuple[Term, ...], number: int, total: int, slow: bool) -> tuple[Term, ...]:
    """Cut neurons of a sum into `number` groups, slower than its positions."""
    found = []
    for term in terms:
        atom = _heads(term.atom, number, slow)
        where = term.where
        coefficient = (
            term.coefficient.at(torch.arange(number * total) % total)
            if term.coefficient.leaves
            else (term.coefficient)
        )
        if isinstance(term.atom, One):
            moved_to: Where = None if where is None else where.repeat(number)
        elif where is None and term.atom.positions == total:
            moved_to = None
        else:
            inner = torch.arange(total) if where is None else where
            if term.atom.positions == 1 and where is None:
                inner = torch.zeros(total, dtype=torch.long)
            groups = torch.arange(number)[:, None] * term.atom.positions
            moved_to = torch.where(inner < 0, inner, inner + groups).flatten()
        found.append(Term(atom, coefficient, moved_to))
    return tuple(found)


def _heads(atom: Any, number: int, slow: bool) -> Any:
    if isinstance(atom, One):
        return atom
    if isinstance(atom, Field):
        raise Unmatched("data that differ from neuron to neuron are cut into groups of neurons")
    cuts = atom.__dict__.setdefault("_cuts", {})
    made = cuts.get((number, slow))
    if made is not None:
        return made
    if isinstance(atom, Image):
        root = atom.root
        order = (Factor(POSITION, (number,)), *root.order)
        inner = Wide(((),), order, grouped(root.terms, number, root.positions, slow))
        made = Image(number * atom.positions, atom.support, inner, atom.function)
    else:
        made = Heads(number * atom.positions, atom.support, atom, number, slow)
    cuts[number, slow] = made
    return made


def places(value: Wide) -> Tensor:
    """Return the stored position, counted from 1, of every entry of a value in the shape of the first pass."""
    where = torch.arange(1, value.positions + 1).reshape([f.size for f in value.order])
    factors = flat(value.layout)
    physical = positions(value.layout)
    at = {f.key: i for i, f in enumerate(value.order)}
    where = where.permute([at[f.key] for f in physical])
    shape = [f.size if f.kind == POSITION else 1 for f in factors]
    where = where.reshape(shape).expand([f.size for f in factors])
    return where.reshape([count(axis) for axis in value.layout])


def decoded(probe: Tensor, layout: Layout) -> Tensor:
    """Read what `places` became as stored positions of a new layout, -1 for none.

    Raises:
        Unmatched: It differs between samples or neurons.
    """
    factors = flat(layout)
    probe = probe.reshape([f.size for f in factors])
    for i, f in enumerate(factors):
        if f.kind != POSITION:
            first = probe.narrow(i, 0, 1)
            if not torch.equal(probe, first.expand_as(probe)):
                raise Unmatched(f"it moves entries between {f.kind}s")
            probe = first
    return probe.flatten() - 1


def numbered(value: Wide, kind: str) -> Tensor:
    """Return the neuron or the sample, counted from 1, of every entry of a value in the shape of the first pass."""
    factors = flat(value.layout)
    found = torch.ones([f.size for f in factors], dtype=torch.long)
    for i, f in enumerate(factors):
        if f.kind == kind:
            found = found * _counted(f.size, i, len(factors))
    return found.reshape([count(axis) for axis in value.layout])


def in_order(probe: Tensor, layout: Layout, kind: str) -> None:
    """Check that what `numbered` became has every neuron, or sample, in its own place.

    Raises:
        Unmatched: It mixes them: two neurons of one layer are independent, a neuron and itself are not.
    """
    factors = flat(layout)
    probe = probe.reshape([f.size for f in factors])
    for i, f in enumerate(factors):
        if f.kind == kind:
            here = _counted(f.size, i, len(factors)).expand_as(probe)
            if not torch.equal(torch.where(probe > 0, probe, here), here):
                raise Unmatched(f"it puts {kind}s in another order")


def _counted(size: int, axis: int, rank: int) -> Tensor:
    return torch.arange(1, size + 1).reshape([size if i == axis else 1 for i in range(rank)])
