"""The plan from a base size to a target size, as ratios to the user's own base: paper 17 (muTransfer)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from similitude.core.citation import cites
from similitude.core.errors import PlanError, RoleError
from similitude.scaling.axes import Comparison, Factory, TensorPair, as_size, compare, same_dials, some
from similitude.scaling.dataflow.structure import Sample, Structure, study
from similitude.scaling.factors import for_optimizer, training_factors
from similitude.scaling.folding import Folds, fold
from similitude.scaling.inits.survey import OwnInit, Survey, own_inits, survey
from similitude.scaling.knobs import QUERY, Knob, Knobs, knob_of, notes_of, parse_knobs, require_matches
from similitude.scaling.notes import plan_notes
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.queries import Queries, queries_of, require_queries
from similitude.scaling.records import Branch, Hook, Plan, PlanRow, Refusal
from similitude.scaling.roles import RoleResult, infer
from similitude.scaling.rules import RULES, factors, known_weight_decay

__all__ = ["Branch", "Hook", "Plan", "PlanRow", "Planner", "Refusal", "for_optimizer", "plan"]

SizeLike = int | Mapping[str, int]


@cites(17, "Tables 3, 8 and 9")
@cites(7, "Condition 1 and Section 3")
def plan(
    make: Factory,
    *,
    base: SizeLike,
    target: SizeLike,
    sample: Sample = None,
    optimizer: OptimizerLike = torch.optim.AdamW,
    rule: str = "mup",
    roles: Mapping[str, str] | None = None,
    knobs: Knobs | None = None,
    loss: Callable[..., Any] | None = None,
    weight_decay: str = "independent",
    seed: int = 0,
) -> Plan:
    """Plan how hyperparameters tuned at one width carry over to another.

    The model stays the user's own: the plan rescales its initial values once and sets learning rate, eps
    and weight decay per parameter group. What each tensor does is read off one traced forward pass at two small
    sizes. At the base size every factor is exactly 1, unless a knob says otherwise.

    Args:
        make: Function of the width (by keyword `width` or by position) that returns a model; everything else
            about the model stays fixed.
        base: Size that hyperparameters are tuned at: a width, or a dict of dials such as `{"width": 256}`.
        target: Size to plan for.
        sample: What the model is called with: a tensor, a tuple of positional or a dict of keyword arguments;
            or a function of the width that gives one, where its shape depends on it.
        optimizer: The optimizer that will train the model: class, instance, `functools.partial` or
            factory; its eps and weight decay matter.
        rule: "mup" (features learn alike at every width), "spectral" (the same from sizes alone), "sp"
            (everything as the user wrote it), "ntp" (the kernel regime) or "mean_field" (one hidden layer).
        roles: Roles that are known better than the traced pass can tell, by tensor name or glob, e.g. `{"pos":
            "input"}`.
        knobs: Multipliers of the base by role, e.g. `dict(embedding=1.0, head=1.0)`, or
            `dict(embedding={"lr": 0.125})`; `dict(head={"init": 0}, query={"init": 0})` starts heads and attention's
            queries at zero. See `similitude.scaling.knobs`.
        loss: `loss(model, sample)`; where given, it is traced in place of the model's own call.
        weight_decay: "independent" (learning rate x weight decay stays, so that the number given to `Plan.groups` is
            divided by the factor on the learning rate) or "decoupled" (the number stays, so that the decay of a step
            falls with the learning rate). Weight decay inside Adam's gradient follows neither.
        seed: Seed of the builds in which the user's own init is measured.

    Returns:
        The plan. Tensors whose role cannot be told are in `Plan.refused`; nothing is guessed.

    Raises:
        FactoryError: `make` cannot be called with a width or does not return a model.
        PlanError: The two models cannot be compared, or the optimizer, rule, knobs or sample does not fit.
        RoleError: `roles` names a tensor or role that does not exist.

    Example:
        >>> make = lambda n: torch.nn.Sequential(torch.nn.Linear(8, n), torch.nn.Linear(n, n, bias=False))
        >>> row = plan(make, base=8, target=32, sample=torch.zeros(4, 8)).rows[-1]
        >>> row.role, row.init, row.lr
        ('hidden', 0.5, 0.25)

    Cost: two traced forward passes and some real builds at small sizes near the base; the target is compared
        by its shapes alone and never built.
    """
    planner = Planner(
        make,
        base=base,
        sample=sample,
        optimizer=optimizer,
        rule=rule,
        roles=roles,
        knobs=knobs,
        loss=loss,
        weight_decay=weight_decay,
        seed=seed,
    )
    return planner.plan(target)


@dataclass
class _Found:
    """What planners of one family share, once it is traced and measured."""

    structure: Structure | None = None
    survey: Survey | None = None


class Planner:
    """Plans from one base to many targets; the passes and the measured init are shared. Arguments as of `plan`."""

    def __init__(
        self,
        make: Factory,
        *,
        base: SizeLike,
        sample: Sample = None,
        optimizer: OptimizerLike = torch.optim.AdamW,
        rule: str = "mup",
        roles: Mapping[str, str] | None = None,
        knobs: Knobs | None = None,
        loss: Callable[..., Any] | None = None,
        weight_decay: str = "independent",
        seed: int = 0,
    ) -> None:
        if sample is None and (rule != "sp" or knobs):
            raise PlanError(
                "plan needs a sample: what a tensor does is read off one forward pass. Pass sample= what the "
                "model is called with: a tensor, a tuple of positional arguments, or a dict of keyword arguments."
            )
        self.make, self.base = make, as_size(base, "base")
        self.sample, self.loss, self.seed = sample, loss, seed
        self.spec, self.rule = resolve(optimizer), known_rule(rule)
        self.roles = dict(roles or {})
        self.knobs, self.weight_decay = parse_knobs(knobs), known_weight_decay(weight_decay)
        self._found = _Found()

    def plan(self, target: SizeLike, *, rule: str | None = None) -> Plan:
        """Plan for one target, under another rule where one is given; see `similitude.scaling.plan.plan`."""
        if rule is not None and rule != self.rule:
            return self.under(rule).plan(target)
        size = as_size(target, "target")
        same_dials(self.base, size)
        comparison = compare(self.make, self.base, size)
        structure = self._trace(size)
        if structure is None:
            results = tuple(RoleResult(t.name, None, 1.0, 1.0, "not traced") for t in comparison.tensors)
            folds, queries = Folds(), Queries()
        else:
            results = self._roles(comparison, structure, size)
            queries = queries_of(structure)
            shapes = {t.name: (t.base_shape, t.shape) for t in comparison.tensors}
            folds = fold(
                structure,
                results,
                rule=self.rule,
                shapes=shapes,
                width_ratio=_width_ratio(self.base, size, comparison),
                knobs=self.knobs,
            )
            folds.notes += self._check_knobs(results, queries)
        own = self._own(comparison, results, size)
        return self._assembled(size, comparison, structure, results, folds, own, queries)

    def _check_knobs(self, results: tuple[RoleResult, ...], queries: Queries) -> list[str]:
        """Raise where a knob turns nothing; return what is to be said of the others."""
        if self.knobs.get(QUERY, Knob()) != Knob():
            require_queries(queries)
        roles = {result.role for result in results}
        known = {role for role in roles if role is not None}
        if known == roles:  # a tensor that was refused may be the one that a knob is for
            require_matches(self.knobs, known, tied=[result.name for result in results if result.tied])
        return notes_of(self.knobs, {r.name: r.role for r in results if r.partner and not r.gain and r.role})

    def _roles(
        self, comparison: Comparison, structure: Structure, target: Mapping[str, int]
    ) -> tuple[RoleResult, ...]:
        """Tell the roles; at the base, where nothing grows, those that the two traced sizes show."""
        if dict(self.base) != dict(target):
            return infer(comparison, structure, self.roles)
        seen = infer(compare(self.make, *structure.sizes), structure, self.roles)
        return tuple(replace(result, r_in=1.0, r_out=1.0) for result in seen)

    def under(self, rule: str) -> Planner:
        """Return the planner of another rule; what was traced and measured so far is shared."""
        other = copy.copy(self)
        other.rule = known_rule(rule)
        return other

    def _trace(self, target: Mapping[str, int]) -> Structure | None:
        """Trace once; a rule that changes nothing needs no roles, so there a failure is no obstacle."""
        if self._found.structure is None and self.sample is not None:
            try:
                self._found.structure = study(
                    self.make, self.sample, base=self.base, target=target, loss=self.loss, seed=self.seed
                )
            except RoleError:
                raise
            except PlanError:
                identity = self.rule == "sp" or dict(self.base) == dict(target)
                if self.knobs or self.roles or not identity:
                    raise
        return self._found.structure

    def _own(
        self, comparison: Comparison, results: tuple[RoleResult, ...], target: Mapping[str, int]
    ) -> dict[str, OwnInit]:
        if dict(self.base) == dict(target):
            return {}
        if self._found.survey is None:
            try:
                self._found.survey = survey(self.make, self.base, target, seed=self.seed)
            except PlanError:
                if self.rule == "sp" and not self.knobs:  # nothing is rescaled, so nothing needs to be known
                    return {}
                raise
        named = tuple(
            r if r.role is not None else RoleResult(r.name, "finite", 1.0, 1.0, r.evidence, r.fans)
            for r in results
        )
        own = own_inits(self._found.survey, comparison, named)
        broken = [name for name, init in own.items() if not math.isfinite(init.ratio)]
        if broken:
            raise PlanError(
                f"the initial values of {some(broken)} are not finite (nan or inf), so nothing can be planned "
                "from them. Mend the initialization in the model."
            )
        return own

    def _assembled(
        self,
        target: Mapping[str, int],
        comparison: Comparison,
        structure: Structure | None,
        results: tuple[RoleResult, ...],
        folds: Folds,
        own: Mapping[str, OwnInit],
        queries: Queries,
    ) -> Plan:
        at_base = dict(self.base) == dict(target)
        by_name = {r.name: r for r in results}
        rows: list[PlanRow] = []
        refused: list[Refusal] = []
        for tensor, result in zip(comparison.tensors, results, strict=True):
            reason = folds.refused.get(tensor.name) or (result.evidence if result.role is None else "")
            if reason and self.rule != "sp" and not (at_base and not self.knobs):
                refused.append(Refusal(tensor.name, tensor.shape, reason))
            else:
                query = tensor.name in queries.names
                rows.append(self._row(tensor, result, by_name, folds, own, comparison, query=query))
        return Plan(
            self.rule,
            self.spec.name,
            self.spec.family,
            dict(self.base),
            dict(target),
            tuple(rows),
            tuple(refused),
            tuple(
                plan_notes(structure, rows, folds, own, self.spec, self.rule) if not at_base else folds.notes
            ),
            self.spec.decay,
            self.spec.defaults,
            tuple(folds.hooks),
            structure.branches if structure is not None else (),
            {role: asdict(knob) for role, knob in self.knobs.items()},
            self.weight_decay,
        )

    def _row(
        self,
        tensor: TensorPair,
        result: RoleResult,
        by_name: Mapping[str, RoleResult],
        folds: Folds,
        own: Mapping[str, OwnInit],
        comparison: Comparison,
        *,
        query: bool,
    ) -> PlanRow:
        role = result.role or "undecided"
        mine = own.get(tensor.name, _AS_BUILT)
        shapes = (tensor.base_shape, tensor.shape)
        fans = result.fans if role not in ("unused", "undecided") else None
        sides = (
            [(f.size(shapes[0]), f.size(shapes[1])) for f in (fans.fan_in, fans.fan_out)]
            if fans
            else [None, None]
        )
        multiplier = folds.multipliers.get(tensor.name, 1.0)
        carries = list(folds.carries.get(tensor.name, ()))
        if result.partner and self.rule != "sp":
            factor = self._weight_norm(result, by_name, own, comparison)
            multiplier *= factor
            carries += [f"weight norm: x{factor:.4g}"] if factor != 1.0 else []
        scaled = training_factors(
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
            weight_decay=self.weight_decay,
        )
        direction = bool(result.partner) and not result.gain
        # A tensor without spread (zeros, ones) is a choice of the user's, not a draw: only multipliers move it.
        as_is = mine.law == "fixed" or direction or result.curved or role in ("unused", "undecided")
        drawn = None if as_is else scaled.init
        rescale = 1.0 if direction else scaled.scale if drawn is None else drawn / mine.ratio
        blank = (
            mine.law == "fixed" and mine.rms == 0
        )  # zeros have no ratio; the rule's is what a draw would have
        law = {"": "own init as measured", "fixed": "own init without spread"}.get(
            mine.law, f"own init {mine.law}"
        )
        return PlanRow(
            name=tensor.name,
            role=role,
            shape=tensor.shape,
            base_shape=tensor.base_shape,
            fan_in_ratio=result.r_in,
            fan_out_ratio=result.r_out,
            init=scaled.init if blank and scaled.init is not None else mine.ratio * rescale,
            rescale=rescale,
            lr=scaled.lr,
            eps=scaled.eps,
            weight_decay=scaled.weight_decay,
            reason=f"{scaled.why}; {law}",
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
        )

    def _weight_norm(
        self,
        result: RoleResult,
        by_name: Mapping[str, RoleResult],
        own: Mapping[str, OwnInit],
        comparison: Comparison,
    ) -> float:
        """Return the multiplier of one half of a weight-normalized matrix W = lengths x v / |v|.

        The lengths are the scale of W's rows, init(W) sqrt(entries of a row). The directions keep their own scale, so
        that W = m v with m = init(W) / own init of v, and they are trained as if W were multiplied by m.
        """
        matrix = by_name[result.partner] if result.gain else result
        if matrix.role is None:
            return 1.0
        init = factors(self.rule, matrix.role, "sgd", r_in=matrix.r_in, r_out=matrix.r_out).init or 1.0
        if result.gain:
            sizes = {t.name: (math.prod(t.base_shape), math.prod(t.shape)) for t in comparison.tensors}
            (v0, v1), (g0, g1) = sizes[matrix.name], sizes[result.name]
            return init * math.sqrt(v1 / v0 / (g1 / g0))
        return _own_ratio(own, result.name) / init


def known_rule(rule: str) -> str:
    """Return the rule if there is one of its name.

    Raises:
        PlanError: There is none.
    """
    if rule not in RULES:
        raise PlanError(f"rule {rule!r} is unknown. Choose one of {', '.join(map(repr, RULES))}.")
    return rule


def _own_ratio(own: Mapping[str, OwnInit], name: str) -> float:
    return own[name].ratio if name in own else 1.0


def _width_ratio(base: Mapping[str, int], target: Mapping[str, int], comparison: Comparison) -> float:
    return target["width"] / base["width"] if "width" in base else comparison.ratio


_AS_BUILT = OwnInit(1.0, "constant", 0.0, None, 0.0, None)
