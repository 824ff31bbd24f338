"""An encoder with a linear readout of every token: what fine-tuning trains, for any kind of answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.errors import EvaluationError, LearnerError
from similitude.core.seeding import numpy_generator
from similitude.fewshot.learners.encoder import Encoder, require_states
from similitude.scaling.plan import Plan
from similitude.scaling.trial import OptimizerLike
from similitude.training.build import build_optimizer
from similitude.training.loop import train
from similitude.training.result import RunResult
from similitude.training.schedule import WarmupLinear

if TYPE_CHECKING:
    from tokenizers import Encoding


class Tuned(nn.Module):
    """Read numbers off every token's state: ids and mask of shape (batch, length) to (batch, length, outputs).

    The readout is linear, so that the mean of its outputs over some tokens is its output for the mean of their states:
    one module serves labels, spans and candidates. It starts at zero, where no width and no seed is better than
    another. A plan for fine-tuning is made of this module: `plan(lambda width: Tuned(build(width), width, 2), ...)`.

    Args:
        encode: The module of an `Encoder`.
        width: Size of its states.
        outputs: Numbers to read.
    """

    def __init__(self, encode: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.encode = encode
        self.readout = nn.Linear(width, outputs)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the readout of every token; inputs are ids, mask and, for some encoders, segments."""
        return self.readout(self.encode(*inputs))


@dataclass(frozen=True)
class Recipe:
    """How a split is trained on.

    Attributes:
        lr: Learning rate at its peak; with a plan that of the base.
        epochs: Passes over the split.
        batch_size: Examples per step.
        warmup: Share of the steps in which the rate rises; it then falls linearly to zero.
        weight_decay: Weight decay, left to the optimizer's default where it is None.
        optimizer: Class or factory of the optimizer.
        plan: A plan made for the module that is trained, whose factors its groups get.

    Raises:
        EvaluationError: A number is out of range.
    """

    lr: float = 1e-4
    epochs: int = 20
    batch_size: int = 16
    warmup: float = 0.1
    weight_decay: float | None = None
    optimizer: OptimizerLike = torch.optim.AdamW
    plan: Plan | None = None

    def __post_init__(self) -> None:
        if not self.lr > 0 or self.epochs < 1 or self.batch_size < 1 or not 0 <= self.warmup <= 1:
            raise EvaluationError(
                f"lr={self.lr}, epochs={self.epochs}, batch_size={self.batch_size}, warmup={self.warmup}: needs lr > 0, "
                "epochs and batch_size of at least 1, and warmup from 0 to 1."
            )

    @property
    def label(self) -> str:
        """What is known by name: rate, epochs and batches, and what differs from the defaults."""
        parts = [f"lr={self.lr:g}", f"epochs={self.epochs}", f"batch_size={self.batch_size}"]
        if self.warmup != Recipe.warmup:
            parts.append(f"warmup={self.warmup:g}")
        if self.weight_decay is not None:
            parts.append(f"weight_decay={self.weight_decay:g}")
        if self.optimizer is not Recipe.optimizer:
            parts.append(f"optimizer={getattr(self.optimizer, '__name__', type(self.optimizer).__name__)}")
        if self.plan is not None:
            sizes = " ".join(f"{dial} {n}->{self.plan.target[dial]}" for dial, n in self.plan.base.items())
            parts.append(f"plan={self.plan.rule} {sizes}, gamma={self.plan.gamma:g}")
        return ", ".join(parts)

    def run(
        self, model: nn.Module, rows: Sequence[Any], loss: Callable[[Any, list[Any]], Tensor], *, seed: int
    ) -> RunResult:
        """Train a module in place on rows in random order, each once per epoch.

        Args:
            model: The module.
            rows: What batches are made of.
            loss: `loss(model, rows) -> scalar`.
            seed: Seed of the order and of dropout.

        Raises:
            LearnerError: The loss is not finite at some step.
            PlanError: The plan is not one of this module.
        """
        options = {} if self.weight_decay is None else {"weight_decay": self.weight_decay}
        if self.plan is None:
            groups = [
                {"params": [p for p in model.parameters() if p.requires_grad], "lr": self.lr, **options}
            ]
        else:
            groups = self.plan.groups(self.plan.hook_(model), lr=self.lr, **options)
        batches = _Epochs(rows, self.batch_size)
        steps = self.epochs * batches.per_epoch
        result = train(
            model,
            build_optimizer(self.optimizer, groups),
            batches=batches,
            loss=loss,
            steps=steps,
            seed=seed,
            schedule=WarmupLinear(steps=steps, warmup=round(self.warmup * steps)),
        )
        model.eval()
        if result.diverged:
            step = int(np.flatnonzero(~np.isfinite(result.losses))[0])
            raise LearnerError(
                f"fine-tuning: the loss is not finite at step {step} of {steps} with lr={self.lr:g}. Lower it."
            )
        return result


class _Epochs:
    """Batches of rows, each row once per epoch, in an order drawn for the epoch."""

    def __init__(self, rows: Sequence[Any], size: int) -> None:
        self.rows, self.size = rows, size
        self.per_epoch = -(-len(rows) // size)

    def batch(self, seed: int, step: int) -> list[Any]:
        epoch, part = divmod(step, self.per_epoch)
        order = numpy_generator(seed, "order", epoch).permutation(len(self.rows))
        return [self.rows[i] for i in order[part * self.size : (part + 1) * self.size]]

    def evaluation(self) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        return {"rows": len(self.rows), "batch_size": self.size}


def token_outputs(model: nn.Module, encoder: Encoder, encodings: Sequence[Encoding]) -> Tensor:
    """Return a module's output for every token of tokenized rows, on the CPU: shape (batch, length, outputs)."""
    return model(*(x.to(device_of(model)) for x in encoder.batch(encodings))).cpu()


def tuned_states(module: nn.Module, encoder: Encoder, encodings: Sequence[Encoding]) -> Tensor:
    """Return a trained encoder's states on the CPU: shape (batch, length, width)."""
    inputs = encoder.batch(encodings)
    states = module(*(x.to(device_of(module)) for x in inputs))
    return require_states(states, inputs[0], encoder).cpu()


def device_of(module: nn.Module) -> torch.device:
    """Return where a module's parameters are."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))
