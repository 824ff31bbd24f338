"""Samplers of Optuna as policies: each scene is a trial of a study that maximizes the loss."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.core.seeding import derive
from similitude.runs.storage import without_optuna_notices
from similitude.scenes.controls.control import Value
from similitude.scenes.search.policy import COUNT, check_option
from similitude.tuning.space.space import Space

SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}
"""Optuna's samplers by the names that studies use."""


class Trials:
    """A policy whose scenes are trials: asked of a study of Optuna that maximizes, and told to it.

    A scene without a loss ends its trial as failed.

    Args:
        space: What varies.
        sampler: Chooses settings.
        count: How many scenes.
        batch: Scenes that are asked for at once.
    """

    def __init__(self, space: Space, sampler: BaseSampler, *, count: int | None, batch: int) -> None:
        self.space = space
        self.batch = batch
        self.total = COUNT if count is None else count
        storage = optuna.storages.InMemoryStorage()
        with without_optuna_notices():
            storage.create_new_study([StudyDirection.MAXIMIZE], "scenes")
        self.study = optuna.load_study(study_name="scenes", storage=storage, sampler=sampler)
        self.waiting: list[optuna.Trial] = []

    @property
    def done(self) -> bool:
        """Whether the count is reached."""
        return len(self.study.get_trials(deepcopy=False)) >= self.total

    def ask(self, count: int) -> Sequence[Mapping[str, Value]]:
        """Return the next settings, at most a batch of them."""
        left = self.total - len(self.study.get_trials(deepcopy=False))
        found = []
        self.waiting = []
        for _ in range(min(count, left, self.batch)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.waiting.append(trial := self.study.ask())
                found.append(self.space.suggest(trial))
        return found

    def tell(
        self, settings: Sequence[Mapping[str, Value]], losses: Sequence[float], seconds: Sequence[float]
    ) -> None:
        """End the trials that were last asked for."""
        for trial, loss, cost in zip(self.waiting, losses, seconds, strict=True):
            self.note(trial, loss, cost)
            if math.isfinite(loss):
                self.study.tell(trial, loss)
            else:
                self.study.tell(trial, state=TrialState.FAIL)
        self.waiting = []

    def note(self, trial: optuna.Trial, loss: float, seconds: float) -> None:
        """Keep in a trial what its sampler wants to know beside the loss."""


class OptunaPolicy(Trials):
    """Asks a sampler of Optuna for scenes with high losses.

    Args:
        space: What varies.
        count: How many scenes.
        seed: Of the sampler.
        sampler: One of `SAMPLERS`.
        batch: Scenes that are asked for at once; TPE then keeps away from those that are not yet known.

    Raises:
        SceneError: There is no such sampler, or what it needs is not installed.
    """

    def __init__(
        self,
        space: Space,
        *,
        count: int | None = None,
        seed: int = 0,
        sampler: str = "tpe",
        batch: int = 1,
    ) -> None:
        check_option("optuna", "batch", batch)
        super().__init__(space, optuna_sampler(sampler, seed=seed, batch=batch), count=count, batch=batch)


def optuna_sampler(name: str, *, seed: int, batch: int) -> BaseSampler:
    """Return a sampler of Optuna.

    Raises:
        SceneError: There is none of that name, or what it needs is not installed.
    """
    if name not in SAMPLERS:
        raise SceneError(
            f"policy optuna: there is no sampler {name!r}. "
            + did_you_mean(name, SAMPLERS)
            + f"There are: {', '.join(SAMPLERS)}."
        )
    if name == "cmaes" and find_spec("cmaes") is None:
        raise SceneError(
            "policy optuna: the sampler cmaes needs a package that is not installed. Install it: pip install cmaes; it "
            "comes with 'similitude[scenes]'"
        )
    own: dict[str, Any] = {"seed": derive(seed, "optuna", name) % 2**32}
    if name == "tpe":
        own |= {"multivariate": True, "group": True, "constant_liar": batch > 1}
    if name in ("cmaes", "qmc"):
        own["warn_independent_sampling"] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return getattr(optuna.samplers, SAMPLERS[name])(**own)
