"""What a Hessian-vector product is compared with: differences of gradients, halved until they settle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Steps as powers of the dtype's eps: 1e-4 first in float64, where smooth losses settle; then ever shorter ones, that no
# longer cross a kink; a longer one last, for passes that round more than their dtype does.
_POWERS = (0.25, 0.33, 0.4, 0.45, 0.5, 0.55, 0.2)
_GOOD = 1e-8  # disagreement at which no other step is tried
_NOISY = 1e-6  # disagreement that rounding in float64 does not explain
_SETTLED = 1e-3  # disagreement beyond which differences say nothing
_FLAT = 1e-5  # products below this share of |gradient| |v| / |theta| are taken for zero, up to rounding


@dataclass(frozen=True)
class Difference:
    """A product of the Hessian with a direction by finite differences.

    Attributes:
        product: Shape (dim,), float64.
        uncertainty: How far its last two estimates are apart, relative to `size`.
        step: Length of the step, relative to that of the point.
        size: Norm that errors are relative to: the product's, or for a product of nearly zero a small share of
            |gradient| |v| / |theta|.
        rough: Whether longer steps gave something else, as where they cross kinks.
    """

    product: Tensor
    uncertainty: float
    step: float
    size: float
    rough: bool

    @property
    def settled(self) -> bool:
        """Whether differences of two lengths agree."""
        return self.uncertainty <= _SETTLED

    def error(self, product: Tensor) -> float:
        """Return the distance of another product, relative to `size`; inf where it is not finite."""
        return relative(product, self.product, self.size)


def settle(gradient: Callable[[float], Tensor], *, scale: float, dtype: torch.dtype) -> Difference:
    """Difference gradients centrally with steps h and h / 2, extrapolate, and take the step at which both agree best.

    Args:
        gradient: Gives the gradient at theta + t v for a number t, of shape (dim,), in float64.
        scale: The t for which t v is as long as theta.
        dtype: What the gradient is computed in.

    Returns:
        The product with its uncertainty, which may be large: see `Difference.settled`.

    Example:
        >>> theta, v = torch.tensor([1.0, 2.0]).double(), torch.tensor([1.0, 1.0]).double()
        >>> found = settle(lambda t: 3 * (theta + t * v) ** 2, scale=1.6, dtype=torch.float64)
        >>> found.settled, round(float(found.product[1]), 6)
        (True, 12.0)

    Cost: four gradients for a smooth loss, 28 at most.
    """
    floor = _FLAT * float(gradient(0.0).norm()) / scale
    tried: list[tuple[float, float, Tensor]] = []
    for power in _POWERS:
        step = torch.finfo(dtype).eps ** power
        wide, narrow = (_central(gradient, scale * step * share) for share in (1.0, 0.5))
        product = (4 * narrow - wide) / 3
        apart = relative(narrow, product, max(float(product.norm()), floor))
        tried.append((apart, step, product))
        if apart <= _GOOD:
            break
    rough = tried[0][0] > _SETTLED
    (apart, step, product), *others = sorted(tried, key=lambda t: t[0])
    size = max(float(product.norm()), floor)
    if apart > _NOISY and others:
        # Of several noisy estimates one agrees with itself by chance: ask how far the next best is.
        apart = max(apart, relative(others[0][2], product, size))
    return Difference(product, apart, step, size, rough)


def relative(one: Tensor, other: Tensor, size: float) -> float:
    """Return the distance of two vectors over a size; 0 for equal ones of no size, inf where it is not finite."""
    distance = float((one.double() - other.double()).norm())
    if distance == 0:
        return 0.0
    found = distance / size if size > 0 else float("inf")
    return found if found == found else float("inf")


def _central(gradient: Callable[[float], Tensor], t: float) -> Tensor:
    return (gradient(t) - gradient(-t)) / (2 * t)
