"""What a policy is: it is asked for settings of controls, and told what the model lost there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Value
from similitude.tuning.space.space import Space


class Policy(Protocol):
    """Chooses the scenes of one object in one environment; the same whatever the machine and the engine."""

    @property
    def done(self) -> bool:
        """Whether there is nothing left to ask for."""
        ...

    def ask(self, count: int) -> Sequence[Mapping[str, Value]]:
        """Return the next settings, by "instance.setting".

        Args:
            count: At most how many; a policy that learns may return fewer, and waits to be told of them.
        """
        ...

    def tell(
        self, settings: Sequence[Mapping[str, Value]], losses: Sequence[float], seconds: Sequence[float]
    ) -> None:
        """Learn from all that was last asked for.

        Args:
            settings: As they were asked for, in that order.
            losses: Of the model there, the mean over models; nan where a scene failed.
            seconds: What each scene cost.
        """
        ...


@dataclass(frozen=True)
class PolicyEntry:
    """A policy that is known.

    Attributes:
        name: Its name in studies.
        summary: What it does, in a line.
        home: "module:name" of its maker, a function (space, count=, seed=, **options); space and count may be None.
        learns: Whether what it asks for depends on what it was told.
        options: Names of its own settings.
    """

    name: str
    summary: str
    home: str
    learns: bool = False
    options: tuple[str, ...] = ()


POLICIES = {
    entry.name: entry
    for entry in (
        PolicyEntry(
            "grid",
            "every combination of values that lie evenly",
            "similitude.scenes.search.grid:Grid",
            options=("samples",),
        ),
        PolicyEntry("random", "independent uniform values", "similitude.scenes.search.uniform:Uniform"),
        PolicyEntry(
            "sobol",
            "a scrambled Sobol sequence, which fills the space more evenly than chance",
            "similitude.scenes.search.sobol:Sobol",
        ),
        PolicyEntry(
            "optuna",
            "a sampler of Optuna that looks for high losses: tpe, gp, cmaes, nsgaii, nsgaiii, qmc or random",
            "similitude.scenes.search.optuna_policy:OptunaPolicy",
            learns=True,
            options=("sampler", "batch"),
        ),
        PolicyEntry(
            "carbs",
            "high losses at small cost: the front of loss and seconds per scene",
            "similitude.scenes.search.carbs_policy:CarbsPolicy",
            learns=True,
            options=("batch",),
        ),
        PolicyEntry(
            "adversarial",
            "scenes in which the model does worst, found by a Gaussian process in few renders",
            "similitude.scenes.search.adversarial:Adversarial",
            learns=True,
            options=("starts", "batch", "patience"),
        ),
    )
}
"""Policies by name."""

COUNT = 200
"""Scenes per object and environment where a policy has no number of its own and is told none."""


def policy_named(
    kind: str,
    space: Space | None,
    *,
    count: int | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Policy:
    """Return a policy.

    Args:
        kind: Its name.
        space: What varies; None where nothing does.
        count: How many scenes it asks for; None for its own number.
        seed: Seed of its random numbers.
        options: Its own settings by name.

    Raises:
        SceneError: There is none of that name, or it has no such setting.
    """
    entry = policy_entry(kind)
    for name in options or ():
        if name not in entry.options:
            own = ", ".join(("count", "seed", *entry.options))
            raise SceneError(f"policy {kind}: it has no setting {name!r}. Its settings are {own}.")
    if space is None:
        return Single()
    module, _, maker = entry.home.partition(":")
    return getattr(import_module(module), maker)(space, count=count, seed=seed, **(options or {}))


def policy_entry(kind: str) -> PolicyEntry:
    """Return what is known of a policy.

    Raises:
        SceneError: There is none of that name.
    """
    if kind not in POLICIES:
        raise SceneError(
            f"there is no policy {kind!r}. "
            + did_you_mean(kind, POLICIES)
            + f"There are: {', '.join(POLICIES)}."
        )
    return POLICIES[kind]


def check_option(policy: str, name: str, value: object) -> None:
    """See that an option of a policy is a whole number of at least 1.

    Raises:
        SceneError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SceneError(f"policy {policy}: {name}={value!r} is no whole number of at least 1.")


class Deaf:
    """A policy that asks for a fixed sequence of settings, whatever it is told."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.asked = 0

    @property
    def done(self) -> bool:
        """Whether the sequence is at its end."""
        return self.asked >= self.total

    def ask(self, count: int) -> Sequence[Mapping[str, Value]]:
        """Return the next settings of the sequence."""
        wanted = min(count, self.total - self.asked)
        found = self.draw(self.asked, wanted)
        self.asked += wanted
        return found

    def draw(self, first: int, count: int) -> list[Mapping[str, Value]]:
        """Return settings of the sequence from a place on; places are drawn one after another."""
        raise NotImplementedError

    def tell(
        self, settings: Sequence[Mapping[str, Value]], losses: Sequence[float], seconds: Sequence[float]
    ) -> None:
        """Nothing is learned."""


class Single(Deaf):
    """The only scene where nothing varies."""

    def __init__(self) -> None:
        super().__init__(1)

    def draw(self, first: int, count: int) -> list[Mapping[str, Value]]:
        """Return no settings."""
        return [{}] * count
