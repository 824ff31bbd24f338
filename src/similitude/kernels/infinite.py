"""The kernel of an unmodified module in the limit of infinite width: NNGP and NTK Grams of any inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from similitude.core.errors import KernelError


@dataclass(frozen=True)
class Kernel:
    """The kernel of one module or family at infinite width; `similitude.kernel` makes it."""

    module: nn.Module

    def pair(self, x1: Any, x2: Any = None) -> dict[str, Tensor]:
        """Return one block of both kernels, {"nngp": (n1, n2), "ntk": (n1, n2)}, without tiles."""
        raise KernelError(f"no rule for {type(self.module).__name__} yet")


def kernel(
    module_or_make: nn.Module | Callable[..., nn.Module],
    *,
    sample: Any = None,
    widths: Sequence[int] | None = None,
    rule: str = "ntp",
    dtype: torch.dtype = torch.float64,
    weight_variance: float | None = None,
    bias_variance: float | None = None,
    seed: int = 0,
) -> Kernel:
    """Return the kernel of a module, or of a family of modules, in the limit of infinite width."""
    raise KernelError("no rule yet")
