"""Batch norm in training mode: statistics of a finite batch stay random at infinite width, and couple its samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.batch_norm import batch_norm, batch_norm_pair
from similitude.kernels.covariance import Covariances
from similitude.kernels.duals.rectified import Rectified
from similitude.kernels.frames import ZERO, Frame, Pair
from similitude.kernels.functions import IDENTITY, Function
from similitude.kernels.labels import NEURON, POSITION, SAMPLE
from similitude.kernels.moves import reordered
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader
from similitude.kernels.run import Run
from similitude.kernels.values import Atom, Coefficient, Operator, Term, Wide, shared, single


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """The rule of phi(batch norm(x)).

    Attributes:
        function: phi.
        eps: Added to the variances.
    """

    function: Function
    eps: float

    @property
    def exact(self) -> bool:
        """Whether it is an integral over one radius, right to rounding."""
        return self.function == IDENTITY or isinstance(self.function.dual, Rectified)

    def mean(self, run: Run, atom: Operator) -> Tensor | None:
        """Return the mean: the norm's own is zero.

        Raises:
            KernelError: A function follows the norm.
        """
        del run, atom
        if self.function == IDENTITY:
            return None
        raise KernelError(
            f"the mean of {self.function.name} of a batch norm in training mode is needed, which has no rule. Call "
            ".eval() on the module, or put a layer after the activation."
        )

    def cov(self, covariances: Covariances, frame: Frame, a: Atom, b: Atom, full: bool) -> Pair:
        """Return covariance and tangent kernel with itself; with independent Gaussians they are zero."""
        if a is not b or not isinstance(a, Operator):
            if shared(a.support, b.support):
                raise KernelError(
                    "a value after a batch norm in training mode meets the one before it, which has no rule."
                )
            both = sorted(((a, frame.left), (b, frame.right)), key=lambda pair: isinstance(pair[0], Operator))
            if not a.gaussian and not b.gaussian and covariances.atom_mean(*both[0]) is not None:
                covariances.atom_mean(*both[1])
            return ZERO
        if frame.zipped:
            whole = covariances.cov(single(a), single(a), covariances.whole(frame.left), full=True)
            return Pair(None if whole.k is None else _own(whole.k, full))
        if not full:
            one = a.positions == 1  # its one position is all pairs of them
            pair = (
                self._batches(covariances, frame, a)
                if one
                else covariances.cov(single(a), single(a), frame, full=True)
            )
            return Pair(*(None if x is None else x.diagonal(0, -2, -1).clone() for x in pair))
        return self._batches(covariances, frame, a)

    def _batches(self, covariances: Covariances, frame: Frame, a: Operator) -> Pair:
        (source,) = a.sources
        n, m, p, device = frame.left.samples, frame.right.samples, a.positions, frame.left.device
        k, t = covariances.cov(source, source, frame, full=True)
        tangent = None if t is None else _matrix(t, n, m, p, device)
        if frame.left is frame.right:
            found = batch_norm(self.function.dual, _matrix(k, n, m, p, device), tangent=tangent, eps=self.eps)
        else:
            own = (
                covariances.cov(source, source, covariances.whole(r), full=True).k
                for r in (frame.left, frame.right)
            )
            left, right = (_matrix(x, r, r, p, device) for x, r in zip(own, (n, m), strict=True))
            found = batch_norm_pair(
                self.function.dual, left, right, _matrix(k, n, m, p, device), tangent=tangent, eps=self.eps
            )
        back = [
            None if x is None else x.to(frame.left.dtype).reshape(n, p, m, p).transpose(1, 2).contiguous()
            for x in (found.covariance, found.tangent)
        ]
        return Pair(back[0], back[1])


def _matrix(x: Tensor | None, n: int, m: int, p: int, device: torch.device) -> Tensor:
    """Return it in double precision, also for a kernel in single: the integral takes differences of what it sums."""
    if x is None:
        return torch.zeros(n * p, m * p, dtype=torch.float64, device=device)
    return x.double().expand(n, m, p, p).transpose(1, 2).reshape(n * p, m * p)


def _own(x: Tensor, full: bool) -> Tensor:
    same = x.diagonal(0, 0, 1).movedim(-1, 0)
    return same if full else same.diagonal(0, -2, -1)


def train_mode(reader: Reader, op: Op, value: Wide, eps: float) -> Wide:
    """Normalize channels by the mean and variance of the batch (and of all positions)."""
    channels = value.layout[1]
    if any(f.kind == SAMPLE for f in channels):
        reader.refuse(
            op,
            "it normalizes each channel of each sample over positions (an instance norm), whose scale stays random",
        )
    if not any(f.kind == NEURON for f in channels):
        reader.refuse(op, "it normalizes positions of a wide value over the batch, which has no rule")
    if any(f.kind == POSITION for f in channels):
        reader.refuse(op, "it normalizes channels of different laws over the batch, which has no rule")
    if not value.gaussian:
        reader.refuse(
            op,
            "it normalizes a value that is not Gaussian (a nonlinear one) by the batch, which has no rule",
            "Call .eval() on the module, or put a layer before the norm.",
        )
    reader.couples = True
    order = tuple(f for axis in value.layout[2:] for f in axis)
    value = reordered(value, order)
    atom = Operator(value.positions, value.support, BatchNorm(IDENTITY, eps), (value,))
    return Wide(value.layout, order, (Term(atom, Coefficient()),))


def followed(atom: Operator, function: Function) -> Operator:
    """Return phi of a batch norm."""
    assert isinstance(atom.rule, BatchNorm), "a batch norm"
    return replace(atom, rule=BatchNorm(function, atom.rule.eps))
