"""The renderers of this process by name: each is made once, and closed when the process ends or when asked."""

from __future__ import annotations

import atexit

from similitude.scenes.renderers.renderer import Renderer, renderer_named

_OPEN: dict[str, Renderer] = {}


def opened(name: str) -> Renderer:
    """Return the renderer of this process by its name, the same one until `close_renderers`.

    Raises:
        SceneError: There is none of that name, or it is not installed; the line that installs it is said.
    """
    if name not in _OPEN:
        _OPEN[name] = renderer_named(name)
    return _OPEN[name]


def close_renderers() -> None:
    """End what the renderers of this process hold; it is called when the process ends, too."""
    while _OPEN:
        _OPEN.popitem()[1].close()


atexit.register(close_renderers)
