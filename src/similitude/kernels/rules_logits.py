"""What happens to attention logits before their values are averaged: numbers, masks, and the softmax over keys."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from similitude.kernels.facts import Finite, Logits, Lost
from similitude.kernels.labels import NEURON, POSITION, count, grow
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.run import Run, gathered
from similitude.kernels.values import (
    Leaf,
    Wide,
)

_PER_HEAD = "what it adds to logits differs from head to head, which has no rule"


@rule("_softmax", "softmax", "_safe_softmax")
def softmax(reader: Reader, op: Op) -> None:
    """Normalize logits over keys."""
    fact = reader.facts[op.node.inputs[0]]
    if isinstance(fact, Logits) and not fact.softmax:
        dim = op.args[1] % len(fact.layout)
        if dim != len(fact.layout) - 1:
            reader.refuse(op, "a softmax of logits over anything but the keys has no rule")
        reader.put(op, replace(fact, softmax=True))
        return
    if isinstance(fact, Wide):
        axis = fact.layout[op.args[1] % len(fact.layout)]
        neuron = next((f for f in axis if f.kind == NEURON), None)
        remedy = "Take the kernel of what comes before it (the logits)."
        if neuron is not None and grow((neuron,)):
            reader.refuse(
                op, "a softmax over infinitely many neurons gives each of them a vanishing share", remedy
            )
        if neuron is not None:
            reader.refuse(
                op,
                f"a softmax over {neuron.size} neurons is a function of {neuron.size} Gaussians, and no Gaussian itself",
                remedy,
            )
    reader.refuse(op, "a softmax of random values over positions has no rule")


def scale_logits(reader: Reader, op: Op, left: Any, right: Any, divide: bool) -> None:
    """Multiply logits with a number."""
    logits, other = (left, right) if isinstance(reader.fact(left), Logits) else (right, left)
    fact, number = reader.fact(logits), reader.number(other)
    assert isinstance(fact, Logits), "one operand is"
    if number is None or fact.softmax or fact.mask:
        _lose(reader, op, fact, "logits or attention weights are multiplied with other values")
        return
    growth = reader.growth(op, other)
    if divide:
        number, growth = 1 / number, 1 / growth
    reader.put(op, replace(fact, scale=fact.scale * number, growth=fact.growth * growth))


def add_mask(reader: Reader, op: Op, left: Any, right: Any, signs: tuple[float, float]) -> None:
    """Add finite values to logits."""
    one, two = reader.fact(left), reader.fact(right)
    logits, other, sides = (one, two, signs) if isinstance(one, Logits) else (two, one, signs[::-1])
    assert isinstance(logits, Logits), "one operand is"
    argument = right if isinstance(one, Logits) else left
    if logits.softmax or sides[0] != 1:
        _lose(reader, op, logits, "attention weights are added to other values")
        return
    if reader.number(argument) is not None and not isinstance(other, Finite):
        reader.put(op, logits)  # a softmax does not see one number
        return
    if not isinstance(other, Finite):
        reader.refuse(op, "it adds random values to logits, which has no rule")
    reader.put(op, replace(logits, mask=(*logits.mask, mask_of(reader, op, other, logits, sides[1]))))


def mask_logits(reader: Reader, op: Op, condition: Any, one: Any, two: Any) -> None:
    """Replace masked logits by a large negative number."""
    first = reader.fact(one)
    logits, other = (first, two) if isinstance(first, Logits) else (reader.fact(two), one)
    keep = isinstance(first, Logits)
    fact, number = reader.fact(condition), reader.number(other)
    assert isinstance(logits, Logits), "one operand is"
    if logits.softmax or not isinstance(fact, Finite) or number is None or number > -1e3:
        _lose(reader, op, logits, "attention weights, or logits by other numbers than -infinity, are masked")
        return
    read_mask = mask_of(reader, op, fact, logits, 1.0)

    def leaf(run: Run) -> Tensor:
        true = run.read(read_mask) != 0
        gone = ~true if keep else true
        return run.zeros(true.shape).masked_fill(gone, -math.inf)

    reader.put(op, replace(logits, mask=(*logits.mask, Leaf(leaf))))


def _lose(reader: Reader, op: Op, logits: Logits, reason: str) -> None:
    if not logits.softmax:
        reader.refuse(op, reason)
    reader.put(op, Lost(reason))


def mask_of(reader: Reader, op: Op, finite: Finite, logits: Logits, sign: float) -> Leaf:
    """Return a finite value that meets logits as (n or 1, queries, keys)."""
    layout = logits.layout
    heads = tuple(f for axis in layout[:-2] for f in axis if f.kind == POSITION)
    rest = tuple(f for axis in layout[-2:] for f in axis)
    queries, keys = count(layout[-2]), count(layout[-1])
    index = finite.index

    def read_mask(run: Run) -> Tensor:
        try:
            found = gathered(run, run.value(index), layout, (*heads, *rest))
        except ValueError:
            reader.refuse(op, _PER_HEAD)
        found = found.expand(len(found), count(heads) * queries * keys)
        found = found.reshape(len(found), count(heads), queries, keys)
        if not torch.equal(found, found[:, :1].expand_as(found)):
            reader.refuse(op, _PER_HEAD)
        found = found[:, 0]
        if found.dtype == torch.bool:
            return run.zeros(found.shape).masked_fill(~found, -math.inf) if sdpa else found
        return found.to(run.dtype) * sign

    sdpa = op.name.startswith(("scaled_dot", "_scaled_dot"))
    return Leaf(read_mask)
