"""Sums, multiples and functions of wide values, neuron by neuron."""

from __future__ import annotations

from typing import Any

import torch

from similitude.kernels.alignment import aligned
from similitude.kernels.functions import IDENTITY, Function, applied, scaled
from similitude.kernels.labels import (
    count,
)
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader
from similitude.kernels.values import (
    Coefficient,
    Filter,
    Image,
    One,
    Operator,
    Product,
    Term,
    Wide,
    combine,
    shared,
)


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
        match = [t for t in b.terms if t.atom is s.atom and same_places(s, t)]
        if len(match) != 1 or match[0].coefficient.leaves != s.coefficient.leaves:
            return None
        found.add(s.coefficient.scale / match[0].coefficient.scale)
    return found.pop() if len(found) == 1 else None


def same_places(s: Term, t: Term) -> bool:
    """Tell whether two terms read their atoms at the same positions."""
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
    elif any(isinstance(t.atom, Filter) for t in value.terms):
        reader.refuse(
            op,
            "it applies a nonlinear function to what a depthwise filter gives, which is Gaussian given the filter alone: "
            "every neuron has one of its own",
            "A layer over all neurons between the two makes it Gaussian.",
        )
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
