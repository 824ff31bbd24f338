"""What a suite is: tasks, subjects and anchors, found by name, and rows of results that all have one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from similitude.core.chart import Chart
from similitude.core.closest import did_you_mean
from similitude.core.errors import EvaluationError
from similitude.evaluation.anchors import Anchor
from similitude.evaluation.rows import Row


@dataclass(frozen=True)
class Part:
    """Something of a suite that commands take by name: a task, a learner, a policy, a control.

    Attributes:
        kind: What it is, e.g. "task" or "learner".
        name: Its name.
        summary: What it is, in a line.
        example: Arguments of `similitude suite run <suite>` that use it; "{data}" stands for data of the user's. A test
            runs every one.
    """

    kind: str
    name: str
    summary: str
    example: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "summary": self.summary,
            "example": list(self.example),
        }


class Suite(Protocol):
    """A set of tasks with a protocol, anchors and subjects at hand."""

    @property
    def name(self) -> str:
        """Its name in commands."""
        ...

    @property
    def title(self) -> str:
        """What it evaluates, in a line."""
        ...

    @property
    def version(self) -> str:
        """Version of its protocol; rows of different versions are not comparable."""
        ...

    @property
    def unit(self) -> str:
        """What a score is, with its range."""
        ...

    @property
    def groups(self) -> Sequence[str]:
        """Parameters of rows whose values are reported apart, e.g. the number of shots."""
        ...

    @property
    def decimals(self) -> int:
        """Digits after the point with which scores are shown."""
        ...

    def parts(self) -> Sequence[Part]:
        """Return everything that its commands take by name."""
        ...

    def charts(self, rows: Sequence[Row]) -> Sequence[Chart]:
        """Return figures of its own for a page of its rows, besides those that every suite has."""
        ...

    def anchors(self) -> Sequence[Anchor]:
        """Return what is known of chance, oracles, people and published systems without running anything."""
        ...


_HOMES = {
    "fewshot": "similitude.fewshot.suite",
    "worlds": "similitude.worlds.protocol.suite",
    "scenes": "similitude.scenes.suite",
}


def suites() -> dict[str, Suite]:
    """Return every suite by name.

    Example:
        >>> list(suites())
        ['fewshot', 'worlds', 'scenes']
    """
    return {name: suite_named(name) for name in _HOMES}


def suite_named(name: str) -> Suite:
    """Return a suite.

    Raises:
        EvaluationError: There is none of that name.
    """
    if name not in _HOMES:
        raise EvaluationError(
            f"there is no suite {name!r}. " + did_you_mean(name, _HOMES) + f"There are: {', '.join(_HOMES)}."
        )
    return import_module(_HOMES[name]).SUITE
