"""Operations entry by entry: sums, multiples, products, and functions of a Gaussian."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from similitude.kernels.alignment import aligned
from similitude.kernels.facts import Finite, Logits, Noise, Weight
from similitude.kernels.functions import IDENTITY, Function, applied, scaled
from similitude.kernels.labels import (
    NEURON,
    POSITION,
    Axis,
    Factor,
    Layout,
    Split,
    Unmatched,
    count,
    cut,
    positions,
)
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.rules_move import divided, read
from similitude.kernels.run import Run, gathered
from similitude.kernels.values import (
    ONE,
    Coefficient,
    Dropped,
    Field,
    Image,
    Leaf,
    Linear,
    One,
    Operator,
    Product,
    Rows,
    Term,
    Wide,
    combine,
    shared,
    support,
)
from similitude.scaling.dataflow.trace import Ref


def times(value: Wide, coefficient: Coefficient) -> Wide:
    """Multiply a value with finite numbers of its samples and positions."""
    terms = combine([Term(t.atom, t.coefficient * coefficient, t.where) for t in value.terms])
    if value.root is not None and value.function is not None and not coefficient.leaves:
        return Wide(value.layout, value.order, terms, value.root, scaled(value.function, coefficient.scale))
    return Wide(value.layout, value.order, terms)


def plus(reader: Reader, op: Op, one: Wide, two: Wide) -> Wide:
    """Add two values."""
    layout, order, (a, b) = aligned([one, two])
    terms = combine([*a.terms, *b.terms])
    joint = common_root(a, b)
    if joint is not None:
        root, f, g = joint
        return Wide(layout, order, terms, root, applied("add", torch.add, (f, g), {}))
    reader.says("sum")
    return Wide(layout, order, terms)


def common_root(a: Wide, b: Wide) -> tuple[Wide, Function, Function] | None:
    """Return the Gaussian that two values are functions of, and the functions, where neither is Gaussian itself."""
    if a.gaussian and b.gaussian:
        return None
    roots = [
        (v.root, v.function) if v.root is not None and v.function is not None else (v, IDENTITY)
        for v in (a, b)
    ]
    (one, f), (two, g) = roots
    if not one.gaussian or not two.gaussian:
        return None
    if same_value(one, two):
        return one, f, g
    # A multiple of the root counts too: x and phi(2 x).
    factor = multiple(two, one)
    if factor is not None:
        return one, f, compose_scale(g, factor)
    return None


def same_value(a: Wide, b: Wide) -> bool:
    """Tell whether two values are the same sum."""
    return multiple(a, b) == 1.0


def multiple(a: Wide, b: Wide) -> float | None:
    """Return c where a = c b, term by term."""
    if len(a.terms) != len(b.terms) or not a.terms:
        return None
    found: set[float] = set()
    for s in a.terms:
        match = [t for t in b.terms if t.atom is s.atom and _same_places(s, t)]
        if len(match) != 1 or match[0].coefficient.leaves != s.coefficient.leaves:
            return None
        found.add(s.coefficient.scale / match[0].coefficient.scale)
    return found.pop() if len(found) == 1 else None


def _same_places(s: Term, t: Term) -> bool:
    if s.where is None or t.where is None:
        return s.where is None and t.where is None
    return torch.equal(s.where, t.where)


def compose_scale(function: Function, factor: float) -> Function:
    """Return x -> function(factor x)."""
    return Function(("of", factor, function.key), lambda x: function.call(factor * x))


def image(reader: Reader, op: Op, value: Wide, make: Any) -> Wide:
    """Apply a function: `make(f)` gives the function of the root for the function `f` that the value is.

    Raises:
        KernelError: The value is not a function of one Gaussian.
    """
    if value.root is not None and value.function is not None:
        root, function = value.root, make(value.function)
    elif value.gaussian:
        root, function = centred(reader, op, value, make)
    elif (normed := after_batch_norm(value, make)) is not None:
        reader.says(f"function of a batch norm: {normed.rule.function.name}")
        return Wide(value.layout, value.order, (Term(normed, Coefficient()),))
    else:
        reader.refuse(
            op,
            "it applies a nonlinear function to a sum that is not Gaussian at infinite width (a nonlinear value plus "
            "another one), which has no closed form",
            "A layer between the two makes it one.",
        )
    atom = Image(root.positions, root.support, root, function)
    reader.says(f"function of a Gaussian: {function.name}", "exact")
    return Wide(value.layout, value.order, (Term(atom, Coefficient()),), root, function)


def after_batch_norm(value: Wide, make: Any) -> Operator | None:
    """Return a function of a batch norm with the statistics of the batch, times a number and plus another one."""
    from similitude.kernels.rules_batch_norm import BatchNorm, followed

    scale, shift, atom = 1.0, 0.0, None
    for term in value.terms:
        if term.coefficient.leaves or (term.where is not None and bool((term.where < 0).any())):
            return None
        if isinstance(term.atom, One):
            shift += term.coefficient.scale
        elif isinstance(term.atom, Operator) and isinstance(term.atom.rule, BatchNorm) and term.where is None:
            if atom is not None or term.atom.rule.function != IDENTITY:
                return None
            atom, scale = term.atom, term.coefficient.scale
        else:
            return None
    if atom is None:
        return None
    function = scaled(IDENTITY, scale)
    if shift:
        function = applied("add", torch.add, (function, shift), {})
    return followed(atom, make(function))


def centred(reader: Reader, op: Op, value: Wide, make: Any) -> tuple[Wide, Function]:
    """Return a Gaussian without its mean, and the function of it."""
    ones = [t for t in value.terms if isinstance(t.atom, One)]
    if not ones:
        return value, make(IDENTITY)
    (term,) = ones
    whole = term.where is None or bool((term.where >= 0).all())
    if term.coefficient.leaves or not whole:
        reader.refuse(
            op,
            "its argument is a Gaussian with a mean that differs between samples or positions, which has no rule",
            "Take the mean away before, e.g. by a normalization that subtracts it.",
        )
    shift = term.coefficient.scale
    rest = Wide(value.layout, value.order, tuple(t for t in value.terms if t is not term))
    return rest, make(applied("add", torch.add, (IDENTITY, shift), {}))


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
    plain = _out_of_place(func)

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


# Sums and multiples ------------------------------------------------------------------------------------------------


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
        from similitude.kernels.rules_attention import add_mask

        add_mask(reader, op, left, right, signs)
        return
    if isinstance(one, Weight) and isinstance(two, Weight):
        reader.refuse(op, "it adds two random parameters entry by entry")
    if not isinstance(one, Wide) and not isinstance(two, Wide):
        weight, other, sides = (one, right, signs) if isinstance(one, Weight) else (two, left, signs[::-1])
        assert isinstance(weight, Weight), "a parameter, since all finite values are computed as they are"
        reader.put(op, add_rows(reader, op, weight, other, sides))
        return
    if isinstance(one, Wide) and isinstance(two, Wide):
        reader.put(op, plus(reader, op, times(one, Coefficient(signs[0])), times(two, Coefficient(signs[1]))))
        return
    value, other, argument, sides = (
        (one, two, right, signs) if isinstance(one, Wide) else (two, one, left, signs[::-1])
    )
    assert isinstance(value, Wide), "one operand is wide"
    value = times(value, Coefficient(sides[0]))
    reader.put(op, shifted_by(reader, op, value, other, argument, sides[1]))


def shifted_by(reader: Reader, op: Op, value: Wide, other: Any, argument: Any, sign: float) -> Wide:
    """Add a number, a finite value or a parameter to a wide value."""
    number = reader.number(argument)
    drawn = number not in (None, 0.0, 1.0)  # the one entry of a bias of one output
    if isinstance(other, Finite) and (drawn or reader.scales.bias_variance is not None):
        other = reader.as_weight(other, value) or other
    if isinstance(other, Weight):
        rows = rows_of(reader, op, other, against=value, bias=True)
        return plus(reader, op, value, times(rows, Coefficient(sign * other.scale)))
    if number is not None:
        if number == 0 and _no_larger(reader, op, argument, value):
            return value
        constant = _constant(value, Coefficient(sign * number))
        return _with_function(plus(reader, op, value, constant), value, sign * number)
    if not isinstance(other, Finite):
        reader.refuse(op, f"it adds a {type(other).__name__.lower()} to a wide value")
    return plus(reader, op, value, finite_value(reader, op, other, value, sign))


def _no_larger(reader: Reader, op: Op, argument: Any, value: Wide) -> bool:
    if not isinstance(argument, Ref):
        return True
    return reader.shapes(op.node.outputs[0])[0] == tuple(count(axis) for axis in value.layout)


def _with_function(total: Wide, value: Wide, shift: float) -> Wide:
    """Keep that a function of a Gaussian plus a number is one."""
    if value.root is None or value.function is None:
        return Wide(total.layout, total.order, total.terms)
    function = applied("add", torch.add, (value.function, shift), {})
    return Wide(total.layout, total.order, total.terms, value.root, function)


def _constant(value: Wide, coefficient: Coefficient) -> Wide:
    where = torch.zeros(value.positions, dtype=torch.long)
    return Wide(value.layout, value.order, (Term(ONE, coefficient, where),))


def finite_value(reader: Reader, op: Op, finite: Finite, value: Wide, sign: float) -> Wide:
    """Return a finite value as one that meets a wide value: its neurons are equal, or data."""
    shapes = reader.shapes(finite.index)
    rank = len(value.layout)
    if len(shapes[0]) > rank:
        reader.refuse(op, "it broadcasts a wide value to more axes")
    axes: list[Axis] = []
    missing = rank - len(shapes[0])
    sizes = list(zip(*shapes, strict=True))
    for i, axis in enumerate(value.layout):
        size = tuple(sizes[i - missing]) if i >= missing else ()
        if not size or all(n == 1 for n in size):
            axes.append(tuple(f for f in axis if f.kind == NEURON))  # a number for all neurons
        elif axis:
            axes.append(tuple(Factor(POSITION, f.sizes) if f.kind == POSITION else f for f in axis))
        else:
            axes.append((Factor(POSITION if sizes[i - missing][0] == size[1] else "sample", size),))
    layout = tuple(axes)
    order = positions(layout)
    coefficient = reader.coefficient(op, finite, layout, order)
    if coefficient is not None:
        where = torch.zeros(count(order), dtype=torch.long)
        return Wide(layout, order, (Term(ONE, coefficient * Coefficient(sign), where),))

    def read(run: Run) -> Tensor:
        return gathered(run, run.value(finite.index), layout, order, neurons=True).to(run.dtype)

    neuron = next(f for axis in layout for f in axis if f.kind == NEURON)
    if len(set(neuron.sizes)) > 1:
        reader.refuse(
            op,
            "it adds constants that differ from neuron to neuron along an axis that grows with the width, of which the "
            "limit is not known",
        )
    atom = Field(count(order), frozenset(), read)
    return Wide(layout, order, (Term(atom, Coefficient(sign)),))


def rows_of(reader: Reader, op: Op, weight: Weight, *, against: Wide | None, bias: bool) -> Wide:
    """Return a parameter that is added entry by entry as a value: each position a row of its own."""
    shape = weight.places.shape
    layout_of = against.layout if against is not None else None
    axes: list[Axis] = []
    wide_dim = None
    passes = len(reader.shapes(op.node.outputs[0]))
    out = reader.shapes(op.node.outputs[0])
    rank = len(out[0])
    for i, size in enumerate(shape):
        at = i - len(shape)
        there: Axis = () if layout_of is None or -at > len(layout_of) else layout_of[at]
        sizes = tuple(s[rank + at] for s in out)
        if size == 1:
            axes.append(())
        elif any(f.kind == NEURON for f in there) or (layout_of is None and i == len(shape) - 1):
            axes.append((Factor(NEURON, sizes),))
            wide_dim = i
        else:
            axes.append((Factor(POSITION, (size,) * passes),))
    one_neuron = against is not None and not any(f.kind == NEURON for axis in against.layout for f in axis)
    if wide_dim is None and one_neuron and weight.places.numel() == 1:
        wide_dim = len(shape) - 1 if shape else None
        if wide_dim is None:
            weight, shape, wide_dim = (
                Weight(weight.name, weight.places.reshape(1), weight.scale),
                torch.Size([1]),
                0,
            )
            axes = [()]
    if wide_dim is None:
        reader.refuse(
            op,
            f"the random parameter '{weight.name}' of shape {tuple(shape)} has no axis of neurons where it is added, so that "
            "it stays random at infinite width",
        )
    layout: Layout = tuple(axes)
    by_row = weight.places.movedim(wide_dim, -1).reshape(-1, shape[wide_dim])
    start = by_row - by_row[:, :1]
    if not torch.equal(start, start[:1].expand_as(start)):
        raise Unmatched("it adds rows of a parameter that are cut in different ways")
    _, index = torch.unique(by_row[:, 0], return_inverse=True)
    key = start[0].numpy().tobytes()
    fan_in, role = 0, "rows"
    layers = [t.atom for t in against.terms if isinstance(t.atom, Linear)] if against is not None else []
    if bias and layers and sum(n != 1 for n in shape) <= 1:
        role, fan_in = "bias", layers[0].fan_in
        reader.scales.bias(weight.name, fan_in, grows=isinstance(layers[0].source, Wide))
    else:
        reader.scales.rows(weight.name)
    rows = by_row[:, 0].clone()
    part = key + (b"" if len(rows) > 1 else rows.numpy().tobytes())
    numbers = index[None] if len(rows) > 1 else torch.zeros(1, 1, dtype=torch.long)
    atom = Rows(len(rows), support(weight.name), weight.name, part, lambda run: numbers, role, fan_in)
    return Wide(layout, positions(layout), (Term(atom, Coefficient()),))


def add_rows(reader: Reader, op: Op, weight: Weight, other: Any, signs: tuple[float, float]) -> Wide:
    """Add a parameter to finite values: data that meet random entries."""
    rows = times(rows_of(reader, op, weight, against=None, bias=False), Coefficient(signs[0] * weight.scale))
    fact = reader.fact(other)
    number = reader.number(other)
    shape = reader.shapes(op.node.outputs[0])
    if number is not None:
        if number != 0:
            rows = plus(reader, op, rows, _constant(rows, Coefficient(signs[1] * number)))
    elif isinstance(fact, Finite):
        layout = list(rows.layout)
        missing = len(shape[0]) - len(layout)
        layout = [()] * missing + layout
        if fact.layout is None:
            raise Unmatched("axes of the data that it adds cannot be told")
        whole: list[Axis] = []
        for i, axis in enumerate(layout):
            j = i - len(shape[0]) + len(fact.layout)
            own = fact.layout[j] if j >= 0 else ()
            whole.append(axis or own)
        value = Wide(tuple(whole), positions(tuple(whole)), ())
        rows = plus(reader, op, rows, finite_value(reader, op, fact, value, signs[1]))
    return rows


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
        from similitude.kernels.rules_attention import scale_logits

        scale_logits(reader, op, left, right, divide)
        return
    if isinstance(one, Wide) and isinstance(two, Wide):
        if not divide and common_root(*aligned([one, two])[2]) is None and not _same_gaussian(one, two):
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


def _same_gaussian(a: Wide, b: Wide) -> bool:
    if not (a.gaussian and b.gaussian):
        return False
    _, _, (x, y) = aligned([a, b])
    return multiple(x, y) is not None


def scaled_by(reader: Reader, op: Op, value: Wide, other: Any, argument: Any, divide: bool = False) -> Wide:
    """Multiply a wide value with a number or finite values."""
    number = reader.number(argument)
    if number is not None and _no_larger(reader, op, argument, value):
        growth = reader.growth(op, argument)
        if divide:
            return times(value, Coefficient(1 / number, growth=1 / growth))
        return times(value, Coefficient(number, growth=growth))
    if not isinstance(other, Finite):
        reader.refuse(op, f"it multiplies a wide value with a {type(other).__name__.lower()}")
    ones = finite_value_axes(reader, op, other, value)
    if ones is None:
        reader.refuse(op, "it multiplies neurons with finite numbers that differ from neuron to neuron")
    layout, order, (value, _) = aligned([value, ones])
    coefficient = reader.coefficient(op, other, layout, order)
    assert coefficient is not None, "numbers do not differ from neuron to neuron"
    if divide:
        coefficient = Coefficient(
            1 / coefficient.scale, tuple(Leaf(_reciprocal(leaf)) for leaf in coefficient.leaves)
        )
    return times(value, coefficient)


def _reciprocal(leaf: Leaf) -> Any:
    return lambda run: 1 / run.read(leaf)


def finite_value_axes(reader: Reader, op: Op, finite: Finite, value: Wide) -> Wide | None:
    """Return a value without terms that has a finite value's axes; None where it differs from neuron to neuron."""
    found = finite_value(reader, op, finite, value, 1.0)
    if any(isinstance(t.atom, Field) for t in found.terms):
        return None
    return Wide(found.layout, found.order, ())


def multiply_weight(reader: Reader, op: Op, left: Any, right: Any, divide: bool) -> None:
    """Multiply a random parameter with a number; with neurons it has no rule."""
    weight, other = (left, right) if isinstance(reader.fact(left), Weight) else (right, left)
    fact = reader.fact(weight)
    assert isinstance(fact, Weight), "a parameter"
    number = reader.number(other)
    if number is None or (divide and weight is right):
        reader.refuse(
            op,
            f"it multiplies values with the random parameter '{fact.name}' entry by entry, which gives neither a Gaussian "
            "nor a function of one",
            "Start it at one number (e.g. 1), as gains are, or contract it.",
        )
    if reader.shapes(op.node.outputs[0])[0] != tuple(fact.places.shape):
        reader.refuse(op, f"it broadcasts the parameter '{fact.name}'")
    reader.put(op, Weight(fact.name, fact.places, fact.scale * (1 / number if divide else number)))


def product(reader: Reader, op: Op, one: Wide, two: Wide) -> Wide:
    """Multiply two independent values: gates."""
    common = shared(one.support, two.support)
    if common:
        reader.refuse(
            op,
            f"it multiplies two values that depend on the same random parameters ({', '.join(common)}): an expectation "
            "of several Gaussians, which has no closed form",
        )
    layout, order, (a, b) = aligned([one, two])
    atom = Product(count(order), a.support | b.support, a, b)
    reader.says("product of independent values")
    return Wide(layout, order, (Term(atom, Coefficient()),))


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


@rule("masked_fill", "where")
def masked(reader: Reader, op: Op) -> None:
    """Put a number where a finite mask says so."""
    if op.name == "where":
        condition, one, two = op.args
    else:
        two, condition, one = op.args
    facts = reader.fact(condition), reader.fact(one), reader.fact(two)
    if isinstance(facts[2], Logits) or isinstance(facts[1], Logits):
        from similitude.kernels.rules_attention import mask_logits

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
        mask = torch.full((1, 1), coefficient.scale, dtype=run.dtype)
        for leaf in coefficient.leaves:
            mask = mask * run.read(leaf)
        return mask if keep else 1 - mask

    reader.put(op, times(value, Coefficient(1.0, (Leaf(read),))))


# Dropout -----------------------------------------------------------------------------------------------------------


@rule("bernoulli")
def bernoulli(reader: Reader, op: Op) -> None:
    """Make a mask of dropout."""
    p = op.args[1] if len(op.args) > 1 and isinstance(op.args[1], float) else None
    if p is None or op.node.op != "bernoulli_":
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
