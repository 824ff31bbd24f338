"""Products and eigenvalues of every case against dense matrices, and what a measurement leaves behind: nothing."""

from __future__ import annotations

import pytest
import torch
from landscape_case import Case, cut
from landscape_nets import CASES
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from undisturbed_state import differences, state_of

from similitude.core.errors import CurvatureError
from similitude.landscape.curvature import Curvature
from tests.oracles.dense_hessian import gauss_newton, hessian, hessian_by_differences, jacobian


def random_vector(dim: int) -> Tensor:
    vector = torch.randn(dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return vector / vector.norm()


def error(found: Tensor, expected: Tensor, size: Tensor) -> float:
    """The norm of the difference, relative to that of the matrix which the numbers come from."""
    return float((found - expected).norm() / size.norm().clamp(min=1e-6))


def largest(matrix: Tensor, k: int) -> Tensor:
    return torch.linalg.eigvalsh((matrix + matrix.T) / 2).flip(0)[:k]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_is_its_dense_matrices(case: Case) -> None:
    model, batch = case.build()
    H = (hessian if case.twice else hessian_by_differences)(model, case.loss, batch)
    G = gauss_newton(model, case.forward, case.criterion, batch)
    J = jacobian(model, case.forward, batch)
    v, u, tol = random_vector(len(H)), random_vector(len(J)), case.tolerance / 10
    with Curvature(model, case.loss, batch) as curv:
        assert curv.dim == len(H)
        errors = {
            "H v": error(curv.hvp(v), H @ v, H),
            "G v": error(curv.gauss_newton_product(v), G @ v, G),
            "(H - G) v": error(curv.residual_product(v), (H - G) @ v, H),
            "K u": error(curv.ntk_product(u), J @ (J.T @ u), J @ J.T),
            "sharpness": error(
                torch.tensor([curv.sharpness(tol=tol).value], dtype=v.dtype), largest(H, 1), H
            ),
            "top 3 of H": error(curv.top(3, tol=tol).values, largest(H, 3), H),
            "top 3 of G": error(curv.top(3, of="gauss_newton", tol=tol).values, largest(G, 3), G),
            "top of K": error(curv.top(1, of="ntk", tol=tol).values, largest(J @ J.T, 1), J @ J.T),
        }
        by_name = curv.hvp(curv.space.unflatten(v))
        assert list(by_name) == [name for name, p in model.named_parameters() if p.requires_grad]
        assert torch.equal(torch.cat([part.flatten() for part in by_name.values()]), curv.hvp(v))
    if case.mean:
        with Curvature(model, case.loss, cut(batch, 1)) as curv:
            assert curv.examples == 4
            errors["H v of micro-batches"] = error(curv.hvp(v), H @ v, H)
    single, inputs = case.build(torch.float32)
    with Curvature(single, case.loss, inputs) as curv:  # other kernels than in float64, and other derivatives
        errors["H v in float32"] = error(curv.hvp(v.float()).double(), H @ v, H) * case.tolerance / 1e-4
    wrong = {name: f"{e:.1e}" for name, e in errors.items() if not e <= case.tolerance}
    assert not wrong, f"relative errors above {case.tolerance:.0e}: {wrong}"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_of_the_users_changes(case: Case) -> None:
    model, batch = case.build()
    for p in model.parameters():
        p.grad = torch.full_like(p, 0.5)
    before = state_of(model)
    with Curvature(model, case.loss, batch) as curv:
        curv.gauss_newton_product(random_vector(curv.dim))
        curv.sharpness()
        assert differences(before, state_of(model)) == []  # not even while it is open
    assert differences(before, state_of(model)) == []


COMMON = {
    *("addmm", "bmm", "convolution", "embedding", "bernoulli_", "max_pool2d_with_indices"),
    *(
        "avg_pool2d",
        "_adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "upsample_bilinear2d",
        "upsample_bicubic2d",
    ),
    *(
        "native_batch_norm",
        "native_layer_norm",
        "native_group_norm",
        "_weight_norm_interface",
    ),
    *("_softmax", "_log_softmax", "nll_loss_forward", "binary_cross_entropy_with_logits", "mse_loss"),
    *("huber_loss", "smooth_l1_loss", "binary_cross_entropy", "relu", "gelu", "silu", "elu", "mish", "tanh"),
    *("hardswish", "softplus", "leaky_relu", "_prelu_kernel", "log_sigmoid_forward", "glu", "cumsum", "sort"),
    *("topk", "gather", "scatter_add", "where", "logsumexp", "masked_fill", "_fft_r2c", "std"),
    *("_scaled_dot_product_flash_attention_for_cpu", "im2col", "reflection_pad2d", "linalg_vector_norm"),
}
"""Operations of ATen that the networks must use together, by the names under which they are dispatched."""


class Recorded(TorchDispatchMode):
    """Names of the operations that are run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_the_cases_are_many_and_use_every_common_operation() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 100
    with Recorded() as recorded, torch.random.fork_rng(devices=[]):
        for case in CASES:
            model, batch = case.build()
            case.loss(model, batch)
    assert COMMON - recorded.names == set()


def bag(model: nn.Module, batch: Tensor) -> Tensor:
    return F.embedding_bag(torch.tensor([[0, 1], [1, 2]]), model.weight).square().sum()


def ctc(model: nn.Module, batch: Tensor) -> Tensor:
    logits = model(batch).log_softmax(-1)[:, None]
    return F.ctc_loss(logits, torch.tensor([[1, 2]]), torch.tensor([3]), torch.tensor([2]))


@pytest.mark.parametrize(
    ("loss", "operation"),
    [
        (bag, "_embedding_bag_backward"),
        (ctc, "_ctc_loss_backward"),
        (lambda model, x: torch.cdist(model(x), x).sum(), "_cdist_backward"),
        (lambda model, x: F.multi_margin_loss(model(x), torch.arange(3)), "multi_margin_loss_backward"),
    ],
)
def test_an_operation_without_second_derivative_is_named(loss, operation: str) -> None:
    model, batch = nn.Linear(3, 3).double(), torch.randn(3, 3, dtype=torch.float64)
    before = state_of(model)
    with pytest.raises(CurvatureError, match=operation), Curvature(model, loss, batch) as curv:
        curv.hvp(torch.ones(curv.dim, dtype=torch.float64))
    assert differences(before, state_of(model)) == []


def test_the_users_own_gradient_mode_stays() -> None:
    model, x = nn.Linear(2, 1).double(), torch.randn(3, 2, dtype=torch.float64)
    with torch.no_grad(), Curvature(model, lambda model, x: model(x).square().mean(), x) as curv:
        expected = (
            2
            * torch.cat([x, torch.ones(3, 1).double()], 1).T
            @ torch.cat([x, torch.ones(3, 1).double()], 1)
            / 3
        )
        assert torch.allclose(curv.hvp(torch.tensor([1.0, 0, 0]).double()), expected[:, 0])
        assert not torch.is_grad_enabled()
