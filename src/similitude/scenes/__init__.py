"""Rendered scenes that find, explain and compare the failures of vision models (paper 20).

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.scenes.frame import Frame
    from similitude.scenes.rendering import render
    from similitude.scenes.scene import Scene

__all__ = ["Frame", "Scene", "render"]

_HOMES = {
    "Frame": "frame",
    "Scene": "scene",
    "render": "rendering",
}

__getattr__, __dir__ = lazy_names(globals(), __name__, _HOMES)
