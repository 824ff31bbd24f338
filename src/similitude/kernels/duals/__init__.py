"""Dual activations: E phi(u) phi(v) of any elementwise function, in closed form or as a series with its own bound."""

from similitude.kernels.duals.base import Dual
from similitude.kernels.duals.cross import Cross, cross
from similitude.kernels.duals.find import dual, find_dual

__all__ = ["Cross", "Dual", "cross", "dual", "find_dual"]
