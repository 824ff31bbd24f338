"""Operations entry by entry that are functions of one Gaussian, and masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from similitude.kernels.alignment import aligned
from similitude.kernels.entries import compose_scale, image, multiple, product, times
from similitude.kernels.facts import Finite, Logits, Lost, Weight
from similitude.kernels.functions import IDENTITY, Function, applied
from similitude.kernels.labels import (
    NEURON,
    Split,
    cut,
)
from similitude.kernels.moves import divided, read
from similitude.kernels.operands import finite_value_axes
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.run import Run
from similitude.kernels.values import (
    Coefficient,
    Leaf,
    One,
    Wide,
)
from similitude.scaling.dataflow.trace import Ref

_RRELU = (1 / 8, 1 / 3, False)  # PyTorch's defaults, which a recorded operation leaves out


def entrywise(reader: Reader, op: Op) -> None:
    """Apply an operation that PyTorch marks as one of entries to functions of one Gaussian."""
    func = op.func
    tags = getattr(func, "tags", ())
    if torch.Tag.pointwise not in tags and not _entry_by_entry(reader, op):
        reader.refuse(op, "there is no rule for it at infinite width")
    refs = [leaf for leaf in tree_flatten((op.args, op.kwargs))[0] if isinstance(leaf, Ref)]
    facts = [reader.facts[r.value] for r in refs]
    for fact in facts:
        if isinstance(fact, Logits):
            reader.refuse(
                op, "a nonlinear function of products of queries and keys other than a softmax has no rule"
            )
        if isinstance(fact, Weight):
            reader.refuse(
                op,
                f"it computes with the entries of the random parameter '{fact.name}' one by one, which has no rule",
            )
    wides = [(r, f) for r, f in zip(refs, facts, strict=True) if isinstance(f, Wide)]
    numbers: dict[int, float] = {}
    for ref, fact in zip(refs, facts, strict=True):
        if isinstance(fact, Finite):
            number = reader.number(ref)
            if number is None:
                reader.refuse(
                    op,
                    "it combines a wide value with finite ones that differ between entries, which has no rule",
                )
            numbers[ref.value] = number
    layout, order, values = aligned([f for _, f in wides])
    first, *rest = values
    joint: dict[int, Function] = {}
    root = None
    for (ref, _), value in zip(wides, values, strict=True):
        base, function = (
            (value.root, value.function)
            if value.root is not None and value.function is not None
            else (value, IDENTITY)
        )
        if not base.gaussian and len(wides) > 1:
            image(reader, op, value, lambda f: f)
        root = base if root is None else root
        factor = multiple(base, root)
        if factor is None:
            reader.refuse(op, "it is a function of several Gaussians, which has no closed form")
        joint[ref.value] = function if factor == 1 else compose_scale(function, factor)
    del rest
    assert root is not None, "a wide operand"

    def substitute(r: Ref) -> Function | float:
        return joint[r.value] if r.value in joint else numbers[r.value]

    args, kwargs = tree_map_only(Ref, substitute, (op.args, op.kwargs))
    assert func is not None, "a recorded operation"
    plain = torch.where if op.name == "where" else _out_of_place(func)  # of numbers too

    def make(f: Function) -> Function:
        if len(joint) == 1:
            given, named = tree_map_only(Function, lambda g: f, (args, kwargs))
            return applied(op.name, plain, given, named)
        return applied(op.name, plain, args, kwargs)

    start = first if len(joint) == 1 else Wide(layout, order, root.terms, root, IDENTITY)
    if len(joint) > 1 and any(isinstance(t.atom, One) for t in root.terms):
        reader.refuse(op, "it is a function of several values with a mean, which has no rule")
    reader.put(op, image(reader, op, Wide(layout, order, start.terms, start.root, start.function), make))


def _entry_by_entry(reader: Reader, op: Op) -> bool:
    """Tell whether an operation of one tensor changes each entry by itself, from what it does to numbers."""
    wides = [i for i in op.node.inputs if isinstance(reader.facts[i], Wide)]
    if op.func is None or len(wides) != 1 or len(op.node.outputs) != 1:
        return False
    if reader.shapes(wides[0]) != reader.shapes(op.node.outputs[0]):
        return False
    x = torch.linspace(-3, 3, 12, dtype=torch.float64)

    def apply(t: Tensor) -> Tensor:
        def given(r: Ref) -> Tensor | float | None:
            if r.value == wides[0]:
                return t.clone()
            number = reader.number(r)
            return None if number is None else torch.tensor([[number]], dtype=t.dtype)

        args, kwargs = tree_map_only(Ref, given, (op.args, op.kwargs))
        assert op.func is not None, "a recorded operation"
        return op.func(*args, **kwargs)

    try:
        whole, turned = apply(x.reshape(3, 4)), apply(x.flip(0).reshape(3, 4))
        return torch.equal(whole.flatten(), turned.flatten().flip(0)) and torch.equal(
            apply(x[:1])[0], whole[0, 0]
        )
    except (RuntimeError, IndexError, TypeError):
        return False


@rule("_prelu_kernel")
def prelu(reader: Reader, op: Op) -> None:
    """Multiply negative numbers with a slope."""
    value, slope = reader.facts[op.node.inputs[0]], reader.number(op.args[1])
    if not isinstance(value, Wide) or slope is None:
        reader.refuse(op, "its slopes differ from neuron to neuron, or are random")
    leaky = torch.nn.functional.leaky_relu
    reader.put(op, image(reader, op, value, lambda f: applied("leaky_relu", leaky, (f, slope), {})))


@rule("log_sigmoid_forward")
def log_sigmoid(reader: Reader, op: Op) -> None:
    """Take the logarithm of a sigmoid; the second output is of the backward pass alone."""
    value = reader.facts[op.node.inputs[0]]
    assert isinstance(value, Wide), "a wide operand"
    log = torch.ops.aten.log_sigmoid.default
    reader.put(op, image(reader, op, value, lambda f: applied("log_sigmoid", log, (f,), {})))
    reader.facts.update({i: Lost("it reads what a backward pass needs") for i in op.node.outputs[1:]})


@rule("rrelu_with_noise")
def random_leaky(reader: Reader, op: Op) -> None:
    """Multiply negative numbers with the mean of a slope that is random in training."""
    value, given = reader.facts[op.node.inputs[0]], op.args[2:]
    lower, upper, training = (*given, *_RRELU[len(given) :])[:3]
    if not isinstance(value, Wide) or training:
        reader.refuse(op, "its slopes are random in training", "Call .eval() on the module.")
    leaky, slope = torch.nn.functional.leaky_relu, (lower + upper) / 2
    reader.put(op, image(reader, op, value, lambda f: applied("leaky_relu", leaky, (f, slope), {})))


@rule("glu")
def glu(reader: Reader, op: Op) -> None:
    """Multiply one half of the neurons with a sigmoid of the other."""
    value = reader.facts[op.node.inputs[0]]
    if not isinstance(value, Wide):
        reader.refuse(op, "a gate of finite values and parameters has no rule")
    dim = (op.args[1] if len(op.args) > 1 else -1) % len(value.layout)
    neuron = next((f for f in value.layout[dim] if f.kind == NEURON), None)
    if neuron is None or value.layout[dim] != (neuron,) or any(n % 2 for n in neuron.sizes):
        reader.refuse(op, "its halves are not halves of the neurons")
    halves = cut(neuron, (2,) * len(neuron.sizes))
    both = divided(value, Split(neuron, halves))
    layout = tuple((halves[1],) if i == dim else axis for i, axis in enumerate(value.layout))
    inner = value.positions
    one, two = (read(both, layout, value.order, torch.arange(inner) + inner * i) for i in range(2))
    gate = image(reader, op, two, lambda f: applied("sigmoid", torch.sigmoid, (f,), {}))
    reader.put(op, product(reader, op, one, gate))


def _out_of_place(func: Any) -> Any:
    """Return the operation that does not write into its argument."""
    name = func._schema.name.split("::")[1]
    if not name.endswith("_") or name.startswith("__"):
        return func
    packet = getattr(torch.ops.aten, name[:-1])
    overload = func._overloadname if func._overloadname in packet.overloads() else "default"
    return getattr(packet, overload) if overload in packet.overloads() else packet


@rule("masked_fill", "where")
def masked(reader: Reader, op: Op) -> None:
    """Put a number where a finite mask says so."""
    if op.name == "where":
        condition, one, two = op.args
    else:
        two, condition, one = op.args
    facts = reader.fact(condition), reader.fact(one), reader.fact(two)
    if isinstance(facts[2], Logits) or isinstance(facts[1], Logits):
        from similitude.kernels.rules_logits import mask_logits

        mask_logits(reader, op, condition, one, two)
        return
    if not isinstance(facts[0], Finite):
        entrywise(reader, op)
        return
    value = facts[1] if isinstance(facts[1], Wide) else facts[2]
    other = two if isinstance(facts[1], Wide) else one
    if not isinstance(value, Wide) or reader.number(other) != 0:
        entrywise(reader, op)
        return
    keep = isinstance(facts[1], Wide)
    ones = finite_value_axes(reader, op, facts[0], value)
    if ones is None:
        reader.refuse(op, "its mask differs from neuron to neuron")
    layout, order, (value, _) = aligned([value, ones])
    coefficient = reader.coefficient(op, facts[0], layout, order)
    assert coefficient is not None, "the mask does not differ from neuron to neuron"

    def read(run: Run) -> Tensor:
        mask = torch.full((1, 1), coefficient.scale, dtype=run.dtype, device=run.device)
        for leaf in coefficient.leaves:
            mask = mask * run.read(leaf)
        return mask if keep else 1 - mask

    reader.put(op, times(value, Coefficient(1.0, (Leaf(read),))))
