"""Networks of any width with the learning rates of one: what a plan makes of an agent."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch

from similitude.core.seeding import derive, seeded
from similitude.worlds.gym.privileged import STATE
from similitude.worlds.gym.senses import PROPRIOCEPTION
from similitude.worlds.gym.spaces import ObservationKind
from similitude.worlds.learning.networks import PolicyNetwork

Rule = Literal["mup", "sp"]
EPS = 1e-5
"""Of Adam; the usual 1e-8 makes its first steps on a critic without rewards too large."""


def network_of(
    width: int, *, observation: ObservationKind, resolution: tuple[int, int], depth: int = 2
) -> PolicyNetwork:
    """Return a network for a kind of observations ("state" or "flat")."""
    camera = observation != "state"
    numbers = PROPRIOCEPTION if camera else PROPRIOCEPTION + STATE
    return PolicyNetwork(numbers, width=width, depth=depth, resolution=resolution if camera else None)


def build(
    observation: ObservationKind,
    *,
    width: int = 64,
    depth: int = 2,
    resolution: tuple[int, int] = (48, 48),
    base: int = 64,
    rule: Rule = "mup",
    learning_rate: float = 3e-4,
    seed: int = 0,
    network: PolicyNetwork | None = None,
) -> tuple[PolicyNetwork, torch.optim.Adam]:
    """Return a network and its optimizer, planned from the width at which the learning rate was found.

    Args:
        observation: "state" or "flat".
        width: Its width.
        depth: Its hidden layers.
        resolution: Rows and columns of images.
        base: Width at which the learning rate was found; at that width the plan changes nothing.
        rule: "mup", or "sp" for a network as it is.
        learning_rate: At the base.
        seed: Of the initial weights.
        network: A network that was built so already and is not to be rescaled again; only its optimizer is new.
    """
    make = partial(network_of, observation=observation, resolution=resolution, depth=depth)
    given = network
    if network is None:
        with seeded(derive(seed, "weights") % 2**31):
            network = make(width)
    if width == base or rule == "sp":
        return network, torch.optim.Adam(network.parameters(), lr=learning_rate, eps=EPS)
    from similitude.scaling.plan import plan

    numbers = torch.zeros(2, network.numbers)
    sample = (numbers, torch.zeros((2, *resolution, 4), dtype=torch.uint8))
    found = plan(
        make,
        base=base,
        target=width,
        sample=sample if network.camera is not None else numbers,
        optimizer=partial(torch.optim.Adam, eps=EPS),
        rule=rule,
    )
    if given is None:
        found.apply_(network)
    return network, torch.optim.Adam(found.groups(network, lr=learning_rate), eps=EPS)
