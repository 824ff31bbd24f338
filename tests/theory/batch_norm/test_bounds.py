"""The bounds of the theorems against networks, and against each other near isometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from similitude.core.errors import TheoryError
from similitude.theory.batch_norm.bounds import gradient_bound, isometry_bound, least_constant
from similitude.theory.batch_norm.gaps import isometry_gap


def gaps(width, layers, seed):
    """Isometry gaps of Gaussian inputs behind Haar layers and row norms, written out by hand."""
    rng = np.random.default_rng(seed)
    x, found = rng.standard_normal((width, width)), []
    for _ in range(layers + 1):
        x = x / np.sqrt((x**2).mean(1, keepdims=True))
        found.append(isometry_gap(torch.from_numpy(x)))
        q, r = np.linalg.qr(rng.standard_normal((width, width)))
        x = (q * np.sign(np.diag(r))) @ x
    return found


@pytest.mark.parametrize("width", [4, 8, 24])
def test_measured_gaps_keep_to_the_bound(width):
    measured = np.array([gaps(width, 8, seed) for seed in range(40)])
    for layers in range(9):
        bound = np.mean([isometry_bound(gap, width, layers=layers) for gap in measured[:, 0]])
        assert measured[:, layers].mean() <= bound * (1 + 1e-9)


def test_near_isometry_the_bound_is_the_rate():
    assert isometry_bound(1e-12, 6, layers=5) == pytest.approx(1e-12 * (6 / 8) ** 5)
    assert isometry_bound(2.0, 6, layers=13) == pytest.approx(2 * 6 / 8)
    C = least_constant(6)
    assert isometry_bound(0.3, 6, layers=7) == pytest.approx(0.3 * math.exp(-7 / (C * 36 * (1 + 6 * 0.3))))
    assert isometry_bound(0.3, 6, layers=7, constant=2 * C) > isometry_bound(0.3, 6, layers=7)
    assert isometry_bound(0.3, 6, layers=0) == 0.3


def test_the_bound_of_gradients_has_no_depth():
    assert gradient_bound(2.0, 3, constant=0.5) == 0.5 * 243 * 9


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: isometry_bound(math.inf, 4, layers=1), "gap=inf"),
        (lambda: isometry_bound(1.0, 0, layers=1), "width=0"),
        (lambda: isometry_bound(1.0, 4, layers=-1), "layers=-1"),
        (lambda: isometry_bound(1.0, 4, layers=1, constant=0), "constant=0"),
        (lambda: gradient_bound(-1.0, 4), "gap=-1"),
        (lambda: least_constant(0), "width=0"),
    ],
)
def test_what_is_out_of_range_is_named(call, words):
    with pytest.raises(TheoryError, match=words):
        call()
