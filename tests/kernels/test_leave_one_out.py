"""Leave-one-out in closed form against refits without each sample, and the ridge that it chooses."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV

from similitude.core.errors import KernelError
from similitude.kernels.leave_one_out import choose_ridge, leave_one_out
from similitude.kernels.posterior import posterior
from similitude.kernels.train_test import TrainTest
from tests.kernels.gram_pairs import relu_pair, samples
from tests.kernels.kernel_cases import labels, targets

GRAM = relu_pair(samples(12))["ntk"]


def refits(gram, y, ridge):
    """Fit to all samples but one, predict that one."""
    rows = []
    for i in range(len(gram)):
        keep = [j for j in range(len(gram)) if j != i]
        block = TrainTest(gram[keep][:, keep], gram[i : i + 1, keep])
        rows.append(posterior(block, y[keep], ridge=ridge).mean)
    return torch.cat(rows)


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.1, 10.0])
def test_it_is_what_refits_without_the_sample_predict(ridge):
    expected = refits(GRAM, targets(), ridge)
    torch.testing.assert_close(leave_one_out(GRAM, targets(), ridge=ridge), expected, rtol=1e-7, atol=1e-9)


def noisy(n=40, noise=0.5, seed=0):
    """Targets drawn from the process itself, with noise of a known variance."""
    gram = relu_pair(samples(n, seed=seed))["nngp"]
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randn(n, 8, generator=generator, dtype=torch.float64)
    clean = torch.linalg.cholesky(gram + 1e-10 * torch.eye(n)) @ draws
    return gram, clean + noise * torch.randn(n, 8, generator=generator, dtype=torch.float64)


def test_the_chosen_ridge_is_the_best_of_a_fine_grid_of_refits():
    gram, y = noisy()
    found = choose_ridge(gram, y)
    assert found.edge == ""
    grid = [found.ridge * 1.1**k for k in range(-12, 13)]
    errors = [float((y - refits(gram, y, ridge)).square().mean()) for ridge in grid]
    assert found.error == pytest.approx(min(errors), rel=1e-4)
    assert abs(int(np.argmin(errors)) - 12) <= 1


def test_the_chosen_ridge_is_near_the_variance_of_the_noise():
    found = [choose_ridge(*noisy(60, seed=seed)).ridge for seed in range(5)]
    assert 0.5 < float(np.mean(np.log(found)) - np.log(0.25)) + 1 < 1.5


def test_given_ridges_are_compared_as_scikit_learn_does():
    x = samples(30, 4)
    y = x @ torch.tensor([1.0, -1.0, 0.5, 0.0], dtype=torch.float64) + 0.5 * samples(30, 1, seed=5)[:, 0]
    ridges = [0.01, 0.1, 1.0, 10.0, 100.0]
    model = RidgeCV(ridges, fit_intercept=False, store_cv_results=True).fit(x.numpy(), y.numpy())
    found = choose_ridge(x @ x.T, y, ridges=ridges)
    assert found.ridge == model.alpha_
    np.testing.assert_allclose(found.errors, model.cv_results_.mean(0), rtol=1e-6)


def test_the_end_of_the_range_is_told():
    assert choose_ridge(GRAM, targets(), ridges=[1e-3, 1e-2]).edge in ("smallest", "largest")
    smooth = GRAM @ torch.ones(12, 1, dtype=torch.float64)
    assert choose_ridge(GRAM, smooth, ridges=[1e-6, 1.0, 10.0]).edge == "smallest"


def test_a_singular_matrix_has_a_best_ridge_too():
    x = samples(12)
    x[3] = x[8]
    found = choose_ridge(relu_pair(x)["ntk"], labels())
    assert found.ridge > 0
    assert np.isfinite(found.error)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda: choose_ridge(torch.ones(1, 1), torch.ones(1)), "at least 2 training samples"),
        (lambda: choose_ridge(GRAM, targets(), ridges=[0.0, 1.0]), r"ridges=\[0\.0, 1\.0\]"),
        (lambda: choose_ridge(GRAM, targets(), ridges=[]), r"ridges=\[\]"),
        (lambda: leave_one_out(torch.ones(3, 3), torch.ones(3), ridge=0.0), "inverse of a singular matrix"),
        (lambda: leave_one_out(GRAM - 2 * torch.eye(12), targets(), ridge=1.0), "smallest eigenvalue is -|diagonal"),
    ],
)  # fmt: skip
def test_wrong_use_is_named(use, said):
    with pytest.raises(KernelError, match=said):
        use()
