"""Scaling laws of a study: how every hyperparameter and the loss go with the cost along the frontier."""
