"""One gradient step and what follows, plainly: autograd, normal equations, and the closed form by differences."""

import math

import numpy as np
import torch
from scipy.optimize import brentq


def trained(phi, X, y, W, a, eta):
    """Return weights of shape (N, d) after one step of autograd on f(x) = a' phi(W x) / sqrt(N)."""
    weight = torch.tensor(W, requires_grad=True)
    width = len(W)
    f = phi(torch.tensor(X) @ weight.T) @ torch.tensor(a) / math.sqrt(width)
    loss = (f - torch.tensor(y)).square().mean() / 2
    (gradient,) = torch.autograd.grad(loss, weight)
    return W - eta * math.sqrt(width) * gradient.numpy()


def ridge_risk(phi, W, X, y, ridge, test, truth):
    """Return the mean squared distance of ridge regression with an intercept from the truth, by normal equations."""
    width, n = len(W), len(X)
    made, seen = (phi(torch.tensor(inputs @ W.T)).numpy() / math.sqrt(width) for inputs in (X, test))
    centre, level = made.mean(0), y.mean()
    made = made - centre
    weights = np.linalg.solve(made.T @ made + ridge * n / width * np.eye(width), made.T @ (y - level))
    return float(np.mean(((seen - centre) @ weights + level - truth) ** 2))


def gaussian_draw(phi, teacher, *, n, width, dimension, eta, noise, ridge, rng, tests=2000):
    """Draw data and a network, take a step; return the risk on fresh samples, the weights and the teacher's direction."""
    beta = rng.standard_normal(dimension)
    beta /= np.linalg.norm(beta)

    def draw(count):
        x = rng.standard_normal((count, dimension))
        truth = teacher(torch.tensor(x @ beta)).numpy()
        return x, truth, truth + math.sqrt(noise) * rng.standard_normal(count)

    W = rng.standard_normal((width, dimension)) / math.sqrt(dimension)
    a = rng.standard_normal(width) / math.sqrt(width)
    X, _, y = draw(n)
    W = trained(phi, X, y - y.mean(), W, a, eta)
    X, _, y = draw(n)
    test, truth, _ = draw(tests)
    return ridge_risk(phi, W, X, y, ridge, test, truth), W, beta


def closed_form(n, N, student, teacher, noise, ridge, eta):
    """Return the asymptotic risk in units of the dimension, as written down before it was made stable; eta above 0."""
    mu1, mu2 = student
    ms1, ms2 = teacher

    def m(t):
        b = t + mu1**2 * (N - 1)
        return (-b + math.sqrt(b * b + 4 * mu1**2 * t)) / (2 * mu1**2 * t)

    def slope(f, t, step):
        return (f(t * (1 + step)) - f(t * (1 - step))) / (2 * step * t)

    def used(s):
        t = mu2**2 + s
        return N - s * ((N - 1) / t + m(t))

    s = math.exp(brentq(lambda u: used(math.exp(u)) + ridge * n * math.exp(-u) - n, -25, 25, xtol=1e-13))
    t = mu2**2 + s
    q = N - 2 * s * ((N - 1) / t + m(t)) + s * s * ((N - 1) / t**2 - slope(m, t, 1e-5))
    square = ms1**2 + (ms1**2 + ms2**2 + noise) / n

    def missed(t):
        h = (1 - t * m(t)) / N
        cut = mu1**2 * ms1**2 * m(t) ** 2 * (1 - h)
        return m(t) - cut / (1 / (eta * mu1) ** 2 + mu1**2 * square * m(t) * (1 - h))

    bias = ms2**2 + noise + ms1**2 * (mu2**2 * missed(t) - s * t * slope(missed, t, 1e-4))
    return n / (n - q) * bias - noise
