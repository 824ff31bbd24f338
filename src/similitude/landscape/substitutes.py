"""Operations whose second derivative is wrong or missing in PyTorch, written out by others whose second derivative is
right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class Substitutes(TorchFunctionMode):
    """While entered, operations that cannot be differentiated twice are computed by ones that can.

    Weight normalization: the backward pass of torch's fused kernel takes the norms as constants when it is differentiated
    itself, so that second derivatives are wrong without an error. The hard sigmoid's backward pass has no derivative at
    all. Values and gradients are the same up to rounding.

    Example:
        >>> x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        >>> with Substitutes():
        ...     (slope,) = torch.autograd.grad(F.hardsigmoid(x) ** 2, x, create_graph=True)
        >>> bend = torch.autograd.grad(slope, x)[0]
        >>> round(float(bend), 9) == round(2 / 6**2, 9)
        True
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call an operation or what stands in for it."""
        return _WRITTEN_OUT.get(func, func)(*args, **(kwargs or {}))


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))


def _hard_sigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    result = F.relu6(input + 3) / 6
    return input.copy_(result) if inplace else result


_WRITTEN_OUT: dict[Callable[..., Any], Callable[..., Any]] = {
    torch._weight_norm: _weight_norm,  # pyright: ignore[reportPrivateImportUsage]
    F.hardsigmoid: _hard_sigmoid,
}
