"""One gradient step on the first layer: its spike, its direction, and ridge regression on the features (paper 16)."""
