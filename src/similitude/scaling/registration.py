"""What a registry hands back: the means to take an entry out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Registration:
    """Takes back what was registered: at `remove()`, or at the end of a `with` block.

    Without either an entry stays for the life of the process, as a package wants that registers on import.

    Args:
        undo: Restores the registry as it was before.

    Example:
        >>> table = {"mine": 1}
        >>> with Registration(lambda: table.pop("mine")):
        ...     sorted(table)
        ['mine']
        >>> table
        {}
    """

    def __init__(self, undo: Callable[[], Any]) -> None:
        self._undo: Callable[[], Any] | None = undo

    def remove(self) -> None:
        """Restore what was there before; a second call does nothing."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
