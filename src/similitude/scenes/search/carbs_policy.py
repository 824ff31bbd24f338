"""CARBS as a policy: high losses against the seconds that scenes take (paper 10)."""

from __future__ import annotations

import math

import optuna

from similitude.scenes.search.optuna_policy import Trials
from similitude.scenes.search.policy import check_option
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.space import Space
from similitude.tuning.trials.failures import FAILURE_KEY

_COST = "seconds of a scene"
_SHORTEST = 1e-6  # seconds: a cost is above 0
_LEASE = 1e9  # seconds: nobody else works on the study, so no trial of it is ever taken over


class CarbsPolicy(Trials):
    """Asks for scenes along the front of loss and seconds: high losses, and cheap scenes where they do as well.

    Of use where settings change what a scene costs, as an occluder or a blurred lens do; where they do not, `adversarial`
    looks further. Scenes that failed are learnt, and avoided.

    Args:
        space: What varies.
        count: How many scenes.
        seed: Of the search.
        batch: Scenes that are asked for at once.

    Raises:
        SceneError: A number is not possible.
    """

    def __init__(self, space: Space, *, count: int | None = None, seed: int = 0, batch: int = 1) -> None:
        check_option("carbs", "batch", batch)
        sampler = CarbsSampler(space, seed=seed, cost=_COST, lease=_LEASE, retries=0)
        super().__init__(space, sampler, count=count, batch=batch)

    def note(self, trial: optuna.Trial, loss: float, seconds: float) -> None:
        """Tell the sampler what a scene cost, and that one without a loss failed by its settings."""
        trial.set_user_attr(_COST, max(float(seconds), _SHORTEST))
        if not math.isfinite(loss):
            trial.set_user_attr(FAILURE_KEY, "nan")
