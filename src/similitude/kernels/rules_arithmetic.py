"""Sums, differences, products and quotients of values entry by entry."""

from __future__ import annotations

from typing import Any

from similitude.kernels.alignment import aligned
from similitude.kernels.entries import common_root, multiple, plus, product, times
from similitude.kernels.facts import Logits, Noise, Weight
from similitude.kernels.operands import (
    add_rows,
    scaled_by,
    shifted_by,
)
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.rules_dropout import dropout
from similitude.kernels.rules_entrywise import entrywise
from similitude.kernels.values import (
    Coefficient,
    Wide,
)


@rule("add", "sub", "rsub", "subtract")
def add(reader: Reader, op: Op) -> None:
    """Add two values, the second one times `alpha`."""
    left, right = op.args[0], op.args[1]
    alpha = op.kwargs.get("alpha", op.args[2] if len(op.args) > 2 else 1)
    signs = (1.0, float(alpha)) if op.name == "add" else (1.0, -float(alpha))
    if op.name == "rsub":
        signs = (-float(alpha), 1.0)
    one, two = reader.fact(left), reader.fact(right)
    if isinstance(one, Logits) or isinstance(two, Logits):
        from similitude.kernels.rules_logits import add_mask

        add_mask(reader, op, left, right, signs)
        return
    if isinstance(one, Weight) and isinstance(two, Weight):
        reader.refuse(op, "it adds two random parameters entry by entry")
    if not isinstance(one, Wide) and not isinstance(two, Wide):
        weight, other, sides = (
            (one, right, signs) if isinstance(one, Weight) else (two, left, (signs[1], signs[0]))
        )
        assert isinstance(weight, Weight), "a parameter, since all finite values are computed as they are"
        reader.put(op, add_rows(reader, op, weight, other, sides))
        return
    if isinstance(one, Wide) and isinstance(two, Wide):
        reader.put(op, plus(reader, op, times(one, Coefficient(signs[0])), times(two, Coefficient(signs[1]))))
        return
    value, other, argument, sides = (
        (one, two, right, signs) if isinstance(one, Wide) else (two, one, left, (signs[1], signs[0]))
    )
    assert isinstance(value, Wide), "one operand is wide"
    value = times(value, Coefficient(sides[0]))
    reader.put(op, shifted_by(reader, op, value, other, argument, sides[1]))


@rule("mul", "multiply", "div", "true_divide", "divide")
def multiply(reader: Reader, op: Op) -> None:
    """Multiply or divide."""
    left, right = op.args[0], op.args[1]
    one, two = reader.fact(left), reader.fact(right)
    divide = op.name not in ("mul", "multiply")
    if divide and op.kwargs.get("rounding_mode") is not None:
        reader.refuse(op, "a division that rounds has no rule")
    if isinstance(one, Noise) or isinstance(two, Noise):
        dropout(reader, op, one, two, left, right, divide)
        return
    if isinstance(one, Logits) or (isinstance(two, Logits) and not divide):
        from similitude.kernels.rules_logits import scale_logits

        scale_logits(reader, op, left, right, divide)
        return
    if isinstance(one, Wide) and isinstance(two, Wide):
        if not divide and common_root(*aligned([one, two])[2]) is None and not same_gaussian(one, two):
            reader.put(op, product(reader, op, one, two))
            return
        entrywise(reader, op)
        return
    if divide and isinstance(two, Wide):
        entrywise(reader, op)
        return
    if isinstance(one, Weight) or isinstance(two, Weight):
        multiply_weight(reader, op, left, right, divide)
        return
    value, other, argument = (one, two, right) if isinstance(one, Wide) else (two, one, left)
    assert isinstance(value, Wide), "one operand is wide"
    reader.put(op, scaled_by(reader, op, value, other, argument, divide))


def same_gaussian(a: Wide, b: Wide) -> bool:
    """Tell whether two values are multiples of the same Gaussian."""
    if not (a.gaussian and b.gaussian):
        return False
    _, _, (x, y) = aligned([a, b])
    return multiple(x, y) is not None


def multiply_weight(reader: Reader, op: Op, left: Any, right: Any, divide: bool) -> None:
    """Multiply a random parameter with a number; with neurons it has no rule."""
    weight, other = (left, right) if isinstance(reader.fact(left), Weight) else (right, left)
    fact = reader.fact(weight)
    assert isinstance(fact, Weight), "a parameter"
    number = reader.number(other)
    if number is None or (divide and weight is right):
        reader.refuse(
            op,
            f"it multiplies values with the random parameter '{fact.name}' entry by entry, which is neither a Gaussian "
            "nor a function of one",
            "Start it at one number (e.g. 1), as gains are, or contract it.",
        )
    if reader.shapes(op.node.outputs[0])[0] != tuple(fact.places.shape):
        reader.refuse(op, f"it broadcasts the parameter '{fact.name}'")
    reader.put(op, Weight(fact.name, fact.places, fact.scale * (1 / number if divide else number)))


@rule("neg", "negative")
def negative(reader: Reader, op: Op) -> None:
    """Change the sign."""
    fact = reader.facts[op.node.inputs[0]]
    if isinstance(fact, Weight):
        reader.put(op, Weight(fact.name, fact.places, -fact.scale))
    elif isinstance(fact, Wide):
        reader.put(op, times(fact, Coefficient(-1.0)))
    else:
        reader.refuse(op, "there is no rule for it at infinite width")
