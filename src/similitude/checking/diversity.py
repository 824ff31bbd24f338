"""Gradient and feature diversity of a residual network (paper 13, Section 7), measured on any model."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from similitude.checking.batches import Supply
from similitude.checking.diversity_records import FAR, Distances, Diversity, judge_diversity
from similitude.checking.losses import STAND_IN, LossLike, differentiable, has_own_loss, loss_of
from similitude.checking.optimizers import REST_LR, planned_optimizer
from similitude.checking.short_run import ShortRun, short_run
from similitude.checking.slopes import fit
from similitude.checking.stream import Stream, record_stream
from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.core.seeding import derive
from similitude.scaling.axes import Factory, as_size, build
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.plan import plan as make_plan
from similitude.scaling.records import Plan
from similitude.training.build import build_optimizer

_TRIES = 6  # learning rates that are tried, each a quarter of the last
_NO_SIZE = 'a function builds models of any size. Pass base=, e.g. {"width": 64, "depth": 16}.'
_FEWEST = 4  # branches between which distances have an exponent


@cites(13, "Section 7: feature diversity")
def diversity(
    model_or_make: nn.Module | Factory,
    sample: Any,
    *,
    base: int | Mapping[str, int] | None = None,
    loss: LossLike | None = None,
    plan: Plan | None = None,
    optimizer: OptimizerLike = torch.optim.AdamW,
    lr: float | None = None,
    steps: int = 40,
    seeds: int = 3,
) -> Diversity:
    """Measure how different the layers of a residual network are: what they learn from, and what they make of it.

    *Gradient diversity*: the cosine of the gradients that neighbouring branches get, at what their last matrices give.
    Near 1, all layers are told the same. *Feature diversity*: how the distance of two points of the stream grows with
    the branches in between. Independent layers add up as a random walk, with exponent 1/2; layers that do the same add
    up in proportion, with exponent 1. At initialization it is near 1/2 for every model, so a few steps are trained.

    The stream is found by the operations of the forward pass, in any module; of several streams the longest is taken.

    Args:
        model_or_make: A model, which is left as it is; or a function of the width and further dials that returns one.
        sample: Batches in any form that `similitude.check` takes.
        base: Size at which a function builds the model, e.g. `{"width": 64, "depth": 16}`; the plan's target by default.
        loss: `loss(model, batch)`. Models that return their own loss need none; without either the model is trained on
            fixed random targets.
        plan: Parametrization of the model; plain parameters and one learning rate without it.
        optimizer: Trains the model; where it takes matrices alone (Muon), AdamW trains everything else.
        lr: Learning rate (at the base of the plan). Where it is not given, the optimizer's own, quartered until the loss
            falls.
        steps: Optimizer steps; 0 measures at initialization alone.
        seeds: Networks that a function builds; a model is one.

    Returns:
        Cosines, exponents with intervals, and a verdict in words.

    Raises:
        PlanError: The arguments do not fit together, or the model has no residual stream of four branches.

    Example:
        >>> from similitude.models import ResMLP
        >>> make = lambda width, depth: ResMLP(8, 4, width=width, depth=depth, activation="relu", branch=depth**-0.5)
        >>> x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
        >>> found = diversity(make, x, base={"width": 64, "depth": 16}, steps=0)
        >>> found.branches, round(found.gradient_near, 1), round(found.at_init.slope, 1)
        (16, 0.5, 0.5)

    Cost: a few training steps, and two passes with the stream kept, per seed.
    """
    supply = Supply(sample)
    _check_counts(steps, seeds)
    if steps and _takes_matrices_alone(optimizer):
        plan = _plan_of_matrices(model_or_make, base, plan, supply, optimizer, loss)
    builds, width = _builds(model_or_make, base, plan, seeds, supply)
    with supply.explained():
        models = [make() for make in builds]
        stand_in = loss is None and not has_own_loss(models[0], supply.first(width))
        trainer = _Trainer(
            supply, width, loss_of(loss, stand_in=stand_in), optimizer, plan, steps if steps else 1
        )
        before = [trainer.stream(model, seed) for seed, model in enumerate(models)]
        _check_depth(before[0])
        notes = [STAND_IN] if stand_in else []
        rate, note = (0.0, "") if steps == 0 else trainer.rate(builds[0], lr)
        runs = [trainer.fit(m, seed, rate) for seed, m in enumerate(models)] if steps else []
        diverged = any(run.diverged for run in runs)
        after = [trainer.stream(m, seed) for seed, m in enumerate(models)] if runs and not diverged else []
    notes += [note] if note else []
    if before[0].others:
        notes.append(
            f"{before[0].others} residual branches of other stages or towers are outside the longest stream"
        )
    return _found(before, after, steps=steps, lr=rate, notes=tuple(notes))


def cosines(gradients: Sequence[Tensor | None], lag: int) -> list[float]:
    """Return the cosines of gradients `lag` branches apart, of those that both exist and have one shape.

    Example:
        >>> cosines([torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]), None], 1)
        [0.7071067811865475]
    """
    found = []
    for a, b in zip(gradients, gradients[lag:], strict=False):
        if a is None or b is None or a.shape != b.shape:
            continue
        one, two = a.double().flatten(), b.double().flatten()
        size = float(one.norm() * two.norm())
        if size > 0:
            found.append(float(one @ two) / size)
    return found


def distances(values: Sequence[Tensor], gaps: Sequence[int]) -> list[float]:
    """Return the root mean square distance of points of a stream by the number of branches in between.

    Args:
        values: The stream x_0, ..., x_L.
        gaps: Numbers of branches in between, each below L + 1.

    Returns:
        Per gap the root of the mean of (x_(l + gap) - x_l)^2 over l and all entries, over the same of x_L.

    Example:
        >>> distances([torch.full((2,), float(l)) for l in range(9)], [1, 2, 4])
        [0.125, 0.25, 0.5]
    """
    last = _size(values[-1])
    return [
        math.sqrt(
            sum(_rms(b - a) ** 2 for a, b in zip(values, values[gap:], strict=False)) / (len(values) - gap)
        )
        / last
        for gap in gaps
    ]


class _Trainer:
    """Trains and probes the networks of one measurement."""

    def __init__(
        self,
        supply: Supply,
        width: int,
        loss: LossLike,
        optimizer: OptimizerLike,
        plan: Plan | None,
        steps: int,
    ) -> None:
        self.supply, self.width, self.loss = supply, width, loss
        self.optimizer, self.plan, self.steps = optimizer, plan, steps

    def stream(self, model: nn.Module, seed: int) -> Stream:
        batch = self.supply.batch(self.width, seed, 0)
        return record_stream(
            model,
            lambda net: differentiable(self.loss(net, batch)),
            inputs=batch,
            seed=derive(seed, "probe"),
        )

    def fit(self, model: nn.Module, seed: int, lr: float) -> ShortRun:
        if self.plan is not None:
            optimizer = planned_optimizer(self.optimizer, self.plan, model, lr=lr, rest_lr=REST_LR)
        else:
            trained = [p for p in model.parameters() if p.requires_grad]
            optimizer = build_optimizer(self.optimizer, [{"params": trained, "lr": lr}])
        return short_run(
            model,
            optimizer,
            loss=self.loss,
            batch=lambda step: self.supply.batch(self.width, seed, step),
            steps=self.steps,
            seed=seed,
        )

    def rate(self, make: Callable[[], nn.Module], lr: float | None) -> tuple[float, str]:
        """Return the given learning rate, or the largest tried at which the loss falls, and a note on it."""
        if lr is not None:
            if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr < math.inf:
                raise PlanError(f"lr={lr!r} is not a learning rate. Pass a positive number, or leave it out.")
            return float(lr), ""
        own = build_optimizer(self.optimizer, [nn.Parameter(torch.zeros(1, 1))]).defaults.get("lr")
        start = float(own) if own else 1e-3
        for attempt in range(_TRIES):
            if self.fit(make(), 0, start / 4**attempt).learned:
                return start / 4**attempt, ""
        return start, (
            f"the loss fell at no learning rate from {start:.3g} down to {start / 4 ** (_TRIES - 1):.3g}; {start:.3g} "
            "was used. Pass lr= as you tuned it"
        )


def _takes_matrices_alone(optimizer: OptimizerLike) -> bool:
    try:
        return resolve(optimizer).family == "orthogonalized"
    except PlanError:  # without a rule it trains all the same, on every tensor
        return False


def _plan_of_matrices(
    given: Any, base: Any, plan: Plan | None, supply: Supply, optimizer: OptimizerLike, loss: LossLike | None
) -> Plan:
    """Return a plan by whose roles matrices are told from the rest: the user's, or one that changes nothing."""
    name = resolve(optimizer).name
    if plan is not None:
        if plan.family != "orthogonalized":
            raise PlanError(
                f"the plan was made for {plan.optimizer}, and {name} takes matrices alone. Make the plan with "
                f"optimizer={name}."
            )
        return plan
    if isinstance(given, nn.Module):
        raise PlanError(
            f"{name} takes matrices alone, and which tensors those are is read off the function that builds the model. "
            "Pass that function with base=, or another optimizer, e.g. torch.optim.AdamW."
        )
    if base is None:
        raise PlanError(_NO_SIZE)
    size = as_size(base, "base")
    sample = supply.first(size["width"])
    return make_plan(given, base=size, target=size, sample=sample, optimizer=optimizer, loss=loss)


def _builds(
    given: Any, base: Any, plan: Plan | None, seeds: int, supply: Supply
) -> tuple[list[Callable[[], nn.Module]], int]:
    """Return a function per seed that makes its network, and the width that batches are asked for."""
    if isinstance(given, nn.Module):
        if base is not None:
            raise PlanError(
                "base has no effect on a model that is built. Pass a function of the width as well."
            )
        if supply.by_width:
            raise PlanError("sample is a function of the width, and a model has none. Pass the batch itself.")
        if plan is not None:
            raise PlanError(
                "a plan is applied to models as they are built, and this one is. Pass the function that builds it."
            )
        return [lambda: copy.deepcopy(given)], 0
    if not callable(given):
        raise PlanError(
            f"the first argument is a {type(given).__name__}. Pass a model, or a function of the width that returns one."
        )
    if base is None and plan is None:
        raise PlanError(_NO_SIZE)
    size = as_size(base, "base") if base is not None else dict(plan.target) if plan is not None else {}
    if plan is not None and size != dict(plan.target):
        raise PlanError(
            f"base={size} is not the size {dict(plan.target)} that the plan is for. Leave base out, or plan for it."
        )

    make = cast("Factory", given)

    def built(seed: int) -> nn.Module:
        model = build(make, size, seed=derive(seed, "init"))
        return model if plan is None else plan.apply_(model)

    return [lambda seed=seed: built(seed) for seed in range(seeds)], size["width"]


def _found(
    before: Sequence[Stream], after: Sequence[Stream], *, steps: int, lr: float, notes: tuple[str, ...]
) -> Diversity:
    branches = len(before[0].values) - 1
    gaps = tuple(2**k for k in range(branches.bit_length()) if 2 * 2**k <= branches)
    near, far = (_mean([c for s in before for c in cosines(s.gradients, lag)]) for lag in (1, FAR))
    at_init = _fitted(gaps, before)
    trained = _fitted(gaps, after) if after else None
    moved = _mean(
        [_rms(b.values[-1] - a.values[-1]) / _size(a.values[-1]) for a, b in zip(before, after, strict=False)]
    )
    growth = _mean([_rms(s.values[-1]) / _size(s.values[0]) for s in before])
    assert growth is not None, "there is at least one network"
    verdict = judge_diversity(
        growth=growth,
        near=near,
        far=far,
        at_init=at_init,
        trained=trained,
        moved=moved or 0.0,
        steps=steps,
    )
    return Diversity(
        branches,
        growth,
        near,
        far,
        gaps,
        at_init,
        trained,
        moved or 0.0,
        steps,
        lr,
        tuple(range(len(before))),
        verdict,
        notes,
    )


def _fitted(gaps: Sequence[int], streams: Sequence[Stream]) -> Distances | None:
    """Fit the exponent of distances; None where two points of a stream are equal, or something is not finite."""
    table = [list(row) for row in zip(*(distances(s.values, gaps) for s in streams), strict=True)]
    slope = fit(gaps, table)
    if slope is None:
        return None
    return Distances(slope.value, slope.low, slope.high, tuple(sum(row) / len(row) for row in table))


def _check_depth(stream: Stream) -> None:
    branches = len(stream.values) - 1
    if branches < _FEWEST:
        raise PlanError(
            f"the longest residual stream has {branches} branches, and an exponent of distances needs {_FEWEST}. Build a "
            "deeper model."
        )


def _check_counts(steps: int, seeds: int) -> None:
    for name, value, least in (("steps", steps, 0), ("seeds", seeds, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise PlanError(f"{name}={value!r}: pass a whole number of at least {least}.")


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


def _size(values: Tensor) -> float:
    """Return the root mean square of what is divided by; a stream of zeros has the smallest number instead."""
    return max(_rms(values), 1e-300)
