"""Covariances along a user's residual stream against the covariance flow of branches of 1 / sqrt(L): paper 15."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from similitude.checking.stream import record_stream
from similitude.core.citation import cites
from similitude.landscape.calls import call, copied, output_tensors

FLUCTUATION = 4.7
"""n Var(q) / q^2 of a residual ReLU network behind its last branch, measured for paper 15; of tanh 2.5."""
_ERRORS = 3  # standard errors of a deviation that is none
_EARLY = 4  # branches whose strength is compared between depths


@dataclass(frozen=True, eq=False)
class Streams:
    """Covariances of the streams of several networks of one size.

    Attributes:
        q: <x_l(a), x_l(b)> / entries in front of the first branch and behind each, shape (networks, L + 1, N, N).
        p: The same of what every branch adds, shape (networks, L, N, N).
        width: Units or channels of the stream.
        others: Residual branches outside of this stream.
    """

    q: np.ndarray
    p: np.ndarray
    width: int
    others: int

    @property
    def branches(self) -> int:
        """Number L of branches."""
        return self.p.shape[1]

    def sizes(self) -> np.ndarray:
        """Return the trace of q along the depth over that in front, shape (networks, L + 1)."""
        traces = np.trace(self.q, axis1=2, axis2=3)
        return traces / traces[:, :1]

    def strengths(self) -> np.ndarray:
        """Return the share that one of the first branches adds to the stream's mean square, shape (networks,)."""
        before, added = np.trace(self.q, axis1=2, axis2=3), np.trace(self.p, axis1=2, axis2=3)
        return (added / before[:, :-1])[:, :_EARLY].mean(1)

    def surplus(self) -> np.ndarray:
        """Return the mean square behind the last branch over the sum of all that was added, less 1; per network."""
        total = np.trace(self.q[:, 0], axis1=1, axis2=2) + np.trace(self.p.sum(1), axis1=1, axis2=2)
        return np.trace(self.q[:, -1], axis1=1, axis2=2) / total - 1


def measure_streams(models: Sequence[Callable[[], nn.Module]], inputs: Any) -> Streams:
    """Run networks of one size, and take the covariances along their longest residual stream.

    Args:
        models: Build the networks.
        inputs: Examples as the model takes them.

    Raises:
        PlanError: The model has no stream of two branches.
    """
    q, p, width, others = [], [], 1, 0
    for make in models:
        given = copied(inputs)
        stream = record_stream(make(), lambda net, given=given: _sum(call(net, given)), inputs=given)
        values = [value.double().cpu() for value in stream.values]
        q.append(np.stack([_gram(value) for value in values]))
        p.append(np.stack([_gram(b - a) for a, b in itertools.pairwise(values)]))
        shape, others = values[0].shape, stream.others
        width = shape[1] if len(shape) == 4 else shape[-1]
    return Streams(np.stack(q), np.stack(p), width, others)


@dataclass(frozen=True)
class DepthProfile:
    """A residual stream at initialization against the covariance flow. Made by `depth_profile`.

    Attributes:
        branches: Number L of branches of the stream.
        width: Its units or channels n.
        times: Shares l/L of the depth.
        measured: Mean square of the stream over that in front of the first branch, mean over networks.
        errors: Standard errors of these.
        expected: The same by the flow: what another depth of the model gives at these shares, or, where there is none,
            what is in front plus what all branches add.
        correlation: Cosine of two examples along the depth, mean over networks and pairs; empty for one example.
        deviation: Largest |measured / expected - 1|.
        allowed: Largest deviation that chance and a finite depth explain.
        surplus: Mean square at the end over what is in front plus what branches add, less 1: 0 where branches do not
            correlate with the stream.
        surplus_allowed: Largest that chance explains.
        strength: Share that one branch adds to the mean square, mean over the first branches and networks.
        compared: Branches of the other depth; None where the model has no dial for it.
        exponent: gamma of branches that go as L^-gamma; None without another depth, or where branches are 0.
        interval: Its 95 % interval.
        others: Residual branches outside of this stream.
    """

    branches: int
    width: int
    times: tuple[float, ...]
    measured: tuple[float, ...]
    errors: tuple[float, ...]
    expected: tuple[float, ...]
    correlation: tuple[float, ...]
    deviation: float
    allowed: float
    surplus: float
    surplus_allowed: float
    strength: float
    compared: int | None
    exponent: float | None
    interval: tuple[float, float] | None
    others: int


@cites(15, "the flow of the covariance with depth, on any residual network")
def depth_profile(streams: Streams, other: Streams | None) -> DepthProfile:
    """Compare the covariances along a stream with the flow that branches of 1 / sqrt(L) have.

    In the flow, the covariance is a function of the share of the depth alone, the same at every depth up to 1/L and at
    every width up to 1/sqrt(n); branches add to it without correlating with the stream.

    Args:
        streams: Networks of the size that is looked at.
        other: Networks of another depth; None where there are none.
    """
    sizes, networks = streams.sizes(), len(streams.q)
    times = np.linspace(0, 1, streams.branches + 1)
    mean = sizes.mean(0)
    added = (
        np.cumsum(np.trace(streams.p, axis1=2, axis2=3), 1)
        / np.trace(streams.q[:, 0], axis1=1, axis2=2)[:, None]
    )
    independent = 1 + np.concatenate([[0.0], added.mean(0)])
    chance = FLUCTUATION / streams.width / networks
    expected, allowed, exponent, interval = independent, _ERRORS * math.sqrt(chance), None, None
    if other is not None:
        shares = np.linspace(0, 1, other.branches + 1)
        expected = np.exp(np.interp(times, shares, np.log(np.maximum(other.sizes().mean(0), 1e-300))))
        chance += FLUCTUATION / other.width / len(other.q)
        growth = abs(math.log(max(expected[-1], 1e-300)))
        allowed = _ERRORS * math.sqrt(chance) + growth**2 / 2 / min(other.branches, streams.branches)
        exponent, interval = _exponent(streams, other)
    surplus = streams.surplus()
    return DepthProfile(
        branches=streams.branches,
        width=streams.width,
        times=tuple(times.tolist()),
        measured=tuple(mean.tolist()),
        errors=tuple((sizes.std(0, ddof=1) / math.sqrt(networks)).tolist()),
        expected=tuple(expected.tolist()),
        correlation=_correlations(streams.q),
        deviation=float(np.abs(mean / expected - 1).max()),
        allowed=allowed,
        surplus=float(surplus.mean()),
        surplus_allowed=_ERRORS * math.sqrt(FLUCTUATION / streams.width / networks),
        strength=float(streams.strengths().mean()),
        compared=None if other is None else other.branches,
        exponent=exponent,
        interval=interval,
        others=streams.others,
    )


def _exponent(streams: Streams, other: Streams) -> tuple[float | None, tuple[float, float] | None]:
    """Fit gamma from how strong the first branches are at both depths."""
    pair = [s.strengths() for s in (streams, other)]
    ratio = math.log(streams.branches / other.branches)
    if ratio == 0 or any((strength <= 0).any() or not np.isfinite(strength).all() for strength in pair):
        return None, None
    one, two = (np.log(strength) for strength in pair)
    value = -(one.mean() - two.mean()) / (2 * ratio)
    error = math.sqrt(one.var(ddof=1) / len(one) + two.var(ddof=1) / len(two)) / (2 * abs(ratio))
    half = float(stats.t.ppf(0.975, min(len(one), len(two)) - 1)) * error
    return float(value), (float(value - half), float(value + half))


def _correlations(q: np.ndarray) -> tuple[float, ...]:
    N = q.shape[-1]
    if N < 2:
        return ()
    root = np.sqrt(np.maximum(np.diagonal(q, axis1=2, axis2=3), 1e-300))
    cosines = q / (root[..., :, None] * root[..., None, :])
    above = np.triu_indices(N, 1)
    return tuple(cosines[:, :, above[0], above[1]].mean((0, 2)).tolist())


def _gram(value: Tensor) -> np.ndarray:
    flat = value.flatten(1)
    return (flat @ flat.T / flat.shape[1]).numpy()


def _sum(result: Any) -> Tensor:
    return torch.stack([t.sum() for t in output_tensors(result) if t.is_floating_point()]).sum()
