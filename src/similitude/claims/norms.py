"""Train an MLP on digits at several widths and record the spectral sizes of paper 7: weights, updates, features."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from similitude.checking.slopes import Slope, fit
from similitude.checking.spectral import alignment, natural_norm, spectral_norm, stable_rank
from similitude.core.citation import cites
from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.models import MLP
from similitude.scaling.plan import Planner
from similitude.training.build import build_model, build_optimizer
from similitude.training.losses import cross_entropy

PIXELS, CLASSES, HIDDEN_LAYERS = 64, 10, 3
BASE = 64
BATCH = 64

Groups = Callable[[nn.Module, float], list[dict[str, Any]]]


@dataclass(frozen=True)
class Setting:
    """A parametrization and an optimizer whose updates are measured.

    Attributes:
        rule: Rule of the plan.
        optimizer: "sgd" or "adam".
        groups: Parameter groups of a rule that no plan has; the plan's own where None.
    """

    rule: str
    optimizer: str
    groups: Groups | None = None

    @property
    def lr(self) -> float:
        """Learning rate of the base, at which the loss falls steadily."""
        return 0.2 if self.optimizer == "sgd" else 2.0**-8


@dataclass(frozen=True)
class Norms:
    """What one layer of one run has, from its first weight to that after some steps.

    Attributes:
        weight: Natural norm of the initial weight.
        update: Natural norm of the accumulated update.
        rank: Stable rank of the accumulated update.
        aligned: |update h| / (|update| |h|) for the inputs h that the layer has after these steps.
        features: Root mean square of the change of the layer's outputs.
    """

    weight: float
    update: float
    rank: float
    aligned: float
    features: float


@dataclass(frozen=True)
class Start:
    """What a run had before its first step, layer by layer.

    Attributes:
        weights: Weights.
        sizes: Their natural norms.
        outputs: Outputs on the probe.
    """

    weights: tuple[Tensor, ...]
    sizes: tuple[float, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    def of(cls, model: nn.Module, probe: Tensor) -> Start:
        """Note what an MLP has now.

        Args:
            model: The MLP.
            probe: Inputs, shape (inputs, ...).
        """
        weights = tuple(weight.detach().clone() for weight in model.parameters())
        outputs = tuple(out for _, out in layers(model, probe))
        return cls(weights, tuple(map(natural_norm, weights)), outputs)


def make(width: int) -> nn.Module:
    """Return the MLP of the measurements: tanh, no biases, Gaussian weights of variance 1 / fan-in everywhere."""
    model = MLP(PIXELS, CLASSES, width=width, depth=HIDDEN_LAYERS, activation="tanh", bias=False)
    for weight in model.parameters():
        nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    return model


def measure(
    setting: Setting, widths: Sequence[int], *, seeds: Sequence[int], steps: Sequence[int]
) -> dict[int, list[list[list[Norms]]]]:
    """Train every width and seed, and record norms after some steps.

    Args:
        setting: Parametrization and optimizer.
        widths: Widths, of which `BASE` is the base of every plan.
        seeds: Seeds of initialization and data.
        steps: After how many steps to record, increasing.

    Returns:
        By step: norms by width, by seed and by layer from the input's on.
    """
    batches = ImageBatches(load("digits"), batch_size=BATCH)
    optimizer = torch.optim.SGD if setting.optimizer == "sgd" else torch.optim.Adam
    planner = Planner(
        make,
        base=BASE,
        sample=batches.batch(0, 0),
        optimizer=optimizer,
        rule=setting.rule,
        loss=cross_entropy,
    )
    found: dict[int, list[list[list[Norms]]]] = {step: [[] for _ in widths] for step in steps}
    probe = batches.evaluation()[0][:BATCH]
    for i, width in enumerate(widths):
        plan = planner.plan(width)
        for seed in seeds:
            model = build_model(functools.partial(make, width), seed, plan)
            groups = (
                setting.groups(model, setting.lr) if setting.groups else plan.groups(model, lr=setting.lr)
            )
            trained = build_optimizer(optimizer, groups)
            start = Start.of(model, probe)
            for step in range(max(steps)):
                trained.zero_grad()
                cross_entropy(model, batches.batch(seed, step)).backward()
                trained.step()
                if step + 1 in found:
                    found[step + 1][i].append(norms(model, probe, start))
    return found


def norms(model: nn.Module, probe: Tensor, start: Start) -> list[Norms]:
    """Return the norms of every layer of a trained MLP.

    Args:
        model: The MLP after some steps.
        probe: Inputs, shape (inputs, ...).
        start: What it had before the first one.
    """
    rows = []
    for i, (weight, (inputs, outputs)) in enumerate(
        zip(model.parameters(), layers(model, probe), strict=True)
    ):
        update = weight.detach() - start.weights[i]
        top = spectral_norm(update)
        rows.append(
            Norms(
                start.sizes[i],
                natural_norm(update, top=top),
                stable_rank(update, top=top),
                alignment(update, inputs, top=top),
                float((outputs - start.outputs[i]).square().mean().sqrt()),
            )
        )
    return rows


def layers(model: nn.Module, probe: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return inputs and outputs of every linear layer, in the order of the forward pass."""
    seen: list[tuple[Tensor, Tensor]] = []

    def record(module: nn.Module, args: tuple[Tensor], output: Tensor) -> None:
        seen.append((args[0].detach(), output.detach()))

    hooks = [m.register_forward_hook(record) for m in model.modules() if isinstance(m, nn.Linear)]
    try:
        with torch.no_grad():
            model(probe)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def slopes(widths: Sequence[int], table: Sequence[Sequence[Sequence[Norms]]], quantity: str) -> list[Slope]:
    """Fit the growth exponent of one of the norms for every layer.

    Args:
        widths: Widths.
        table: Norms by width, seed and layer.
        quantity: Attribute of `Norms`.

    Raises:
        ValueError: A norm is zero or not finite.
    """
    found = []
    for layer in range(len(table[0][0])):
        slope = fit(widths, [[getattr(run[layer], quantity) for run in runs] for runs in table])
        if slope is None:
            raise ValueError(f"{quantity} of layer {layer + 1} is zero or not finite: training failed.")
        found.append(slope)
    return found


@cites(7, "Parametrization 1: the spectral norm of a Gaussian matrix")
def gaussian_norm(fan_in: int, fan_out: int, std: float) -> float:
    """Return the natural norm of a large Gaussian matrix: std (sqrt(fan_in) + sqrt(fan_out)) sqrt(fan_in / fan_out).

    Example:
        >>> gaussian_norm(256, 256, 1 / 16)
        2.0
    """
    return std * (math.sqrt(fan_in) + math.sqrt(fan_out)) * math.sqrt(fan_in / fan_out)


def frobenius_groups(model: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Return groups with rates that keep the Frobenius norm of Adam's updates in proportion: base rate / sqrt(fan-in)."""
    return [
        {"params": [weight], "lr": lr * math.sqrt(min(BASE, PIXELS) / weight.shape[1])}
        for weight in model.parameters()
    ]
