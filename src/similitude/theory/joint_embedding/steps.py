"""When each dimension of a joint-embedding model switches on: the exact solution of gradient flow (paper 11)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number, whole
from similitude.theory.joint_embedding.modes import ViewModes, matrix, view_modes
from similitude.theory.joint_embedding.overlap import subspace_overlap

Array = np.ndarray
_RATE = (
    8.0  # of the logistic growth of an eigenvalue gamma s^2: two factors s, and 4 gamma in the gradient of s
)
_ROUNDING = (
    1e-13  # relative: what a start leaves to a mode beyond its rank, and what tells a start from the end
)
_NEAR = 0.05  # relative gap below which modes mix in any run from a start that is not vanishing


@dataclass(frozen=True, eq=False)
class EmbeddingSteps:
    """Growth of the embedding of a linear or kernel model, one mode after the other. Made by `embedding_steps`.

    Time is that of gradient flow of |C - 1|^2: learning rate times steps. C is the cross-correlation of the embeddings
    of the two views, without centring.

    Attributes:
        gammas: Correlation of the views along the modes that are learned, falling; 0 where there is none, shape (dim,).
        start: Singular value of the weights along each mode at time 0, shape (dim,).
        modes: All modes of the views.
        notes: What there is to know of this prediction.
    """

    gammas: Array
    start: Array
    modes: ViewModes
    notes: tuple[str, ...]

    @property
    def times(self) -> Array:
        """When the eigenvalue of each mode reaches 1/2; 0 where it has at the start, infinite where it never does."""
        log_odds = _log_odds(self.gammas, self.start)
        with np.errstate(divide="ignore"):
            times = -log_odds / (_RATE * np.where(self.gammas > 0, self.gammas, np.nan))
        return np.where(np.isnan(times), np.inf, np.maximum(times, 0))

    @property
    def levels(self) -> Array:
        """Loss of each plateau: dim, dim - 1, ... down to the number of modes that are never learned."""
        return len(self.gammas) - np.arange(self.learned + 1.0)

    @property
    def learned(self) -> int:
        """Number of dimensions that switch on."""
        return int(np.isfinite(self.times).sum())

    @property
    def norm(self) -> float:
        """Squared norm of the weights at the end, sum of 1 / gamma: the least of all that have loss 0."""
        return float((1 / self.gammas[np.isfinite(self.times)]).sum())

    @property
    def largest_lr(self) -> float:
        """Learning rate beyond which gradient descent does not stay at the solution; infinite if nothing is learned."""
        return 2 / (_RATE * float(self.gammas[0])) if self.gammas[0] > 0 else math.inf

    def eigenvalues(self, times: ArrayLike) -> Array:
        """Return the eigenvalues of C along the modes, shape (T, dim).

        Args:
            times: Of gradient flow, shape (T,).
        """
        t = np.atleast_1d(np.asarray(times, dtype=float))[:, None]
        grown = expit(_log_odds(self.gammas, self.start) + _RATE * self.gammas * t)
        first = np.abs(self.gammas) * self.start**2
        with np.errstate(divide="ignore"):  # modes with views that disagree decay to 0 from below
            exponent = np.log1p(1 / np.where(first > 0, first, np.nan)) + _RATE * np.abs(self.gammas) * t
        decayed = np.nan_to_num(-1 / np.expm1(np.minimum(exponent, 700.0)))
        return np.where(self.gammas > 0, grown, decayed)

    def loss(self, times: ArrayLike) -> Array:
        """Return |C - 1|^2 at some times, shape (T,)."""
        return ((1 - self.eigenvalues(times)) ** 2).sum(1)

    def embed(self, given: ArrayLike | Tensor) -> Array:
        """Return the embedding at the end of training, up to a rotation, shape (points, learned).

        Args:
            given: Inputs, shape (points, m), or of a kernel K(points, S), shape (points, 2n).

        Raises:
            TheoryError: The shape does not fit.
        """
        on = np.flatnonzero(np.isfinite(self.times))
        return self.modes.at(given)[:, on] / np.sqrt(self.gammas[on])

    def overlap(self, embedding: ArrayLike | Tensor) -> float:
        """Return how much of a trained embedding lies in the modes of this prediction: 1 if all.

        Args:
            embedding: Of all views, first A, then B, shape (2n, any).
        """
        return subspace_overlap(embedding, self.modes.values[:, : self.learned])

    def __str__(self) -> str:
        shown = ", ".join(f"{t:.4g}" for t in self.times)
        notes = "".join(f". {note}" for note in self.notes)
        return f"{self.learned} of {len(self.gammas)} dimensions switch on, at times {shown}{notes}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; infinite times are None."""
        return {
            "gammas": self.gammas.tolist(),
            "start": self.start.tolist(),
            "times": [t if math.isfinite(t) else None for t in self.times.tolist()],
            "learned": self.learned,
            "largest_lr": self.largest_lr if math.isfinite(self.largest_lr) else None,
            "notes": list(self.notes),
        }


@cites(11, "Sections 3 and 4: closed-form dynamics of linear and kernel models")
def embedding_steps(
    data: ArrayLike | Tensor | tuple[Any, Any],
    dim: int,
    *,
    start: float | ArrayLike | Tensor = 1e-3,
    center: bool = False,
) -> EmbeddingSteps:
    """Predict when each embedding dimension of a joint-embedding self-supervised model switches on, and what it will be.

    A model f = W x that starts small and goes down |C - 1|^2 (Barlow Twins) learns the modes of the correlation between
    its two views one at a time, each when its eigenvalue gamma (s(0) exp(4 gamma t))^2 has grown to 1. So do kernels, and
    networks as wide as to be one.

    Args:
        data: A tuple (A, B) of the two views of the same samples, shape (n, m) each; or the kernel over all views, first
            those of A, then those of B, shape (2n, 2n).
        dim: Dimensions of the embedding.
        start: Where training starts: the size of the weights along every mode or along each, shape (dim,); or the initial
            weights, shape (dim, m), of a kernel the initial embedding of all views, shape (dim, 2n).
        center: Take the mean over all views from the inputs or the kernel's features.

    Returns:
        `EmbeddingSteps`.

    Raises:
        TheoryError: The data do not fit, or the start is not small: an eigenvalue is 1 or more already.

    Example:
        >>> views = np.diag([2.0, 1.0]), np.diag([2.0, 1.0])
        >>> steps = embedding_steps(views, 2, start=1e-2)
        >>> steps.gammas.tolist(), np.round(steps.times, 3).tolist()
        ([2.0, 0.5], [0.532, 2.476])
        >>> np.round(steps.loss(steps.times.mean()), 2).tolist()
        [0.96]

    Source: paper 11 (arXiv 2303.15438), Propositions 3.1 and 4.1; starts that are not aligned by a QR decomposition.
    """
    whole("dim", dim)
    modes = view_modes(data, center=center)
    top = modes.gammas[:dim]
    gammas = np.pad(top, (0, dim - len(top)))
    along = _along(start, modes, dim)
    first = gammas * along**2
    if first.max() >= 1 - _ROUNDING:
        j = int(first.argmax())
        raise TheoryError(
            f"start: along mode {j + 1} (gamma {gammas[j]:.3g}) the eigenvalue is {first[j]:.3g} at time 0, and growth "
            f"ends at 1. Start below {1 / math.sqrt(gammas[j]):.3g}, better at a hundredth of it."
        )
    return EmbeddingSteps(gammas, along, modes, _notes(modes.gammas, gammas, along))


def _along(start: float | ArrayLike | Tensor, modes: ViewModes, dim: int) -> Array:
    """Return the singular values along the modes, shape (dim,): each keeps what the modes before it leave."""
    if np.ndim(start) == 0:  # type: ignore[arg-type]
        start = start.item() if isinstance(start, Tensor | np.ndarray) else start
        return np.full(dim, number("start", start, above=True))  # type: ignore[arg-type]
    given = np.atleast_2d(
        np.asarray(start.detach().cpu() if isinstance(start, Tensor) else start, dtype=float)
    )
    given = matrix("start", given)
    if given.shape == (1, dim) and np.ndim(start) == 1:
        if not (given > 0).all():
            raise TheoryError(f"start={given[0].tolist()}: sizes along modes are above 0.")
        return given[0]
    if given.shape != (dim, len(modes.values) if modes.kind == "kernel" else len(modes.functions)):
        what = "(dim, 2n), the embedding of all views" if modes.kind == "kernel" else "(dim, m), the weights"
        raise TheoryError(
            f"start has shape {given.shape} with dim={dim}: pass a number, (dim,) sizes, or {what}."
        )
    M = given @ modes.functions[:, :dim]
    R = np.linalg.qr(M, mode="r")
    along = np.abs(np.diag(R))
    along = np.where(along > _ROUNDING * np.abs(R).max(), along, 0.0)
    return np.pad(along, (0, dim - len(along)))


def _log_odds(gammas: Array, start: Array) -> Array:
    """Return the logit of gamma s^2, -inf where it is not positive."""
    first = np.maximum(gammas, 0) * start**2
    with np.errstate(divide="ignore"):
        return np.log(first) - np.log1p(-first)


def _notes(every: Array, gammas: Array, along: Array) -> tuple[str, ...]:
    dim, positive = len(gammas), int((gammas > 0).sum())
    notes = []
    if positive < dim:
        notes.append(
            f"Only {positive} of {dim} modes have views that agree: the others are never learned, and the loss ends at "
            f"{dim - positive}"
        )
    if len(still := np.flatnonzero((gammas > 0) & (along == 0)) + 1):
        notes.append(
            f"The start has nothing along mode {', '.join(map(str, still))}, as its rank is too low: gradient flow never "
            "learns it"
        )
    following = every[: dim + 1]
    near = np.flatnonzero((following[1:] > 0) & (following[:-1] - following[1:] < _NEAR * following[:-1])) + 1
    if len(near):
        shown = ", ".join(f"{j} and {j + 1}" for j in near)
        notes.append(
            f"Modes {shown} are within {_NEAR:.0%} of each other and mix: trust their span, not each"
        )
    return tuple(notes)
