"""Where a user's model lies among the abc-parametrizations: the exponents of its own init and learning rates, tensor by
tensor, and the regime that they train in; paper 14 Sections 2.1 and 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.scaling.abcd import Layer, Parametrization
from similitude.scaling.axes import Factory
from similitude.scaling.dataflow.passes import Sample
from similitude.scaling.knobs import Knob, knob_of, parse_knobs
from similitude.scaling.optimizers import OptimizerLike, OptimizerSpec, resolve
from similitude.scaling.plan import plan
from similitude.scaling.records import Plan, PlanRow
from similitude.scaling.regime import Regime, classify
from similitude.scaling.roles import ALSO_HEAD
from similitude.scaling.rules import ROLES
from similitude.scaling.sizes import WIDTH, Size, as_size

_GROWTH = 4
"""Target over base where none is given: exponents do not depend on it, and powers of 4 have exact roots."""
_SIMPLE, _NEAR = 12, 0.02
"""Exponents are fractions with a denominator up to 12 where one is that near: sides that are rounded to multiples of
64 grow almost, not exactly, as the width."""
_PRECISE = 1000


@cites(14, "Sections 2.1 and 2.3")
def abc(
    make: Factory,
    *,
    base: int | Size,
    sample: Sample,
    target: int | Size | None = None,
    optimizer: OptimizerLike = torch.optim.AdamW,
    rule: str = "sp",
    roles: Mapping[str, str] | None = None,
    loss: Callable[..., Any] | None = None,
    seed: int = 0,
) -> Regime:
    """Tell in which regime a model trains as its width grows: unstable, kernel, or feature learning.

    By default the model is taken as it is written, with one learning rate at every width. The growth of its init is
    measured, the role of its tensors traced; nothing is trained.

    Args:
        make: Function of the width that returns a model.
        base: Width that exponents are measured from, or a dict of dials.
        sample: What the model is called with, as `similitude.plan` takes it.
        target: Another width, larger or smaller; four times that of the base by default. A larger one is not built.
        optimizer: Class, instance, `functools.partial` or factory of the optimizer.
        rule: A rule of `similitude.plan` whose factors are applied; "sp" is the model as it is written.
        roles: Roles that are known better than the traced pass can tell, by tensor name or glob.
        loss: `loss(model, sample)`; where given, it is traced in place of the model's own call.
        seed: Seed of the builds in which the user's own init is measured.

    Returns:
        The regime, with exponents per kind of tensor in `parametrization.layers`.

    Raises:
        FactoryError: `make` cannot be called with a width or does not return a model.
        PlanError: The two sizes cannot be planned, or differ in more than the width.

    Example:
        >>> make = lambda n: torch.nn.Sequential(torch.nn.Linear(8, n), torch.nn.Linear(n, 3))
        >>> abc(make, base=16, sample=torch.zeros(4, 8), optimizer=torch.optim.SGD).kind
        'unstable'
        >>> abc(make, base=16, sample=torch.zeros(4, 8), rule="mup").kind
        'feature learning'

    Cost: that of one plan.
    """
    small = as_size(base, "base")
    large = {**small, WIDTH: _GROWTH * small[WIDTH]} if target is None else as_size(target, "target")
    return abc_of(
        plan(
            make,
            base=small,
            target=large,
            sample=sample,
            optimizer=optimizer,
            rule=rule,
            roles=roles,
            loss=loss,
            seed=seed,
        ),
        optimizer=optimizer,
    )


@cites(14, "Sections 2.1 and 2.3")
def abc_of(plan: Plan, *, optimizer: OptimizerLike | None = None) -> Regime:
    """Tell in which regime a plan trains as the width grows; see `abc`.

    Multipliers that the plan folds are taken out again, and so are knobs, which are the same at every width: what is
    classified is how each tensor scales in the network that it is a part of.

    Args:
        plan: A plan from one width to another.
        optimizer: Its optimizer, which matters where it scales steps by the tensor's shape or size itself and the rule
            is "sp": under other rules the plan knows. Without it a step is taken to be of the size of its family.

    Raises:
        PlanError: It is no plan, its sizes differ in something else than the width, its gamma is not 1, a tensor was
            refused, or no role is known.
    """
    if not isinstance(plan, Plan):
        raise PlanError(
            f"plan is {plan!r}, not a plan. Pass what similitude.plan(...) returns, or call "
            "similitude.abc(make, ...) with the function that builds the model."
        )
    plan.raise_if_bad()
    ratio = plan.target[WIDTH] / plan.base[WIDTH]
    others = [dial for dial in plan.base if dial != WIDTH and plan.base[dial] != plan.target[dial]]
    if others or ratio == 1:
        what = f"the {others[0]} changes too" if others else "both widths are the same"
        raise PlanError(
            f"exponents of the width cannot be told from {dict(plan.base)} and {dict(plan.target)}: {what}. Plan for "
            "another width at the same values of all other dials."
        )
    if plan.gamma != 1.0:
        raise PlanError(
            f"the plan has gamma={plan.gamma:g}, a constant of every width that is not a power of it. Plan with gamma=1."
        )
    rows = [row for row in plan.rows if row.role in ROLES]
    if not rows:
        raise PlanError(
            "the plan knows the role of no tensor, so it has no exponents. Plan with a sample, which is traced for them."
        )
    spec = None if optimizer is None else resolve(optimizer)
    whole = "as written" if plan.rule == "sp" else plan.rule
    found: dict[Layer, list[str]] = {}
    for row in rows:
        for layer in _layers(plan, row, ratio, spec):
            found.setdefault(layer, []).append(row.name)
    layers = tuple(replace(layer, names=tuple(names)) for layer, names in found.items())
    return classify(Parametrization(f"{whole}, {plan.optimizer}", layers))


def _layers(plan: Plan, row: PlanRow, ratio: float, spec: OptimizerSpec | None) -> list[Layer]:
    """Return what one tensor is: a layer, and the output layer too where it is tied."""
    family = row.family or plan.family
    knob = knob_of(parse_knobs(plan.knobs), row.role, query=row.query)
    own = _without(row, knob, family)
    zero = row.own_rms == 0 or row.rescale == 0
    step = own.lr * (row.own_scale if plan.rule != "sp" else _own_scale(row, family, spec))
    power = spec.eps_power if spec is not None else 1.0
    layer = Layer(
        row.role,
        family,
        a=Fraction(0),
        b=None if zero else -exponent(own.init, ratio),
        c=-exponent(step, ratio),
        # The gradient times n^d against eps is the gradient against eps n^-d; eps is free where there is none.
        d=Fraction(0) if family == "sgd" else -exponent(own.eps ** (1 / power), ratio),
        fan_in=exponent(row.fan_in_ratio, ratio),
        fan_out=exponent(row.fan_out_ratio, ratio),
    )
    if ALSO_HEAD not in row.evidence:
        return [layer]
    sentence = f"of the tied {row.name!r}"
    carriers = [other for other in plan.rows if any(sentence in text for text in other.carries)]
    by_hook = [hook.factor for hook in plan.hooks if sentence in hook.reason]
    multiplier = carriers[0].multiplier if carriers else by_hook[0] if by_hook else 1.0
    head = replace(
        layer,
        role="output",
        a=-exponent(multiplier, ratio),
        fan_in=layer.fan_out,
        fan_out=Fraction(0),
    )
    return [layer, head]


def _own_scale(row: PlanRow, family: str, spec: OptimizerSpec | None) -> float:
    """Return by how much an optimizer itself scales a step from base to target where no plan takes that out."""
    if spec is None or family != spec.family:
        return 1.0
    return row.init if spec.relative else spec.adjustment(row.base_shape, row.shape)


def _without(row: PlanRow, knob: Knob, family: str) -> PlanRow:
    """Return a row without its folded multipliers and knobs."""
    m = row.multiplier * knob.multiplier
    return replace(
        row,
        init=row.init / (m * (knob.init or 1.0)) or 1.0,
        lr=row.lr / (m**2 if family == "sgd" else m) / knob.lr,
        eps=row.eps * m,
    )


def exponent(factor: float, ratio: float) -> Fraction:
    """Return the power of the width that gives a factor.

    Args:
        factor: What a quantity is multiplied by.
        ratio: What the width is multiplied by.

    Example:
        >>> str(exponent(0.5, 4)), str(exponent(1300 / 320, 4)), str(exponent(2**0.3, 2))
        ('-1/2', '1', '3/10')
    """
    value = math.log(factor) / math.log(ratio)
    simple = Fraction(value).limit_denominator(_SIMPLE)
    return simple if abs(value - simple) <= _NEAR else Fraction(value).limit_denominator(_PRECISE)
