"""How the stream of a wide residual network grows with depth, with and without mean subtraction (paper 13)."""

from __future__ import annotations

import math

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Phi, read_activation
from similitude.theory.finite_width.given import number, whole
from similitude.theory.finite_width.quadrature import normal_nodes


@cites(13, "mean subtraction")
def stream_growth(
    phi: Phi,
    *,
    depth: int,
    alpha: float = 0.5,
    multiplier: float = 1.0,
    start: float = 1.0,
    centred: bool = True,
) -> np.ndarray:
    """Return the size of the stream of a wide random network of blocks x + a L^-alpha MS(phi(W x)), branch by branch.

    What a branch adds has the mean E phi(z) over the units, z ~ N(0, q) with q the stream's mean square. Means of all
    branches have one sign, so that they add up to sqrt(L) at alpha = 1/2, where everything else adds up to 1: deep
    networks of nonlinearities that are not odd blow up unless MS subtracts every branch's mean.

    With m the stream's own mean, a branch of multiplier c takes (q, m) to

        q + c^2 E phi(z)^2 + 2 c m E phi(z),  m + c E phi(z)    and with MS to    q + c^2 Var phi(z).

    Args:
        phi: Nonlinearity of torch operations, applied entry by entry.
        depth: Branches L.
        alpha: Residual exponent.
        multiplier: The constant a.
        start: Root mean square of the stream before the first branch; its mean is 0.
        centred: Whether a branch's mean over the units is subtracted.

    Returns:
        Root mean square of the stream before the first branch and behind every one, shape (depth + 1,); inf where it
        leaves the range of numbers.

    Raises:
        TheoryError: A number is out of range, or phi is no activation.

    Example:
        Centred branches of |z| have the variance (1 - 2 / pi) q, and those of the identity q itself.

        >>> import torch
        >>> bool(np.isclose(stream_growth(torch.abs, depth=4)[-1] ** 2, (1 + (1 - 2 / math.pi) / 4) ** 4))
        True
        >>> grown = [stream_growth(torch.relu, depth=256, centred=c)[-1] for c in (True, False)]
        >>> round(float(grown[0]), 1), bool(grown[1] > 100)
        (1.2, True)

    Source: paper 13 (arXiv 2310.02244), Section 5: mean subtraction; the recursion is derived here.
    """
    depth = whole("depth", depth)
    for name, value in (("alpha", alpha), ("multiplier", multiplier)):
        number(name, value, least=-math.inf)
    number("start", start, above=True)
    activation, c = read_activation(phi), _branch(multiplier, depth, alpha)
    nodes, weights = normal_nodes()
    # For phi of constant slopes on either side of zero the moments scale, and need no quadrature per branch.
    unit = activation.values(nodes) if activation.slopes is not None else None
    q, m = float(start) ** 2, 0.0
    sizes = [float(start)]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(depth):
            values = math.sqrt(q) * unit if unit is not None else activation.values(math.sqrt(q) * nodes)
            mean, square = float(weights @ values), float(weights @ values**2)
            if centred:
                q += c**2 * (square - mean**2)
            else:
                q, m = q + c**2 * square + 2 * c * m * mean, m + c * mean
            if not math.isfinite(q):
                break
            sizes.append(math.sqrt(q))
    return np.array(sizes + [math.inf] * (depth + 1 - len(sizes)))


def _branch(multiplier: float, depth: int, alpha: float) -> float:
    try:
        return multiplier * float(depth) ** -alpha
    except OverflowError as error:
        raise TheoryError(
            f"alpha={alpha:g} at depth={depth}: branches of L^-alpha are out of the range of numbers. Pass an alpha "
            "near 1/2."
        ) from error
