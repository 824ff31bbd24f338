"""Operations that are written out: the same values as torch's, and second derivatives that numerical ones confirm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradgradcheck
from torch.nn import functional as F

from similitude.landscape.substitutes import Substitutes


def drawn(*shape: int) -> Tensor:
    values = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return values.requires_grad_()


@pytest.mark.parametrize(("shape", "dim"), [((4, 3), 0), ((4, 3), 1), ((2, 3, 2, 2), 0), ((4, 3), -1)])
def test_weight_norm(shape: tuple[int, ...], dim: int) -> None:
    v = drawn(*shape)
    g = torch.norm_except_dim(v.detach(), 2, dim).mul(1.3).requires_grad_()
    expected = torch._weight_norm(v, g, dim)
    with Substitutes():
        assert torch.allclose(torch._weight_norm(v, g, dim), expected, rtol=1e-14)
        assert gradgradcheck(lambda v, g: torch._weight_norm(v, g, dim), (v, g))


def test_hard_sigmoid_in_place_too() -> None:
    x = drawn(5, 4)
    expected = F.hardsigmoid(4 * x)
    with Substitutes():
        changed = 4 * x
        assert nn.Hardsigmoid(inplace=True)(changed) is changed
        assert torch.allclose(changed, expected, rtol=1e-14)
        assert torch.allclose(F.hardsigmoid(4 * x), expected, rtol=1e-14)
        assert gradgradcheck(lambda x: F.hardsigmoid(x) ** 2, x)


def test_other_operations_and_what_follows_are_torchs_own() -> None:
    x = drawn(3)
    with Substitutes():
        assert torch.equal(torch.sin(x), x.sin())
    with pytest.raises(RuntimeError, match="hardsigmoid_backward"):
        gradgradcheck(F.hardsigmoid, x)
