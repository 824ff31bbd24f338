"""Softmax attention: products of queries and keys over infinitely many neurons, their softmax, and averages of values.

Logits of 1/sqrt(d) stay random, and average out over infinitely many heads; logits of 1/d are numbers in the limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from similitude.kernels.attention import PairCovariance, fixed_weights, softmax_attention
from similitude.kernels.covariance import Covariances
from similitude.kernels.facts import Finite, Logits, Lost
from similitude.kernels.frames import Frame, Pair
from similitude.kernels.labels import NEURON, POSITION, SAMPLE, Axis, Factor, Layout, Unmatched, count
from similitude.kernels.moves import grouped, read, reordered
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.rules_layers import check_growth
from similitude.kernels.rules_logits import mask_of
from similitude.kernels.run import Run, gathered
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

_FLAT = 0.05  # exponents of the width within this of 0, -1/2 or -1 are those


@dataclass(frozen=True, eq=False)
class Attention:
    """The rule of what attention of 1/sqrt(d) gives, over infinitely many heads.

    Attributes:
        scale: Logits in units of q.k / sqrt(d).
        mask: Added to the logits: (n or 1, queries, keys).
    """

    scale: float
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
            return Pair(None)
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
        found = softmax_attention(*parts, scale=a.rule.scale, masks=masks)
        return Pair(found.covariance, found.tangent)

    @staticmethod
    def _parts(covariances: Covariances, frame: Frame, one: Wide, two: Wide) -> PairCovariance:
        left = covariances.cov(one, one, covariances.own(frame.left), full=True).k
        right = covariances.cov(two, two, covariances.own(frame.right), full=True).k
        k, t = covariances.cov(one, two, frame, full=True)
        p, r = one.positions, two.positions

        def shaped(x: Tensor | None, rows: int, columns: int, axes: int) -> Tensor:
            if x is None:
                x = torch.zeros([1] * axes + [1, 1], dtype=frame.left.dtype)
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
    total = torch.zeros(1, queries, keys, dtype=run.dtype)
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
    heads = tuple(f for axis in layout[:-2] for f in axis if f.kind == POSITION)
    query, key, values = (_one_head(reader, op, v) for v in (logits.query, logits.key, value))
    tokens = layout[-2]
    width, wider = logits.neurons[0], logits.neurons[-1]
    ratio = wider / width
    factor = logits.scale * _number(query) * _number(key)
    if ratio > 1:
        growth = logits.growth * _growth(query) * _growth(key)
        exponent = math.log(growth) / math.log(ratio)
    else:
        exponent = -1.0 if width > 1 and math.isclose(factor, 1 / width, rel_tol=1e-6) else -0.5
    if abs(exponent + 1) < _FLAT:
        found = _fixed(reader, logits, query, key, values, width)
    elif abs(exponent + 0.5) < _FLAT:
        if heads and reader.program.wider:
            reader.refuse(
                op,
                f"{count(heads)} heads at every width with logits of 1/sqrt(d): each head stays random at infinite width",
                "Let the number of heads grow with the width, or divide the logits by d.",
            )
        found = Operator(
            query.positions,
            values.support,
            Attention(logits.scale * math.sqrt(width), logits.mask),
            (query, key, values),
        )
        reader.says("softmax attention, infinitely many heads", "estimated")
    else:
        reader.refuse(
            op,
            f"its logits are sums over {width} neurons times width^{exponent:.2g}: they grow or vanish with the width",
            "Divide them by sqrt(d) or by d.",
        )
    terms: tuple[Term, ...] = (Term(found, Coefficient()),)
    if heads:
        terms = grouped(terms, count(heads), query.positions, True)
    return Wide(layout, (*heads, *tokens), terms)


def _fixed(reader: Reader, logits: Logits, query: Wide, key: Wide, values: Wide, width: int) -> Mix:
    """Average values with the weights that logits of 1/d have in the limit."""
    masks, scale = logits.mask, logits.scale * width

    def weights(run: Run) -> Tensor:
        k = run.covariances.cov(query, key, run.covariances.own(run), full=True).k
        found = torch.zeros(1, query.positions, key.positions, dtype=run.dtype)
        if k is not None:
            found = found + k * scale
        mask = None
        for leaf in masks:
            mask = run.read(leaf) if mask is None else mask + run.read(leaf)
        return fixed_weights(found, mask).transpose(1, 2)

    reader.says("softmax attention with logits of 1/d: weights that are numbers in the limit")
    return Mix(query.positions, values.support, values, weights)


def _one_head(reader: Reader, op: Op, value: Wide) -> Wide:
    """Return one of the heads that a value is cut into: positions alone are left."""
    heads = tuple(f for axis in value.layout[:-2] for f in axis if f.kind == POSITION)
    rest = tuple(f for f in value.order if f.key not in {h.key for h in heads})
    if not heads:
        return value
    number = count(heads)
    value = reordered(value, (*heads, *rest))
    total = count(rest)
    for term in value.terms:
        if isinstance(term.atom, One):
            continue
        where = torch.arange(value.positions) if term.where is None else term.where
        inner = where.reshape(number, total)
        if not isinstance(term.atom, Heads) or bool(
            ((inner - inner[:1]) % term.atom.source.positions != 0).any()
        ):
            reader.refuse(
                op,
                "it attends within groups of positions (windows), or in heads of different laws, which has no rule",
            )
    layout = tuple(tuple(f for f in axis if f.key not in {h.key for h in heads}) for axis in value.layout)
    return read(value, layout, rest, torch.arange(total))


def _number(value: Wide) -> float:
    return value.terms[0].coefficient.scale if value.terms else 1.0


def _growth(value: Wide) -> float:
    return value.terms[0].coefficient.growth if value.terms else 1.0


@rule(
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_attention_math",
    "scaled_dot_product_attention",
)
def scaled_dot_product(reader: Reader, op: Op) -> None:
    """Fused attention."""
    q, k, v = (reader.fact(a) for a in op.args[:3])
    if not all(isinstance(f, Wide) for f in (q, k, v)):
        reader.refuse(op, "its queries, keys or values are not wide")
    assert isinstance(q, Wide), "checked above"
    assert isinstance(k, Wide), "checked above"
    assert isinstance(v, Wide), "checked above"
    math_first = op.name != "_scaled_dot_product_flash_attention_for_cpu"
    rest = op.args[3:]
    mask = op.kwargs.get("attn_mask", rest[0] if math_first and rest else None)
    dropout, causal = (
        (rest[1:3] if math_first else rest[:2]) if len(rest) >= 2 else (rest[0] if rest else 0.0, False)
    )
    dropout = op.kwargs.get("dropout_p", dropout)
    causal = op.kwargs.get("is_causal", causal)
    if dropout:
        reader.refuse(
            op, "dropout of attention weights, in training, has no rule", "Call .eval() on the module."
        )
    logits = contracted_logits(reader, op, q, k, -1)
    scale = op.kwargs.get("scale")
    neurons = logits.neurons
    if scale is None:
        growth = (neurons[-1] / neurons[0]) ** -0.5
        logits = replace(logits, scale=1 / math.sqrt(neurons[0]), growth=growth)
    else:
        logits = replace(logits, scale=float(scale), growth=_keyword_growth(op, "scale", float(scale)))
    if causal:
        queries, keys = count(q.layout[-2]), count(k.layout[-2])
        logits = replace(logits, mask=(*logits.mask, _causal(queries, keys)))
    if mask is not None:
        fact = reader.fact(mask)
        if not isinstance(fact, Finite):
            reader.refuse(op, "its mask is not finite")
        logits = replace(logits, mask=(*logits.mask, mask_of(reader, op, fact, logits, 1.0)))
    layout = (*v.layout[:-2], q.layout[-2], v.layout[-1])
    reader.put(op, attended(reader, op, logits, v, layout))
    for i in range(1, len(op.node.outputs)):
        reader.put(op, Lost("it reads the normalization of a fused attention"), i)


def _causal(queries: int, keys: int) -> Leaf:
    mask = torch.full((queries, keys), -math.inf, dtype=torch.float64).triu(1)[None]
    return Leaf(lambda run: mask.to(run.dtype))


def contracted_logits(reader: Reader, op: Op, q: Wide, k: Wide, axis: int) -> Logits:
    """Contract queries with keys over their axis of neurons; `axis` is that of the keys."""
    if not any(f.kind == NEURON for f in q.layout[-1]) and any(
        f.kind == NEURON for a in q.layout[:-2] for f in a
    ):
        reader.refuse(
            op,
            f"its heads grow in number but stay {count(q.layout[-1])} wide: logits of so few are not Gaussian, for "
            "which there is no rule",
            "Pass one module instead of a family: its heads are read as infinite in number and width.",
        )
    check_growth(reader, op, q, len(q.layout) - 1)
    check_growth(reader, op, k, axis % len(k.layout))
    if axis % len(k.layout) != len(k.layout) - 1:
        layout = (*k.layout[:-2], k.layout[-1], k.layout[-2])
        k = Wide(layout, k.order, k.terms, k.root, k.function)
    if any(f.kind == POSITION for f in (*q.layout[-1], *k.layout[-1])):
        reader.refuse(op, "queries and keys are contracted over neurons of different laws")
    if any(f.kind != POSITION for f in (*q.layout[-2], *k.layout[-2])):
        raise Unmatched("products between neurons or samples")
    (neuron,) = q.layout[-1]
    layout = (*q.layout[:-2], q.layout[-2], tuple(Factor(POSITION, f.sizes) for f in k.layout[-2]))
    return Logits(q, k, layout, 1.0, 1.0, neuron.sizes)


def bmm(reader: Reader, op: Op) -> None:
    """Multiply batches of matrices that are no parameters: logits, or averages over positions."""
    arguments = op.args[1:3] if op.name in ("baddbmm", "addmm", "addbmm") else op.args[:2]
    left, right = (reader.fact(a) for a in arguments)
    if isinstance(left, Wide) and isinstance(right, Wide):
        logits = contracted_logits(reader, op, left, right, -2)
        if op.name == "baddbmm":
            alpha, beta = float(op.kwargs.get("alpha", 1)), float(op.kwargs.get("beta", 1))
            logits = replace(logits, scale=alpha, growth=_keyword_growth(op, "alpha", alpha))
            added = reader.fact(op.args[0])
            if beta and not isinstance(added, Finite):
                reader.refuse(op, "what it adds to logits is not finite")
            if beta and isinstance(added, Finite):
                logits = replace(logits, mask=(mask_of(reader, op, added, logits, beta),))
        reader.put(op, logits)
        return
    if op.name in ("baddbmm", "addmm", "addbmm"):
        reader.refuse(op, "there is no rule for it at infinite width")
    if isinstance(left, Logits) and left.softmax and isinstance(right, Wide):
        layout = (*right.layout[:-2], left.query.layout[-2], right.layout[-1])
        reader.put(op, attended(reader, op, left, right, layout))
        return
    if isinstance(left, Finite) and isinstance(right, Wide):
        reader.put(op, averaged(reader, op, left, right))
        return
    reader.refuse(op, "there is no rule for it at infinite width")


def _keyword_growth(op: Op, name: str, here: float) -> float:
    if op.wider is None or not here:
        return 1.0
    return float(op.wider.kwargs.get(name, here)) / here


def averaged(reader: Reader, op: Op, left: Finite, right: Wide) -> Wide:
    """Multiply positions of a wide value with a finite matrix."""
    if left.layout is None or any(f.kind != POSITION for f in right.layout[-2]):
        raise Unmatched("a product with finite values over samples or neurons")
    inside = right.layout[-2]
    batch = tuple(f for axis in right.layout[:-2] for f in axis if f.kind == POSITION)
    if batch:
        reader.refuse(op, "it multiplies groups of positions with finite matrices, which has no rule")
    sizes = tuple(s[-2] for s in reader.shapes(left.index))
    rows: Axis = () if all(n == 1 for n in sizes) else (Factor(POSITION, sizes),)
    columns = tuple(Factor(POSITION, f.sizes) for f in inside)
    layout = (*right.layout[:-2], rows, right.layout[-1])
    whole = (*(tuple(f for f in axis if f.kind == SAMPLE) for axis in layout[:-2]), rows, columns)
    index, order = left.index, (*columns, *rows)
    n, m = count(columns), count(rows)

    def matrix(run: Run) -> Tensor:
        found = gathered(run, run.value(index), whole, order).to(run.dtype)
        return found.expand(len(found), n * m).reshape(len(found), n, m)

    value = reordered(right, inside)
    reader.says("finite average over positions")
    return Wide(layout, rows, (Term(Mix(m, value.support, value, matrix), Coefficient()),))
