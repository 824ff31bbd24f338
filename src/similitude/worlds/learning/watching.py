"""How many unseen worlds a network solves: many episodes side by side, as in the protocol, with Wilson's interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from similitude.core.seeding import torch_generator
from similitude.worlds.engine import columns as c
from similitude.worlds.gym.observing import observe
from similitude.worlds.gym.spaces import ObservationKind
from similitude.worlds.learning.networks import PolicyNetwork
from similitude.worlds.learning.policies import images_of, numbers_of, sample
from similitude.worlds.making import ImpossibleWorldError, make_world
from similitude.worlds.simulation import Simulation
from similitude.worlds.splits import Split, WorldName, drawn_seed
from similitude.worlds.tasks.limits import frame_limit
from similitude.worlds.world import World


def unseen_worlds(
    tasks: Iterable[str], count: int, *, highest: float, split: Split = "validation", lowest: float = 0.0
) -> tuple[WorldName, ...]:
    """Return names of worlds that training never sees, difficulties spread evenly.

    Args:
        tasks: Names of tasks.
        count: Worlds of each.
        highest: Largest difficulty.
        split: "validation" or "test".
        lowest: Smallest difficulty.

    Example:
        >>> [world.difficulty for world in unseen_worlds(["eat"], 3, highest=0.3)]
        [0.0, 0.15, 0.3]
    """
    step = (highest - lowest) / max(count - 1, 1)
    return tuple(
        WorldName(task, round(lowest + step * i, 4), drawn_seed(split, "unseen", task, i))
        for task in tasks
        for i in range(count)
    )


def made_worlds(names: Sequence[WorldName]) -> list[World]:
    """Make worlds; those that cannot be are left out."""
    found = []
    for name in names:
        try:
            found.append(make_world(*name))
        except ImpossibleWorldError:
            continue
    return found


def watch(
    network: PolicyNetwork,
    worlds: Sequence[World],
    *,
    observation: ObservationKind,
    resolution: tuple[int, int] = (48, 48),
    training: bool = False,
    seed: int = 0,
    backend: str = "numba",
    threads: int = 1,
) -> list[bool]:
    """Return in which worlds a network eats all food, one episode each.

    Args:
        network: The network; its actions are drawn, as in training.
        worlds: The worlds, all at once.
        observation: Kind of observations.
        resolution: Rows and columns of images.
        training: Take the shorter limits of training.
        seed: Of the actions.
        backend: Backend of the simulation.
        threads: Threads that step and draw.
    """
    simulation = Simulation(
        len(worlds), backend=backend, resolution=resolution, threads=threads, frame_price=0.0
    )
    for e, world in enumerate(worlds):
        simulation.load(e, world, limit=frame_limit(world.task, world.difficulty, training=training))
    generator = torch_generator(seed, "watching")
    with torch.no_grad():
        while not (simulation.finished() | (simulation.body[:, c.FOOD_LEFT] == 0)).all():
            seen = observe(simulation, observation)
            actions = sample(network(numbers_of(seen), images_of(seen)), generator)
            simulation.step(actions.clamp(-1.0, 1.0).double().numpy())
    return (simulation.body[:, c.FOOD_LEFT] == 0).tolist()
