"""Conjugate gradients against dense solves: true residuals, preconditioning that pays, refusal where it fails."""

import numpy as np
import pytest
import torch

from similitude.core.errors import KernelError
from similitude.kernels.conjugate_gradients import conjugate_gradients
from similitude.kernels.ensemble import ensemble
from similitude.kernels.posterior import posterior
from tests.kernels.gram_pairs import relu_pair, samples
from tests.kernels.kernel_cases import blocks, targets

pytest.importorskip("linear_operator")


def planted(values, seed=0):
    """A matrix with given eigenvalues."""
    values = torch.as_tensor(values, dtype=torch.float64)
    basis, _ = torch.linalg.qr(samples(len(values), len(values), seed=seed))
    matrix = basis @ torch.diag(values) @ basis.T
    return (matrix + matrix.T) / 2


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("rank", [0, 5, 30])
def test_the_solution_is_that_of_a_dense_solve(rank, scale):
    gram = scale * relu_pair(samples(60))["ntk"]
    rhs = targets(60, 3)
    rhs[:, 2] = 0.0
    found = conjugate_gradients(gram, rhs, shift=1e-2 * scale, tolerance=1e-10, rank=rank)
    shifted = gram + 1e-2 * scale * torch.eye(60, dtype=torch.float64)
    torch.testing.assert_close(found.solution, torch.linalg.solve(shifted, rhs), rtol=1e-6, atol=1e-7 / scale)
    true = (shifted @ found.solution - rhs).norm(dim=0)[:2] / rhs.norm(dim=0)[:2]
    assert found.residual == pytest.approx(float(true.max()), rel=0.05)
    assert found.residual <= 1e-10
    assert found.rank == rank


def test_the_preconditioner_pays():
    gram = planted([*np.logspace(4, 0, 40), *np.linspace(1e-3, 2e-3, 160)])
    plain = conjugate_gradients(gram, targets(200), shift=1e-3, rank=0)
    ready = conjugate_gradients(gram, targets(200), shift=1e-3, rank=60)
    assert ready.iterations < plain.iterations / 3


def test_a_matrix_of_float32_on_disk_is_solved_to_its_own_precision(tmp_path):
    np.save(tmp_path / "gram.npy", relu_pair(samples(80))["ntk"].float().numpy())
    gram = torch.from_numpy(np.load(tmp_path / "gram.npy", mmap_mode="c"))
    found = conjugate_gradients(gram, targets(80), shift=1e-3, tolerance=1e-9)
    expected = torch.linalg.solve(gram.double() + 1e-3 * torch.eye(80, dtype=torch.float64), targets(80))
    torch.testing.assert_close(found.solution, expected, rtol=1e-5, atol=1e-5)


def test_a_system_that_does_not_get_there_says_how_far_it_is():
    gram = planted(np.logspace(0, -14, 100))
    with pytest.raises(
        KernelError, match=r"relative residual of .* after \d+ products, and 1e-12 was asked for"
    ):
        conjugate_gradients(gram, targets(100), tolerance=1e-12, rank=10, most=50)


def test_predictions_by_conjugate_gradients_are_those_of_cholesky():
    kernels = blocks(60, 7)
    nngp, ntk = kernels["nngp"], kernels["ntk"]
    options = {"ridge": 0.05, "method": "conjugate gradients", "tolerance": 1e-10}
    for found, expected in (
        (posterior(nngp, targets(60), **options), posterior(nngp, targets(60), ridge=0.05)),
        (ensemble(nngp, ntk, targets(60), **options), ensemble(nngp, ntk, targets(60), ridge=0.05)),
    ):
        torch.testing.assert_close(
            (found.mean, found.cov), (expected.mean, expected.cov), rtol=1e-7, atol=1e-7
        )
        assert found.residual <= 1e-10
        assert "steps of conjugate gradients behind a pivoted Cholesky factor of rank" in str(found)
