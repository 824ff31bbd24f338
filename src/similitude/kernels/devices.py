"""Where kernels are computed: on a device that was named, else the accelerator of inputs or module, else the CPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.samples import tensors_of

CPU = torch.device("cpu")


def usable(device: Any) -> torch.device:
    """Return a device by its name.

    Args:
        device: Its name, or the device itself.

    Raises:
        KernelError: It is not here, or has no float64, in which kernels are integrated.

    Example:
        >>> usable("cpu")
        device(type='cpu')
    """
    try:
        torch.zeros(1, dtype=torch.float64, device=device).tolist()  # meta tensors have no values
        return torch.device(device)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise KernelError(
            f"device={device!r} cannot be used: {said}. Pass 'cpu', or a device that is here and computes in float64."
        ) from error


def home_of(samples: Any) -> torch.device:
    """Return where samples are: the device of their first tensor."""
    return next((tensor.device for tensor in tensors_of(samples)), CPU)


def accelerator_of(tensors: Iterable[Tensor]) -> torch.device:
    """Return the first device of some tensors that is no CPU, else the CPU."""
    return next((t.device for t in tensors if t.device.type not in ("cpu", "meta")), CPU)
