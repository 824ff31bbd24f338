"""Policies: which scenes of a search space are rendered next."""
