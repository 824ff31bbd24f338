"""CARBS for OptunaHub: the sampler of similitude, with what is needed to describe a space to it."""

from similitude.tuning.budget import Budget
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.dimensions import Choice, Linear, Log, Logit
from similitude.tuning.space import Space

__all__ = ["Budget", "CarbsSampler", "Choice", "Linear", "Log", "Logit", "Space"]
