"""Predictions: what theory says of a network before any training."""
