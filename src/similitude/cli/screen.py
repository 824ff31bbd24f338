"""What commands show: text on standard output, progress on standard error, JSON alone when asked for."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from similitude.core.plain import finite

if TYPE_CHECKING:
    from types import TracebackType

    from similitude.studies.jobs import Progress as StudyProgress


RUNS_KEPT = "Finished runs are kept, and the same command continues from them."
"""What commands say whose study has a storage."""


class Screen:
    """Where a command prints, as a context: the JSON is printed when the body ends.

    Args:
        as_json: Everything but the one JSON value goes to standard error, also what the user's own code
            prints, here or in worker processes. A body that fails gives `{"error": {"type", "message"}}`.
        kept: What there is to say of finished work when the body is interrupted; nothing where none is kept.
    """

    def __init__(self, *, as_json: bool = False, kept: str = "") -> None:
        self.as_json, self._kept = as_json, kept
        # Without markup and emoji: a path or a name may hold brackets and colons.
        self.notes = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.out = self.notes if as_json else Console(highlight=False, markup=False, emoji=False)
        self._object: dict[str, Any] | list[Any] | None = None

    def __enter__(self) -> Screen:
        if self.as_json:
            self._stdout, sys.stdout = sys.stdout, sys.stderr
            self._descriptor = _divert(self._stdout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept and isinstance(error, KeyboardInterrupt):
            self.notes.print(self._kept, soft_wrap=True)
        if not self.as_json:
            return
        sys.stdout = self._stdout
        if self._descriptor is not None:
            os.dup2(self._descriptor, 1)
            os.close(self._descriptor)
        if isinstance(error, Exception | KeyboardInterrupt):
            text = str(error)
            if not text and isinstance(error, KeyboardInterrupt):
                text = f"interrupted. {self._kept}" if self._kept else "interrupted"
            self._object = {"error": {"type": type(error).__name__, "message": text}}
        if self._object is not None:
            sys.stdout.write(json.dumps(finite(self._object), indent=2, allow_nan=False) + "\n")
            sys.stdout.flush()

    def say(self, *things: Any) -> None:
        """Print text or rich renderables for people."""
        self.out.print(*things, soft_wrap=all(isinstance(t, str) for t in things))

    def result(self, data: dict[str, Any] | list[Any]) -> None:
        """Set the JSON object or list to print if it was asked for; numbers that JSON lacks become null."""
        self._object = data

    @contextmanager
    def progress(self) -> Iterator[ProgressBar]:
        """Show live progress on standard error while the body runs."""
        bar = ProgressBar(self.notes)
        with bar.bar:
            yield bar


class ProgressBar:
    """Live progress of one or more studies, with an estimate of the time left.

    Where standard error is no terminal, one line is printed whenever another part of the work begins.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self.bar = Progress(
            TextColumn("{task.fields[study]:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("runs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[label]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._started: dict[str, float] = {}
        self._tasks: dict[str, Any] = {}
        self._label = ""

    def __call__(self, progress: StudyProgress) -> None:
        """Show how far a study is."""
        now = time.monotonic()
        started = self._started.setdefault(progress.study, now)
        share = progress.work_done
        left = (now - started) * (1 - share) / share if share > 0.02 else math.inf
        text = f"{left:3.0f} s left" if math.isfinite(left) else ""
        if self._console.is_terminal:
            if progress.study not in self._tasks:
                self._tasks[progress.study] = self.bar.add_task(
                    "", total=progress.cells, study="", left="", label=""
                )
            # The bar moves with the work within a batched program, not only when its runs are finished.
            shown = max(progress.cells_done, progress.cells * share * 0.999 if share < 1 else progress.cells)
            self.bar.update(
                self._tasks[progress.study],
                completed=int(shown),
                study=progress.study,
                left=text,
                label=progress.label,
            )
        elif progress.label != self._label:
            done = f"{progress.cells_done} of {progress.cells} runs done"
            self._console.print(Text(f"{progress.study}: {progress.label}, {done} {text}"), soft_wrap=True)
        self._label = progress.label


def _divert(stream: Any) -> int | None:
    """Let file descriptor 1 write to standard error; return a copy of what it was, None if it is not ours."""
    try:
        if stream.fileno() != 1:
            return None
    except (AttributeError, OSError, ValueError):  # not a file: a test or an embedding program took it
        return None
    stream.flush()
    copy = os.dup(1)
    os.dup2(2, 1)
    return copy
