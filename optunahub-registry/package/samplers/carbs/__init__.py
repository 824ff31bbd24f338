"""CARBS for OptunaHub: the sampler of similitude, with what is needed to describe a space to it."""

from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.dimensions import Choice, Linear, Log, Logit
from similitude.tuning.space.space import Space
from similitude.tuning.trials.budget import Budget

__all__ = ["Budget", "CarbsSampler", "Choice", "Linear", "Log", "Logit", "Space"]
