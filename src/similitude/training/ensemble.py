"""Many runs of one model as one batched program: parameters stacked, gradients by `torch.func.vmap`.

Runs differ in seed and in scalar hyperparameters (learning rate, weight decay, momentum, betas, eps). Each equals
the run that `similitude.training.loop.train` makes with the same seed, to rounding; a run that diverges fills
its own slice with nan and touches no other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.conv import _ConvNd
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from similitude.core.errors import GridError, PlanError
from similitude.core.seeding import derive, seeded
from similitude.data.batches import Batches
from similitude.scaling.optimizers import OptimizerLike
from similitude.scaling.plan import Plan
from similitude.training.build import build_model, build_optimizer
from similitude.training.loop import Loss, check_steps, train
from similitude.training.result import RunResult
from similitude.training.schedule import Schedule, constant
from similitude.training.stacked_optimizers import StackedOptimizer, can_stack

STACK_BYTES = 12 * 2**20
"""Parameters of one stack, in bytes: about what a core's caches hold, beyond which stacking stops paying
(measured by `scripts/bench ensemble`)."""

MIN_STACK = 4
"""Replicas that are stacked at least, however wide the model: below it, call overhead dominates."""

CONVOLUTION_FLOPS = 8_000_000
"""Operations per convolution of a forward pass on one batch, from which a model is faster in the plain loop: a stack of
convolutions is one convolution of many groups, which libraries compute at a fraction of their speed."""


@dataclass(frozen=True)
class Replica:
    """One run of an ensemble.

    Attributes:
        seed: Seeds the initialization and the order of the batches.
        lr: Learning rate.
        options: Other options of the optimizer for this run alone: `weight_decay`, `momentum`, `eps`, `betas`.
    """

    seed: int
    lr: float
    options: Mapping[str, Any] = field(default_factory=dict)


def train_ensemble(
    make: Callable[[], nn.Module],
    replicas: Sequence[Replica],
    *,
    batches: Batches,
    loss: Loss,
    steps: int,
    optimizer: OptimizerLike = torch.optim.Adam,
    plan: Plan | None = None,
    schedule: Schedule = constant,
    stack: int | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> list[RunResult]:
    """Train every replica and return their losses, in the order of `replicas`.

    Args:
        make: Builds the model, without arguments; called once per seed.
        replicas: The runs.
        batches: Gives each run's batch by its seed and step, so that runs of one seed see the same data.
        loss: `loss(model, batch) -> scalar`; it may use any attribute or method of the model.
        steps: Optimizer steps per run.
        optimizer: Optimizer class, `functools.partial` of one, or instance (its options are taken).
            SGD, Adam and AdamW are stacked; every other class runs in the plain loop, one run after another, and
            so does a model that cannot be stacked (control flow that depends on data), or is slower stacked
            (convolutions of images that are not tiny).
        plan: Rescales initial values and gives each tensor its factors of lr, eps and weight decay.
        schedule: Multiplier of the learning rate by step.
        stack: Runs per batched program; None chooses by the size of the model and whether stacking pays.
        on_step: Called after every step of a stack with the step and the number of runs in the stack.

    Returns:
        One `RunResult` per replica.

    Raises:
        GridError: No replicas, or fewer than one step.
        PlanError: A hyperparameter is not one of the optimizer.

    Note:
        Random layers (dropout) draw other numbers in a stack than alone, from the same distribution.

    Cost:
        Memory of one stack: about (3 + optimizer states) times its parameters, plus activations.
    """
    check_steps(steps)
    if not replicas:
        raise GridError("no runs to train: give at least one replica.")
    seeds = sorted({r.seed for r in replicas})
    models = {seed: build_model(make, seed, plan) for seed in seeds}
    probe = build_optimizer(optimizer, [nn.Parameter(torch.zeros(1))])
    first = models[seeds[0]]
    if not can_stack(probe) or (stack is None and not _pays(first, loss, lambda: batches.batch(seeds[0], 0))):
        return [
            _alone(make, r, batches, loss, steps, optimizer, plan, schedule, on_step=on_step)
            for r in replicas
        ]
    size = stack if stack is not None else stack_size(first, len(replicas))
    results: list[RunResult] = []
    for start in range(0, len(replicas), size):
        part = replicas[start : start + size]
        try:
            results += _train_stack(models, part, probe, batches, loss, steps, plan, schedule, on_step)
        except RuntimeError as error:
            # Control flow that depends on data, and operations without a batching rule, cannot be stacked.
            if "vmap" not in str(error):
                raise
            results += [
                _alone(make, r, batches, loss, steps, optimizer, plan, schedule, on_step=on_step)
                for r in part
            ]
    return results


def stack_size(model: nn.Module, replicas: int) -> int:
    """Choose how many runs of a model to stack: as many as `STACK_BYTES` holds, in stacks of nearly equal size."""
    per_run = sum(p.numel() * p.element_size() for p in model.parameters())
    most = max(MIN_STACK, STACK_BYTES // max(1, per_run))
    stacks = -(-replicas // most)
    return -(-replicas // stacks)


def _pays(model: nn.Module, loss: Loss, batch: Callable[[], Any]) -> bool:
    """Return whether a stack of a model's runs is faster than the plain loop, by the count of its operations.

    The count, not the clock, so that the same runs are made in the same way on every machine.
    """
    # Windows that do not overlap, as of patches, are matrices.
    convolutions = sum(
        isinstance(m, _ConvNd) and any(k > s for k, s in zip(m.kernel_size, m.stride, strict=True))
        for m in model.modules()
    )
    if not convolutions:
        return True
    # On a copy: norms that follow their inputs would be ahead by a step.
    model = copy.deepcopy(model)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), FlopCounterMode(display=False) as counter:
        loss(model, batch())
    return counter.get_total_flops() <= CONVOLUTION_FLOPS * convolutions


def _alone(
    make: Callable[[], nn.Module],
    replica: Replica,
    batches: Batches,
    loss: Loss,
    steps: int,
    optimizer: OptimizerLike,
    plan: Plan | None,
    schedule: Schedule,
    on_step: Callable[[int, int], None] | None = None,
) -> RunResult:
    model = build_model(make, replica.seed, plan)
    groups = (
        plan.groups(model, lr=replica.lr, **replica.options)
        if plan is not None
        else [{"params": list(model.parameters()), "lr": replica.lr, **replica.options}]
    )
    return train(
        model,
        build_optimizer(optimizer, groups),
        batches=batches,
        loss=loss,
        steps=steps,
        seed=replica.seed,
        schedule=schedule,
        on_step=None if on_step is None else lambda step, _: on_step(step, 1),
    )


class _WithLoss(nn.Module):
    """A model and its loss as one module, so that any use of the model inside the loss sees swapped parameters."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Any) -> Tensor:
        return self.loss(self.model, batch)


def _hyperparameters(probe: torch.optim.Optimizer, replicas: Sequence[Replica]) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {}
    for replica in replicas:
        unknown = set(replica.options) - set(probe.defaults)
        if unknown:
            raise PlanError(
                f"{type(probe).__name__} has no option {', '.join(sorted(unknown))}; it has "
                f"{', '.join(sorted(probe.defaults))}."
            )
        values = {**probe.defaults, **replica.options, "lr": replica.lr}
        if "betas" in values:
            values["beta1"], values["beta2"] = values.pop("betas")
        for key in ("lr", "weight_decay", "momentum", "dampening", "nesterov", "beta1", "beta2", "eps"):
            if key in values:
                columns.setdefault(key, []).append(float(values[key]))
    return columns


def _train_stack(
    models: Mapping[int, nn.Module],
    replicas: Sequence[Replica],
    probe: torch.optim.Optimizer,
    batches: Batches,
    loss: Loss,
    steps: int,
    plan: Plan | None,
    schedule: Schedule,
    on_step: Callable[[int, int], None] | None,
) -> list[RunResult]:
    seeds = sorted({r.seed for r in replicas})
    rows = torch.tensor([seeds.index(r.seed) for r in replicas])
    together = _WithLoss(models[seeds[0]], loss)

    def stacked(get: Callable[[nn.Module], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        per_seed = [get(models[seed]) for seed in seeds]
        return {f"model.{n}": torch.stack([d[n].detach() for d in per_seed])[rows] for n in per_seed[0]}

    trainable = {n for n, p in together.model.named_parameters() if p.requires_grad}
    params = stacked(lambda m: {n: p for n, p in m.named_parameters() if n in trainable})
    fixed = stacked(lambda m: {n: p for n, p in m.named_parameters() if n not in trainable})
    buffers = stacked(lambda m: dict(m.named_buffers()))

    factors = {}
    if plan is not None:
        factors = {
            f"model.{r.name}": {"lr": r.lr, "eps": r.eps, "weight_decay": r.weight_decay} for r in plan.rows
        }
    update = StackedOptimizer(
        type(probe), params, hyperparameters=_hyperparameters(probe, replicas), factors=factors
    )

    def one(p: dict[str, Tensor], f: dict[str, Tensor], b: dict[str, Tensor], batch: Any) -> Tensor:
        return functional_call(together, (p, f, b), (batch,))

    gradient = vmap(grad_and_value(one), randomness="different")
    losses = np.full((steps, len(replicas)), np.nan)
    together.train()
    # The fused attention kernels have no batching rule; the plain one has, and is the same function.
    with sdpa_kernel(SDPBackend.MATH), seeded(derive(seeds[0], "layers")):
        for step in range(steps):
            per_seed = [batches.batch(seed, step) for seed in seeds]
            batch = pytree.tree_map(lambda *x: torch.stack(x)[rows], per_seed[0], *per_seed[1:])
            grads, values = gradient(params, fixed, buffers, batch)
            losses[step] = values.detach().double().numpy()
            update.step(grads, lr_multiplier=schedule(step))
            if on_step is not None:
                on_step(step, len(replicas))
            if not np.isfinite(losses[step]).any():
                break
        held_out = batches.evaluation()
        evaluations: list[float | None] = [None] * len(replicas)
        if held_out is not None:
            together.eval()
            with torch.no_grad():
                at_end = vmap(one, in_dims=(0, 0, 0, None), randomness="different")(
                    params, fixed, buffers, held_out
                )
            evaluations = at_end.double().tolist()
            together.train()
    bad = np.maximum.accumulate(~np.isfinite(losses), axis=0)
    losses[bad] = np.nan
    return [RunResult(losses[:, i].copy(), evaluations[i]) for i in range(len(replicas))]
