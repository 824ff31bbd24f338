"""Ridge regression on Gaussian random features of Gaussian eigenfunctions, by brute force."""

import numpy as np


def gaussian_fit(eigenvalues, coefficients, n, k, ridge, noise, rng):
    """Return test and training error of one draw; the test error is exact over new samples."""
    modes = len(eigenvalues)
    phi = rng.standard_normal((n, modes))
    y = phi @ np.sqrt(coefficients) + np.sqrt(noise) * rng.standard_normal(n)
    if np.isinf(k):
        root = np.diag(np.sqrt(eigenvalues))
    else:
        root = np.sqrt(eigenvalues)[:, None] * rng.standard_normal((modes, int(k))) / np.sqrt(k)
    features = phi @ root
    gram = features @ features.T
    dual = np.linalg.solve(gram + ridge * np.eye(n), y)
    learned = root @ (features.T @ dual)
    test = float(((learned - np.sqrt(coefficients)) ** 2).sum() + noise)
    return test, float(((gram @ dual - y) ** 2).mean())


def pool_fit(gram, rows, n, ridge, noise, rng):
    """Return held-out and training error of one draw of n samples from a pool."""
    order = rng.permutation(len(gram))
    train, test = order[:n], order[n:]
    noisy = rows + np.sqrt(noise / rows.shape[1]) * rng.standard_normal(rows.shape)
    dual = np.linalg.solve(gram[np.ix_(train, train)] + ridge * np.eye(n), noisy[train])
    off = gram[np.ix_(test, train)] @ dual - noisy[test]
    return float((off**2).sum(1).mean()), float(((ridge * dual) ** 2).sum(1).mean())
