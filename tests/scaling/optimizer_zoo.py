"""Optimizers of torch and of two packages from PyPI, what is expected of each, and the model that they are checked on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

import similitude as sim
from similitude.core.errors import PlanError
from similitude.scaling.measured import MeasuredOptimizer
from similitude.scaling.optimizers import resolve

pytorch_optimizer: Any = __import__("pytorch_optimizer")
schedulefree: Any = __import__("schedulefree")


@dataclass(frozen=True)
class Entry:
    """One optimizer.

    Attributes:
        make: Class, partial or factory.
        family: Its family, or "refused".
        law: The law of its steps, or words of the reason of the refusal.
        relative: Whether steps are relative to the tensor's own size.
    """

    make: Any
    family: str
    law: str = "sqrt(fan_in fan_out)"
    relative: bool = False


class UnboundedLamb(pytorch_optimizer.Lamb):
    """LAMB without the bound of 10 on the tensor's norm that this package has."""

    clamp = 1e9


def _by_groups(cls: type[torch.optim.Optimizer]) -> Callable[[list[dict[str, Any]]], torch.optim.Optimizer]:
    """Mark all groups as matrices, as this package's kin of Muon asks."""
    return lambda groups: cls([{**group, "use_muon": True} for group in groups])


_TALL = "sqrt(max(1, fan_out / fan_in))"
TORCH = {
    "SGD": Entry(torch.optim.SGD, "sgd"),
    "SGD with momentum": Entry(partial(torch.optim.SGD, momentum=0.9, nesterov=True), "sgd"),
    "ASGD": Entry(torch.optim.ASGD, "sgd"),
    "Adam": Entry(torch.optim.Adam, "entrywise"),
    "AdamW": Entry(torch.optim.AdamW, "entrywise"),
    "NAdam": Entry(torch.optim.NAdam, "entrywise"),
    "RAdam": Entry(torch.optim.RAdam, "entrywise"),
    "Adamax": Entry(torch.optim.Adamax, "entrywise"),
    "RMSprop": Entry(torch.optim.RMSprop, "entrywise"),
    "Adagrad": Entry(torch.optim.Adagrad, "entrywise"),
    "Rprop": Entry(torch.optim.Rprop, "entrywise"),
    "Adafactor": Entry(torch.optim.Adafactor, "entrywise", relative=True),
    "Muon": Entry(torch.optim.Muon, "orthogonalized", _TALL),
    "Muon, match_rms_adamw": Entry(
        partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw"),
        "orthogonalized",
        "sqrt(max(fan_out, fan_in))",
    ),
    "Adadelta": Entry(torch.optim.Adadelta, "refused", "its eps sets the size of its steps"),
    "LBFGS": Entry(torch.optim.LBFGS, "refused", "its step needs a closure"),
    "SparseAdam": Entry(torch.optim.SparseAdam, "refused", "no step on a dense gradient"),
}
"""What torch has. Those that are not refused are derived as well as measured."""

_po = pytorch_optimizer
OTHERS = {
    "pytorch_optimizer Lion": Entry(_po.Lion, "entrywise"),
    "pytorch_optimizer SignSGD": Entry(_po.SignSGD, "entrywise"),
    "pytorch_optimizer AdaBelief": Entry(_po.AdaBelief, "entrywise"),
    "pytorch_optimizer StableAdamW": Entry(_po.StableAdamW, "entrywise"),
    "pytorch_optimizer CAME": Entry(_po.CAME, "entrywise"),
    "pytorch_optimizer LARS": Entry(_po.LARS, "entrywise", relative=True),
    "pytorch_optimizer Lamb": Entry(_po.Lamb, "refused", "the tensor's own size with a power from"),
    "pytorch_optimizer Lamb, subclass with clamp = 1e9": Entry(UnboundedLamb, "entrywise", relative=True),
    "pytorch_optimizer Fromage": Entry(_po.Fromage, "entrywise", relative=True),
    "pytorch_optimizer AdaFactor": Entry(
        _po.AdaFactor, "refused", "grow with the learning rate as its power"
    ),
    "pytorch_optimizer AdaFactor, relative_step=False": Entry(
        partial(_po.AdaFactor, relative_step=False), "entrywise", relative=True
    ),
    "pytorch_optimizer NovoGrad": Entry(_po.NovoGrad, "orthogonalized", "1"),
    "pytorch_optimizer Shampoo": Entry(_po.Shampoo, "orthogonalized", "1"),
    "pytorch_optimizer ScalableShampoo": Entry(_po.ScalableShampoo, "sgd"),
    "pytorch_optimizer SOAP": Entry(_po.SOAP, "refused", "its eps sets the size of its steps"),
    "pytorch_optimizer Muon": Entry(_by_groups(_po.Muon), "orthogonalized", _TALL),
    "pytorch_optimizer NorMuon": Entry(_by_groups(_po.NorMuon), "orthogonalized", _TALL),
    "pytorch_optimizer PAdam": Entry(_po.PAdam, "refused", "gradient's size to the power 0.50"),
    "pytorch_optimizer MADGRAD": Entry(_po.MADGRAD, "refused", "learning rate as its power 0.67"),
    "pytorch_optimizer Yogi": Entry(_po.Yogi, "refused", "no eps mends it"),
    "pytorch_optimizer Prodigy": Entry(_po.Prodigy, "refused", "grow with the learning rate as its power"),
    "pytorch_optimizer SM3": Entry(_po.SM3, "refused", "which is none of the laws"),
    "schedulefree AdamWScheduleFree": Entry(schedulefree.AdamWScheduleFree, "entrywise"),
    "schedulefree SGDScheduleFree": Entry(schedulefree.SGDScheduleFree, "sgd"),
}
ZOO = {**TORCH, **OTHERS}

WIDTHS = (64, 128, 256, 512)
_INPUTS, _CLASSES, _EXAMPLES = 16, 4, 64


def make_mlp(width: int) -> nn.Module:
    """Three hidden layers with biases."""
    sides = [_INPUTS, width, width, width]
    hidden = [m for a, b in itertools.pairwise(sides) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(width, _CLASSES))


def teacher_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Classes of a linear teacher."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_EXAMPLES, _INPUTS, generator=generator)
    return x, (x @ torch.randn(_INPUTS, _CLASSES, generator=generator)).argmax(1)


def cross_entropy(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def checked(entry: Entry, widths: tuple[int, ...] = WIDTHS, *, seeds: int = 2, steps: int = 6) -> sim.Check:
    """Check the MLP under mup with an optimizer.

    The first steps of some follow another law, so they take as many more.
    """
    return sim.check(
        make_mlp,
        "mup",
        widths=widths,
        sample=teacher_batch(),
        loss=cross_entropy,
        optimizer=entry.make,
        seeds=seeds,
        max_seeds=seeds,
        steps=steps + 2 * resolve(entry.make).settling,
    )


HEADER = (
    "| optimizer | fan_in | fan_out | gradient | own size | law of a step | family | check, or reason |\n"
    "|---|---|---|---|---|---|---|---|"
)


def line(name: str, found: MeasuredOptimizer) -> str:
    """Measure and check one optimizer and return its line of the table."""
    exponents = [found.exponents.get(key) for key in ("fan_in", "fan_out", "gradient", "weight")]
    numbers = " | ".join("" if e is None else f"{e:.2f}" for e in exponents)
    entry = ZOO[name]
    try:
        spec = resolve(entry.make)
    except PlanError:
        return f"| {name} | {numbers} | {found.law} | refused | {found.reason} |"
    family = f"{spec.family}, relative" if spec.relative else spec.family
    check = checked(entry)
    rows = [
        r for r in check.rows if r.quantity not in ("decay", "evaluation", "logits") and r.slope is not None
    ]
    worst = max(rows, key=lambda row: abs(row.slope - (row.expected or 0.0)))
    said = f"{check.verdict.outcome}; farthest {worst.slope:+.2f} (`{worst.name}` {worst.quantity})"
    return f"| {name} | {numbers} | {found.law} | {family} | {said} |"
