"""What a network's outputs mean: a Gaussian over 18 real numbers and three coins; and a policy that is one file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from similitude.core.seeding import torch_generator
from similitude.worlds.gym.spaces import REALS, SWITCHES, ObservationKind
from similitude.worlds.learning.networks import Outputs, PolicyNetwork

TABLE = 1024
"""Frames after which the noise of a saved policy repeats."""
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


def sample(outputs: Outputs, generator: torch.Generator) -> Tensor:
    """Draw actions, (B, 21): real numbers as drawn, which environments want clipped, and switches of 0 or 1."""
    noise = torch.randn(outputs.means.shape, generator=generator)
    chance = torch.rand(outputs.logits.shape, generator=generator)
    reals = outputs.means + outputs.spreads.exp() * noise
    return torch.cat([reals, (chance < outputs.logits.sigmoid()).float()], 1)


def log_probability(outputs: Outputs, actions: Tensor) -> Tensor:
    """Return the logarithm of the density of actions, (B,).

    Args:
        outputs: Of the network.
        actions: As `sample` draws them, (B, 21).
    """
    reals, switches = actions[:, :REALS], actions[:, REALS:]
    away = (reals - outputs.means) / outputs.spreads.exp()
    gaussian = -0.5 * away.square() - outputs.spreads - _HALF_LOG_TAU
    coins = -F.binary_cross_entropy_with_logits(outputs.logits, switches, reduction="none")
    return gaussian.sum(1) + coins.sum(1)


def entropy(outputs: Outputs) -> Tensor:
    """Return the entropy of the actions' distribution, (B,), in nats."""
    gaussian = outputs.spreads + 0.5 + _HALF_LOG_TAU
    chance = outputs.logits.sigmoid()
    coins = F.binary_cross_entropy_with_logits(outputs.logits, chance, reduction="none")
    return gaussian.sum(1) + coins.sum(1)


def numbers_of(observation: Mapping[str, np.ndarray]) -> Tensor:
    """Return the numbers of observations as a tensor, (B, numbers)."""
    names = [name for name in ("proprioception", "state") if name in observation]
    return torch.from_numpy(np.concatenate([observation[name] for name in names], axis=1))


def images_of(observation: Mapping[str, np.ndarray]) -> Tensor | None:
    """Return the images of observations, uint8 (B, rows, columns, 4); None where there are none."""
    return torch.from_numpy(observation["rgbd"]) if "rgbd" in observation else None


class PortablePolicy(nn.Module):
    """A network as `similitude suite run worlds --policy FILE` takes it: observation in, 21 numbers out.

    Its noise comes from a table of its own, from the top at every `reset`, so that an episode is the same at every play.

    Args:
        network: The network.
        observation: The kind of observations it was trained on.
        noise: Standard deviations are multiplied by it; 0 takes means, and switches that are more likely on than off.
        seed: Of the table.
    """

    def __init__(
        self, network: PolicyNetwork, observation: ObservationKind, *, noise: float = 1.0, seed: int = 0
    ) -> None:
        super().__init__()
        self.network = network
        self.observation = observation
        self.resolution = network.resolution or (8, 8)
        self.frame = 0
        generator = torch_generator(seed, "noise of a saved policy")
        chance = torch.rand((TABLE, SWITCHES), generator=generator)
        self.gaussian = nn.Buffer(noise * torch.randn((TABLE, REALS), generator=generator))
        self.chance = nn.Buffer(chance if noise > 0 else torch.full_like(chance, 0.5))

    @torch.jit.export
    def reset(self) -> None:
        """Begin an episode."""
        self.frame = 0

    def forward(self, observation: dict[str, Tensor]) -> Tensor:
        """Return actions, (B, 21)."""
        numbers = observation["proprioception"]
        if "state" in observation:
            numbers = torch.cat([numbers, observation["state"]], 1)
        if "rgbd" in observation:  # noqa: SIM108  # TorchScript
            outputs = self.network(numbers, observation["rgbd"])
        else:
            outputs = self.network(numbers)
        row = self.frame % self.gaussian.shape[0]
        self.frame += 1
        reals = outputs.means + outputs.spreads.exp() * self.gaussian[row]
        switches = (self.chance[row] < outputs.logits.sigmoid()).to(reals.dtype)
        return torch.cat([reals, switches], 1).clamp(-1.0, 1.0)


def save_policy(policy: PortablePolicy, path: str | Path) -> Path:
    """Write a policy as one TorchScript file, whole or not at all; the same policy gives the same bytes."""
    from similitude.worlds.learning.saving import written_whole

    whole = (
        BytesIO()
    )  # saved to a path, a file holds the path's name, and rows are kept by the bytes of their policy
    torch.jit.save(torch.jit.script(policy.eval()), whole)
    with written_whole(path) as temporary:
        temporary.write_bytes(whole.getvalue())
    return Path(path)
