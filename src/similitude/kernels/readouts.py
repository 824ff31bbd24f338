"""Which parameters make a module's outputs, whose number stays while all behind them grows, and which are added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from similitude.kernels.labels import NEURON, flat
from similitude.kernels.values import Atom, Dropped, Heads, Image, Linear, Mix, Operator, Product, Rows, Wide


@dataclass(frozen=True)
class Readouts:
    """How a module ends.

    Attributes:
        names: Parameters of the last layers.
        features: Whether its outputs are neurons, whose number grows; then it has no readout.
        bent: A parameter of a last layer that something nonlinear comes after; None where there is none.
    """

    names: frozenset[str]
    features: bool
    bent: str | None = None


def readouts(output: Wide) -> Readouts:
    """Tell the last layers from those behind them.

    Of a family the outputs grow where their axis does. Of a single module they do where a last layer is also read by
    another one, as the stream of a residual network without a head is.

    Args:
        output: What the module returns.
    """
    last = frozenset(part[0] for part in output.support)
    neuron = next((f for f in flat(output.layout) if f.kind == NEURON), None)
    grows = neuron is not None and len(set(neuron.sizes)) > 1
    if grows or last & _behind(output):
        return Readouts(frozenset(), True)
    curved = (Image, Product, Operator)
    bent = sorted(part[0] for atom in _ends(output) if isinstance(atom, curved) for part in atom.support)
    return Readouts(last, False, bent[0] if bent else None)


def sums_of_rows(values: Iterable[Wide]) -> set[frozenset[str]]:
    """Return the biases, and other rows of parameters, that are added to one another in some values."""
    found = {frozenset(t.atom.weight for t in value.terms if isinstance(t.atom, Rows)) for value in values}
    return {names for names in found if len(names) > 1}


def _ends(value: Wide) -> Iterator[Atom]:
    """Yield the atoms of a value, through sums over positions and dropout, which are linear."""
    for term in value.terms:
        atom = term.atom
        while isinstance(atom, Heads):
            atom = atom.source
        if isinstance(atom, Mix | Dropped):
            yield from _ends(atom.source)
        else:
            yield atom


def _behind(value: Wide) -> set[str]:
    """Return the parameters of the layers that the last layers of a value read."""
    found: set[str] = set()
    seen: set[Wide] = set()
    todo = [source for atom in _atoms(value) for source in _sources(atom)]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        found |= {part[0] for part in one.support}
        todo += [source for atom in _atoms(one) for source in _sources(atom)]
    return found


def _atoms(value: Wide) -> Iterator[Atom]:
    """Yield the layers of a value, through everything that is done to them entry by entry."""
    for atom in _ends(value):
        if isinstance(atom, Image):
            yield from _atoms(atom.root)
        elif isinstance(atom, Product):
            yield from _atoms(atom.left)
            yield from _atoms(atom.right)
        else:
            yield atom


def _sources(atom: Atom) -> tuple[Wide, ...]:
    if isinstance(atom, Linear):
        return (atom.source,) if isinstance(atom.source, Wide) else ()
    return atom.sources if isinstance(atom, Operator) else ()
