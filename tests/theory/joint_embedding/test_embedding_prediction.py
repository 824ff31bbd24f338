"""Closed-form steps against gradient descent written in NumPy, and against integration."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import similitude as sim
from similitude.core.errors import TheoryError
from similitude.theory.joint_embedding.modes import view_modes
from similitude.theory.joint_embedding.overlap import kernel_pca, subspace_overlap
from similitude.theory.joint_embedding.steps import embedding_steps


def pairs_of(gammas, n=400, seed=0):
    """Views whose cross-correlation has these eigenvalues exactly."""
    drawn = np.random.default_rng(seed)
    Q = np.linalg.qr(drawn.standard_normal((n, len(gammas))))[0] * math.sqrt(n)
    V = np.linalg.qr(drawn.standard_normal((len(gammas),) * 2))[0]
    A = Q * np.sqrt(np.abs(gammas)) @ V.T
    B = Q * (np.sign(gammas) * np.sqrt(np.abs(gammas))) @ V.T
    return A, B


def descend(W, A, B, lr, steps, every=10):
    """Gradient descent on |C - 1|^2 from the views themselves; times, eigenvalues and losses."""
    n, times, eigenvalues, losses = len(A), [], [], []
    for step in range(steps + 1):
        a, b = A @ W.T, B @ W.T
        C = (a.T @ b + b.T @ a) / (2 * n)
        if step % every == 0:
            times.append(step * lr)
            eigenvalues.append(np.linalg.eigvalsh(C)[::-1])
            losses.append(((C - np.eye(len(C))) ** 2).sum())
        D = 2 * (C - np.eye(len(C)))
        W = W - lr * (D @ (b.T @ A + a.T @ B)) / n
    return np.array(times), np.array(eigenvalues), np.array(losses), W


def half_times(times, eigenvalues):
    found = []
    for column in eigenvalues.T:
        k = int(np.argmax(column >= 0.5))
        found.append(np.interp(0.5, column[k - 1 : k + 1], times[k - 1 : k + 1]))
    return np.array(found)


@pytest.mark.parametrize("alpha", [1e-3, 1e-5])
def test_times_of_linear_models_from_random_starts(alpha):
    pairs = pairs_of([1.0, 0.6, 0.4, 0.25, 0.16, 0.08, 0.05, -0.1])
    W0 = alpha * np.random.default_rng(1).standard_normal((5, 8))
    steps = embedding_steps(pairs, 5, start=W0)
    end = 1.5 * steps.times[-1]
    times, eigenvalues, losses, W = descend(W0, *pairs, 1e-3, round(end / 1e-3))
    assert np.abs(half_times(times, eigenvalues) / steps.times - 1).max() < 0.01
    assert np.abs(losses - steps.loss(times)).mean() < 0.02
    assert np.abs(eigenvalues - -np.sort(-steps.eigenvalues(times), axis=1)).max() < 0.04
    middles = (steps.times[1:] + steps.times[:-1]) / 2
    at_middles = np.interp(middles, times, losses)
    np.testing.assert_allclose(at_middles, steps.levels[1:-1], atol=0.05 if alpha < 1e-4 else 0.2)
    np.testing.assert_allclose(at_middles, steps.loss(middles), atol=0.05)
    assert (W**2).sum() == pytest.approx(steps.norm, rel=0.02)
    assert steps.overlap(np.concatenate(pairs) @ W.T) > 0.98


def test_other_weights_without_loss_are_larger():
    pairs = pairs_of([1.0, 0.5, 0.25, 0.2, 0.1])
    steps = embedding_steps(pairs, 3)
    gamma = (pairs[0].T @ pairs[1] + pairs[1].T @ pairs[0]) / (2 * len(pairs[0]))
    drawn = np.random.default_rng(3)
    root = np.linalg.inv(np.linalg.cholesky(gamma)).T
    for _ in range(500):
        W = np.linalg.qr(drawn.standard_normal((5, 3)))[0].T @ root.T
        np.testing.assert_allclose(W @ gamma @ W.T, np.eye(3), atol=1e-10)
        assert (W**2).sum() >= steps.norm


def test_eigenvalues_by_integration():
    """Modes of either sign, against ds/dt = 4 gamma s (1 - gamma s^2)."""
    gammas = np.array([0.8, 0.3, -0.2])
    steps = embedding_steps(pairs_of(gammas), 3, start=[0.1, 0.5, 0.6])

    def grow(_, s):
        return 4 * gammas * s * (1 - gammas * s**2)

    path = solve_ivp(grow, (0, 6), [0.1, 0.5, 0.6], rtol=1e-10, atol=1e-13, t_eval=[0, 1, 3, 6])
    np.testing.assert_allclose(steps.eigenvalues(path.t), (gammas * path.y.T**2), atol=1e-8)
    assert steps.learned == 2
    assert steps.levels.tolist() == [3, 2, 1]
    assert steps.times[2] == np.inf
    assert "Only 2 of 3" in str(steps)


def test_smaller_starts_take_longer_by_the_logarithm():
    pairs = pairs_of([1.0, 0.5, 0.2])
    small, large = (embedding_steps(pairs, 3, start=a) for a in (1e-6, 1e-4))
    np.testing.assert_allclose(small.times - large.times, math.log(1e4) / (8 * small.gammas), rtol=1e-6)


def rbf(x, y, width=3.0):
    return np.exp(-((x[:, None] - y[None]) ** 2).sum(-1) / (2 * width**2))


def random_views(n=40, seed=0):
    drawn = np.random.default_rng(seed)
    x = drawn.standard_normal((n, 4)) * [3, 2, 1.4, 1]
    return x + 0.2 * drawn.standard_normal(x.shape), x + 0.2 * drawn.standard_normal(x.shape)


@pytest.mark.parametrize("center", [False, True])
def test_kernel_embeddings_solve_the_task(center):
    A, B = random_views()
    S = np.concatenate([A, B])
    steps = embedding_steps(rbf(S, S), 4, start=1e-4, center=center)
    f = steps.embed(rbf(S, S))
    a, b = f[:40], f[40:]
    np.testing.assert_allclose((a.T @ b + b.T @ a) / 80, np.eye(4), atol=1e-9)
    if center:
        np.testing.assert_allclose(f.mean(0), 0, atol=1e-9)
    assert steps.overlap(f) == pytest.approx(1)


def test_times_of_kernels_in_function_space():
    A, B = random_views()
    S = np.concatenate([A, B])
    K = rbf(S, S)
    drawn = np.random.default_rng(2)
    F = 1e-3 * drawn.standard_normal((4, 80)) @ np.linalg.cholesky(K + 1e-9 * np.eye(80)).T
    steps = embedding_steps(K, 4, start=F)
    lr = 0.01 / (8 * steps.gammas[0])
    times, eigenvalues = [], []
    for step in range(round(1.3 * steps.times[-1] / lr)):
        swapped = np.roll(F, 40, axis=1)
        C = F @ swapped.T / 80
        if step % 10 == 0:
            times.append(step * lr)
            eigenvalues.append(np.linalg.eigvalsh((C + C.T) / 2)[::-1])
        F = F - 4 * lr * (C - np.eye(4)) @ swapped @ K / 80
    assert np.abs(half_times(np.array(times), np.array(eigenvalues)) / steps.times - 1).max() < 0.02
    assert steps.overlap(F.T) > 0.99


@pytest.mark.parametrize("center", [False, True])
def test_a_linear_kernel_is_the_linear_model(center):
    A, B = random_views()
    A, B = A + 1, B + 1
    S = np.concatenate([A, B])
    W0 = 1e-3 * np.random.default_rng(5).standard_normal((3, 4))
    linear = embedding_steps((A, B), 3, start=W0, center=center)
    seen = S - S.mean(0) if center else S
    kernel = embedding_steps(S @ S.T, 3, start=W0 @ seen.T, center=center)
    np.testing.assert_allclose(kernel.gammas, linear.gammas, rtol=1e-8)
    np.testing.assert_allclose(kernel.times, linear.times, rtol=1e-6)
    new = np.random.default_rng(6).standard_normal((7, 4))
    np.testing.assert_allclose(np.abs(kernel.embed(new @ S.T)), np.abs(linear.embed(new)), atol=1e-7)


def test_identical_views_are_kernel_pca():
    A, _ = random_views()
    K = rbf(A, A)
    steps = embedding_steps(np.tile(K, (2, 2)), 3)
    assert subspace_overlap(steps.modes.values[:40, :3], kernel_pca(K, 3)) == pytest.approx(1)
    np.testing.assert_allclose(steps.gammas, np.linalg.eigvalsh(K)[::-1][:3] / 40)


def test_near_modes_are_said():
    notes = embedding_steps(pairs_of([1.0, 0.5, 0.49, 0.1]), 2).notes
    assert len(notes) == 1
    assert "Modes 2 and 3 are within 5 %" in notes[0].replace("5%", "5 %")
    assert not embedding_steps(pairs_of([1.0, 0.5, 0.49, 0.1]), 1).notes


def test_more_dimensions_than_features():
    steps = embedding_steps(pairs_of([1.0, 0.5]), 4, start=1e-2 * np.ones((4, 2)) + np.eye(4, 2) / 100)
    assert steps.learned == 2
    assert steps.to_dict()["times"][2:] == [None, None]
    assert steps.loss(1e6).tolist() == pytest.approx([2])
    assert steps.embed(np.eye(2)).shape == (2, 2)


def test_a_start_of_low_rank_never_learns_the_rest():
    """Weights of rank one stay of rank one under gradient descent."""
    pairs = pairs_of([1.0, 0.5, 0.2])
    W0 = np.outer([1.0, 1.0, 1.0], [1e-2, 1e-2, 1e-2])
    steps = embedding_steps(pairs, 3, start=W0)
    _, eigenvalues, losses, _ = descend(
        W0, *pairs, 1e-2, 1000
    )  # rounding would bring the second mode in at 2000
    assert steps.learned == 1
    assert "nothing along mode 2, 3" in str(steps)
    np.testing.assert_allclose(eigenvalues[-1], [1, 0, 0], atol=1e-6)
    assert losses[-1] == pytest.approx(steps.levels[-1], abs=1e-6)


def test_forms_of_data_and_starts():
    A, B = pairs_of([1.0, 0.5])
    expected = embedding_steps((A, B), 2, start=1e-3).times
    for start in (np.array(1e-3), np.float32(1e-3), [1e-3, 1e-3]):
        np.testing.assert_allclose(embedding_steps([A, B], 2, start=start).times, expected, rtol=1e-6)
    kernel = embedding_steps([[2.0, 1.0], [1.0, 2.0]], 1)  # a list of rows, not of views
    assert kernel.modes.kind == "kernel"
    apart = embedding_steps((A, -A), 2)
    assert apart.largest_lr == math.inf
    assert apart.to_dict()["largest_lr"] is None


def test_odd_numbers():
    drawn = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3000):
            n, m = int(drawn.integers(1, 6)), int(drawn.integers(1, 5))
            A, B = 10.0 ** drawn.uniform(-3, 3) * drawn.standard_normal((2, n, m))
            dim = int(drawn.integers(1, 7))
            gamma = max(float(view_modes((A, B)).gammas[0]), 1e-12)
            start = 10.0 ** drawn.uniform(-8, -0.01) / math.sqrt(gamma)
            steps = embedding_steps((A, B), dim, start=start)
            assert (steps.times >= 0).all()
            found = steps.eigenvalues(10.0 ** drawn.uniform(-3, 8, 4))
            assert np.isfinite(found).all()
            assert (found <= 1).all()
            assert steps.learned == int((steps.gammas > 0).sum())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: embedding_steps(pairs_of([1.0]), 0), "dim=0"),
        (lambda: embedding_steps(pairs_of([1.0, 0.5]), 2, start=1.0), "Start below 1"),
        (lambda: embedding_steps(pairs_of([1.0, 0.5]), 2, start=0.0), "start=0"),
        (lambda: embedding_steps(pairs_of([1.0, 0.5]), 2, start=[0.1, -0.1]), "above 0"),
        (lambda: embedding_steps(pairs_of([1.0, 0.5]), 2, start=np.ones((2, 3))), r"shape \(2, 3\) with dim=2"),
        (lambda: embedding_steps((np.ones((3, 2)), np.ones((4, 2))), 1), r"\(3, 2\) and \(4, 2\)"),
        (lambda: embedding_steps((np.ones((3, 2)),), 1), "tuple of 1"),
        (lambda: embedding_steps((np.ones((3, 2)), [[np.nan] * 2] * 3), 1), "B has entries that are not finite"),
        (lambda: embedding_steps(np.eye(3), 1), r"shape \(3, 3\)"),
        (lambda: embedding_steps(np.triu(np.ones((4, 4))), 1), "not symmetric"),
        (lambda: embedding_steps(-np.eye(4), 1), "eigenvalue -1"),
        (lambda: embedding_steps(np.ones((4, 4)), 1, center=True), "kernel is zero"),
        (lambda: embedding_steps(np.eye(4), 1).embed(np.eye(3)), "3 columns and the modes have 4 views"),
        (lambda: embedding_steps("pairs", 1), "no array of real numbers"),
        (lambda: subspace_overlap(np.eye(3), np.eye(2)), "3 and 2 points"),
        (lambda: subspace_overlap(np.zeros((3, 1)), np.eye(3)), "first is zero"),
        (lambda: kernel_pca(np.ones((2, 3)), 1), r"shape \(2, 3\)"),
    ],
)  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises(TheoryError, match=message):
        call()


def test_the_public_name_is_the_function():
    assert sim.theory.embedding_steps is embedding_steps
