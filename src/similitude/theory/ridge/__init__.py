"""Ridge regression on kernels and random features before any fit: errors, best ridges, costs of overfitting."""
