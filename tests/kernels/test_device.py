"""Kernels on a device that refuses tensors of another one: modules of every kind, Gram matrices, predictions, errors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

import similitude as sim
from similitude.kernels import contraction
from similitude.kernels.conjugate_gradients import conjugate_gradients
from similitude.kernels.devices import usable
from similitude.kernels.gradient_descent import gradient_descent, largest_eigenvalue
from similitude.kernels.leave_one_out import leave_one_out
from similitude.kernels.monte_carlo import EstimatedKernel
from similitude.kernels.posterior import log_marginal_likelihood
from similitude.kernels.run import Run
from similitude.kernels.train_test import TrainTest
from tests.kernels.far_device import FAR, FarDevice, far, near
from tests.kernels.modules import CASES

KINDS = (
    "mlp, ReLU", "mlp, Tanh", "residual, LayerNorm", "SwiGLU", "convolutions, global average",
    "convolution, GroupNorm",
    "batch norm in training", "recurrent", "embeddings with positions", "causal attention, logits of 1/d",
)  # fmt: skip
OTHERS = tuple(
    name for name, case in CASES.items() if case.becomes in ("exact", "bounded") and name not in KINDS
)
DRAWN = tuple(name for name, case in CASES.items() if case.becomes == "estimated")
LONG = ("recurrent", "batch norm in training")
SINGLE = (
    "mlp, ReLU", "residual, LayerNorm", "convolutions, global average", "embeddings with positions",
    "causal attention, logits of 1/d",
)  # fmt: skip
DTYPES = (torch.float64, torch.float32)
RUNS = [
    pytest.param(
        name,
        dtype,
        id=f"{name}, {str(dtype).removeprefix('torch.')}",
        marks=() if name in (KINDS if dtype is torch.float64 else SINGLE) else pytest.mark.slow,
    )
    for name in (*KINDS, *OTHERS, *DRAWN)
    for dtype in DTYPES
]
X = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y, CLASSES = X[:14, :2].sin(), (X[:14, 0] > 0).long()


def away(x):
    return tree_map_only(Tensor, far, x)


def make(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(5, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
    )


@pytest.fixture(scope="module")
def kernel() -> sim.Kernel:
    return sim.kernel(make, sample=X[:2], widths=(8, 12))


@pytest.mark.parametrize(("name", "dtype"), RUNS)
def test_every_rule_computes_on_the_device_of_its_inputs(name, dtype):
    case = CASES[name]
    built = (
        sim.kernel(case.make, widths=(16, 24), dtype=dtype)
        if case.family
        else sim.kernel(case.make(32), dtype=dtype)
    )
    blocks = [(case.x, None), (case.x, case.x[:2])][: 1 if name in (*LONG, *DRAWN) else 2]
    wanted = [built.pair(*block) for block in blocks]
    with FarDevice() as device:
        found = [built.pair(away(x1), None if x2 is None else away(x2)) for x1, x2 in blocks]
    assert device.operations > 10
    rtol = 1e-12 if dtype is torch.float64 else 1e-5
    for here, there in zip(wanted, found, strict=True):
        for which, block in here.items():
            torch.testing.assert_close(near(there[which]), block, rtol=rtol, atol=rtol * float(block.max()))


def test_the_device_refuses_what_accelerators_refuse():
    with FarDevice():
        x = far(X)
        for wrong in (
            lambda: x + torch.ones(5),
            lambda: X @ x.T,
            lambda: torch.zeros(()).add_(x.sum()),
            lambda: x.index_select(0, torch.tensor([1])),
            lambda: X[far(torch.tensor([1]))],
            lambda: torch.randn(3, device=FAR, generator=torch.Generator()),
        ):
            with pytest.raises(RuntimeError, match="expected a"):
                wrong()
        with pytest.raises(TypeError, match="to numpy"):
            x.numpy()
        assert (x[torch.tensor([0, 1])] + torch.tensor(1.0)).device == FAR  # as of CUDA
        assert torch.equal(x.cpu(), X)


@pytest.mark.parametrize("plant", ["indices", "what is read"])
def test_a_tensor_left_on_the_cpu_is_found(monkeypatch, plant):
    name = "convolution, upsampled"
    if plant == "indices":
        monkeypatch.setattr(contraction, "along", lambda x, index, dim: x.index_select(dim, index))
        monkeypatch.setattr(
            "similitude.kernels.reads.along", lambda x, index, dim: x.index_select(dim, index)
        )
    else:
        monkeypatch.setattr(Run, "read", lambda run, part: part.read(run))
    built = sim.kernel(CASES[name].make(16))
    with FarDevice(), pytest.raises(Exception, match="expected all tensors to be on lazy:0"):
        built.pair(far(CASES[name].x), far(CASES[name].x))


def test_gram_matrices_are_computed_there_and_gathered_where_the_samples_are(kernel, tmp_path):
    wanted, cross = kernel.grams(X), kernel.ntk(X, X[:3])
    with FarDevice() as device:
        found = kernel.grams(far(X), side=6)
        assert kernel.ntk(far(X), X[:3]).device == kernel.by_layer(far(X[:2]))["0.weight"].device == FAR
        before = device.operations
        for here in (kernel.grams(X, side=6, device=FAR), kernel.grams(far(X), side=6, folder=tmp_path)):
            for name, matrix in here.items():
                assert matrix.device.type == "cpu"
                torch.testing.assert_close(matrix, wanted[name], rtol=1e-13, atol=1e-14)
        assert device.operations > before + 100
        near_cross = kernel.ntk(X, far(X[:3]))  # the device of the other samples does not count
        torch.testing.assert_close(near_cross, cross, rtol=1e-13, atol=0)
    for name, matrix in wanted.items():
        torch.testing.assert_close(near(found[name]), matrix, rtol=1e-13, atol=1e-14)


def test_a_named_device_counts_before_that_of_sample_module_and_inputs():
    net = make(8)
    with FarDevice() as device:
        there = sim.kernel(net, device=FAR)
        assert there.device == there.device_for(X) == FAR
        assert there.ntk(X[:3]).device.type == "cpu"
        assert device.operations > 10
        assert sim.kernel(net, sample=far(X[:2])).device_for(X) == FAR
        here = sim.kernel(net, sample=far(X[:2]), device="cpu")
        before = device.operations
        assert here.device_for(far(X)).type == "cpu"
        assert here.ntk(far(X[:3])).device == FAR  # it is brought back
        assert device.operations < before + 12
    assert sim.kernel(net, sample=X[:2]).device_for(X).type == "cpu"


PREDICTIONS = {
    "ensemble": {},
    "ensemble, some time": {"time": 2.0},
    "ridge by leave-one-out": {"ridge": "loo"},
    "posterior": {"of": "posterior", "ridge": 0.1},
    "one flow": {"loss": "cross_entropy", "time": 1.0},
    "a loss of the user's": {"loss": lambda f, y: (f - y).cosh().sum(), "time": 0.5},
    "drawn flows": {"loss": "cross_entropy", "time": 0.5, "draws": 2},
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_predictions_are_made_where_the_gram_matrices_are(kernel, name):
    options = PREDICTIONS[name]
    y = CLASSES if options.get("loss") == "cross_entropy" else Y
    wanted = kernel.predict(X[:14], y, X[14:], **options)
    with FarDevice():
        found = kernel.predict(far(X[:14]), y, far(X[14:]), **options)
        kernel.predict(far(X[:14]), far(y), X[14:], **options)  # wherever targets and test samples are
    torch.testing.assert_close(near(found.mean), wanted.mean, rtol=1e-6, atol=1e-8)
    if wanted.cov is not None:
        torch.testing.assert_close(near(found.cov), wanted.cov, rtol=1e-6, atol=1e-8)


def test_functions_of_gram_matrices_compute_where_they_are(kernel):
    gram, cross = kernel.ntk(X[:14]), kernel.ntk(X[14:], X[:14])
    batches = [[0, 3, 5], [1, 2]] * 3
    steps = gradient_descent(TrainTest(gram, cross), Y, lr=0.05, steps=6, batches=batches)
    with FarDevice():
        there = TrainTest(far(gram), far(cross))
        found = gradient_descent(there, Y, lr=0.05, steps=6, batches=batches, start=torch.zeros(14, 2))
        held_out = leave_one_out(far(gram), Y, ridge=0.1)
        assert log_marginal_likelihood(far(gram), Y, ridge=0.1) == pytest.approx(
            log_marginal_likelihood(gram, Y, ridge=0.1), rel=1e-12
        )
        assert largest_eigenvalue(far(gram)) == pytest.approx(largest_eigenvalue(gram), rel=1e-12)
        with pytest.raises(
            sim.KernelError, match="'test_train' block of the kernel is on cpu, the 'train' block on"
        ):
            TrainTest(far(gram), cross)
    assert steps.test is not None
    assert found.test is not None
    torch.testing.assert_close(near(found.test), steps.test)
    torch.testing.assert_close(near(held_out), leave_one_out(gram, Y, ridge=0.1))


def test_conjugate_gradients_run_there(kernel, monkeypatch):
    pytest.importorskip("linear_operator")
    gram, plain = kernel.ntk(X[:14]), torch.tensor
    # The solver makes numbers on the device of its operands by torch.tensor, which no dispatch mode sees.
    monkeypatch.setattr(torch, "tensor", lambda data, *, device=None, **more: plain(data, **more).to(device))
    wanted = conjugate_gradients(gram, Y, shift=0.1, rank=5)
    with FarDevice():
        found = conjugate_gradients(far(gram), far(Y), shift=0.1, rank=5)
    torch.testing.assert_close(near(found.solution), wanted.solution)


def test_explanations_and_comparisons_with_copies_take_inputs_of_the_device(kernel):
    with FarDevice():
        assert str(kernel.explain(far(X[:3]))) == str(kernel.explain(X[:3]))
        found = kernel.verify(far(X[:3]), copies=24, seconds=0.1)
    assert found.evidence


class Tied(nn.Module):
    """A matrix that is also used with its transpose: its kernel is estimated."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.middle = nn.Linear(5, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.middle(self.first(x).relu()).relu() @ self.middle.weight


@pytest.mark.slow
def test_estimated_kernels_have_their_copies_on_the_device():
    options = {"widths": (8, 12), "fallback": "monte carlo", "copies": 8, "copy_widths": (16, 32)}
    here = sim.kernel(Tied, sample=X[:3], **options)
    with FarDevice() as device:
        there = sim.kernel(Tied, sample=far(X[:3]), **options)
        assert isinstance(there, EstimatedKernel)
        assert there.wide.device == FAR
        found, moved = there.ntk(far(X[:4])), there.nngp(X[:4])
        with pytest.raises(sim.KernelError, match="the copies of this kernel are on lazy:0"):
            there.ntk(X[:4], device="cpu")
    assert device.operations > 100
    torch.testing.assert_close(near(found), here.ntk(X[:4]), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(moved, here.nngp(X[:4]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("device", ["meta", "nothing", 3.5, "cuda:99"])
def test_a_device_that_is_not_here_is_refused(device, kernel):
    for wrong in (
        lambda: usable(device),
        lambda: sim.kernel(make, widths=(8, 12), device=device),
        lambda: kernel.ntk(X, device=device),
    ):
        with pytest.raises(sim.KernelError, match=f"device={device!r} cannot be used: .*computes in float64"):
            wrong()
