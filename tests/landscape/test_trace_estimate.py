"""The trace against dense matrices, its error against its spread, and against random vectors alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from similitude.core.errors import CurvatureError
from similitude.landscape.operators import Operator
from similitude.landscape.trace import trace

DIM = 200


def matrix(spectrum: Tensor, seed: int = 0) -> Tensor:
    """Return a symmetric matrix with given eigenvalues in random directions."""
    g = torch.Generator().manual_seed(seed)
    n = len(spectrum)
    axes = torch.linalg.qr(torch.randn(n, n, generator=g, dtype=torch.float64)).Q
    return axes @ torch.diag(spectrum.double()) @ axes.T


def operator(dense: Tensor, calls: list[int] | None = None) -> Operator:
    def product(v: Tensor) -> Tensor:
        if calls is not None:
            calls.append(1)
        return dense @ v

    return Operator(product, len(dense), dense.dtype)


def hutchinson(dense: Tensor, products: int, seed: int) -> float:
    g = torch.Generator().manual_seed(seed)
    signs = (torch.randint(0, 2, (len(dense), products), generator=g) * 2 - 1).double()
    return float((signs * (dense @ signs)).sum() / products)


DECAYING = 1 / torch.arange(1, DIM + 1).double() ** 1.5
INDEFINITE = torch.linspace(-1, 2, DIM).double()


@pytest.mark.parametrize("spectrum", [DECAYING, INDEFINITE], ids=["decaying", "indefinite"])
def test_unbiased_with_an_error_that_is_its_spread(spectrum):
    dense = matrix(spectrum)
    found = [trace(operator(dense), products=30, seed=seed) for seed in range(60)]
    for wanted, pairs in (
        (float(spectrum.sum()), [(f.value, f.standard_error) for f in found]),
        (float((spectrum**2).sum()), [(f.frobenius_squared, f.frobenius_error) for f in found]),
    ):
        values = torch.tensor([value for value, _ in pairs])
        spread, mean = float(values.std()), float(values.mean())
        assert abs(mean - wanted) < 4 * spread / len(found) ** 0.5
        stated = math.sqrt(sum(error**2 for _, error in pairs) / len(pairs))
        assert stated == pytest.approx(spread, rel=0.4)  # chi-square of 60 values, and of 9 in each error


def test_far_less_error_than_random_vectors_where_few_eigenvalues_are_large():
    dense, wanted = matrix(DECAYING), float(DECAYING.sum())
    rms = lambda values: math.sqrt(sum((v - wanted) ** 2 for v in values) / len(values))  # noqa: E731
    ours = rms([trace(operator(dense), products=30, seed=s).value for s in range(40)])
    alone = rms([hutchinson(dense, 30, s) for s in range(40)])
    assert ours < alone / 4


def test_low_rank_is_exact():
    dense = matrix(torch.cat([torch.tensor([9.0, -4.0, 1.0]), torch.zeros(DIM - 3)]))
    found = trace(operator(dense), products=12)
    assert found.value == pytest.approx(6, abs=1e-10)
    assert found.standard_error < 1e-10
    assert found.frobenius_squared == pytest.approx(98, abs=1e-8)


@pytest.mark.parametrize("dim", [1, 2, 5, 30])
def test_as_many_products_as_rows_are_exact(dim):
    dense, calls = matrix(INDEFINITE[:dim]), []
    found = trace(operator(dense, calls), products=30)
    assert found.value == pytest.approx(float(torch.trace(dense)), abs=1e-12)
    assert found.frobenius_squared == pytest.approx(float((dense**2).sum()), abs=1e-12)
    assert (found.standard_error, found.products, found.converged) == (0, dim, True)
    assert len(calls) == dim


@pytest.mark.parametrize("products", [6, 7, 31, 199])
def test_products_are_counted(products):
    calls: list[int] = []
    found = trace(operator(matrix(INDEFINITE), calls), products=products)
    assert len(calls) == found.products == products


def test_products_are_added_until_the_tolerance_is_met():
    dense = matrix(INDEFINITE)
    found = trace(operator(dense), tol=0.03, most=190)
    assert found.converged
    assert found.standard_error <= 0.03 * found.value
    assert 30 < found.products < 190
    assert found.value == pytest.approx(float(INDEFINITE.sum()), rel=0.12)
    short = trace(operator(dense), tol=1e-4, most=40)
    assert (short.converged, short.products) == (False, 40)


def test_the_zero_operator():
    found = trace(Operator(torch.zeros_like, 100))
    assert (found.value, found.standard_error, found.frobenius_squared) == (0, 0, 0)


def test_single_precision():
    dense = matrix(DECAYING).float()
    assert trace(operator(dense)).value == pytest.approx(float(DECAYING.sum()), rel=0.05)


def test_seeds_decide_and_the_global_generator_is_left_alone():
    dense, before = matrix(INDEFINITE), torch.get_rng_state()
    first, again, other = (trace(operator(dense), seed=s).value for s in (3, 3, 4))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"products": 5}, "products=5: .* 6 at least"), ({"tol": 0.0}, "tol=0.0: a relative error is positive")],
)
def test_refusals(options, text):
    with pytest.raises(CurvatureError, match=text):
        trace(operator(matrix(INDEFINITE)), **options)


def test_products_that_are_not_finite():
    with pytest.raises(CurvatureError, match="not finite"):
        trace(Operator(lambda v: v * math.inf, 100))
