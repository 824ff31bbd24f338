"""Generated worlds for embodied reinforcement learning: one action space, one reward, twenty tasks (paper 12).

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names
from similitude.worlds.registration import register_environments as _register

if TYPE_CHECKING:
    from similitude.worlds.making import make_world
    from similitude.worlds.tasks.catalog import TASKS
    from similitude.worlds.world import Step, World

__all__ = ["TASKS", "Step", "World", "make_world"]

_HOMES = {"TASKS": "tasks.catalog", "Step": "world", "World": "world", "make_world": "making"}

__getattr__, __dir__ = lazy_names(globals(), __name__, _HOMES)

_register()
