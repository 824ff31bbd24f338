"""The first corrections to a wide random network: shift of the variance and fourth cumulant, layer by layer (paper 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Phi, read_activation
from similitude.theory.finite_width.given import hidden_widths, number
from similitude.theory.finite_width.moments import moments


@dataclass(frozen=True, eq=False)
class VarianceCumulants:
    """Statistics of preactivations over random weights, one entry per layer. Made by `variance_cumulants`.

    Given the layer before, a preactivation is Gaussian with variance S; S is random at finite width.

    Attributes:
        variance: K, the limit of S at infinite width, shape (hidden layers + 1,); the first entry is the first layer's.
        shift: E S - K to first order in 1/width, likewise.
        ratio: Var(S) / K^2 = kappa4 / K^2, likewise: what L/n decides.
        exact: Whether `shift` and `ratio` hold at every width, as they do for activations that are linear on either side
            of zero; otherwise they are first order in 1/width.
    """

    variance: np.ndarray
    shift: np.ndarray
    ratio: np.ndarray
    exact: bool

    @property
    def fourth(self) -> np.ndarray:
        """The fourth cumulant kappa4 = (E z^4 - 3 (E z^2)^2) / 3 of preactivations, shape (hidden layers + 1,)."""
        return self.ratio * self.variance**2

    @property
    def excess_kurtosis(self) -> np.ndarray:
        """E z^4 / (E z^2)^2 - 3 of preactivations, to the same order, shape (hidden layers + 1,)."""
        return 3 * self.ratio


@cites(8, "finite width: recursion of the fourth cumulant and of the variance")
def variance_cumulants(
    phi: Phi, widths: Sequence[int], *, C_W: float, C_b: float = 0.0, first: float = 1.0
) -> VarianceCumulants:
    """Return how far a random network of finite width is from its Gaussian limit, in every layer.

    With <.> over z ~ N(0, K): kappa4 <- C_W^2 (<phi^4> - <phi^2>^2) / n + chi_par^2 kappa4, and
    dK <- chi_par dK + C_W <phi^2>'' kappa4 / 2. Where phi is linear on either side of zero, the first term has E S^2 in
    place of K^2, which makes it exact at every width: Var(S) / K^2 = product of (1 + 5/n) - 1 for ReLU without biases.

    Args:
        phi: Activation, of torch operations.
        widths: Width n of every hidden layer, in order.
        C_W: Variance of a weight times its fan-in.
        C_b: Variance of a bias.
        first: K of the first layer's preactivations: C_W |x|^2 / features + C_b.

    Returns:
        Values of the preactivations of every hidden layer and, last, of the output.

    Raises:
        TheoryError: A number is out of range, or the variance overflows or becomes 0.

    Example:
        >>> import torch
        >>> relu = variance_cumulants(torch.relu, [10, 20], C_W=2.0)
        >>> bool(np.isclose(relu.ratio[-1], (1 + 5 / 10) * (1 + 5 / 20) - 1))
        True
        >>> deep = variance_cumulants(torch.tanh, [1000] * 100, C_W=1.0)
        >>> round(float(deep.ratio[-1]) / (2 / 3 * 100 / 1000), 1)  # L/n is the expansion parameter
        1.0

    Source: paper 8 (arXiv 2309.01592); Roberts, Yaida, Hanin, arXiv 2106.10165, chapter 4.
    """
    activation = read_activation(phi)
    n = hidden_widths(widths)
    C_W, C_b = number("C_W", C_W, above=True), number("C_b", C_b)
    variance, shift, ratio = [number("first", first, above=True)], [0.0], [0.0]
    exact = activation.slopes is not None
    for layer, width in enumerate(n.tolist()):
        K, at = variance[-1], moments(activation, variance[-1])
        after = C_W * at.square * K + C_b
        if not 0 < after < math.inf:
            raise TheoryError(
                f"the variance of layer {layer + 2} is {after:g}: it leaves the range of numbers by C_W={C_W:g}. Pass a "
                "C_W nearer to the critical one, which critical_line(phi) gives, or fewer layers."
            )
        kept = C_W * (K / after)
        keeps = (
            kept * kept
        )  # of a share of K^2 in the next layer's; infinite where it leaves the range of numbers
        second = 1 + ratio[-1] if exact else 1.0  # E S^2 / K^2
        shift.append(C_W * (at.slope * shift[-1] + at.curvature * ratio[-1] * K / 2))
        ratio.append(keeps * (at.spread * second / width + at.slope**2 * ratio[-1]))
        variance.append(after)
        if not math.isfinite(ratio[-1]):
            raise TheoryError(
                f"the fluctuations of layer {layer + 2} leave the range of numbers: {len(n)} layers are too many for "
                f"widths down to {int(n.min())}. Pass wider or fewer layers."
            )
    return VarianceCumulants(np.array(variance), np.array(shift), np.array(ratio), exact)
