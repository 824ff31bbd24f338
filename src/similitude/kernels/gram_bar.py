"""A live bar of the tiles of Gram matrices, with an estimate of the time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from similitude.kernels.grams import GramProgress


class GramBar:
    """Show how far Gram matrices are, on standard error: `with GramBar() as bar: kernel.ntk(x, progress=bar)`.

    Nothing is shown where standard error is no terminal.

    Args:
        console: Where to show it.
    """

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("Gram matrix"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("tiles"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, progress: GramProgress) -> None:
        """Move the bar."""
        left = progress.seconds_left
        text = "" if left is None else f"{left:.0f} s left"
        self._bar.update(self._task, total=progress.total, completed=progress.done, left=text)
