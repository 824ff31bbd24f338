"""Modular addition by a quadratic network: utilities by ascent, levels, order and times against gradient flow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory import AlternatingGradientFlow, modular_addition


def template(p, magnitudes, seed=0):
    """A code with the given magnitudes of its Fourier coefficients and random phases."""
    rng, spectrum = np.random.default_rng(seed), np.zeros(p // 2 + 1, complex)
    for frequency, magnitude in magnitudes.items():
        real = 2 * frequency == p
        spectrum[frequency] = magnitude * (1 if real else np.exp(2j * np.pi * rng.random()))
    return np.fft.irfft(spectrum, n=p)


EVEN = np.fft.irfft([0, 5.0, 2.5, 0], n=7)
"""A code that is symmetric."""


def ascended(problem, steps=4000, starts=24):
    """Largest utility that damped ascent on the sphere finds."""
    rng = np.random.default_rng(1)
    at = rng.standard_normal((starts, problem.start.shape[1]))
    at /= np.linalg.norm(at, axis=1, keepdims=True)
    rest = np.zeros_like(at)
    for _ in range(steps):
        at = at + 0.3 * problem.push(at, rest) / problem.greatest_utilities[0]
        at /= np.linalg.norm(at, axis=1, keepdims=True)
    return float(problem.utility(at, rest).max())


@pytest.mark.parametrize(("p", "frequency"), [(7, 1), (7, 3), (8, 2), (8, 4), (9, 3)])
def test_the_largest_utility_at_a_frequency(p, frequency):
    problem = modular_addition(template(p, {frequency: 3.0}))
    assert ascended(problem) == pytest.approx(problem.greatest_utilities[0], rel=1e-9)


def test_frequencies_do_not_help_each_other():
    problem = modular_addition(template(8, {1: 3.0, 4: 2.95, 3: 2.0}))
    assert problem.names == (
        "frequency 4",
        "frequency 1",
        "frequency 3",
    )  # p / 2 counts 2^(1/6) times as much
    assert ascended(problem) == pytest.approx(problem.greatest_utilities[0], rel=1e-9)


def test_push_is_minus_the_gradient_of_the_loss():
    p, code = 5, template(5, {1: 2.0, 2: 1.0})
    problem = modular_addition(code, neurons=4)
    at = np.random.default_rng(0).standard_normal(problem.start.shape)
    codes = torch.stack([torch.from_numpy(np.roll(code, a)) for a in range(p)])

    def loss(neurons):
        u, v, w = neurons[:, :p], neurons[:, p : 2 * p], neurons[:, 2 * p :]
        total = torch.tensor(0.0, dtype=torch.float64)
        for a in range(p):
            for b in range(p):
                out = ((u @ codes[a] + v @ codes[b]) ** 2) @ w
                total = total + ((codes[(a + b) % p] - out) ** 2).sum() / (2 * p * p)
        return total

    gradient = torch.autograd.functional.jacobian(loss, torch.from_numpy(at))
    assert problem.push(at, at) == pytest.approx(-gradient.numpy())
    assert problem.loss(at) == pytest.approx(float(loss(torch.from_numpy(at))))
    assert problem.levels[0] == pytest.approx(problem.loss(0 * at))


def judged(problem, **tolerances):
    agf = AlternatingGradientFlow(problem)
    found = agf.compare(agf.flow(), **tolerances)
    stairs = agf.run().merged()
    assert stairs.learned == problem.names
    assert stairs.levels == pytest.approx(problem.levels, abs=0.03 * problem.levels[0])
    assert found.same_order is True
    assert (stairs.times[1:] > problem.earliest).all()
    return found


@pytest.mark.slow
def test_the_loss_is_that_of_gradient_flow():
    found = judged(modular_addition(EVEN, neurons=10, alpha=0.02))
    assert found.mean_difference < 0.01
    assert max(abs(drop.time_error) for drop in found.drops) < 0.05


@pytest.mark.slow
def test_the_loss_comes_closer_as_alpha_vanishes():
    found = [
        judged(modular_addition(EVEN, neurons=10, alpha=alpha)).mean_difference for alpha in (0.02, 0.005)
    ]
    assert found[1] < 0.7 * found[0] < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_random_encodings_are_learned_in_order(seed):
    rng = np.random.default_rng(seed)
    p = int(rng.choice([7, 8, 9]))
    first, second = (int(k) for k in rng.permutation(np.arange(1, p // 2 + 1))[:2])
    problem = modular_addition(
        template(p, {first: 5.0, second: 2.8}, seed), neurons=12, alpha=0.003, seed=seed
    )
    judged(problem)


def test_a_plain_code_has_tied_frequencies():
    problem = modular_addition(np.eye(7)[0] - 1 / 7)
    assert problem.greatest_utilities == pytest.approx(np.full(3, problem.greatest_utilities[0]))
    assert problem.levels[0] == pytest.approx(6 / 14)


def test_wrong_arguments_are_named():
    with pytest.raises(TheoryError, match="template has the mean"):
        modular_addition(np.eye(7)[0])
    with pytest.raises(TheoryError, match="template is zero"):
        modular_addition(np.zeros(7))
    with pytest.raises(TheoryError, match=r"shape \(2,\)"):
        modular_addition([1.0, -1.0])
    with pytest.raises(TheoryError, match="neurons=0"):
        modular_addition(template(5, {1: 1.0}), neurons=0)
