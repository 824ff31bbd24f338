"""Families of widths trained on rendered scenes: robustness over width, and the order in which factors are learned."""
