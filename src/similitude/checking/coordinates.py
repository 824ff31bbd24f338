"""The check: short runs at several widths, growth exponents of every tensor, and a verdict that names the culprit."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from similitude.checking.batches import Supply
from similitude.checking.deviation import Deviation, carried, deviations
from similitude.checking.evaluation_path import compare_paths
from similitude.checking.judge import Evidences, judge, refused
from similitude.checking.ladder import Ladder, Rung
from similitude.checking.losses import STAND_IN, LossLike, has_own_loss, loss_of
from similitude.checking.optimizers import optimizer_of
from similitude.checking.records import Check
from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.core.seeding import derive
from similitude.scaling.axes import Factory, build, some
from similitude.scaling.knobs import Knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Planner
from similitude.scaling.records import Plan

_SEEDS = "how many seeds to begin with, or the seeds themselves as whole numbers"

MOST_SEEDS = 8
"""Seeds that a check takes at most where it chooses their number."""


@cites(17, "Appendix D.1: coordinate checking")
@cites(7, "Condition 1, measured")
def check(
    make: Factory,
    plan_or_rule: Plan | str,
    *,
    widths: Iterable[int],
    depths: Sequence[int] | None = None,
    sample: Any,
    loss: LossLike | None = None,
    lr: float | None = None,
    steps: int = 6,
    seeds: int | Iterable[int] = 3,
    max_seeds: int | None = None,
    optimizer: OptimizerLike | None = None,
    rest_lr: float | None = None,
    roles: Mapping[str, str] | None = None,
    knobs: Knobs | None = None,
    weight_decay: str | None = None,
    base: int | Mapping[str, int] | None = None,
    setup: Callable[[Plan, nn.Module], Any] | None = None,
) -> Check:
    """Train a few steps at several widths, and say whether every tensor learns alike at all of them.

    Measured are, for every use of every tensor, what its own change adds to the output (the most telling number:
    it blames the tensor itself), the change of every activation, the outputs, and the natural spectral norms of
    weights and updates. Each is fitted as a power of the width.

    Args:
        make: Function of the width that returns a model, as for `similitude.plan`.
        plan_or_rule: A plan, which is carried over to every width with its own factors, also where they were edited;
            or the name of a rule.
        widths: At least three widths, best 64 or more and 4x apart.
        depths: Not supported yet; widths alone have rules.
        sample: What the model is trained on: one batch (a tensor, a tuple, a dict of keyword arguments), a list or
            iterable of batches, an object with `batch(seed, step)`, or a function of nothing or of the width that gives
            one of these.
        loss: `loss(model, batch)`. Models that return their own loss need none; without either the model is trained
            on fixed random targets, and the check says so.
        lr: Learning rate at the base; where it is not given, one at which the loss falls at the smallest width.
        steps: Optimizer steps of each run.
        seeds: How many seeds to begin with, or the seeds themselves.
        max_seeds: Most seeds; more are added until every interval is narrow enough to tell right from wrong. By
            default 8, or the given seeds and no more.
        optimizer: The optimizer; that of the plan, or AdamW, by default. Muon trains the matrices, AdamW the rest.
        rest_lr: Learning rate of what Muon does not train.
        roles: Roles that are known better than the traced pass can tell, as for `similitude.plan`.
        knobs: Multipliers of the base, for a rule by name.
        weight_decay: "independent" (the default) or "decoupled", for a rule by name; see `similitude.plan`.
        base: Size that the factors of a rule by name are ratios to; the smallest width by default.
        setup: `setup(plan, model)` that returns the optimizer, or the optimizer and a scheduler, as your own code
            makes them; it is then checked too. `lr` and `optimizer` are not used to train; a note says so.

    Returns:
        The exponents and the verdict; `raise_if_bad()` is for tests.

    Raises:
        PlanError: The widths, the plan, the sample or the loss do not fit together.

    Example:
        >>> make = lambda n: nn.Sequential(nn.Linear(8, n), nn.Tanh(), nn.Linear(n, n), nn.Tanh(), nn.Linear(n, 4))
        >>> batch = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> found = check(make, "mup", widths=(64, 128, 256), sample=batch)
        >>> str(found.verdict.outcome)
        'ok'

    Cost: widths x seeds short runs and three traced forward passes each; nothing larger than the largest width.
    """
    if not isinstance(plan_or_rule, Plan | str):
        raise PlanError(
            f"the second argument is a {type(plan_or_rule).__name__}. Pass a plan that similitude.plan made, or the name "
            "of a rule, such as check(make, 'mup', ...)."
        )
    widths = _widths(widths, depths)
    listed, first = _seeds(seeds, max_seeds)
    supply = Supply(sample)
    given = plan_or_rule if isinstance(plan_or_rule, Plan) else None
    chosen = optimizer or (optimizer_of(given) if given is not None else torch.optim.AdamW)
    idle = _idle(setup, lr=lr, rest_lr=rest_lr, optimizer=optimizer)
    with supply.explained():
        planner = _planner(make, plan_or_rule, widths, supply, loss, chosen, roles, knobs, weight_decay, base)
        largest = planner.plan(_size(planner, widths[-1]))
        if largest.refused:
            models = [build(make, _size(planner, w), seed=derive(0, "init")) for w in widths]
            paths = compare_paths(models, [supply.first(w) for w in widths], loss)
            return refused(largest, widths, paths)
        wrong: tuple[Deviation, ...] = ()
        if given is not None:
            Plan.from_dict(
                given.to_dict()
            )  # an edited plan must still be one: no negative or missing numbers
            wrong = deviations(given, planner.plan(given.target))
        plans = [carried(planner.plan(_size(planner, w)), wrong) for w in widths]
        stand_in = loss is None and not has_own_loss(
            build(make, plans[0].target, seed=derive(0, "init")), supply.first(widths[0])
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
        )
        ladder.find_rates(lr, rest_lr)
        evidence = Evidences(
            plans=tuple(plans),
            by_name=given is None,
            wrong=wrong,
            ruled=planner.plan(_size(planner, widths[-1]), rule="mup") if planner.rule == "sp" else None,
            notes=((STAND_IN,) if stand_in else ()) + ladder.notes + idle,
            evaluation=ladder.evaluation(),
        )
        rungs: dict[int, list[Rung]] = {}
        for count, seed in enumerate(listed, start=1):
            rungs[seed] = ladder.climb(seed)
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
    widths: Sequence[int],
    supply: Supply,
    loss: LossLike | None,
    optimizer: OptimizerLike,
    roles: Mapping[str, str] | None,
    knobs: Knobs | None,
    weight_decay: str | None,
    base: int | Mapping[str, int] | None,
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
        )

    if isinstance(plan_or_rule, str):
        return planner({"width": widths[0]} if base is None else base, plan_or_rule, knobs, roles)
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
        row.name: row.role
        for row in plan.rows
        if row.role not in ("unused", "undecided") and derived.get(row.name) != row.role
    }
    # Roles that the user set when the plan was made are in its rows alone.
    return planner(plan.base, plan.rule, plan.knobs or None, {**theirs, **(roles or {})}) if theirs else first


def _size(planner: Planner, width: int) -> dict[str, int]:
    if "width" not in planner.base:
        raise PlanError(
            f"the plan's sizes {dict(planner.base)} have no width. Plan with base={{'width': ...}}."
        )
    return {**planner.base, "width": width}


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


def _widths(widths: Iterable[int], depths: Sequence[int] | None) -> tuple[int, ...]:
    if depths is not None:
        raise PlanError(
            f"depths={depths!r}: there is no rule of depth yet to check against. Keep the depth fixed inside make, "
            "and check widths."
        )
    listed = _whole(widths, "widths", "at least 3 different whole numbers, e.g. widths=(64, 128, 256)")
    found = tuple(sorted(set(listed)))
    if len(found) < 3 or found[0] < 1:
        raise PlanError(
            f"widths={listed}: an exponent with an interval needs at least 3 different widths. Pass e.g. "
            "widths=(64, 128, 256)."
        )
    return found


def _seeds(seeds: int | Iterable[int], most: int | None) -> tuple[list[int], int]:
    """Return all seeds that may be used, and how many come first."""
    limit = None if most is None else _whole([most], "max_seeds", "one whole number")[0]
    if isinstance(seeds, int):
        (count,) = _whole([seeds], "seeds", _SEEDS)
        if count < 1:
            raise PlanError(f"seeds={seeds}: pass at least 1.")
        listed = list(range(count))
    else:
        listed = list(_whole(seeds, "seeds", _SEEDS))
        if not listed or len(set(listed)) < len(listed):
            raise PlanError(f"seeds={tuple(listed)}: pass at least one seed, and every seed once.")
    if limit is not None and limit < len(listed):
        raise PlanError(
            f"max_seeds={limit} is less than the {len(listed)} seeds to begin with. Pass fewer seeds, or a larger "
            "max_seeds."
        )
    by_default = MOST_SEEDS if isinstance(seeds, int) else 0
    fresh = (seed for seed in itertools.count() if seed not in set(listed))
    more = max(0, (by_default if limit is None else limit) - len(listed))
    return listed + list(itertools.islice(fresh, more)), len(listed)


def _whole(values: Any, name: str, wanted: str) -> tuple[int, ...]:
    """Read whole numbers once, whatever iterable they come in."""
    listed = values
    try:
        if isinstance(values, str | bytes):
            raise TypeError
        listed = tuple(values)
        if any(isinstance(value, bool) for value in listed):
            raise TypeError
        return tuple(operator.index(value) for value in listed)
    except TypeError:
        raise PlanError(f"{name}={listed!r}: pass {wanted}.") from None
