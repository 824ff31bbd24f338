"""Infinitely wide networks with finite bottlenecks, trained in function space (paper 19)."""
