"""Tuning on the cost-quality front: spaces, the CARBS search as an Optuna sampler, its engines, laws of the optimum."""
