"""Spectral helpers against singular values and closed forms."""

import math

import pytest
import torch

from similitude.checking.spectral import alignment, natural_norm, spectral_norm, stable_rank


def _matrix(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3, 5), (64, 16), (1, 9), (9, 1)])
def test_the_norm_is_the_largest_singular_value(shape):
    matrix = _matrix(*shape)
    top = float(torch.linalg.svdvals(matrix)[0])
    assert spectral_norm(matrix) == pytest.approx(top, rel=1e-9)
    assert natural_norm(matrix) == pytest.approx(top * math.sqrt(shape[1] / shape[0]), rel=1e-9)


def test_large_matrices_are_iterated_to_a_percent_or_two():
    matrix = _matrix(700, 800)
    assert spectral_norm(matrix) == pytest.approx(float(torch.linalg.svdvals(matrix)[0]), rel=0.02)
    assert spectral_norm(torch.zeros(700, 800)) == 0.0


def test_a_random_square_matrix_has_natural_norm_two():
    assert natural_norm(_matrix(400, 400) / 20) == pytest.approx(2.0, rel=0.03)


def test_stable_rank_is_frobenius_over_spectral():
    values = torch.linalg.svdvals(_matrix(12, 20)) ** 2
    assert stable_rank(_matrix(12, 20)) == pytest.approx(float(values.sum() / values[0]))
    assert math.isnan(stable_rank(torch.zeros(2, 2)))


def test_alignment_is_one_on_the_top_singular_vector_and_small_on_others():
    matrix = _matrix(30, 40)
    _, values, vectors = torch.linalg.svd(matrix, full_matrices=False)
    assert alignment(matrix, vectors[0]) == pytest.approx(1.0)
    assert alignment(matrix, vectors[-1]) == pytest.approx(float(values[-1] / values[0]))
    assert math.isnan(alignment(matrix, torch.zeros(40)))


def test_a_norm_that_is_known_is_not_computed_again():
    matrix, inputs = _matrix(6, 9), _matrix(4, 9)
    top = spectral_norm(matrix)
    assert natural_norm(matrix, top=top) == natural_norm(matrix)
    assert natural_norm(matrix, top=2 * top) == pytest.approx(2 * natural_norm(matrix))
    assert stable_rank(matrix, top=top) == stable_rank(matrix)
    assert alignment(matrix, inputs, top=top) == alignment(matrix, inputs)
    assert alignment(matrix, inputs, top=2 * top) == pytest.approx(alignment(matrix, inputs) / 2)


def test_what_is_not_finite_stays_not_finite():
    assert math.isnan(spectral_norm(torch.full((2, 2), math.inf)))
    assert spectral_norm(torch.zeros(0, 3)) == 0.0
