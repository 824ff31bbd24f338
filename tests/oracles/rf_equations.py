"""The two equations of random-feature regression as the paper has them, solved by nested bisection in plain floats."""

import math


def risks(eigenvalues, coefficients, n, k, ridge, noise=0.0):
    """Return (test, train, gamma, kappa) for a ridge above 0; eigenvalues are repeated, not grouped."""

    def bisect(f, low, high):
        for _ in range(60):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if f(middle) > 0 else (low, middle)
        return math.sqrt(low * high)

    def z(gamma):
        return sum(v / (v + gamma) for v in eigenvalues)

    def gamma_of(kappa):
        """Solve z + k kappa / gamma = k, whose left side falls with gamma."""
        if k == math.inf:
            return kappa
        return bisect(lambda gamma: z(gamma) + k * kappa / gamma - k, 1e-30, 1e30)

    kappa = bisect(lambda kappa: z(gamma_of(kappa)) + ridge / kappa - n, 1e-30, 1e30)
    gamma = gamma_of(kappa)
    zs, q = z(gamma), sum((v / (v + gamma)) ** 2 for v in eigenvalues)
    inverse = 1e300 if k == math.inf else k
    factor = n / (n - q) if k == math.inf else 1 / (1 - (q * (k - 2 * zs) + zs**2) / (n * (k - q)))
    ratio = 1.0 if k == math.inf else inverse / (inverse - q)
    bias = sum(
        (gamma / (v + gamma) - kappa * v / (v + gamma) ** 2 * ratio) * c
        for v, c in zip(eigenvalues, coefficients, strict=True)
    )
    test = factor * (bias + noise)
    return test, (ridge / (n * kappa)) ** 2 * test, gamma, kappa
