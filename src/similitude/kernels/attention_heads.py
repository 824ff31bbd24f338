"""Attention heads at infinite width: many of them, wide or of a fixed size, or any number with logits of 1/d.

Logits of 1/sqrt(d) stay random, and average out over infinitely many heads; a fixed number of heads stays random itself,
a mixture of Gaussians with no kernel. Logits of 1/d are numbers in the limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from similitude.kernels.attention import PairCovariance, fixed_weights, softmax_attention
from similitude.kernels.covariance import Covariances
from similitude.kernels.facts import Logits
from similitude.kernels.frames import ZERO, Frame, Pair
from similitude.kernels.labels import POSITION, Axis, Factor, Layout, Unmatched, count, grow
from similitude.kernels.moves import grouped, read, reordered
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader
from similitude.kernels.run import Run
from similitude.kernels.values import (
    Atom,
    Coefficient,
    Heads,
    Leaf,
    Mix,
    One,
    Operator,
    Term,
    Wide,
    shared,
    single,
)

TOLERANCE = 0.003
"""Standard error at which draws end, relative to the largest entry of a block."""

MOST_DRAWS = 2**16
"""Draws after which they end in any case."""

_ERROR = f"{100 * TOLERANCE:g} % of the largest entry"
_FLAT = 0.05  # exponents of the width within this of 0, -1/2 or -1 are those


@dataclass(frozen=True, eq=False)
class Attention:
    """The rule of what attention of 1/sqrt(d) gives, over infinitely many heads.

    Attributes:
        scale: Logits in units of q.k / sqrt(d).
        size: d; None where it is infinite.
        mask: Added to the logits: (n or 1, queries, keys).
    """

    scale: float
    size: int | None
    mask: tuple[Leaf, ...]
    exact: bool = False

    def mean(self, run: Run, atom: Operator) -> None:
        """Return the mean: values have none."""
        del run, atom

    def cov(self, covariances: Covariances, frame: Frame, a: Atom, b: Atom, full: bool) -> Pair:
        """Return covariance and tangent kernel of what attention gives, with each other or with another atom."""
        if not (isinstance(a, Operator) and isinstance(b, Operator) and isinstance(b.rule, Attention)):
            if shared(a.support, b.support):
                raise Unmatched("values of an attention meet themselves without it")
            return ZERO
        if not shared(a.support, b.support):
            return ZERO
        assert isinstance(a.rule, Attention), "both are attention"
        if (a.rule.scale, a.rule.size) != (b.rule.scale, b.rule.size):
            raise Unmatched("the same values are averaged by attention of two kinds")
        if not full:
            one = a.positions == b.positions == 1  # its one position is all pairs of them
            pair = (
                self._pairs(covariances, frame, a, b)
                if one
                else covariances.cov(single(a), single(b), frame, full=True)
            )
            return Pair(*(None if x is None else x.diagonal(0, -2, -1).clone() for x in pair))
        return self._pairs(covariances, frame, a, b)

    def _pairs(self, covariances: Covariances, frame: Frame, a: Operator, b: Operator) -> Pair:
        assert isinstance(a.rule, Attention), "both are attention"
        assert isinstance(b.rule, Attention), "both are attention"
        parts = [
            self._parts(covariances, frame, one, two) for one, two in zip(a.sources, b.sources, strict=True)
        ]
        masks = None
        if a.rule.mask or b.rule.mask:
            left, right = _masks(a, frame.left), _masks(b, frame.right)
            masks = (left, right) if frame.zipped else (left[:, None], right[None])
        found = softmax_attention(
            *parts,
            scale=a.rule.scale,
            size=a.rule.size,
            masks=masks,
            tolerance=TOLERANCE,
            most_draws=MOST_DRAWS,
        )
        return Pair(found.covariance, found.tangent)

    @staticmethod
    def _parts(covariances: Covariances, frame: Frame, one: Wide, two: Wide) -> PairCovariance:
        left = covariances.cov(one, one, covariances.own(frame.left), full=True).k
        right = covariances.cov(two, two, covariances.own(frame.right), full=True).k
        k, t = covariances.cov(one, two, frame, full=True)
        p, r = one.positions, two.positions

        def shaped(x: Tensor | None, rows: int, columns: int, axes: int) -> Tensor:
            if x is None:
                x = frame.left.zeros([1] * axes + [1, 1])
            return x.expand(*x.shape[:-2], rows, columns)

        axes = 1 if frame.zipped else 2
        own = shaped(left, p, p, 1), shaped(right, r, r, 1)
        if not frame.zipped:
            own = own[0][:, None], own[1][None]
        tangent = None if t is None else shaped(t, p, r, axes)
        return PairCovariance(*own, shaped(k, p, r, axes), tangent)


def _masks(a: Operator, run: Run) -> Tensor:
    assert isinstance(a.rule, Attention), "a rule of attention"
    queries, keys = a.sources[0].positions, a.sources[1].positions
    total = run.zeros((1, queries, keys))
    for leaf in a.rule.mask:
        total = total + run.read(leaf)
    return total


def attended(reader: Reader, op: Op, logits: Logits, value: Wide, layout: Layout) -> Wide:
    """Average values with attention weights.

    Args:
        reader: The reader.
        op: The operation.
        logits: Before the softmax or after it.
        value: The values, axes as of `layout` but for the queries.
        layout: Axes of the result: its last but one the queries', its last the neurons'.
    """
    heads = _groups(layout[:-2])
    query, key, values = (
        _one_of(reader, op, v, _groups((*v.layout[:-2], v.layout[-1]) if logits.heads else v.layout[:-2]))
        for v in (logits.query, logits.key, value)
    )
    width = logits.neurons[0]
    if logits.heads:
        return _narrow(reader, op, logits, (query, key, values), layout)
    tokens = layout[-2]
    factor = logits.scale * _number(query) * _number(key)
    if (ratio := logits.neurons[-1] / width) > 1:
        exponent = math.log(_growth(logits, query, key)) / math.log(ratio)
    else:
        exponent = -1.0 if width > 1 and math.isclose(factor, 1 / width, rel_tol=1e-6) else -0.5
    if abs(exponent + 1) < _FLAT:
        found = _fixed(reader, logits, query, key, values, width)
    elif abs(exponent + 0.5) < _FLAT:
        if reader.program.wider and not grow(heads):
            reader.refuse(
                op,
                f"{count(heads)} head{'s' if count(heads) > 1 else ''} at every width with logits of 1/sqrt(d): each "
                "head stays random at infinite width, so that outputs are a mixture of Gaussians",
                "Let the number of heads grow with the width, or divide the logits by d.",
            )
        found = _random(reader, op, logits, (query, key, values), None)
        reader.says("softmax attention, infinitely many wide heads, to " + _ERROR, "estimated")
    else:
        _grows(reader, op, width, exponent)
    terms: tuple[Term, ...] = (Term(found, Coefficient()),)
    if heads:
        terms = grouped(terms, count(heads), query.positions, True)
    return Wide(layout, (*heads, *tokens), terms)


def _narrow(reader: Reader, op: Op, logits: Logits, parts: tuple[Wide, Wide, Wide], layout: Layout) -> Wide:
    """Average values over infinitely many heads of a fixed size."""
    if more := _groups(layout[:-2]):
        reader.refuse(op, f"{count(more)} heads share their keys and values, which has no rule")
    query, key, _ = parts
    size = logits.neurons[0]
    if logits.heads[-1] > logits.heads[0]:
        exponent = math.log(_growth(logits, query, key)) / math.log(logits.heads[-1] / logits.heads[0])
        if abs(exponent) > _FLAT:
            _grows(reader, op, size, exponent)
    found = _random(reader, op, logits, parts, size)
    reader.says(f"softmax attention, infinitely many heads of {size} neurons, to {_ERROR}", "estimated")
    inner = _groups((layout[-1],))
    terms = grouped((Term(found, Coefficient()),), count(inner), query.positions, False)
    return Wide(layout, (*inner, *layout[-2]), terms)


def _grows(reader: Reader, op: Op, width: int, exponent: float) -> NoReturn:
    reader.refuse(
        op,
        f"its logits are sums over {width} neurons times width^{exponent:.2g}: they grow or vanish with the width",
        "Divide them by sqrt(d) or by d.",
    )


def _random(
    reader: Reader, op: Op, logits: Logits, parts: tuple[Wide, Wide, Wide], size: int | None
) -> Operator:
    """Average values with weights that are random in every head.

    Raises:
        KernelError: Queries, keys and values are not independent, or not centred.
    """
    query, key, values = parts
    if common := shared(query.support, key.support):
        reader.refuse(
            op,
            f"its queries and keys have the parameters {', '.join(common)} in common: their products over sqrt(d) are "
            "infinite at infinite width",
            "Give them weights of their own, or divide the logits by d.",
        )
    if size is not None and (common := shared(values.support, query.support | key.support)):
        reader.refuse(
            op,
            f"the values of its narrow heads depend on the logits, by way of {', '.join(common)}, which has no rule",
        )
    centred = [v.gaussian and not any(isinstance(t.atom, One) for t in v.terms) for v in parts]
    if not centred[2] or not any(centred[:2]) or (size is not None and not all(centred)):
        reader.refuse(
            op,
            "its queries, keys or values are not Gaussians of mean 0, which has no rule with logits of 1/sqrt(d)",
        )
    scale = logits.scale * math.sqrt(logits.neurons[0])
    return Operator(query.positions, values.support, Attention(scale, size, logits.mask), parts)


def _fixed(reader: Reader, logits: Logits, query: Wide, key: Wide, values: Wide, width: int) -> Mix:
    """Average values with the weights that logits of 1/d have in the limit."""
    masks, scale = logits.mask, logits.scale * width

    def weights(run: Run) -> Tensor:
        k = run.covariances.cov(query, key, run.covariances.own(run), full=True).k
        found = run.zeros((1, query.positions, key.positions))
        if k is not None:
            found = found + k * scale
        mask = None
        for leaf in masks:
            mask = run.read(leaf) if mask is None else mask + run.read(leaf)
        return fixed_weights(found, mask).transpose(1, 2)

    reader.says("softmax attention with logits of 1/d: weights that are numbers in the limit")
    return Mix(query.positions, values.support, values, weights)


def _groups(axes: tuple[Axis, ...]) -> tuple[Factor, ...]:
    return tuple(f for axis in axes for f in axis if f.kind == POSITION)


def _one_of(reader: Reader, op: Op, value: Wide, groups: tuple[Factor, ...]) -> Wide:
    """Return one of the heads, or one of their neurons, that a value is cut into: positions alone are left.

    Raises:
        KernelError: They are not independent and of one law.
    """
    if not groups:
        return value
    gone = {g.key for g in groups}
    rest = tuple(f for f in value.order if f.key not in gone)
    number, total = count(groups), count(rest)
    value = reordered(value, (*groups, *rest))
    maps: dict[int, Tensor] = {}
    for term in value.terms:
        if isinstance(term.atom, One):
            continue
        where = torch.arange(value.positions) if term.where is None else term.where
        inner = where.expand(value.positions).reshape(number, total)
        if isinstance(term.atom, Heads):
            size = term.atom.source.positions
            group = torch.where(inner < 0, -1, inner // size)
            first = group.amax(1)
            alike = torch.where(inner < 0, -1, inner % size)
            before = maps.setdefault(id(term.atom), first)
            if (
                torch.equal(alike, alike[:1].expand_as(alike))
                and bool(((group == first[:, None]) | (inner < 0)).all())
                and len(first.unique()) == number
                and torch.equal(first, before)
            ):
                continue
        reader.refuse(
            op,
            "it attends within groups of positions (windows), or its heads (their neurons, where these are few) depend "
            "on each other or have different laws, as with shared keys or rotated positions, which has no rule",
        )
    terms = tuple(
        Term(t.atom, _alike(reader, op, t.coefficient, number, total), t.where) for t in value.terms
    )
    layout = tuple(tuple(f for f in axis if f.key not in gone) for axis in value.layout)
    return read(Wide(value.layout, value.order, terms), layout, rest, torch.arange(total))


def _alike(reader: Reader, op: Op, coefficient: Coefficient, number: int, total: int) -> Coefficient:
    """Make sure that numbers are the same in all heads."""

    def checked(leaf: Leaf) -> Leaf:
        def read_one(run: Run) -> Tensor:
            found = run.read(leaf)
            if found.shape[1] > 1:
                heads = found.reshape(len(found), number, total)
                if not torch.equal(heads, heads[:, :1].expand_as(heads)):
                    reader.refuse(op, "numbers that its heads are multiplied with differ, which has no rule")
            return found

        return Leaf(read_one)

    return Coefficient(coefficient.scale, tuple(map(checked, coefficient.leaves)), coefficient.growth)


def _number(value: Wide) -> float:
    return value.terms[0].coefficient.scale if value.terms else 1.0


def _growth(logits: Logits, *values: Wide) -> float:
    """Return the factor of the products at the larger width over that at the smaller one."""
    grown = [v.terms[0].coefficient.growth for v in values if v.terms]
    return logits.growth * math.prod(grown)
