"""What follows from an optimizer's geometry: the factors of typical tensors when the width or the depth doubles."""

from __future__ import annotations

from dataclasses import dataclass

from similitude.scaling.depth import DepthRule, residual_exponent
from similitude.scaling.factors import Place, Setting, TrainingFactors, training_factors
from similitude.scaling.optimizers import OptimizerSpec

_SIDE = 64  # of a matrix at the base; laws of the shape see ratios only
_FINITE = 16  # a side that does not grow


@dataclass(frozen=True)
class Doubling:
    """The factors of one kind of tensor when a dial doubles.

    Attributes:
        dial: "width", or "depth": then the tensor stands inside a residual branch.
        tensor: What it is, with its shape, e.g. "hidden matrix 64x64 -> 128x128".
        factors: Its factors, with the reason for each.
    """

    dial: str
    tensor: str
    factors: TrainingFactors


def doublings(
    spec: OptimizerSpec, *, rule: str = "mup", depth_rule: DepthRule = "complete_p"
) -> tuple[Doubling, ...]:
    """Return the factors that a rule gives typical tensors when the width doubles, and when the depth does.

    Args:
        spec: The optimizer.
        rule: The parametrization.
        depth_rule: Rule of the residual branches; "sp" leaves tensors inside them as they are.

    Raises:
        PlanError: A rule does not exist.

    Example:
        >>> import torch
        >>> from similitude.scaling.optimizers import resolve
        >>> [(d.tensor.split()[0], d.factors.lr) for d in doublings(resolve(torch.optim.AdamW)) if d.dial == "width"]
        [('hidden', 0.5), ('hidden', 0.5), ('hidden', 1.0), ('input', 1.0), ('output', 0.5), ('vector', 1.0)]
    """
    n, m = _SIDE, 2 * _SIDE
    found = []
    for role, kind, base, target in (
        ("hidden", "matrix", (n, n), (m, m)),
        ("hidden", "matrix", (4 * n, n), (4 * m, m)),
        ("hidden", "matrix, grown on one side", (n, n), (m, n)),
        ("input", "matrix", (n, _FINITE), (m, _FINITE)),
        ("output", "matrix", (_FINITE, n), (_FINITE, m)),
        ("vector", "", (n,), (m,)),
    ):
        name = " ".join([part for part in (role, kind) if part] + [f"{_shape(base)} -> {_shape(target)}"])
        found.append(Doubling("width", name, _factors(spec, rule, role, base, target)))
    setting = Setting(alpha=residual_exponent(depth_rule))
    for role, name, shape in (("hidden", "hidden matrix", (n, n)), ("vector", "vector", (n,))):
        factors = _factors(spec, rule, role, shape, shape, setting, Place(branches=2.0))
        found.append(Doubling("depth", f"{name} {_shape(shape)} in a branch", factors))
    return tuple(found)


def _factors(
    spec: OptimizerSpec,
    rule: str,
    role: str,
    base: tuple[int, ...],
    target: tuple[int, ...],
    setting: Setting | None = None,
    place: Place | None = None,
) -> TrainingFactors:
    # A vector acts on one constant input.
    (out_0, in_0), (out_1, in_1) = (*base, 1)[:2], (*target, 1)[:2]
    return training_factors(
        rule,
        role,
        spec,
        r_in=in_1 / in_0,
        r_out=out_1 / out_0,
        shape=target,
        base_shape=base,
        fan_in=(in_0, in_1),
        fan_out=(out_0, out_1),
        setting=setting or Setting(),
        place=place or Place(),
        # A vector of ones or zeros starts alike at every width, and its steps are relative to that.
        size=1.0 if len(base) < 2 else None,
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
