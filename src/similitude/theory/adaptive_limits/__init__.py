"""Infinitely wide networks under entrywise optimizers: neural tangent and maximal update limits (paper 14)."""
