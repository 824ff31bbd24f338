"""The renderers of this process by name: each is made once, and closed when the process ends or when asked."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager

from similitude.scenes.renderers.renderer import Renderer, renderer_named
from similitude.scenes.renderers.turns import Turns

_OPEN: dict[str, Renderer] = {}
_TURNS = Turns()
_USERS: list[set[str]] = []  # for each that goes on, the names that were open before the first of them began


def opened(name: str) -> Renderer:
    """Return the renderer of this process by its name, the same one until it is closed; threads may share it.

    Raises:
        SceneError: There is none of that name, or it is not installed; the line that installs it is said.
    """
    with _TURNS:
        if name not in _OPEN:
            _OPEN[name] = renderer_named(name)
        return _OPEN[name]


@contextmanager
def renderers_in_use() -> Iterator[None]:
    """Close at the end what is opened from here on, or leave that to the last of several that go on at once.

    What was open before stays open. A renderer that is closed while a thread draws with it finishes its picture, and
    starts again with the next one.
    """
    with _TURNS:
        before = _USERS[0] if _USERS else set(_OPEN)
        _USERS.append(before)
    try:
        yield
    finally:
        with _TURNS:
            _USERS.pop()
            done = [] if _USERS else [_OPEN.pop(name) for name in set(_OPEN) - before]
        for one in done:
            one.close()


def close_renderers() -> None:
    """End what the renderers of this process hold, whoever uses them; it is called when the process ends, too."""
    while True:
        with _TURNS:
            if not _OPEN:
                return
            one = _OPEN.popitem()[1]
        one.close()


atexit.register(close_renderers)
