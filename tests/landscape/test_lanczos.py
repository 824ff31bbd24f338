"""Eigenvalues by products alone, against dense spectra: clusters, repeats, restarts, warm starts, bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.errors import CurvatureError
from similitude.landscape.lanczos import PROBED_DIM, lanczos
from similitude.landscape.operators import Operator

D = torch.float64


def planted(spectrum, *, seed: int = 0, dtype: torch.dtype = D) -> Operator:
    """A dense operator with a given spectrum in a random basis."""
    values = torch.as_tensor(np.asarray(spectrum, dtype=float), dtype=D)
    noise = torch.randn(len(values), len(values), generator=torch.Generator().manual_seed(seed), dtype=D)
    basis, _ = torch.linalg.qr(noise)
    matrix = (basis @ torch.diag(values) @ basis.T).to(dtype)
    return Operator(lambda v: matrix @ v, len(values), dtype)


def largest(spectrum, k: int) -> np.ndarray:
    return np.sort(np.asarray(spectrum, dtype=float))[::-1][:k]


BULK = np.random.default_rng(0).random(400)

SPECTRA = {
    "outliers": [*BULK, 9.0, 5.0, 4.0, 2.0, 1.5],
    "repeated five times": [*(3 * BULK), *[10.0] * 5],
    "repeated at several levels": [*[3.0] * 3, *[1.0] * 4, *[0.0] * 60],
    "tight cluster": [*(9 * BULK), *(10 - 1e-3 * np.arange(10))],
    "the cluster that residuals alone misreport": [*(800 * BULK), 969, 936, 898, 872, 864, 851, 840],
    "negative": list(-np.arange(1.0, 60.0)),
    "indefinite": list(np.linspace(-50, 3, 200)),
    "tiny": [1.0, 2.0, 3.0],
    "flat": [2.0] * 30,
    "zero": [0.0] * 30,
}


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("name", SPECTRA)
def test_values_match_the_dense_spectrum_within_bound_and_tolerance(name: str, k: int) -> None:
    spectrum = SPECTRA[name]
    found = lanczos(planted(spectrum), k, tol=1e-6)
    truth = largest(spectrum, k)
    errors = np.abs(np.array(found) - truth)
    assert found.converged
    assert (errors <= 1e-6 * np.abs(truth) + 1e-11).all()
    assert (errors <= found.bounds.numpy() + 1e-11).all()


@pytest.mark.parametrize(("name", "k"), [("repeated five times", 5), ("tight cluster", 10), ("outliers", 5)])
def test_a_whole_cluster_is_found(name: str, k: int) -> None:
    found = lanczos(planted(SPECTRA[name], seed=3), k, tol=1e-3)
    assert np.allclose(found, largest(SPECTRA[name], k), rtol=1e-3)


def test_inside_a_bulk_every_value_is_near_an_eigenvalue() -> None:
    """Which one it is cannot be told where eigenvalues are closer than the tolerance."""
    found = lanczos(planted(SPECTRA["outliers"], seed=3), 10, tol=1e-3)
    truth = np.array(SPECTRA["outliers"])
    assert max(np.abs(truth - value).min() for value in found) < 1e-3
    assert np.allclose(found, largest(truth, 10), rtol=4e-3)


def test_slack_saves_products_where_gaps_are_wide() -> None:
    operator = planted(SPECTRA["outliers"])
    certain, quick = lanczos(operator, 1), lanczos(operator, 1, slack=10.0)
    assert quick.products < certain.products
    assert abs(quick[0] - 9.0) <= float(quick.bounds[0]) <= 1e-3 * 9.0
    assert quick.bounds[0] <= quick.residuals[0] <= 1e-2 * 9.0
    assert torch.equal(certain.bounds, certain.residuals)


def test_vectors_are_orthonormal_eigenvectors() -> None:
    operator = planted(SPECTRA["outliers"], seed=1)
    found = lanczos(operator, 3, tol=1e-10)
    assert torch.allclose(found.vectors @ found.vectors.T, torch.eye(3, dtype=D), atol=1e-9)
    for value, vector, bound in zip(found, found.vectors, found.bounds, strict=True):
        assert (operator.matvec(vector) - value * vector).norm() <= float(bound)


def test_products_are_counted() -> None:
    inner, calls = planted(SPECTRA["outliers"]), []

    def counted(v: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return inner.matvec(v)

    found = lanczos(Operator(counted, inner.dim, D), 1)
    assert found.products == len(calls) <= 12


def test_a_thick_restart_gives_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    spectrum = np.linspace(0, 1, 300) ** 2
    whole = lanczos(planted(spectrum), 4, tol=1e-7)
    row = 300 * 8
    monkeypatch.setattr("similitude.landscape.lanczos.BASIS_BYTES", 24 * row)
    short = lanczos(planted(spectrum), 4, tol=1e-7)
    assert short.converged
    assert np.allclose(short, whole, rtol=1e-7)
    assert np.allclose(short, largest(spectrum, 4), rtol=1e-7)
    assert short.products > whole.products  # restarting costs products, not accuracy


def test_a_good_start_saves_products() -> None:
    operator = planted(SPECTRA["outliers"])
    cold = lanczos(operator, 1)
    warm = lanczos(operator, 1, start=cold.vectors[0])
    assert warm.products < cold.products
    assert warm[0] == pytest.approx(9.0, rel=1e-3)


def test_a_start_does_not_hide_what_has_come_on_top() -> None:
    """Two blocks that know nothing of each other: the start is an eigenvector, of the block that was sharper before."""
    diagonal = torch.cat([torch.linspace(0, 1.5, 40, dtype=D), torch.linspace(0, 4.9, 40, dtype=D)])
    start = torch.zeros(80, dtype=D)
    start[39] = 1.0
    found = lanczos(Operator(lambda v: diagonal * v, 80, D), 1, start=start, slack=10.0)
    assert found[0] == pytest.approx(4.9, rel=1e-3)


def test_dimensions_beyond_the_probed_ones() -> None:
    diagonal = torch.zeros(PROBED_DIM + 1)
    diagonal[:5] = torch.tensor([9.0, 5.0, 4.0, 2.0, 1.5])
    found = lanczos(Operator(lambda v: diagonal * v, len(diagonal)), 1, start=torch.ones(len(diagonal)))
    assert found[0] == pytest.approx(9.0, rel=1e-3)
    assert found.products <= 6


def test_every_start_vector_is_used() -> None:
    """The first is an eigenvector already; the second leads to the larger eigenvalue."""
    diagonal = torch.tensor([1.0, 2.0, *[0.0] * 20], dtype=D)
    first, second = torch.eye(22, dtype=D)[:2]
    found = lanczos(Operator(lambda v: diagonal * v, 22, D), 1, start=torch.stack([first, second]))
    assert found[0] == pytest.approx(2.0)


def test_single_precision_is_good_to_its_rounding() -> None:
    spectrum = SPECTRA["outliers"]
    found = lanczos(planted(spectrum, dtype=torch.float32), 3, tol=1e-5)
    assert np.allclose(found, largest(spectrum, 3), rtol=2e-6)
    assert found.converged


def test_a_tolerance_below_rounding_ends_at_rounding() -> None:
    found = lanczos(planted(SPECTRA["outliers"], dtype=torch.float32), 3, tol=1e-12)
    assert found.converged
    assert found.products < 60


def test_too_few_products_are_told() -> None:
    found = lanczos(planted(SPECTRA["tight cluster"]), 3, tol=1e-9, most=5)
    assert not found.converged
    assert found.products <= 5
    assert "not converged" in repr(found)


def test_a_sequence_of_numbers() -> None:
    found = lanczos(planted([1.0, 2.0, 3.0]), 3)
    assert len(found) == 3
    assert found[1:] == pytest.approx([2.0, 1.0])
    assert torch.tensor(found) == pytest.approx(torch.tensor([3.0, 2.0, 1.0]))
    assert np.asarray(found, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"k": 4}, "this operator has 3 rows"),
        ({"k": 0}, "this operator has 3 rows"),
        ({"tol": 0.0}, "between 0 and 1"),
        ({"start": torch.ones(4)}, r"shape \(4,\)"),
        ({"start": torch.ones(())}, r"shape \(\)"),
    ],
)
def test_bad_arguments(change: dict, text: str) -> None:
    with pytest.raises(CurvatureError, match=text):
        lanczos(planted([1.0, 2.0, 3.0]), **{"k": 1, **change})


def test_a_product_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(CurvatureError, match="a product with the operator is not finite"):
        lanczos(Operator(lambda v: v / 0, 5, D))
