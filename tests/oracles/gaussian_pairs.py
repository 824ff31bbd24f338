"""E f(u) g(v) of two Gaussians by nested Gauss-Legendre rules, split where the functions have kinks: slow and plain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

REACH = 12.0


def expectation(
    f: Callable[[torch.Tensor], torch.Tensor],
    g: Callable[[torch.Tensor], torch.Tensor],
    k: float,
    q1: float,
    q2: float,
    *,
    kinks: Sequence[float] = (),
) -> float:
    """Return E f(u) g(v) with E u^2 = q1 > 0, E v^2 = q2 > 0 and E uv = k, |k| < sqrt(q1 q2)."""
    root1, root2 = math.sqrt(q1), math.sqrt(q2)
    rho = k / (root1 * root2)
    rest = math.sqrt((1 - rho) * (1 + rho))
    # Where the mean of v given u crosses a kink, the inner integral changes over a width of rest.
    outer = [t / root1 for t in kinks] + [t / (root2 * rho) for t in kinks if rho != 0]
    near = [e + s * rest * w for e in outer for s in (-1, 1) for w in (0.5, 2, 8)]
    z, weight = _rule(
        np.array([[-REACH, *sorted(np.clip(outer + near, -REACH, REACH)), REACH]]), 2 if kinks else 24
    )
    z, weight = z[0], weight[0]
    edges = np.stack([np.clip((t / root2 - rho * z) / rest, -REACH, REACH) for t in kinks] or [0 * z], axis=1)
    ends = np.full((len(z), 1), REACH)
    y, inner = _rule(np.concatenate([-ends, np.sort(edges, axis=1), ends], axis=1), 5)
    values = g(torch.from_numpy(root2 * (rho * z[:, None] + rest * y))).numpy()
    given = (values * np.exp(-(y**2) / 2) * inner).sum(1) / math.sqrt(2 * math.pi)
    first = f(torch.from_numpy(root1 * z)).numpy()
    return float((first * given * np.exp(-(z**2) / 2) * weight).sum() / math.sqrt(2 * math.pi))


def _rule(edges: np.ndarray, panels: int) -> tuple[np.ndarray, np.ndarray]:
    x, w = np.polynomial.legendre.leggauss(24)
    steps = ((x + 1) / 2 + np.arange(panels)[:, None]).ravel() / panels
    weights = np.tile(w, panels) / (2 * panels)
    widths = np.diff(edges, axis=1)[..., None]
    nodes = (edges[:, :-1, None] + widths * steps).reshape(len(edges), -1)
    return nodes, (widths * weights).reshape(len(edges), -1)
