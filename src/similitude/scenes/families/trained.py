"""One run of a family: trained in the plain loop, probed on the way, and tested in and out of distribution."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from similitude.data.batches import ImageBatches
from similitude.evaluation.rows import Row
from similitude.models.convnet import ConvNet
from similitude.scaling.plan import Plan
from similitude.scenes.families.dataset import TEST, TRAIN, RenderedSet
from similitude.scenes.families.factors import FACTORS, targets
from similitude.scenes.families.probe import ridge_probe
from similitude.scenes.families.settings import FamilySettings
from similitude.training.build import build_model, build_optimizer
from similitude.training.loop import train
from similitude.training.losses import cross_entropy

SUITE = "scenes widths"
"""The suite's name in rows."""

PROBED = 1024
"""Pictures that a probe is fitted on, at most."""

_CHUNK = 256  # pictures that a network sees at once when it is tested


@dataclass(frozen=True)
class Run:
    """A run of a family.

    Attributes:
        rule: Parametrization; that of the base, where all agree, is "base".
        width: Width.
        seed: Seed of the initialization and of the order of the pictures.
        subject: At which rate in words: `records.TRANSFERRED` or `records.BEST`.
        lr: Learning rate, as of the base.
        plan: Plan of the width; None where it would change nothing.
    """

    rule: str
    width: int
    seed: int
    subject: str
    lr: float
    plan: Plan | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.rule}, width {self.width}, seed {self.seed}, {self.subject} {self.lr:.3g}"

    def params(
        self, settings: FamilySettings, pictures: RenderedSet
    ) -> dict[str, str | int | float | bool | None]:
        """Return what tells its row from those of other rates, pictures and lengths of training."""
        return {
            "lr": float(f"{self.lr:.9g}"),
            "data": pictures.digest[:16],
            "steps": settings.steps,
            "batch_size": settings.batch_size,
            "depth": settings.depth,
            "checkpoints": settings.checkpoints,
        }


def make_network(classes: int, depth: int, width: int) -> ConvNet:
    """Build the network of a width."""
    return ConvNet(3, classes, width=width, depth=depth)


def last_features(model: ConvNet, inputs: Tensor) -> Tensor:
    """Return what the head reads, shape (pictures, width)."""
    for layer in model.layers:
        inputs = layer(inputs)
    return inputs.mean((-2, -1))


def batches_of(settings: FamilySettings, pictures: RenderedSet) -> ImageBatches:
    """Return the batches of a study; the loss of a run is that on all of the test in distribution."""
    return ImageBatches(pictures.image_set, batch_size=settings.batch_size, evaluate=settings.tests)


def trained(settings: FamilySettings, pictures: RenderedSet, run: Run) -> Row:
    """Train a run and measure it.

    Args:
        settings: What is run.
        pictures: Its data.
        run: Which one.

    Returns:
        Its row: the score is the accuracy in distribution; metrics are "loss", the accuracy "of SHIFT" under every shift,
        and "FACTOR at STEP", the variance of each factor that a probe explains after so many steps. A run that diverged
        has no score.
    """
    started = time.monotonic()
    classes = len(pictures.classes)
    make = partial(make_network, classes, settings.depth, run.width)
    model = build_model(make, run.seed, run.plan)
    assert isinstance(model, ConvNet)
    groups = model.parameters() if run.plan is None else run.plan.groups(model, lr=run.lr)
    prober = _Prober(settings, pictures)
    metrics = {f"{name} at 0": value for name, value in prober.probe(model).items()}
    wanted = set(settings.checkpoint_steps())

    def on_step(step: int, _: float) -> None:
        if step + 1 in wanted:
            metrics.update({f"{name} at {step + 1}": value for name, value in prober.probe(model).items()})

    result = train(
        model,
        build_optimizer(partial(torch.optim.Adam, lr=run.lr), groups),
        batches=batches_of(settings, pictures),
        loss=cross_entropy,
        steps=settings.steps,
        seed=run.seed,
        on_step=on_step,
    )
    metrics["loss"] = result.final
    score = math.nan
    if not result.diverged:
        score = accuracy(model, pictures, TEST)
        metrics.update({f"of {shift}": accuracy(model, pictures, shift) for shift in settings.shifts})
    return Row(
        suite=SUITE,
        task="objects",
        subject=run.subject,
        score=score,
        params=run.params(settings, pictures),
        metrics=metrics,
        seed=run.seed,
        seconds=time.monotonic() - started,
        width=run.width,
        depth=settings.depth,
        rule=run.rule,
        version="1",
        error="the loss is not finite" if result.diverged else "",
    )


def accuracy(model: torch.nn.Module, pictures: RenderedSet, split: str) -> float:
    """Return the share of a split's pictures whose class has the largest output, 0 to 1."""
    with torch.no_grad():
        outputs = _chunked(model, pictures.inputs(split))
    return float((outputs.argmax(1) == pictures.labels(split)).mean())


class _Prober:
    """Probes of all factors, fitted on pictures of the training and tested in distribution."""

    def __init__(self, settings: FamilySettings, pictures: RenderedSet) -> None:
        count = min(PROBED, settings.images)
        self.inputs = (pictures.inputs(TRAIN)[:count], pictures.inputs(TEST))
        classes = len(pictures.classes)
        seen, test = pictures.factors[TRAIN][:count], pictures.factors[TEST]
        self.targets: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
            name: (targets(name, seen, classes=classes), targets(name, test, classes=classes))
            for name in FACTORS
        }

    def probe(self, model: ConvNet) -> dict[str, float]:
        """Return the explained variance of every factor."""
        with torch.no_grad():
            seen, test = (_chunked(partial(last_features, model), inputs) for inputs in self.inputs)
        return {
            name: ridge_probe(seen, fitted, test_features=test, test_targets=held)
            for name, (fitted, held) in self.targets.items()
        }


def _chunked(function: partial[Tensor] | torch.nn.Module, inputs: np.ndarray) -> np.ndarray:
    parts = [
        function(torch.from_numpy(inputs[start : start + _CHUNK])) for start in range(0, len(inputs), _CHUNK)
    ]
    return torch.cat(parts).double().numpy()
