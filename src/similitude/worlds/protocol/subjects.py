"""Policies under names: what acts in worlds and is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Policy(Protocol):
    """What acts: called with an observation and the info beside it, it returns an action.

    It may have `reset()`, which is called before every episode; `observation`, the kind of observations it wants ("full"
    by default); and `resolution`, that of its images. Where it has `act_on(simulation, environment)`, that is called
    instead, and no observations are made. What has one argument is called with the observation alone.
    """

    def __call__(self, observation: Any, info: Mapping[str, Any] | None = None) -> Any:
        """Return the action of this frame."""
        ...


PolicyMaker = Callable[[str, int], Policy]
"""Makes the policy for a task, with a seed."""


@dataclass(frozen=True)
class Subject:
    """A policy under a name, which can be sent to other processes.

    Attributes:
        name: Its name in rows.
        make: Makes it; at the top level of a module, or a `functools.partial` of such.
        file: The file that holds it, if one does: rows of another content of that file are not taken for its own.
    """

    name: str
    make: PolicyMaker
    file: Path | None = None


def random_subject() -> Subject:
    """Return the policy that acts at random: the floor of every scale."""
    return Subject("random", _random)


def oracle_subject() -> Subject:
    """Return the policies that know everything, one per task: the ceiling."""
    return Subject("oracle", _oracle)


def _random(task: str, seed: int) -> Policy:
    from similitude.worlds.oracles.policy import random_policy

    return random_policy(seed)


def _oracle(task: str, seed: int) -> Policy:
    from similitude.worlds.oracles.policy import oracle

    return oracle(task)


def subject_named(name: str) -> Subject | None:
    """Return the random policy or the oracles; None for another name."""
    return {"random": random_subject, "oracle": oracle_subject}.get(name, lambda: None)()
