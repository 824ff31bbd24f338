"""The check: short runs at several widths or depths, growth exponents of every tensor, and a verdict that names the
culprit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from similitude.checking.arguments import Climb, climb_of, seeds_of
from similitude.checking.batches import Supply
from similitude.checking.deviation import Deviation, by_kind, carried, deviations
from similitude.checking.evaluation_path import compare_paths
from similitude.checking.judge import Evidences, judge, refused
from similitude.checking.kinds import Kinds, kinds_of
from similitude.checking.ladder import Ladder, Rung
from similitude.checking.losses import STAND_IN, LossLike, has_own_loss, loss_of
from similitude.checking.optimizers import optimizer_of
from similitude.checking.records import Check
from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.core.seeding import derive
from similitude.scaling.axes import Factory, build, some
from similitude.scaling.depth import STANDARD, DepthRule
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.plan import Planner
from similitude.scaling.records import Plan
from similitude.scaling.sizes import DEPTH, WIDTH

_STEPS = 6


@cites(17, "Appendix D.1: coordinate checking")
@cites(7, "Condition 1, measured")
def check(
    make: Factory,
    plan_or_rule: Plan | str,
    *,
    widths: int | Iterable[int] | None = None,
    depths: Iterable[int] | None = None,
    sample: Any,
    loss: LossLike | None = None,
    lr: float | None = None,
    steps: int | None = None,
    seeds: int | Iterable[int] = 3,
    max_seeds: int | None = None,
    optimizer: OptimizerLike | None = None,
    rest_lr: float | None = None,
    roles: Mapping[str, str] | None = None,
    knobs: Knobs | None = None,
    weight_decay: str | None = None,
    base: int | Mapping[str, int] | None = None,
    depth_rule: DepthRule | None = None,
    setup: Callable[[Plan, nn.Module], Any] | None = None,
) -> Check:
    """Train a few steps at several widths, or several depths, and say whether every tensor learns alike at all of them.

    Measured are, for every use of every tensor, what its own change adds to the output (the most telling number:
    it blames the tensor itself), the change of every activation, the outputs, and the natural spectral norms of
    weights and updates. Each is fitted as a power of the width.

    With `depths` it is fitted as a power of the depth, and the residual stream is measured too. Tensors of blocks are
    taken together by kind (`blocks.*.up.weight`, root mean squares over the blocks) and must follow what the plan's
    depth rule promises: alpha - 1 for the updates inside a branch, -1 for those of the tensors that carry the branch's
    multiplier, 0 outside and for the stream.

    Args:
        make: Function of the width, or of width and depth, that returns a model, as for `similitude.plan`.
        plan_or_rule: A plan, which is carried over to every size with its own factors, also where they were edited;
            or the name of a rule.
        widths: At least three widths, best 64 or more and 4x apart; beside `depths` the one width of every model (the
            base's by default).
        depths: In place of several widths at least three depths, best 8x apart, such as (4, 8, 16, 32).
        sample: What the model is trained on: one batch (a tensor, a tuple, a dict of keyword arguments), a list or
            iterable of batches, an object with `batch(seed, step)`, or a function of nothing or of the width that gives
            one of these.
        loss: `loss(model, batch)`. Models that return their own loss need none; without either the model is trained
            on fixed random targets, and the check says so.
        lr: Learning rate at the base; where it is not given, one at which the loss falls at the smallest width.
        steps: Optimizer steps of each run; 6 by default, after the first ones that follow another law (RAdam has 5).
        seeds: How many seeds to begin with, or the seeds themselves.
        max_seeds: Most seeds; more are added until every interval is narrow enough to tell right from wrong. By
            default 8, or the given seeds and no more.
        optimizer: The optimizer; that of the plan, or AdamW, by default. Muon trains the matrices, AdamW the rest.
        rest_lr: Learning rate of what Muon does not train.
        roles: Roles that are known better than the traced pass can tell, as for `similitude.plan`.
        knobs: Multipliers of the base, for a rule by name.
        weight_decay: "independent" (the default) or "decoupled", for a rule by name; see `similitude.plan`.
        base: Size that the factors of a rule by name are ratios to; the smallest one by default.
        depth_rule: How residual branches scale, for a rule by name and depths; see `similitude.plan`.
        setup: `setup(plan, model)` that returns the optimizer, or the optimizer and a scheduler, as your own code
            makes them; it is then checked too. `lr` and `optimizer` are not used to train; a note says so.

    Returns:
        The exponents and the verdict; `raise_if_bad()` is for tests.

    Raises:
        PlanError: The sizes, the plan, the sample or the loss do not fit together.

    Example:
        >>> make = lambda n: nn.Sequential(nn.Linear(8, n), nn.Tanh(), nn.Linear(n, n), nn.Tanh(), nn.Linear(n, 4))
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> found = check(make, "mup", widths=(64, 128, 256), sample=batch)
        >>> str(found.verdict.outcome)
        'ok'

    Cost: sizes x seeds short runs and three traced forward passes each; nothing larger than the largest size. With
        depths also the plan of each depth (seconds for tens of blocks).
    """
    if not isinstance(plan_or_rule, Plan | str):
        raise PlanError(
            f"the second argument is a {type(plan_or_rule).__name__}. Pass a plan that similitude.plan made, or the name "
            "of a rule, such as check(make, 'mup', ...)."
        )
    climb = climb_of(widths, depths)
    listed, first = seeds_of(seeds, max_seeds)
    supply = Supply(sample)
    given = plan_or_rule if isinstance(plan_or_rule, Plan) else None
    chosen = optimizer or (optimizer_of(given) if given is not None else torch.optim.AdamW)
    # An optimizer that is made by `setup` may be one that takes other arguments than parameters.
    spec = resolve(chosen) if setup is None else None
    steps = _STEPS + (spec.settling if spec is not None else 0) if steps is None else steps
    idle = _idle(setup, lr=lr, rest_lr=rest_lr, optimizer=optimizer)
    with supply.explained():
        asked = _depth_rule(plan_or_rule, climb, depth_rule)
        planner = _planner(
            make, plan_or_rule, climb, supply, loss, chosen, roles, knobs, weight_decay, base, asked
        )
        sizes = climb.sizes(planner.base)
        largest = planner.plan(sizes[-1])
        if largest.refused:
            models = [build(make, size, seed=derive(0, "init")) for size in sizes]
            paths = compare_paths(models, [supply.first(size[WIDTH]) for size in sizes], loss)
            return refused(largest, climb, paths)
        wrong: tuple[Deviation, ...] = ()
        plans = [planner.plan(size) for size in sizes]
        kinds = kinds_of([*plans, *([] if given is None else [given])]) if climb.dial == DEPTH else None
        if given is not None:
            Plan.from_dict(
                given.to_dict()
            )  # an edited plan must still be one: no negative or missing numbers
            wrong = deviations(given, planner.plan(given.target), dial=climb.dial)
            if kinds is not None:
                wrong = by_kind(wrong, kinds.names[-1])
        names = kinds.names if kinds is not None else [{}] * len(plans)
        plans = [carried(p, wrong, names[i], dial=climb.dial) for i, p in enumerate(plans)]
        stand_in = loss is None and not has_own_loss(
            build(make, plans[0].target, seed=derive(0, "init")), supply.first(sizes[0][WIDTH])
        )
        ladder = Ladder(
            make,
            plans,
            supply,
            loss_of(loss, stand_in=stand_in),
            chosen,
            steps=steps,
            setup=setup,
            user_loss=loss,
            streams=kinds is not None,
        )
        ladder.find_rates(lr, rest_lr)
        evidence = Evidences(
            plans=tuple(plans if kinds is None else [kinds.plan(p, i) for i, p in enumerate(plans)]),
            climb=climb,
            by_name=given is None,
            wrong=wrong,
            ruled=planner.plan(sizes[-1], rule="mup") if planner.rule == "sp" and kinds is None else None,
            notes=((STAND_IN,) if stand_in else ()) + ladder.notes + idle + _partial(kinds),
            evaluation=ladder.evaluation() if kinds is None else kinds.renamed(ladder.evaluation()),
            learns=ladder.learns,
            measured=spec.name if spec is not None and spec.measured else "",
        )
        rungs: dict[int, list[Rung]] = {}
        for count, seed in enumerate(listed, start=1):
            climbed = ladder.climb(seed)
            rungs[seed] = climbed if kinds is None else [kinds.rung(r, i) for i, r in enumerate(climbed)]
            if count < min(len(listed), first):
                continue
            found = judge(evidence, rungs, lr=ladder.lr, steps=steps)
            settled = (
                all(row.decided for row in found.rows if not row.note) or found.verdict.outcome == "diverged"
            )
            if settled or count == len(listed):
                return found
        raise AssertionError("there is at least one seed")


def _planner(
    make: Factory,
    plan_or_rule: Plan | str,
    climb: Climb,
    supply: Supply,
    loss: LossLike | None,
    optimizer: OptimizerLike,
    roles: Mapping[str, str] | None,
    knobs: Knobs | None,
    weight_decay: str | None,
    base: int | Mapping[str, int] | None,
    depth_rule: DepthRule | None,
) -> Planner:
    given = plan_or_rule if isinstance(plan_or_rule, Plan) else None
    kind = given.weight_decay if given is not None else weight_decay or "independent"

    def planner(base: Any, rule: str, knobs: Knobs | None, roles: Mapping[str, str] | None) -> Planner:
        return Planner(
            make,
            base=base,
            sample=supply.first,
            optimizer=optimizer,
            rule=rule,
            roles=roles,
            knobs=knobs,
            loss=loss,
            weight_decay=kind,
            depth_rule=depth_rule,
            gamma=given.gamma if given is not None else 1.0,
        )

    if isinstance(plan_or_rule, str):
        return planner(_smallest(climb) if base is None else base, plan_or_rule, knobs, roles)
    plan = plan_or_rule
    if knobs is not None:
        raise PlanError(
            "a plan has its own knobs. Pass knobs to similitude.plan, or check a rule by its name."
        )
    if weight_decay is not None:
        raise PlanError(
            f"a plan has its own weight_decay, here {plan.weight_decay!r}. Pass weight_decay to similitude.plan, or "
            "check a rule by its name."
        )
    if plan.refused:
        plan.raise_if_bad()
    first = planner(plan.base, plan.rule, plan.knobs or None, roles)
    found = first.plan(plan.target)
    _same_model(plan, found)
    derived = {row.name: row.role for row in found.rows}
    theirs = {
        _at_any_depth(row.name, plan) if climb.dial == DEPTH else row.name: row.role
        for row in plan.rows
        if row.role not in ("unused", "undecided") and derived.get(row.name) != row.role
    }
    # Roles that the user set when the plan was made are in its rows alone.
    return planner(plan.base, plan.rule, plan.knobs or None, {**theirs, **(roles or {})}) if theirs else first


def _depth_rule(plan_or_rule: Plan | str, climb: Climb, depth_rule: DepthRule | None) -> DepthRule | None:
    """Return the depth rule that is checked: the plan's own, or the one that is asked for."""
    if isinstance(plan_or_rule, Plan):
        plan = plan_or_rule
        own = STANDARD if plan.depth_rule is None else plan.depth_rule
        if plan.base.get(DEPTH) != plan.target.get(DEPTH) or plan.depth_rule is not None:
            if depth_rule is not None:
                raise PlanError(
                    f"a plan has its own depth rule, here {own!r}. Pass depth_rule to similitude.plan, or check a rule "
                    "by its name."
                )
            return own
    if climb.dial != DEPTH and depth_rule is not None:
        raise PlanError(
            f"depth_rule={depth_rule!r} has no effect where the width grows. Pass depths= in place of widths=."
        )
    if climb.dial == DEPTH and depth_rule is None:
        raise PlanError(
            f"depths={climb.values} and no depth rule to check: pass depth_rule='depth_mup', 'complete_p', an exponent "
            "in [0.5, 1], or 'sp'; or a plan whose depths differ."
        )
    return depth_rule


def _smallest(climb: Climb) -> dict[str, int]:
    if climb.dial == WIDTH:
        return {WIDTH: climb.values[0]}
    if climb.width is None:
        raise PlanError(
            f"depths={climb.values} and no width: pass the width of every model, e.g. widths=64, or "
            "base={'width': 64, 'depth': 4}."
        )
    return {WIDTH: climb.width, DEPTH: climb.values[0]}


def _at_any_depth(name: str, plan: Plan) -> str:
    """Return a pattern for a tensor's counterparts in all blocks, where it is inside a residual branch."""
    inside = any(name in branch.inside for branch in plan.branches)
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name) if inside else name


def _partial(kinds: Kinds | None) -> tuple[str, ...]:
    if kinds is None or not kinds.partial:
        return ()
    return (f"some depths have no {some(kinds.partial)}: not measured",)


def _same_model(plan: Plan, found: Plan) -> None:
    """Raise if a plan has tensors that the one found for the model at hand lacks: their roles would name nothing."""
    theirs = {name for row in plan.rows for name in (row.name, *row.aliases)}
    here = {name for row in found.rows for name in (row.name, *row.aliases)} | {r.name for r in found.refused}
    strange = [row.name for row in plan.rows if row.name not in here]
    if strange:
        lacking = [row.name for row in found.rows if row.name not in theirs]
        more = f", and make(...) builds {some(lacking)}, for which the plan has no row" if lacking else ""
        raise PlanError(
            f"the plan is for another model: it has {some(strange)}, which make(...) does not build{more}. Pass the "
            "make that the plan was made with, or check a rule by its name."
        )


def _idle(
    setup: object, *, lr: float | None, rest_lr: float | None, optimizer: OptimizerLike | None
) -> tuple[str, ...]:
    """Say which arguments have no effect on the training, because the user's setup makes the optimizer."""
    if setup is None:
        return ()
    rates = [f"{name}={value:.4g}" for name, value in (("lr", lr), ("rest_lr", rest_lr)) if value is not None]
    notes = [f"setup makes the optimizer, so {' and '.join(rates)} had no effect"] if rates else []
    if optimizer is not None:
        notes.append(
            "setup makes the optimizer, so optimizer= chose the factors of the plan and trained nothing"
        )
    return tuple(notes)
