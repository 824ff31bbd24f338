"""Wrong arguments of kernels: every one is a `KernelError` that names the argument and its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import similitude as sim

X = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
XT, Y, CLASSES = X[:3] + 0.1, X[:, 0].clone(), (X[:, 0] > 0).long()
NAN = float("nan")


def make(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 2))


@pytest.fixture(scope="module")
def kernel() -> sim.Kernel:
    return sim.kernel(make, sample=X, widths=(8, 12))


def some_nan(x: torch.Tensor) -> torch.Tensor:
    found = x.clone()
    found[2, 1] = NAN
    return found


PREDICT: dict[str, tuple[dict[str, Any], str]] = {
    "time, text": ({"time": "a"}, "time='a' is a str"),
    "time, list": ({"time": [1.0, 2.0]}, r"time=\[1.0, 2.0\] is a list"),
    "time, tensor": ({"time": torch.zeros(2)}, r"time=a tensor of shape \(2,\)"),
    "time, negative": ({"time": -1}, "time=-1"),
    "time, nan": ({"time": NAN}, "time=nan"),
    "time, bool": ({"time": True}, "time=True is a bool"),
    "ridge, None": ({"ridge": None}, "ridge=None is a NoneType"),
    "ridge, text": ({"ridge": "x"}, "ridge='x' is a str.*'loo'"),
    "ridge, negative": ({"ridge": -0.5}, "ridge=-0.5"),
    "ridge of a posterior": ({"of": "posterior", "ridge": [1.0]}, "ridge=.* is a list"),
    "ridge of a flow": ({"y_train": CLASSES, "loss": "cross_entropy", "time": 1.0, "ridge": -1}, "ridge=-1"),
    "jitter, text": ({"jitter": "a"}, "jitter='a'"),
    "jitter, infinite": ({"jitter": float("inf")}, "jitter=inf"),
    "draws, part": ({"y_train": CLASSES, "loss": "cross_entropy", "time": 1.0, "draws": 2.5}, "draws=2.5 is a float"),
    "draws, one": ({"y_train": CLASSES, "loss": "cross_entropy", "time": 1.0, "draws": 1}, "draws=1.*at least 2"),
    "seed, text": ({"seed": "a"}, "seed='a'"),
    "of": ({"of": "x"}, "of='x'"),
    "loss": ({"loss": 3, "time": 1.0}, "loss=3"),
    "targets, list": ({"y_train": [1, 2]}, "targets are a list"),
    "targets, nan": ({"y_train": Y * NAN}, "target of training sample 0 is not finite"),
    "targets, too few": ({"y_train": Y[:3]}, r"\(3,\), and there are 6 training samples"),
    "targets, no column": ({"y_train": Y[:, None][:, :0]}, r"shape \(6, 0\)"),
    "targets, complex": ({"y_train": Y.to(torch.complex64)}, "complex64"),
    "targets, negative classes": ({"y_train": CLASSES - 1}, "from -1 to 0"),
    "training samples, nan": ({"x_train": some_nan(X)}, "x_train has 1 of 6 samples.*the first is sample 2"),
    "training samples, none": ({"x_train": X[:0], "y_train": Y[:0]}, "x_train has 0 samples"),
    "training samples, array": ({"x_train": X.numpy()}, "x_train is a ndarray"),
    "test samples, nan": ({"x_test": some_nan(XT)}, "x_test has 1 of 3"),
    "test samples, none": ({"x_test": XT[:0]}, "x_test has 0 samples"),
    "test samples, other shape": ({"x_test": XT[:, :2]}, r"shape \(2,"),
}  # fmt: skip

GRAMS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "array": (lambda k: k.nngp(X.numpy()), "x1 is a ndarray"),
    "none": (lambda k: k.ntk(X, X[:0]), "x2 has 0 samples"),
    "infinite": (lambda k: k.ntk(X, some_nan(X)), "x2 has 1 of 6 samples.*sample 2"),
    "sparse": (lambda k: k.nngp(X.to_sparse()), "sparse_coo"),
    "meta": (lambda k: k.nngp(torch.zeros(3, 5, device="meta")), "no values"),
    "complex": (lambda k: k.nngp(X.to(torch.complex128)), "complex128"),
    "no features": (lambda k: k.ntk(X[:, :0]), r"shape \(\d, 0\), which has no entries"),
    "scalar": (lambda k: k.ntk(torch.tensor(1.0)), r"shapes \(\)"),
    "side": (lambda k: k.nngp(X, side=1.5), "side=1.5 is a float"),
    "side, text": (lambda k: k.nngp(X, side="a"), "side='a'"),
    "device": (lambda k: k.nngp(X, device="nope"), "device='nope' cannot be used"),
    "engine": (lambda k: k.nngp(X, engine="a"), "engine='a' is a str"),
    "folder": (lambda k: k.nngp(X, folder=3), "folder=3 is a int"),
    "progress": (lambda k: k.nngp(X, progress=3), "progress=3 is a int"),
    "name": (lambda k: k.grams(X, names=("ntk", "nkt")), "no kernel 'nkt'.*'nngp', 'ntk'"),
    "no name": (lambda k: k.grams(X, names=()), r"names=\(\)"),
    "copies": (lambda k: k.verify(X, copies="a"), "copies='a'"),
    "seconds": (lambda k: k.verify(X, seconds=-1), "seconds=-1"),
    "widths": (lambda k: k.verify(X, widths=3), "widths=3"),
    "widths, parts": (lambda k: k.verify(X, widths=(8.5, 12)), r"widths=\(8.5, 12\)"),
}


@pytest.mark.parametrize("name", PREDICT)
def test_what_cannot_be_predicted_from_is_named_with_its_value(kernel, name):
    given, said = PREDICT[name]
    with pytest.raises(sim.KernelError, match=said):
        kernel.predict(**{"x_train": X, "y_train": Y, "x_test": XT, **given})


@pytest.mark.parametrize("name", GRAMS)
def test_what_has_no_gram_matrix_is_named_with_its_value(kernel, name):
    call, said = GRAMS[name]
    with pytest.raises(sim.KernelError, match=said):
        call(kernel)


def test_wrong_values_are_refused_before_a_tile_is_computed(kernel, monkeypatch):
    monkeypatch.setattr(type(kernel), "pair", lambda *args, **kwargs: pytest.fail("a tile was computed"))
    with pytest.raises(sim.KernelError, match="time='a'"):
        kernel.predict(X, Y, XT, time="a")
    with pytest.raises(sim.KernelError, match="x_test"):
        kernel.predict(X, Y, some_nan(XT))


def test_numbers_of_other_libraries_are_numbers(kernel):
    import numpy as np

    mean, _ = kernel.predict(X, Y, XT, time=np.float32(2.0), ridge=np.float64(0.1), draws=np.int64(0))
    same, _ = kernel.predict(X, Y, XT, time=torch.tensor(2.0), ridge=0.1)
    torch.testing.assert_close(mean, same, rtol=0, atol=0)


def test_large_numbers_whose_sum_overflows_are_finite(kernel):
    x = torch.full((2, 5), 1e200, dtype=torch.float64)
    with pytest.raises(sim.KernelError, match="overflows"):  # of the kernel, not of the samples
        kernel.nngp(x)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widths": 3}, "widths=3: .* two different widths"),
        ({"widths": (True, 12)}, r"widths=\(True, 12\)"),
        ({"widths": (8, 8)}, r"widths=\(8, 8\)"),
        ({"seed": "a"}, "seed='a' is a str"),
        ({"seed": -1}, "seed=-1"),
        ({"weight_variance": True}, "weight_variance=True is a bool"),
        ({"weight_variance": "2"}, "weight_variance='2' is a str"),
        ({"bias_variance": NAN}, "bias_variance=nan"),
    ],
)
def test_wrong_arguments_of_a_kernel(options, said):
    with pytest.raises(sim.KernelError, match=said):
        sim.kernel(make, **{"widths": (8, 12), **options})
