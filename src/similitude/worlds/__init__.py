"""Generated worlds for embodied reinforcement learning: one action space, one reward, twenty tasks (paper 12).

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names
from similitude.worlds.gym.registration import register_environments as _register

if TYPE_CHECKING:
    from similitude.worlds.gym.flat_actions import FlatActions
    from similitude.worlds.making import make_world
    from similitude.worlds.oracles.policy import oracle, random_policy
    from similitude.worlds.simulation import Simulation
    from similitude.worlds.tasks.catalog import TASKS
    from similitude.worlds.world import Step, World

__all__ = ["TASKS", "FlatActions", "Simulation", "Step", "World", "make_world", "oracle", "random_policy"]

_HOMES = {
    "FlatActions": "gym.flat_actions",
    "TASKS": "tasks.catalog",
    "Simulation": "simulation",
    "Step": "world",
    "World": "world",
    "make_world": "making",
    "oracle": "oracles.policy",
    "random_policy": "oracles.policy",
}

__getattr__, __dir__ = lazy_names(globals(), __name__, _HOMES)

_register()
