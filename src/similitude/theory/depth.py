"""What an infinitely deep residual network does in each parametrization of its depth (paper 13, Section 7)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import PlanError

DEPTH_POINTS: dict[str, tuple[float, float]] = {
    "Depth-muP": (0.5, 0.5),
    "CompleteP": (1.0, 0.0),
    "branches alone": (0.5, 0.0),
    "standard": (0.0, 0.0),
}
"""Named points of the plane (residual exponent, exponent of the learning rate): the two rules that depth can be
scaled by, branches / sqrt(L) at a learning rate that stays, and everything as it is."""

_EXACT = 1e-9  # a sum of exponents this near to 1 is 1
_REACH, _POINTS = 12.0, 2**17  # of the quadrature, in standard deviations and in cells


@dataclass(frozen=True)
class DepthRegime:
    """What a parametrization of depth does as the number L of branches grows. Made by `classify`.

    Attributes:
        alpha: Residual exponent: every branch is multiplied by L^-alpha.
        lr_exponent: The learning rate of a branch's tensors under Adam is multiplied by L^-lr_exponent; the paper's
            gamma.
        stable_at_init: Whether activations stay finite at initialization: alpha >= 1/2.
        stable_in_training: Whether they, and the outputs, also do in training: alpha + lr_exponent >= 1.
        nontrivial: Whether the outputs change in training at all: alpha + lr_exponent <= 1.
        faithful: Whether, beside being stable and nontrivial, what every layer computes before its nonlinearity
            stays finite: alpha in [1/2, 1].
        redundant: Whether neighbouring layers learn the same, so that more of them are no richer: alpha above 1/2.
            None unless the parametrization is faithful.
        feature_diversity: kappa, with which activations of layers a share e of the depth apart differ by e^(1 - kappa):
            1/2 at alpha = 1/2, 0 where redundant. None unless the parametrization is faithful.
        linearised: Whether every layer's change is linear in its own update: alpha below 1. None unless the
            parametrization is faithful.

    Example:
        >>> regime = classify(0.5, 0.5)
        >>> regime.faithful, regime.redundant, regime.feature_diversity
        (True, False, 0.5)
    """

    alpha: float
    lr_exponent: float
    stable_at_init: bool
    stable_in_training: bool
    nontrivial: bool
    faithful: bool
    redundant: bool | None
    feature_diversity: float | None
    linearised: bool | None

    @property
    def label(self) -> str:
        """The regime in a few words."""
        if not self.stable_at_init:
            return "blows up at initialization"
        if not self.stable_in_training:
            return "blows up in training"
        if not self.nontrivial:
            return "learns nothing"
        if not self.faithful:
            return "preactivations blow up"
        return "redundant layers" if self.redundant else "diverse layers"

    def __str__(self) -> str:
        head = f"branches x L^-{self.alpha:g}, Adam's rate x L^-{self.lr_exponent:g}: {self.label}"
        if self.feature_diversity is None:
            return head
        how = "each layer linear in its update" if self.linearised else "layers not linear in their updates"
        return f"{head} (feature diversity exponent {self.feature_diversity:g}, {how})"


@cites(13, "Claims 7.1-7.6")
def classify(alpha: float, lr_exponent: float) -> DepthRegime:
    """Say what an infinitely deep residual network of one-layer blocks does: the map of paper 13.

    Args:
        alpha: Residual exponent; branches are multiplied by L^-alpha.
        lr_exponent: Adam's learning rate is multiplied by L^-lr_exponent inside branches (the paper's gamma). SGD's is
            by L^(alpha - lr_exponent), for its gradient already has the factor L^-alpha.

    Raises:
        PlanError: An exponent is not finite.

    Example:
        >>> classify(1.0, 0.0).label, classify(0.0, 0.0).label, classify(0.5, 0.0).label, classify(0.5, 1.0).label
        ('redundant layers', 'blows up at initialization', 'blows up in training', 'learns nothing')

    Source: paper 13 (arXiv 2310.02244), claims 7.1 to 7.6.
    """
    for name, value in (("alpha", alpha), ("lr_exponent", lr_exponent)):
        if not math.isfinite(value):
            raise PlanError(f"{name}={value} is no exponent. Pass a finite number, e.g. 0.5.")
    excess = alpha + lr_exponent - 1
    at_init = alpha >= 0.5 - _EXACT
    in_training = at_init and excess >= -_EXACT
    nontrivial = excess <= _EXACT
    faithful = in_training and nontrivial and alpha <= 1 + _EXACT
    redundant = alpha > 0.5 + _EXACT
    return DepthRegime(
        alpha=alpha,
        lr_exponent=lr_exponent,
        stable_at_init=at_init,
        stable_in_training=in_training,
        nontrivial=nontrivial,
        faithful=faithful,
        redundant=redundant if faithful else None,
        feature_diversity=(0.0 if redundant else 0.5) if faithful else None,
        linearised=alpha < 1 - _EXACT if faithful else None,
    )


@cites(13, "feature diversity and the choice of the nonlinearity")
def phi_correlation(phi: Callable[[Tensor], Tensor], *, std: float = 1.0) -> float:
    """Return the correlation of the gradients of neighbouring layers in a deep network of blocks x + phi(W x) / sqrt(L).

    Both layers get the same gradient from behind, times phi' at preactivations that are independent of one another. So
    the correlation is (E phi'(z))^2 / E phi'(z)^2: 1 where layers are redundant in what they learn, 0 where they are
    as diverse as they can be.

    Args:
        phi: Nonlinearity, applied entry by entry.
        std: Standard deviation of the preactivations z ~ N(0, std^2).

    Raises:
        PlanError: `std` is not positive, or phi is constant or not differentiable.

    Example:
        >>> [round(phi_correlation(phi), 2) for phi in (torch.relu, torch.tanh, torch.abs, lambda z: 3 * z)]
        [0.5, 0.79, 0.0, 1.0]
    """
    if not (math.isfinite(std) and std > 0):
        raise PlanError(
            f"std={std} is no standard deviation. Pass a positive number, e.g. 1.0 for a network with mean square 1."
        )
    # Midpoints of equal cells: kinks, which functions of deep learning have at 0 as a rule, fall between two.
    cells = torch.arange(_POINTS, dtype=torch.float64) - (_POINTS - 1) / 2
    z = cells * (2 * _REACH / _POINTS)
    weights = torch.softmax(-z.square() / 2, dim=0)
    at = (std * z).requires_grad_()
    with torch.enable_grad():
        value = phi(at).sum()
    if not value.requires_grad:
        raise PlanError("phi has no gradient. Pass a function of torch operations, such as torch.relu.")
    (slope,) = torch.autograd.grad(value, at)
    mean, square = float((weights * slope).sum()), float((weights * slope.square()).sum())
    if square == 0:
        raise PlanError("phi is constant: its gradients are zero and have no correlation. Pass another one.")
    return mean**2 / square
