"""The plan from a base size to a target size, as ratios to the user's own base: papers 17 (muTransfer), 13 (depth)
and 1 (richness)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from similitude.core.citation import cites
from similitude.core.errors import PlanError, RoleError
from similitude.scaling.axes import Comparison, Factory, as_size, compare, same_dials, some
from similitude.scaling.dataflow.passes import Sample, study_depth
from similitude.scaling.dataflow.stages import DepthGrowth, depth_growth
from similitude.scaling.dataflow.structure import Structure, study
from similitude.scaling.depth import DepthRule, residual_exponent
from similitude.scaling.factors import Place, Setting, for_optimizer
from similitude.scaling.folding import Folds, fold
from similitude.scaling.inits.depths import DepthInit, depth_inits
from similitude.scaling.inits.survey import OwnInit, Survey, own_inits, survey, survey_alone
from similitude.scaling.knobs import QUERY, Knob, Knobs, notes_of, parse_knobs, require_matches
from similitude.scaling.notes import depth_notes, plan_notes, richness_notes
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.output_folds import fold_output, weight_layers
from similitude.scaling.queries import Queries, queries_of, require_queries
from similitude.scaling.records import Branch, Hook, Plan, PlanRow, Refusal
from similitude.scaling.residual_folds import fold_branches
from similitude.scaling.richness import known_gamma
from similitude.scaling.roles import RoleResult, infer
from similitude.scaling.rows import RowMaker
from similitude.scaling.rules import known_rule, known_weight_decay
from similitude.scaling.sizes import DEPTH, at_depth

__all__ = ["Branch", "Hook", "Plan", "PlanRow", "Planner", "Refusal", "for_optimizer", "plan"]

SizeLike = int | Mapping[str, int]


@cites(17, "Tables 3, 8 and 9")
@cites(7, "Condition 1 and Section 3")
@cites(13, "Section 3: Depth-muP")
@cites(1, "Section 2: richness")
def plan(
    make: Factory,
    *,
    base: SizeLike,
    target: SizeLike,
    sample: Sample = None,
    optimizer: OptimizerLike = torch.optim.AdamW,
    rule: str = "mup",
    depth_rule: DepthRule | None = None,
    gamma: float = 1.0,
    roles: Mapping[str, str] | None = None,
    knobs: Knobs | None = None,
    loss: Callable[..., Any] | None = None,
    weight_decay: str = "independent",
    seed: int = 0,
) -> Plan:
    """Plan how hyperparameters tuned at one width and depth carry over to another.

    The model stays the user's own: the plan rescales its initial values once and sets learning rate, eps
    and weight decay per parameter group. What each tensor does is read off one traced forward pass at two small
    sizes. At the base size every factor is exactly 1, unless a knob says otherwise.

    Args:
        make: Function of the width, or of the width and the depth (by keyword or by position), that returns a model;
            everything else about the model stays fixed.
        base: Size that hyperparameters are tuned at: a width, or a dict of dials such as `{"width": 256, "depth": 6}`.
        target: Size to plan for.
        sample: What the model is called with: a tensor, a tuple of positional or a dict of keyword arguments;
            or a function of the width that gives one, where its shape depends on it.
        optimizer: The optimizer that will train the model: class, instance, `functools.partial` or
            factory; its eps and weight decay matter.
        rule: "mup" (features learn alike at every width), "spectral" (the same from sizes alone), "sp"
            (everything as the user wrote it), "ntp" (the kernel regime), "mean_field" (one hidden layer) or "u_mup" (muP
            with slower tables, see `similitude.unit_scaled`).
        depth_rule: How residual branches scale with their number; required where the depths differ. "depth_mup" (each
            branch x L^-1/2: the most diverse features, proven for blocks of one matrix), "complete_p" (x 1/L: blocks of
            several matrices keep learning as they do at the base), an exponent between, or "sp" (as you wrote it).
        gamma: Richness: the output is divided by it, and learning rates follow its law. 1 is the model as tuned, more
            is richer, less is lazier. Below 1 start the head at zero (`knobs=dict(head={"init": 0})`) or train
            `similitude.Centred(model)`.
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
        PlanError: The two models cannot be compared, the depths differ without a depth rule or without residual
            branches, or the optimizer, rule, gamma, knobs or sample does not fit.
        RoleError: `roles` names a tensor or role that does not exist.

    Example:
        >>> make = lambda n: torch.nn.Sequential(torch.nn.Linear(8, n), torch.nn.Linear(n, n, bias=False))
        >>> row = plan(make, base=8, target=32, sample=torch.zeros(4, 8)).rows[-1]
        >>> row.role, row.init, row.lr
        ('hidden', 0.5, 0.25)

    Cost: two traced forward passes and some real builds at small widths near the base's and the target's depth (one
        pass more where the depths differ); the target is compared by its shapes alone and, unless its
        width is the base's and it is small, never built.
    """
    planner = Planner(
        make,
        base=base,
        sample=sample,
        optimizer=optimizer,
        rule=rule,
        depth_rule=depth_rule,
        gamma=gamma,
        roles=roles,
        knobs=knobs,
        loss=loss,
        weight_decay=weight_decay,
        seed=seed,
    )
    return planner.plan(target)


@dataclass
class _Found:
    """What planners of one family share, once it is traced and measured; by depth."""

    structures: dict[int | None, Structure] = field(default_factory=dict)
    surveys: dict[int | None, Survey] = field(default_factory=dict)
    alone: dict[int | None, Survey] = field(default_factory=dict)  # where the width stays
    growths: dict[int | None, DepthGrowth] = field(default_factory=dict)
    depth_inits: dict[int | None, dict[str, DepthInit]] = field(default_factory=dict)


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
        depth_rule: DepthRule | None = None,
        gamma: float = 1.0,
        roles: Mapping[str, str] | None = None,
        knobs: Knobs | None = None,
        loss: Callable[..., Any] | None = None,
        weight_decay: str = "independent",
        seed: int = 0,
    ) -> None:
        self.make, self.base = make, as_size(base, "base")
        self.sample, self.loss, self.seed = sample, loss, seed
        self.spec, self.rule = resolve(optimizer), known_rule(rule)
        self.depth_rule, self.alpha = depth_rule, residual_exponent(depth_rule)
        self.gamma = known_gamma(gamma)
        self.roles = dict(roles or {})
        self.knobs, self.weight_decay = parse_knobs(knobs), known_weight_decay(weight_decay)
        self._found = _Found()
        if sample is None and not self._leaves_all:
            raise PlanError(
                "plan needs a sample: what a tensor does is read off one forward pass. Pass sample= what the "
                "model is called with: a tensor, a tuple of positional arguments, or a dict of keyword arguments."
            )

    @property
    def _leaves_all(self) -> bool:
        """Whether the plan changes nothing whatever the tensors do."""
        return self.rule == "sp" and not self.knobs and self.alpha is None and self.gamma == 1.0

    def plan(self, target: SizeLike, *, rule: str | None = None) -> Plan:
        """Plan for one target, under another rule where one is given; see `similitude.scaling.plan.plan`."""
        if rule is not None and rule != self.rule:
            return self.under(rule).plan(target)
        size = as_size(target, "target")
        same_dials(self.base, size)
        self._require_depth_rule(size)
        # Base and target have the same tensors at one depth: that of the target. The width is compared there.
        wide = at_depth(self.base, size)
        comparison = compare(self.make, wide, size)
        structure = self._trace(wide, size)
        if structure is None:
            results = tuple(RoleResult(t.name, None, 1.0, 1.0, "not traced") for t in comparison.tensors)
            folds, queries, growth = Folds(), Queries(), None
        else:
            results = self._roles(comparison, structure, wide, size)
            queries = queries_of(structure)
            shapes = {t.name: (t.base_shape, t.shape) for t in comparison.tensors}
            folds = fold(
                structure,
                results,
                rule=self.rule,
                shapes=shapes,
                width_ratio=size["width"] / wide["width"],
                knobs=self.knobs,
                gamma=self.gamma,
            )
            folds.notes += self._check_knobs(results, queries)
            growth = self._growth(structure, wide)
            self._fold_more(structure, results, growth, folds)
        own = self._own(comparison, results, wide, size)
        return self._assembled(size, comparison, structure, results, folds, own, queries, growth)

    def _require_depth_rule(self, target: Mapping[str, int]) -> None:
        deep, shallow = target.get(DEPTH), self.base.get(DEPTH)
        if deep != shallow and self.depth_rule is None:
            raise PlanError(
                f"the depth differs between base and target ({shallow} -> {deep}), and depth_rule is not given. Choose "
                "'depth_mup' (branches x L^-1/2, for blocks of one matrix), 'complete_p' (x 1/L, for blocks of more), an "
                "exponent in [0.5, 1], or 'sp' (as you wrote it, which does not transfer)."
            )

    def _growth(self, structure: Structure, wide: Mapping[str, int]) -> DepthGrowth | None:
        """Compare residual branches at the two depths; None where the depth stays or has no rule."""
        depth = wide.get(DEPTH)
        if self.alpha is None or depth == self.base.get(DEPTH):
            return None
        if depth not in self._found.growths:
            deep = structure.sizes[0]
            shallow = at_depth(deep, self.base)
            flow, found = study_depth(
                self.make,
                self.sample,
                shallow,
                growing=structure.growing,
                loss=self.loss,
                seed=self.seed,
            )
            depths = f"depth {shallow[DEPTH]} -> {depth}"
            if len(found) == len(structure.residuals) and flow.trace.shapes == structure.flow.trace.shapes:
                raise PlanError(
                    f"the depth that make receives changes nothing ({depths} gives the same tensors and as many residual "
                    "branches). Pass it on to the model's number of blocks."
                )
            if not structure.residuals:
                raise PlanError(
                    f"no residual branch was found in the forward pass, and depth rules are about branches ({depths}). "
                    "A plain stack of layers has none: keep the depth fixed, or plan it as it is with depth_rule='sp'."
                )
            self._found.growths[depth] = depth_growth(structure.flow, structure.residuals, flow, found)
            self._found.depth_inits[depth] = depth_inits(self.make, shallow, deep, seed=self.seed)
        return self._found.growths[depth]

    def _fold_more(
        self,
        structure: Structure,
        results: tuple[RoleResult, ...],
        growth: DepthGrowth | None,
        folds: Folds,
    ) -> None:
        """Place the multipliers of residual branches and of the richness, and say what is to be known of them."""
        if growth is not None and self.alpha is not None:
            fold_branches(structure, results, growth, alpha=self.alpha, folds=folds)
            folds.notes += depth_notes(structure, growth, self.alpha)
        if self.gamma != 1.0:
            fold_output(structure, results, gamma=self.gamma, folds=folds)
            head = self.knobs.get("output", Knob())
            folds.notes += richness_notes(structure, self.gamma, zero_head=head.init == 0)

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
        self,
        comparison: Comparison,
        structure: Structure,
        wide: Mapping[str, int],
        target: Mapping[str, int],
    ) -> tuple[RoleResult, ...]:
        """Tell the roles; at one width, where nothing grows, those that the two traced sizes show."""
        if dict(wide) != dict(target):
            return infer(comparison, structure, self.roles)
        seen = infer(compare(self.make, *structure.sizes), structure, self.roles)
        return tuple(replace(result, r_in=1.0, r_out=1.0) for result in seen)

    def under(self, rule: str, *, depth_rule: DepthRule | None = None) -> Planner:
        """Return the planner of another rule, and another depth rule if given; what was traced so far is shared."""
        other = copy.copy(self)
        other.rule = known_rule(rule)
        if depth_rule is not None:
            other.depth_rule, other.alpha = depth_rule, residual_exponent(depth_rule)
        return other

    def _trace(self, wide: Mapping[str, int], target: Mapping[str, int]) -> Structure | None:
        """Trace once per depth; a plan that changes nothing needs no roles, so there a failure is no obstacle."""
        depth = wide.get(DEPTH)
        if depth not in self._found.structures and self.sample is not None:
            try:
                self._found.structures[depth] = study(
                    self.make, self.sample, base=wide, target=target, loss=self.loss, seed=self.seed
                )
            except RoleError:
                raise
            except PlanError:
                identity = self.rule == "sp" or dict(self.base) == dict(target)
                plain = self.alpha is None and self.gamma == 1.0
                if self.knobs or self.roles or not (identity and plain):
                    raise
        return self._found.structures.get(depth)

    def _own(
        self,
        comparison: Comparison,
        results: tuple[RoleResult, ...],
        wide: Mapping[str, int],
        target: Mapping[str, int],
    ) -> dict[str, OwnInit]:
        depth = wide.get(DEPTH)
        if dict(self.base) == dict(target):
            return {}
        stays = dict(wide) == dict(target)
        surveys = self._found.alone if stays else self._found.surveys
        if depth not in surveys:
            try:
                measured = survey_alone if stays else survey
                surveys[depth] = measured(self.make, wide, target, seed=self.seed)
            except PlanError:
                # Nothing needs to be known where nothing is rescaled, or where the width stays.
                if self._leaves_all or stays:
                    return {}
                raise
        named = tuple(
            r if r.role is not None else RoleResult(r.name, "finite", 1.0, 1.0, r.evidence, r.fans)
            for r in results
        )
        own = own_inits(surveys[depth], comparison, named)
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
        growth: DepthGrowth | None,
    ) -> Plan:
        at_base = dict(self.base) == dict(target)
        layers = max(1, weight_layers(structure.flow)) if structure is not None else 1
        places = {} if growth is None else _places(growth)
        maker = RowMaker(
            self.rule,
            self.spec,
            Setting(self.alpha, self.gamma, layers, self.weight_decay),
            self.knobs,
            comparison,
            {r.name: r for r in results},
            folds,
            own,
            self._found.depth_inits.get(target.get(DEPTH), {}) if growth is not None else {},
            places,
            queries.names,
        )
        rows: list[PlanRow] = []
        refused: list[Refusal] = []
        for tensor, result in zip(comparison.tensors, results, strict=True):
            # A rule that changes nothing needs no role, but what carries a multiplier must be able to.
            no_role = result.evidence if result.role is None and self.rule != "sp" else ""
            reason = folds.refused.get(tensor.name) or no_role
            if reason and not (at_base and not self.knobs and self.gamma == 1.0):
                refused.append(Refusal(tensor.name, tensor.shape, reason))
            else:
                rows.append(maker.row(tensor))
        notes = (
            folds.notes
            if at_base
            else plan_notes(structure, rows, folds, own, self.spec, self.rule, maker.depth_inits, places)
        )
        return Plan(
            self.rule,
            self.spec.name,
            self.spec.family,
            dict(self.base),
            dict(target),
            tuple(rows),
            tuple(refused),
            tuple(notes),
            self.spec.decay,
            self.spec.defaults,
            tuple(folds.hooks),
            structure.branches if structure is not None else (),
            {role: asdict(knob) for role, knob in self.knobs.items()},
            self.weight_decay,
            self.alpha,
            self.gamma,
            layers,
            self.spec.chosen,
        )


def _places(growth: DepthGrowth) -> dict[str, Place]:
    return {name: Place(ratio, growth.uses.get(name, 1.0)) for name, ratio in growth.ratios.items()}
