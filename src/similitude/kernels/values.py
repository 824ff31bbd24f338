"""Traced values at infinite width: linear combinations of atoms along one axis of neurons, with finite coefficients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from similitude.kernels.labels import POSITION, Factor, Layout, count

if TYPE_CHECKING:
    from similitude.kernels.functions import Function
    from similitude.kernels.run import Run

Stride = tuple[Fraction, Fraction, int, int]
"""Every `number`-th neuron of a part, from the `first` on: (from, to, number, first)."""

Support = frozenset[tuple[str, Fraction, Fraction, tuple[Stride, ...]]]
"""Parameters, each with the part of its neurons, from and to, between 0 and 1, and which of these."""


def support(name: str) -> Support:
    """Return all of a parameter."""
    return frozenset({(name, Fraction(0), Fraction(1), ())})


def shared(a: Support, b: Support) -> list[str]:
    """List the parameters of which two supports have common neurons."""
    return sorted({
        p
        for p, low, high, some in a
        for q, start, stop, others in b
        if p == q and low < stop and start < high and not _alternate(some, others)
    })  # fmt: skip


def _alternate(a: tuple[Stride, ...], b: tuple[Stride, ...]) -> bool:
    """Tell whether two parts take turns, as queries and keys of heads in one matrix do."""
    one, two = next(((s, t) for s, t in zip(a, b, strict=False) if s != t), (None, None))
    return one is not None and two is not None and one[:3] == two[:3]


def part_of(whole: Support, group: int, number: int, *, slow: bool = True) -> Support:
    """Return one of `number` equal parts of the neurons: neighbours, or every `number`-th where not `slow`."""
    found = set()
    for name, low, high, strides in whole:
        step = (high - low) / number
        if slow:
            found.add((name, low + group * step, low + (group + 1) * step, strides))
        else:
            found.add((name, low, high, (*strides, (low, high, number, group))))
    return frozenset(found)


Where = Tensor | None
"""Which position is read at each position, -1 for none (zero); None where they are the same."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """A finite number per sample and position: `read(run)` gives (n or 1, positions or 1)."""

    read: Callable[[Run], Tensor]


@dataclass(frozen=True)
class Coefficient:
    """A product of a number and of leaves.

    Attributes:
        scale: The number.
        leaves: The leaves.
        growth: The number at the larger recorded width over that at the smaller one.
    """

    scale: float = 1.0
    leaves: tuple[Leaf, ...] = ()
    growth: float = 1.0

    def __mul__(self, other: Coefficient) -> Coefficient:
        return Coefficient(self.scale * other.scale, self.leaves + other.leaves, self.growth * other.growth)

    def at(self, where: Tensor) -> Coefficient:
        """Return the coefficient at other positions."""
        return Coefficient(self.scale, tuple(Leaf(_reader(leaf, where)) for leaf in self.leaves), self.growth)


def _reader(leaf: Leaf, where: Tensor) -> Callable[[Run], Tensor]:
    def read(run: Run) -> Tensor:
        values = run.read(leaf)
        return values if values.shape[1] == 1 else values[:, where.clamp_min(0)]

    return read


@dataclass(frozen=True, eq=False)
class Atom:
    """One family of identically distributed neurons.

    Attributes:
        positions: Number of positions that it has.
        support: Parameters of the last layer that made it Gaussian; atoms of disjoint supports are independent.
    """

    positions: int
    support: Support

    @property
    def gaussian(self) -> bool:
        """Whether its neurons are jointly Gaussian with those of every Gaussian atom."""
        return False


@dataclass(frozen=True, eq=False)
class One(Atom):
    """The constant 1, of one position."""

    @property
    def gaussian(self) -> bool:
        """A constant shifts a Gaussian."""
        return True


@dataclass(frozen=True, eq=False)
class Field(Atom):
    """Data, or constants, that differ from neuron to neuron: `read(run)` gives (n or 1, positions, neurons)."""

    read: Callable[[Run], Tensor]


@dataclass(frozen=True, eq=False)
class Taps:
    """Which positions of its source every position of a layer reads.

    Attributes:
        index: (positions, taps) of positions of the source, -1 outside of it.
        spatial: (sizes, kernel, stride, padding, dilation) where it is a convolution of a grid, for speed.
    """

    index: Tensor
    spatial: tuple[tuple[int, ...], ...] | None = None
    key: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.index.numpy().tobytes())

    @property
    def number(self) -> int:
        """Taps of one position."""
        return self.index.shape[1]


@dataclass(frozen=True, eq=False)
class Data:
    """Finite features that a layer contracts: `read(run)` gives (n or 1, positions, features)."""

    positions: int
    features: int
    read: Callable[[Run], Tensor]


@dataclass(frozen=True, eq=False)
class Linear(Atom):
    """W h for a random matrix W.

    Attributes:
        weight: Name of the parameter.
        part: Which entries of it are W, as the bytes of their flat places.
        source: h.
        taps: Positions of h that each position reads; None for its own.
        fan_in: Entries of a row of W.
    """

    weight: str
    part: bytes
    source: Wide | Data
    taps: Taps | None
    fan_in: int

    @property
    def gaussian(self) -> bool:
        """By the central limit theorem."""
        return True


@dataclass(frozen=True, eq=False)
class Filter(Linear):
    """Sums over positions, and a fixed number of neurons, with random numbers of every neuron's own: depthwise filters.

    A product of the filter and a Gaussian, so that it is no Gaussian itself, but of the covariance of a `Linear`: neurons
    are of one law, and apart but for a fixed number. Its support has the source's in it: it depends on the same neurons.
    """

    @property
    def gaussian(self) -> bool:
        """Only given its filter."""
        return False


@dataclass(frozen=True, eq=False)
class Rows(Atom):
    """Rows of a random parameter, each position its own row: biases, positions, embeddings.

    Attributes:
        weight: Name of the parameter.
        part: Which of its columns, as bytes.
        read: (n or 1, positions) of the row's number.
        role: "bias" of a layer, else "rows".
        fan_in: Of a bias, the fan-in of its layer where that grows; 0 otherwise.
    """

    weight: str
    part: bytes
    read: Callable[[Run], Tensor]
    role: str
    fan_in: int = 0

    @property
    def gaussian(self) -> bool:
        """Of the same law in every neuron, and taken as Gaussian."""
        return True


@dataclass(frozen=True, eq=False)
class Image(Atom):
    """phi(u), entry by entry, for a Gaussian u."""

    root: Wide
    function: Function


@dataclass(frozen=True, eq=False)
class Mix(Atom):
    """Sums over positions with fixed weights: `read(run)` gives ([n,] positions of the source, positions)."""

    source: Wide
    read: Callable[[Run], Tensor]

    @property
    def gaussian(self) -> bool:
        """As its source."""
        return self.source.gaussian


@dataclass(frozen=True, eq=False)
class Heads(Atom):
    """Neurons cut into `number` groups that become positions, slower than those of the source.

    Attributes:
        source: What is cut.
        number: Number of groups.
        slow: Whether a group is a run of neighbours, else every `number`-th neuron.
    """

    source: Atom
    number: int
    slow: bool

    @property
    def gaussian(self) -> bool:
        """As its source."""
        return self.source.gaussian


@dataclass(frozen=True, eq=False)
class Product(Atom):
    """A product of two independent values, neuron by neuron."""

    left: Wide
    right: Wide


@dataclass(frozen=True, eq=False)
class Dropped(Atom):
    """A value of which entries are set to zero with a probability and the others scaled up."""

    source: Wide
    probability: float


@dataclass(frozen=True, eq=False)
class Operator(Atom):
    """A value whose covariance a rule of its own computes: `cov(frame, left, right, layout)`; batch norm, attention."""

    rule: Any
    sources: tuple[Wide, ...]


@dataclass(frozen=True, eq=False)
class Term:
    """A coefficient times an atom, read at some positions of it."""

    atom: Atom
    coefficient: Coefficient
    where: Where = None

    @property
    def support(self) -> Support:
        """Parameters of the last layer that made it Gaussian: of groups of neurons, those that are read."""
        return self.atom.support if self.where is None else _read_support(self.atom, self.where)


def _read_support(atom: Atom, where: Tensor) -> Support:
    if not isinstance(atom, Heads):
        return atom.support
    size = atom.source.positions
    found: Support = frozenset()
    for group in (where[where >= 0] // size).unique().tolist():
        inner = _read_support(atom.source, where[where // size == group] % size)
        found |= part_of(inner, int(group), atom.number, slow=atom.slow)
    return found


@dataclass(frozen=True, eq=False)
class Wide:
    """A value with an axis of infinitely many neurons.

    Attributes:
        layout: Its axes.
        order: Factors of positions, in the order in which they are stored.
        terms: What it is the sum of.
        root: The Gaussian value that it is a function of, neuron by neuron, where `function` is given.
        function: That function.
    """

    layout: Layout
    order: tuple[Factor, ...]
    terms: tuple[Term, ...]
    root: Wide | None = None
    function: Function | None = None

    @property
    def positions(self) -> int:
        """Number of positions."""
        return count(self.order)

    @property
    def gaussian(self) -> bool:
        """Whether its neurons are Gaussian, jointly over samples and positions."""
        return all(term.atom.gaussian for term in self.terms)

    @property
    def support(self) -> Support:
        """Parameters of the layers that made it Gaussian."""
        return frozenset().union(*(term.support for term in self.terms))


ONE = One(1, frozenset())


def centred(value: Wide) -> bool:
    """Tell whether a value has mean 0 whatever the inputs, as sums of random matrices and filters have."""
    return all(_centred(term.atom) for term in value.terms)


def _centred(atom: Atom) -> bool:
    if isinstance(atom, Mix | Dropped):
        return centred(atom.source)
    if isinstance(atom, Heads):
        return _centred(atom.source)
    return isinstance(atom, Linear | Rows)


def combine(terms: list[Term]) -> tuple[Term, ...]:
    """Add coefficients of the same atom at the same positions."""
    found: dict[tuple[int, bytes | None, tuple[int, ...]], Term] = {}
    for term in terms:
        where = (
            None
            if isinstance(term.atom, One) and term.where is not None and _all_there(term.where)
            else term.where
        )
        key = (
            id(term.atom),
            None if where is None else where.numpy().tobytes(),
            tuple(id(leaf) for leaf in term.coefficient.leaves),
        )
        old = found.get(key)
        scale = term.coefficient.scale + (old.coefficient.scale if old else 0.0)
        found[key] = Term(
            term.atom, Coefficient(scale, term.coefficient.leaves, term.coefficient.growth), where
        )
    return tuple(term for term in found.values() if term.coefficient.scale != 0)


def _all_there(where: Tensor) -> bool:
    return bool((where >= 0).all())


def moved(terms: tuple[Term, ...], where: Tensor) -> list[Term]:
    """Read a sum of terms at other positions."""
    found = []
    for term in terms:
        if term.where is None:
            inner = (
                torch.where(where < 0, where, torch.zeros_like(where))
                if isinstance(term.atom, One)
                else where
            )
        else:
            inner = torch.where(where < 0, where, term.where[where.clamp_min(0)])
        found.append(Term(term.atom, term.coefficient.at(where), inner))
    return found


def single(atom: Atom) -> Wide:
    """Return an atom as a value whose positions are the atom's own."""
    made = atom.__dict__.get("_single")
    if made is None:
        factor = Factor(POSITION, (atom.positions,))
        made = Wide(((factor,),), (factor,), (Term(atom, Coefficient()),))
        object.__setattr__(
            atom, "_single", made
        )  # one value per atom, so that its covariances are computed once
    return made
