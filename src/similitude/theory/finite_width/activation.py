"""An activation as theory sees it: its values, its slopes, and whether it is linear on either side of zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from similitude.core.errors import TheoryError

Phi = Callable[[Tensor], Tensor]
"""A nonlinearity of torch operations, applied entry by entry: `torch.relu`, `torch.tanh`, a module."""

_TRIED = 2.0 ** np.arange(-20, 21, 4)  # sizes at which linearity is looked at
_EXACT = 1e-9


@dataclass(frozen=True)
class Activation:
    """An activation. Made by `read_activation`.

    Attributes:
        phi: The function of torch operations.
        slopes: phi(z) / z for z > 0 and for z < 0 where these are constants, as for ReLU (1, 0), leaky ReLU, |z| and the
            identity: then phi commutes with scaling, and Gaussian expectations are known exactly. None otherwise.
    """

    phi: Phi
    slopes: tuple[float, float] | None

    def values(self, z: np.ndarray) -> np.ndarray:
        """Return phi(z), of the shape of z."""
        return _called(self.phi, torch.from_numpy(z)).detach().numpy()

    def derivative(self, z: np.ndarray) -> np.ndarray:
        """Return phi'(z), of the shape of z; at kinks what autograd gives.

        Raises:
            TheoryError: phi has no gradient.
        """
        at = torch.from_numpy(z).clone().requires_grad_()
        with torch.enable_grad():
            total = _called(self.phi, at).sum()
        if not total.requires_grad:
            raise TheoryError("phi has no gradient. Pass a function of torch operations, such as torch.relu.")
        return torch.autograd.grad(total, at)[0].numpy()

    @property
    def at_zero(self) -> float:
        """phi(0)."""
        return float(self.values(np.zeros(1))[0])


def read_activation(phi: Phi) -> Activation:
    """Read an activation by its values.

    Args:
        phi: Nonlinearity of torch operations, applied entry by entry, on float64.

    Raises:
        TheoryError: It cannot be called with a float64 tensor, changes its shape, does not act entry by entry, gives
            values that are not finite, or is zero everywhere.

    Example:
        >>> read_activation(torch.relu).slopes, read_activation(torch.tanh).slopes
        ((1.0, 0.0), None)
    """
    if not callable(phi):
        raise TheoryError(
            f"phi is a {type(phi).__name__}. Pass a function of torch operations, such as torch.relu."
        )
    z = np.concatenate([_TRIED, -_TRIED])
    with torch.no_grad():
        values = _called(phi, torch.from_numpy(z)).numpy()
    if not np.isfinite(values).all():
        raise TheoryError(
            f"phi({z[~np.isfinite(values)][0]:g}) is not finite. Pass an activation that is finite everywhere."
        )
    with torch.no_grad():
        alone = _called(phi, torch.from_numpy(z[::-2].copy())).numpy()
    if not np.allclose(alone, values[::-2], rtol=1e-6, atol=0):
        raise TheoryError(
            "phi gives other values for the same numbers in another place or call. Pass one that acts entry by entry and "
            "draws nothing at random, e.g. dropout or softmax left out."
        )
    if not values.any():
        raise TheoryError("phi is zero everywhere. Pass an activation that is not, e.g. torch.relu.")
    ratios = values / z
    right, left = ratios[: len(_TRIED)], ratios[len(_TRIED) :]
    size = float(np.abs(ratios).max())
    straight = all(np.abs(side - side[0]).max() <= _EXACT * size for side in (right, left))
    return Activation(phi, (float(right[0]), float(left[0]) + 0.0) if straight else None)


def _called(phi: Phi, z: Tensor) -> Tensor:
    try:
        out = phi(z.clone())  # a module may write in place
    except Exception as error:
        raise TheoryError(
            f"phi failed on a float64 tensor with {type(error).__name__}: {error}. Pass a function of one tensor, "
            "applied entry by entry; a module with parameters as module.double()."
        ) from error
    if not isinstance(out, Tensor) or out.shape != z.shape:
        what = (
            f"a tensor of shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
        )
        raise TheoryError(
            f"phi gives {what} for one of shape {tuple(z.shape)}. Pass one that acts entry by entry."
        )
    return out.double()
