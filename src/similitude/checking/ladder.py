"""The runs of a check: one short run per size and seed, probed before and after."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from similitude.checking.batches import Supply
from similitude.checking.evaluation_path import compare_paths
from similitude.checking.losses import LossLike
from similitude.checking.optimizers import REST_LR, planned_optimizer
from similitude.checking.probe import Key, Probe
from similitude.checking.short_run import ShortRun, short_run
from similitude.core.errors import PlanError
from similitude.core.seeding import derive
from similitude.scaling.axes import Factory, build
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan_text import size
from similitude.scaling.records import Plan
from similitude.scaling.sizes import WIDTH

_FIRST_LR = {"sgd": 2.0**-3, "entrywise": 2.0**-9, "orthogonalized": 2.0**-6}
_TRIES = 6  # learning rates that are tried, each a quarter of the last


@dataclass(frozen=True)
class Rung:
    """One size and seed.

    Attributes:
        measures: Root mean squares and norms by tensor, quantity and use.
        run: What happened in training.
        outer: Tensors and uses that make outputs of the network.
    """

    measures: dict[Key, float]
    run: ShortRun
    outer: frozenset[tuple[str, str]] = frozenset()


class Ladder:
    """Short runs of one model family at several sizes.

    Args:
        make: The family.
        plans: The plan of every size.
        supply: Batches.
        loss: What is minimized.
        optimizer: The optimizer.
        steps: Steps of each run.
        setup: Makes optimizer and scheduler in place of ours.
        user_loss: The user's own loss, if there is one.
        streams: Whether residual streams are measured too.
    """

    def __init__(
        self,
        make: Factory,
        plans: Sequence[Plan],
        supply: Supply,
        loss: LossLike,
        optimizer: OptimizerLike,
        *,
        steps: int,
        setup: Callable[[Plan, nn.Module], Any] | None,
        user_loss: LossLike | None,
        streams: bool = False,
    ) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise PlanError(f"steps={steps!r}: a run needs at least 1 optimizer step. Pass a whole number.")
        if setup is not None and not callable(setup):
            raise PlanError(
                f"setup is a {type(setup).__name__}. Pass a function setup(plan, model) that returns the optimizer, or "
                "the optimizer and a scheduler."
            )
        self.make, self.plans, self.supply, self.loss = make, plans, supply, loss
        self.optimizer, self.steps, self.setup, self.user_loss = optimizer, steps, setup, user_loss
        self.streams = streams
        self.lr, self.rest_lr = 0.0, 0.0
        self.notes: tuple[str, ...] = ()
        self.learns = True
        self._probes: dict[tuple[int, ...], Probe] = {}

    def find_rates(self, lr: float | None, rest_lr: float | None) -> None:
        """Settle the learning rates: the given ones, or the first at which the loss falls at the smallest size.

        Raises:
            PlanError: A given one is not positive and finite.
        """
        start, rest = _FIRST_LR[self.plans[0].family], _positive(rest_lr, "rest_lr") or REST_LR
        self.lr, self.rest_lr = _positive(lr, "lr") or start, rest
        if lr is not None or self.setup is not None:
            return
        for attempt in range(_TRIES):
            self.lr, self.rest_lr = start / 4**attempt, rest / 4**attempt
            run = self._fit(self.plans[0], self._build(self.plans[0], 0), 0)
            if run.learned:
                return
            if run.broken:
                self.notes = (
                    f"at {size(self.plans[0].target)} the loss is {run.losses[0]} before the first step: the "
                    "cause is the model, its init or the sample, not the learning rate",
                )
                return
        self.lr, self.rest_lr, self.learns = start, rest, False
        self.notes = (
            f"at {size(self.plans[0].target)} the loss fell at no learning rate from {start:.3g} down to "
            f"{start / 4 ** (_TRIES - 1):.3g}; {start:.3g} was used. Pass lr= as you tuned it",
        )

    def climb(self, seed: int) -> list[Rung]:
        """Train every size with one seed."""
        return [self._rung(plan, seed) for plan in self.plans]

    def evaluation(self) -> dict[str, list[list[float]]]:
        """Compare the outputs' constants in training and evaluation at every size, by head and evaluation path."""
        models = [self._build(plan, 0) for plan in self.plans]
        widths = [plan.target[WIDTH] for plan in self.plans]
        return compare_paths(models, [self.supply.batch(w, 0, 0) for w in widths], self.user_loss)

    def _rung(self, plan: Plan, seed: int) -> Rung:
        batch = self.supply.batch(plan.target[WIDTH], seed, 0)
        at = tuple(plan.target.values())
        probe = self._probes.setdefault(at, Probe(lambda model: None, None, 0, streams=self.streams))
        probe.call, probe.inputs = (lambda model: self.loss(model, batch)), batch
        probe.seed = derive(seed, "probe")
        model = self._build(plan, seed)
        start = probe.before(model)
        run = self._fit(plan, model, seed)
        return Rung({} if run.diverged else probe.after(model, start), run, probe.outer)

    def _build(self, plan: Plan, seed: int) -> nn.Module:
        return plan.apply_(build(self.make, plan.target, seed=derive(seed, "init")))

    def _fit(self, plan: Plan, model: nn.Module, seed: int) -> ShortRun:
        optimizer, scheduler = self._optimizer(plan, model)
        width = plan.target[WIDTH]
        return short_run(
            model,
            optimizer,
            loss=self.loss,
            batch=lambda step: self.supply.batch(width, seed, step),
            steps=self.steps,
            seed=seed,
            scheduler=scheduler,
        )

    def _optimizer(self, plan: Plan, model: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        if self.setup is None:
            made = planned_optimizer(self.optimizer, plan, model, lr=self.lr, rest_lr=self.rest_lr)
            return made, None
        given = self.setup(plan, model)
        pair = given if isinstance(given, tuple) else (given, None)
        if len(pair) != 2 or not isinstance(pair[0], torch.optim.Optimizer):
            raise PlanError(
                f"setup(plan, model) returned a {type(given).__name__}. Return the optimizer, or the optimizer and "
                "a scheduler."
            )
        if pair[1] is not None and not callable(getattr(pair[1], "step", None)):
            raise PlanError(
                f"setup(plan, model) returned a {type(pair[1]).__name__} beside the optimizer, which has no step(). "
                "Return a scheduler there, or the optimizer alone."
            )
        return pair


def _positive(rate: Any, name: str) -> float | None:
    if rate is None:
        return None
    try:
        value = float(rate)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(rate, str | bool) or not 0 < value < math.inf:
        raise PlanError(
            f"{name}={rate!r} is not a learning rate. Pass a positive number, as tuned at the base, or leave it out."
        )
    return value
