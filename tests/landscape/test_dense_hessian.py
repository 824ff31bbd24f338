"""The oracle of dense Hessians against differences of gradients, on every case: neither is trusted alone."""

from __future__ import annotations

import pytest
import torch
from landscape_case import Case
from landscape_nets import CASES

from tests.oracles.dense_hessian import hessian, product_by_differences


@pytest.mark.parametrize("case", [case for case in CASES if case.follows and case.twice], ids=str)
def test_double_backward_is_the_difference_of_gradients(case: Case) -> None:
    model, batch = case.build()
    exact = hessian(model, case.loss, batch)
    vector = torch.randn(len(exact), dtype=exact.dtype, generator=torch.Generator().manual_seed(1))
    vector /= vector.norm()
    differences = product_by_differences(model, case.loss, batch, vector)
    error = float((exact @ vector - differences).norm()) / (1e-3 + float(differences.norm()))
    assert error < 1e-10, f"relative error {error:.1e}"
