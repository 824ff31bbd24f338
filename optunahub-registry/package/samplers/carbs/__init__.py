"""CARBS for OptunaHub: the sampler of similitude, with what is needed to describe a space to it."""

from similitude import Budget, CarbsSampler, Choice, Linear, Log, Logit, Space

__all__ = ["Budget", "CarbsSampler", "Choice", "Linear", "Log", "Logit", "Space"]
