"""Rows of a plan: what one tensor gets, from its role, its own init, and the multipliers that it carries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from similitude.scaling.axes import Comparison, TensorPair
from similitude.scaling.factors import Place, Setting, training_factors
from similitude.scaling.folding import Folds
from similitude.scaling.inits.depths import DepthInit
from similitude.scaling.inits.survey import OwnInit
from similitude.scaling.knobs import Knob, knob_of
from similitude.scaling.optimizers import OptimizerSpec
from similitude.scaling.records import PlanRow
from similitude.scaling.roles import RoleResult
from similitude.scaling.rules import factors

_AS_BUILT = OwnInit(1.0, "constant", 0.0, None, 0.0, None)
_AS_BEFORE = DepthInit(1.0, "")
_LAWS = {"": "own init as measured", "fixed": "own init without spread"}


@dataclass(frozen=True)
class RowMaker:
    """Everything that rows are made of.

    Attributes:
        rule: The parametrization.
        spec: The optimizer.
        setting: Depth rule, richness and kind of weight decay.
        knobs: Knobs by role.
        comparison: The tensors at the base's width and at the target's.
        results: Roles by tensor.
        folds: Multipliers.
        own: How the own init grows with the width, by tensor.
        depth_inits: How it changes with the depth, for tensors where it does.
        places: Where tensors stand among residual branches; others stand outside.
        queries: Tensors that make the queries of attention.
    """

    rule: str
    spec: OptimizerSpec
    setting: Setting
    knobs: Mapping[str, Knob]
    comparison: Comparison
    results: Mapping[str, RoleResult]
    folds: Folds
    own: Mapping[str, OwnInit]
    depth_inits: Mapping[str, DepthInit] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    queries: tuple[str, ...] = ()

    def row(self, tensor: TensorPair) -> PlanRow:
        """Make the row of one tensor."""
        result = self.results[tensor.name]
        role = result.role or "undecided"
        mine = self.own.get(tensor.name, _AS_BUILT)
        sides = _sides(tensor, result, role)
        multiplier, carries = self._carried(tensor.name, result)
        place = self.places.get(tensor.name, Place())
        query = tensor.name in self.queries
        train = partial(
            training_factors,
            self.rule,
            role,
            self.spec,
            r_in=result.r_in,
            r_out=result.r_out,
            fan_in=sides[0],
            fan_out=sides[1],
            base_shape=tensor.base_shape,
            shape=tensor.shape,
            multiplier=multiplier,
            knob=knob_of(self.knobs, role, query=query),
            setting=self.setting,
            place=place,
        )
        scaled = train()
        direction = bool(result.partner) and not result.gain
        # A tensor without spread (zeros, ones) is a choice of the user's, not a draw: only multipliers move it.
        as_is = mine.law == "fixed" or direction or result.curved or role in ("unused", "undecided")
        drawn = None if as_is else scaled.init
        # What the depth alone does to the init is undone where the depth rule sets the scale of a branch.
        deeper = self.depth_inits.get(tensor.name, _AS_BEFORE).ratio
        undone = deeper if drawn is not None or self.replaces(tensor.name) else 1.0
        rescale = 1.0 if direction else (scaled.scale if drawn is None else drawn / mine.ratio) / undone
        blank = (
            mine.law == "fixed" and mine.rms == 0
        )  # zeros have no ratio; the rule's is what a draw would have
        init = scaled.init if blank and scaled.init is not None else mine.ratio * deeper * rescale
        scaled = train(size=init)
        return PlanRow(
            name=tensor.name,
            role=role,
            shape=tensor.shape,
            base_shape=tensor.base_shape,
            fan_in_ratio=result.r_in,
            fan_out_ratio=result.r_out,
            init=init,
            rescale=rescale,
            lr=scaled.lr,
            eps=scaled.eps,
            weight_decay=scaled.weight_decay,
            reason=f"{scaled.why}; {_LAWS.get(mine.law, f'own init {mine.law}')}",
            aliases=tensor.aliases,
            evidence=result.evidence,
            family=scaled.family,
            fan_in=sides[0],
            fan_out=sides[1],
            multiplier=multiplier,
            carries=tuple(carries),
            own_rms=mine.rms,
            own_tolerance=mine.tolerance,
            own_bound=mine.bound,
            query=query,
            own_scale=scaled.own_scale,
            depth_ratio=place.branches,
            uses_ratio=place.uses,
        )

    def replaces(self, name: str) -> bool:
        """Tell whether what the depth does to a tensor's own init is undone, though the rule asks for no draw."""
        return self.setting.alpha is not None and name in self.places

    def _carried(self, name: str, result: RoleResult) -> tuple[float, list[str]]:
        multiplier = self.folds.multipliers.get(name, 1.0)
        carries = list(self.folds.carries.get(name, ()))
        if result.partner and self.rule != "sp":
            factor = self._weight_norm(result)
            multiplier *= factor
            carries += [f"weight norm: x{factor:.4g}"] if factor != 1.0 else []
        return multiplier, carries

    def _weight_norm(self, result: RoleResult) -> float:
        """Return the multiplier of one half of a weight-normalized matrix W = lengths x v / |v|.

        The lengths are the scale of W's rows, init(W) sqrt(entries of a row). The directions keep their own scale, so
        that W = m v with m = init(W) / own init of v, and they are trained as if W were multiplied by m.
        """
        matrix = self.results[result.partner] if result.gain else result
        if matrix.role is None:
            return 1.0
        init = factors(self.rule, matrix.role, "sgd", r_in=matrix.r_in, r_out=matrix.r_out).init or 1.0
        if result.gain:
            sizes = {t.name: (math.prod(t.base_shape), math.prod(t.shape)) for t in self.comparison.tensors}
            (v0, v1), (g0, g1) = sizes[matrix.name], sizes[result.name]
            return init * math.sqrt(v1 / v0 / (g1 / g0))
        own = self.own.get(result.name)
        return (own.ratio if own is not None else 1.0) / init


def _sides(
    tensor: TensorPair, result: RoleResult, role: str
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Return fan-in and fan-out at base and target, where the tensor is a matrix."""
    if result.fans is None or role in ("unused", "undecided"):
        return None, None
    before, after = tensor.base_shape, tensor.shape
    fan_in, fan_out = result.fans.fan_in, result.fans.fan_out
    return (fan_in.size(before), fan_in.size(after)), (fan_out.size(before), fan_out.size(after))
