"""Cloning of behaviour: a network learns to do what oracles did, by the likelihood of their actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from similitude.core.seeding import numpy_generator
from similitude.worlds.learning.demonstrations import Demonstrations
from similitude.worlds.learning.networks import Outputs, PolicyNetwork
from similitude.worlds.learning.policies import log_probability

LOOKS = 20
"""How often along the way the held-out loss is measured."""
HELD_OUT = 10
"""Every tenth episode is not learned from, and tells the loss."""


@dataclass(frozen=True)
class Cloning:
    """Settings of cloning.

    Attributes:
        steps: Steps of the optimizer.
        batch: Frames per step.
        learning_rate: At the start; it falls to 0 along half a cosine.
    """

    steps: int = 3000
    batch: int = 512
    learning_rate: float = 2e-3


def clone(
    network: PolicyNetwork,
    demonstrations: Demonstrations,
    optimizer: torch.optim.Optimizer,
    *,
    settings: Cloning | None = None,
    seed: int = 0,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> list[tuple[int, float]]:
    """Teach a network what oracles did.

    Args:
        network: The network; its critic is left alone. It ends with the weights of the least held-out loss: few
            images are soon learned by heart.
        demonstrations: What they saw and did.
        optimizer: Of the network's parameters; its learning rates are taken as those of the start.
        settings: How long, and in which batches.
        seed: Of the order of frames.
        on_step: Called with the step and its loss, now and then.

    Returns:
        (step, loss of the episodes that were held out) along the way: nats per frame. Densities of real
        numbers may be above 1, so that losses may be below 0.
    """
    chosen = settings or Cloning()
    random = numpy_generator(seed, "cloning")
    held = demonstrations.episode % HELD_OUT == HELD_OUT - 1
    if held.all() or not held.any():  # too few episodes to keep some apart
        learned = watched = np.arange(len(demonstrations))
    else:
        learned, watched = np.flatnonzero(~held), np.flatnonzero(held)
    watched = watched[:: max(1, len(watched) // 4096)]
    rates = [group["lr"] for group in optimizer.param_groups]
    curve: list[tuple[int, float]] = []
    least, kept = float("inf"), copies(network)
    for step in range(chosen.steps):
        share = 0.5 * (1.0 + np.cos(np.pi * step / chosen.steps))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share
        places = learned[random.integers(0, len(learned), chosen.batch)]
        loss = frame_loss(network, demonstrations, places)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            on_step(step, float(loss.detach()))
        if (step + 1) % max(1, chosen.steps // LOOKS) == 0:
            with torch.no_grad():
                curve.append((step + 1, float(frame_loss(network, demonstrations, watched))))
            if curve[-1][1] < least:
                least, kept = curve[-1][1], copies(network)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    network.load_state_dict(kept)
    return curve


def copies(network: PolicyNetwork) -> dict[str, Tensor]:
    """Return copies of all weights by name."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def frame_loss(network: PolicyNetwork, demonstrations: Demonstrations, places: np.ndarray) -> Tensor:
    """Return the mean negative log likelihood of what oracles did in some frames, in nats per frame."""
    outputs = seen_by(network, demonstrations, places)
    return -log_probability(outputs, torch.from_numpy(demonstrations.actions[places])).mean()


def seen_by(network: PolicyNetwork, demonstrations: Demonstrations, places: Any) -> Outputs:
    """Return what a network says of some frames."""
    images = torch.from_numpy(demonstrations.images[places]) if network.camera is not None else None
    return network(torch.from_numpy(demonstrations.numbers[places]), images)
