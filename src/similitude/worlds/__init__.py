"""Generated worlds for embodied reinforcement learning: one action space, one reward, twenty tasks (paper 12).

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.worlds.world import Step, World

__all__ = ["Step", "World"]

_HOMES = {"Step": "world", "World": "world"}

__getattr__, __dir__ = lazy_names(globals(), __name__, _HOMES)
