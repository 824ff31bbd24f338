"""Operations of softmax attention: fused, and products of queries and keys and averages of values one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from similitude.kernels.attention_heads import attended
from similitude.kernels.facts import Finite, Logits, Lost
from similitude.kernels.labels import NEURON, POSITION, SAMPLE, Axis, Factor, Unmatched, count, flat
from similitude.kernels.layouts import axis_sizes
from similitude.kernels.moves import reordered
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, neuron_of, rule
from similitude.kernels.rules_layers import check_growth
from similitude.kernels.rules_logits import mask_of
from similitude.kernels.run import Run, gathered
from similitude.kernels.values import Coefficient, Leaf, Mix, Term, Wide


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
            reader.refuse(op, "its mask is random (a learned bias of the logits), which has no rule")
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
    axis %= len(k.layout)
    heads = _growing_heads(q, k, axis)
    if not heads:
        check_growth(reader, op, q, len(q.layout) - 1)
        check_growth(reader, op, k, axis)
    if axis != len(k.layout) - 1:
        layout = (*k.layout[:-2], k.layout[-1], k.layout[-2])
        k = Wide(layout, k.order, k.terms, k.root, k.function)
    if not heads and any(f.kind == POSITION for f in (*q.layout[-1], *k.layout[-1])):
        reader.refuse(op, "queries and keys are contracted over neurons of different laws")
    if any(f.kind != POSITION for f in (*q.layout[-2], *k.layout[-2])):
        raise Unmatched("products between neurons or samples")
    neurons = axis_sizes(q.layout[-1], len(reader.shapes(op.node.outputs[0])))
    layout = (*q.layout[:-2], q.layout[-2], tuple(Factor(POSITION, f.sizes) for f in k.layout[-2]))
    return Logits(q, k, layout, 1.0, 1.0, neurons, heads)


def _growing_heads(q: Wide, k: Wide, axis: int) -> tuple[int, ...]:
    """Return the numbers of heads where these are the neurons: they grow in number, not in size; else ()."""
    if any(f.kind == NEURON for f in (*q.layout[-1], *k.layout[axis])):
        return ()
    found = [f for f in flat(q.layout[:-2]) if f.kind == NEURON]
    return found[0].sizes if found and neuron_of(k) is not None else ()


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
