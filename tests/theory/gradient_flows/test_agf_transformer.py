"""Linear attention on prompts of linear regression: closed forms against samples, the loop against gradient flow."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory import AlternatingGradientFlow, linear_transformer


def covariance(spectrum, seed=0):
    rng = np.random.default_rng(seed)
    O = np.linalg.qr(rng.normal(size=(len(spectrum),) * 2))[0]
    return O @ np.diag(spectrum) @ O.T


SIGMA = covariance(0.96 * np.array([1, 1 / 2, 1 / 3, 1 / 4]))


def test_the_population_loss_is_the_mean_over_prompts():
    problem = linear_transformer(SIGMA, 6, heads=3, alpha=0.3, seed=1)
    rng, heads, samples = np.random.default_rng(0), problem.start, 200_000
    root = np.linalg.cholesky(SIGMA)
    context, query = rng.standard_normal((samples, 6, 4)) @ root.T, rng.standard_normal((samples, 4)) @ root.T
    w = rng.standard_normal((samples, 4))
    seen = np.einsum("sni,snj,sj->si", context, context, w)
    answers = sum(v * (query @ q) * (seen @ k) for v, q, k in ((h[0], h[1:5], h[5:]) for h in heads))
    errors = ((query * w).sum(1) - answers) ** 2 / 2
    assert abs(errors.mean() - problem.loss(heads)) < 4 * errors.std() / np.sqrt(samples)


def test_push_is_minus_the_gradient_of_the_loss():
    problem = linear_transformer(SIGMA, 6, heads=3, alpha=0.3)
    gradient, step = np.zeros_like(problem.start), 1e-6
    for place in np.ndindex(problem.start.shape):
        moved = problem.start.copy()
        moved[place] += step
        up = problem.loss(moved)
        moved[place] -= 2 * step
        gradient[place] = (up - problem.loss(moved)) / (2 * step)
    assert problem.push(problem.start, problem.start) == pytest.approx(-gradient, abs=1e-7)


def test_the_largest_utility_is_what_ascent_finds():
    problem = linear_transformer(SIGMA, 32, heads=64, alpha=0.1)
    at = problem.start / np.linalg.norm(problem.start, axis=1, keepdims=True)
    for _ in range(500):
        at = at + 0.05 * problem.push(at, 0 * at)
        at /= np.linalg.norm(at, axis=1, keepdims=True)
    assert problem.utility(at, 0 * at).max() == pytest.approx(problem.greatest_utilities[0], rel=1e-9)


@pytest.mark.parametrize("alpha", [1e-3, 1e-4])
def test_drops_are_those_of_gradient_flow(alpha):
    problem = linear_transformer(SIGMA, 32, heads=5, alpha=alpha, seed=1)
    agf = AlternatingGradientFlow(problem)
    found = agf.compare(agf.flow(points=8000), time=0.005, size=1e-4)
    assert found.verdict.ok, str(found.verdict)
    assert found.same_order is True
    assert found.mean_difference < 0.001
    assert agf.run().levels == pytest.approx(problem.levels, abs=1e-5)
    assert agf.run().learned == problem.names
    assert agf.run().features[-1] == pytest.approx(np.ones(4), abs=1e-3)
    assert agf.run().times[1] > problem.earliest


@pytest.mark.slow
def test_twenty_random_problems_learn_components_in_order():
    rng = np.random.default_rng(2)
    for seed in range(20):
        spectrum = np.cumprod(np.concatenate([[2.0], rng.uniform(0.4, 0.7, size=2)]))
        problem = linear_transformer(covariance(spectrum, seed), 16, heads=6, alpha=1e-4, seed=seed)
        agf = AlternatingGradientFlow(problem)
        found = agf.compare(agf.flow())
        assert found.same_order is True
        assert agf.run().order == (0, 1, 2)
        assert agf.run().levels == pytest.approx(problem.levels, abs=1e-5)
        assert max(abs(drop.time_error) for drop in found.drops) < 0.02


def test_inputs_of_low_rank_and_few_heads():
    flat = linear_transformer(covariance([1.0, 0.5, 0.0]), 8, alpha=1e-3)
    assert len(flat.levels) == 3
    single = AlternatingGradientFlow(linear_transformer(np.diag([2.0, 1.0]), 8, heads=1)).run()
    assert single.learned == ("principal component 1",)
    assert torch.isfinite(torch.from_numpy(single.times)).all()


def test_wrong_arguments_are_named():
    with pytest.raises(TheoryError, match=r"shape \(2, 3\)"):
        linear_transformer(np.ones((2, 3)), 4)
    with pytest.raises(TheoryError, match="covariance is none"):
        linear_transformer(np.diag([1.0, -1.0]), 4)
    with pytest.raises(TheoryError, match="covariance is zero"):
        linear_transformer(np.zeros((2, 2)), 4)
    with pytest.raises(TheoryError, match="context=0"):
        linear_transformer(np.eye(2), 0)
    with pytest.raises(TheoryError, match=r"heads=1.5"):
        linear_transformer(np.eye(2), 4, heads=1.5)  # type: ignore[arg-type]
