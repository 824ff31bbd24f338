"""Dropout in training mode: entries are zero with a probability, the others scaled up."""

from __future__ import annotations

from typing import Any

from similitude.kernels.entries import times
from similitude.kernels.facts import Noise
from similitude.kernels.labels import (
    count,
)
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.values import (
    Coefficient,
    Dropped,
    Term,
    Wide,
)


@rule("bernoulli")
def bernoulli(reader: Reader, op: Op) -> None:
    """Make a mask of dropout."""
    p = op.args[1] if len(op.args) > 1 else 0.5  # its default, which is not recorded
    if not isinstance(p, float) or op.node.op != "bernoulli_":
        reader.refuse(op, "random numbers in the forward pass other than dropout have no rule")
    reader.put(op, Noise(p))


@rule("native_dropout")
def native_dropout(reader: Reader, op: Op) -> None:
    """Set entries to zero with a probability in training."""
    fact = reader.facts[op.node.inputs[0]]
    p, train = op.args[1], op.args[2]
    if not train or p == 0:
        reader.put(op, fact)
        return
    if not isinstance(fact, Wide):
        reader.refuse(op, "dropout of finite values, in training, has no rule", "Call .eval() on the module.")
    reader.put(op, dropped(reader, fact, p))


def dropped(reader: Reader, value: Wide, p: float) -> Wide:
    """Return a value after dropout."""
    reader.says("dropout")
    atom = Dropped(value.positions, value.support, value, p)
    return Wide(value.layout, value.order, (Term(atom, Coefficient()),))


def dropout(reader: Reader, op: Op, one: Any, two: Any, left: Any, right: Any, divide: bool) -> None:
    """Multiply a mask of dropout: with a number, or with the value that it is for."""
    noise, other, argument = (one, two, right) if isinstance(one, Noise) else (two, one, left)
    number = reader.number(argument)
    if number is not None:
        reader.put(op, Noise(noise.keep, noise.scale / number if divide else noise.scale * number))
        return
    if not isinstance(other, Wide) or divide:
        reader.refuse(op, "dropout of finite values, in training, has no rule", "Call .eval() on the module.")
    (shape,) = {reader.shapes(i)[0] for i in op.node.inputs if reader.facts[i] is noise}
    if shape != tuple(count(axis) for axis in other.layout):
        reader.refuse(op, "dropout of whole channels or positions has no rule", "Call .eval() on the module.")
    found = dropped(reader, other, 1 - noise.keep)
    reader.put(op, times(found, Coefficient(noise.scale * noise.keep)))
