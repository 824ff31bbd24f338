"""The largest eigenvalues of an operator by Krylov subspaces, each with a bound on its error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import overload

import numpy as np
import torch
from torch import Tensor

from similitude.core.errors import CurvatureError
from similitude.core.seeding import torch_generator
from similitude.landscape.operators import Operator

BASIS_BYTES = 4 * 2**30
"""Memory of the basis, in bytes, beyond which it is compressed to its best vectors (a thick restart)."""

ROUNDINGS = 50
"""Residual that rounding may leave, in units of the dtype's epsilon times the operator's norm: 6e-6 of the norm in
float32."""

PROBES = 3
"""Products spent on a random direction, orthogonal to all that was seen, before eigenvalues are called the largest. A
Krylov space contains one vector only of every eigenspace, so that a second copy of an eigenvalue is never found without;
and what the start has no part of is found late."""

PROBED_DIM = 1_000
"""Dimension up to which a single eigenvalue is probed for too. A random direction of more dimensions has so small a part
along any one eigenvector that a few products tell nothing of it."""

START_NOISE = 0.05
"""Length of the random part that is mixed to a given start: one that is an eigenvector hides all others."""


@dataclass(frozen=True)
class Eigenvalues(Sequence[float]):
    """The largest eigenvalues of a symmetric operator, in descending order; a sequence of numbers.

    Attributes:
        values: Shape (k,), float64.
        vectors: Unit eigenvectors as rows, shape (k, dim).
        residuals: |A v - value v|, and what rounding may add: an eigenvalue lies within this of each value, whatever else
            is true. Shape (k,), float64.
        bounds: The residuals, or their squares over the gaps to other values as far as these were seen, where the search
            was given slack; gaps are never known for certain. Shape (k,), float64.
        products: Products with the operator that were used.
        converged: Whether every bound is within the tolerance.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    bounds: Tensor
    products: int
    converged: bool

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> list[float]: ...

    def __getitem__(self, index: int | slice) -> float | list[float]:
        return self.values[index].tolist()

    def __iter__(self) -> Iterator[float]:
        return iter(self.values.tolist())

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values.numpy(), dtype=dtype)  # pyright: ignore[reportArgumentType,reportCallIssue]

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.5g}" for value in self)
        state = "" if self.converged else ", not converged"
        return f"Eigenvalues([{shown}], products={self.products}{state})"


def lanczos(
    operator: Operator,
    k: int = 1,
    *,
    tol: float = 1e-3,
    start: Tensor | None = None,
    most: int | None = None,
    seed: int = 0,
    slack: float = 1.0,
) -> Eigenvalues:
    """Find the k largest (algebraic) eigenvalues of a symmetric operator.

    Lanczos's method with full reorthogonalization. It ends when the error bounds of all k values are within `tol` of them
    and no other value that is still moving is likely to pass the smallest. Then random directions are tried, for k above
    1 and in small dimensions, so that eigenvalues which repeat are all found.

    That the values are the *largest* rests on random directions, as with every method of products: an eigenvector that
    the start has next to no part of is met late, and the values are then the next ones. The closer the next eigenvalue,
    the more often: with one random start in a hundred or so where it is within a percent.

    Args:
        operator: The operator.
        k: How many, at most `operator.dim`.
        tol: Error to reach, relative to each value's size; below the dtype's rounding it is that.
        start: Vectors to begin with, of shape (dim,) or (vectors, dim), the most promising first: the eigenvectors of a
            similar operator save most of the work. A random one where None.
        most: Products at most; 20 k + 300 where None.
        seed: Seeds random directions.
        slack: How many times the tolerance a residual may be, where its square over the gap to the other values that were
            seen is within the tolerance. Above 1 it saves products, and may take a cluster that is narrower than the
            residual for one eigenvalue: the value is then one of the cluster's, not the largest of them.

    Returns:
        The eigenvalues in descending order with vectors and error bounds; `converged` says whether the tolerance was met.

    Raises:
        CurvatureError: k or tol is out of range, `start` has another shape, or a product is not finite.

    Example:
        >>> spectrum = torch.linspace(0, 1, 50, dtype=torch.float64)
        >>> found = lanczos(Operator(lambda v: spectrum * v, 50, torch.float64), 2, tol=1e-9)
        >>> [round(value, 9) for value in found]
        [1.0, 0.979591837]

    Cost:
        About 10 products for one value to 1e-3, 2 to 4 from a good start, 20 to 40 for ten. Memory of one vector per
        product, up to `BASIS_BYTES`.

    Source: Parlett, The Symmetric Eigenvalue Problem, chapters 11 (residual bounds) and 13 (Lanczos's method); Wu and
        Simon (2000) for thick restarts.
    """
    if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= k <= operator.dim:
        raise CurvatureError(
            f"k={k}: this operator has {operator.dim} rows, so it has 1 to {operator.dim} eigenvalues. Ask for a whole "
            f"number of at most {operator.dim}."
        )
    if not 0 < tol < 1:
        raise CurvatureError(
            f"tol={tol}: the relative error of an eigenvalue must lie between 0 and 1, e.g. 1e-3."
        )
    search = _Search(operator, k, tol, seed, slack=slack)
    search.begin(start)
    limit = max(1, min(most if most is not None else 20 * k + 300, 4 * operator.dim))
    return search.run(limit)


class _Search:
    """A subspace Q, the operator projected on it, and the frontier F: directions that products led to, not yet in Q.

    Always A Q = Q T + F C, with the columns of Q and F orthonormal. A product turns a frontier direction into a basis
    vector and usually leaves a new frontier direction behind.
    """

    def __init__(self, operator: Operator, k: int, tol: float, seed: int, *, slack: float) -> None:
        self.operator, self.k, self.tol, self.slack = operator, k, tol, slack
        self.generator = torch_generator(seed, "lanczos")
        row = operator.dim * torch.empty((), dtype=operator.dtype).element_size()
        self.most_rows = max(2 * k + 8, min(200 + 4 * k, BASIS_BYTES // row))
        self.basis = torch.empty((0, operator.dim), dtype=operator.dtype, device=operator.device)
        self.rows = 0
        self.projected = np.zeros((0, 0))
        self.frontier: list[Tensor] = []
        self.given: list[bool] = []  # which frontier directions the caller gave, rather than products
        self.couplings = np.zeros((0, 0))  # C, one row per frontier direction
        self.products = 0
        self.eps = float(torch.finfo(operator.dtype).eps)
        self.size = 0.0  # of the operator: the largest norm of a product so far

    def begin(self, start: Tensor | None) -> None:
        """Take the starting directions."""
        dim = self.operator.dim
        given = [] if start is None else list(start.reshape(-1, start.shape[-1]) if start.ndim else [])
        if start is not None and (start.ndim not in (1, 2) or start.shape[-1] != dim):
            raise CurvatureError(
                f"start has shape {tuple(start.shape)}: give one vector of shape ({dim},) or several, (vectors, {dim})."
            )
        for number, vector in enumerate(given):
            vector = vector.detach().to(dtype=self.operator.dtype, device=self.operator.device)
            if number == 0:
                vector = vector + START_NOISE * vector.norm() / dim**0.5 * self.random()
            self.offer(vector, given=True)
        if not self.frontier:
            self.offer_random()

    def run(self, limit: int) -> Eigenvalues:
        """Expand until the k largest values are known."""
        while self.products < limit:
            if not self.frontier and (self.rows == self.operator.dim or not self.offer_random()):
                break
            self.expand(self.next_direction())
            values, weights, residuals = self.ritz()
            if not self.settled(values, residuals):
                if self.rows >= self.most_rows:
                    self.compress(values, weights)
                continue
            beyond = self.k == 1 and self.operator.dim > PROBED_DIM
            if beyond or self.rows >= self.operator.dim or self.probed(limit):
                break
        values, weights, residuals = self.ritz()
        k = min(self.k, len(values))
        vectors = self.combine(weights[:, :k])
        return Eigenvalues(
            values=torch.tensor(values[:k].copy()),
            vectors=vectors / vectors.norm(dim=1, keepdim=True),
            residuals=torch.tensor(residuals[:k] + self.floor),
            bounds=torch.tensor(self.bounds(values, residuals)[:k] + self.floor),
            products=self.products,
            converged=self.settled(values, residuals),
        )

    def probed(self, limit: int) -> bool:
        """Look along random directions for what the subspace does not contain; whether there was nothing."""
        before = self.ritz()[0][: self.k]
        if not self.offer_random():
            return True
        for _ in range(min(PROBES, limit - self.products)):
            if self.frontier:
                self.expand(len(self.frontier) - 1)
        values, _, residuals = self.ritz()
        moved = np.abs(values[: self.k] - before) > self.tol * np.abs(before)
        return not moved.any() and self.settled(values, residuals)

    @property
    def floor(self) -> float:
        """What rounding does to a residual, about."""
        return ROUNDINGS * self.eps * self.size

    def bounds(self, values: np.ndarray, residuals: np.ndarray) -> np.ndarray:
        """Error bounds of the Ritz values: their residuals, or up to `slack` times less where gaps allow it."""
        return np.maximum(gap_errors(values, residuals), residuals / self.slack)

    def settled(self, values: np.ndarray, residuals: np.ndarray) -> bool:
        """Whether the k largest values are known to the tolerance, and nothing else is likely to pass them."""
        k = self.k
        if len(values) < k or self.untouched() is not None:
            return False
        allowed = np.maximum(self.tol * np.abs(values), self.floor)
        if (self.bounds(values, residuals)[:k] > allowed[:k]).any():
            return False
        reach = values[k:] + gap_errors(values, residuals)[k:]
        return not (reach > values[k - 1] + allowed[k - 1]).any()

    def ritz(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return Ritz values in descending order, their weights as columns, and their residual norms."""
        values, weights = np.linalg.eigh(self.projected)
        values, weights = values[::-1], weights[:, ::-1]
        rest = self.couplings @ weights
        return values, weights, np.sqrt((rest**2).sum(0))

    def next_direction(self) -> int:
        """Choose the frontier direction that the least known of the wanted values depends on most."""
        if len(self.frontier) == 1 or not self.rows:
            return 0
        if (fresh := self.untouched()) is not None:
            return fresh
        values, weights, residuals = self.ritz()
        wanted = min(self.k, len(values))
        rest = np.abs(self.couplings @ weights)
        excess = residuals[:wanted] - self.tol * np.abs(values[:wanted])
        if len(values) > wanted and excess.max() <= 0:
            return int(rest[:, wanted + int(np.argmax(values[wanted:] + residuals[wanted:]))].argmax())
        return int(rest[:, int(excess.argmax())].argmax())

    def untouched(self) -> int | None:
        """The first direction that was given to begin with and has not been multiplied yet."""
        return self.given.index(True) if True in self.given else None

    def expand(self, index: int) -> None:
        """Multiply a frontier direction and take it into the basis."""
        direction = self.frontier.pop(index)
        self.given.pop(index)
        coupling = self.couplings[index]
        self.couplings = np.delete(self.couplings, index, 0)
        self.append(direction, coupling)
        image = self.operator.product(direction)
        self.products += 1
        self.size = max(self.size, float(image.norm()))
        image, inside, beside = self.reduce(image)
        last = self.rows - 1
        self.projected[last, : self.rows] = inside
        self.projected[: self.rows, last] = inside
        self.couplings[:, last] = beside
        rest = float(image.norm())
        if rest > 10 * self.eps * self.size:
            self.couplings = np.vstack([self.couplings, np.zeros((1, self.rows))])
            self.couplings[-1, last] = rest
            self.frontier.append(image / rest)
            self.given.append(False)

    def reduce(self, vector: Tensor) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Take off a vector's parts in the basis and the frontier, twice, and return what is left and the parts."""
        inside, beside = np.zeros(self.rows), np.zeros(len(self.frontier))
        basis = self.basis[: self.rows]
        vector = vector.clone()
        for _ in range(2):
            part = basis @ vector
            vector -= basis.T @ part
            inside += part.double().cpu().numpy()
            for number, direction in enumerate(self.frontier):
                along = direction @ vector
                vector -= along * direction
                beside[number] += float(along)
        return vector, inside, beside

    def append(self, direction: Tensor, coupling: np.ndarray) -> None:
        """Make room for a basis vector and its row of the projected operator."""
        if self.rows == len(self.basis):
            more = max(8, min(len(self.basis), self.most_rows - self.rows + 1))
            room = torch.empty(
                (self.rows + more, self.operator.dim), dtype=self.basis.dtype, device=self.basis.device
            )
            room[: self.rows] = self.basis[: self.rows]
            self.basis = room
        self.basis[self.rows] = direction
        grown = np.zeros((self.rows + 1, self.rows + 1))
        grown[: self.rows, : self.rows] = self.projected
        grown[self.rows, : self.rows] = grown[: self.rows, self.rows] = coupling
        self.projected = grown
        self.couplings = np.hstack([self.couplings, np.zeros((len(self.couplings), 1))])
        self.rows += 1

    def offer(self, vector: Tensor, *, given: bool = False) -> bool:
        """Put a direction on the frontier, if anything of it is new."""
        norm = float(vector.norm())
        if not 0 < norm < float("inf"):
            return False
        fresh, _, _ = self.reduce(vector / norm)
        rest = float(fresh.norm())
        if rest < 1e3 * self.eps:
            return False
        fresh, _, _ = self.reduce(fresh / rest)
        self.frontier.append(fresh / fresh.norm())
        self.given.append(given)
        self.couplings = np.vstack([self.couplings, np.zeros((1, self.rows))])
        return True

    def offer_random(self) -> bool:
        """Put a random direction on the frontier; False where the basis is everything."""
        if self.rows + len(self.frontier) >= self.operator.dim:
            return False
        return self.offer(self.random())

    def random(self) -> Tensor:
        """Draw a vector of standard normal numbers."""
        vector = torch.randn(self.operator.dim, generator=self.generator, dtype=torch.float32)
        return vector.to(dtype=self.operator.dtype, device=self.operator.device)

    def compress(self, values: np.ndarray, weights: np.ndarray) -> None:
        """Keep the best half of the subspace (a thick restart)."""
        keep = max(self.k + 4, self.most_rows // 2)
        self.basis[:keep] = self.combine(weights[:, :keep])
        self.projected = np.diag(values[:keep])
        self.couplings = self.couplings @ weights[:, :keep]
        self.rows = keep

    def combine(self, weights: np.ndarray) -> Tensor:
        """Return combinations of basis vectors, one row per column of weights."""
        factors = torch.from_numpy(weights.T.copy()).to(self.basis)
        return factors @ self.basis[: self.rows]


def gap_errors(values: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Estimate the error of each Ritz value: its residual, or the residual's square over the gap around it if smaller.

    Args:
        values: Ritz values in descending order, shape (m,).
        residuals: Their residual norms, shape (m,).
    """
    apart = np.concatenate([[np.inf], -np.diff(values), [np.inf]])
    gaps = np.minimum(apart[:-1], apart[1:]) - residuals
    squared = np.divide(residuals**2, gaps, out=residuals.copy(), where=(gaps > 0) & np.isfinite(gaps))
    return np.minimum(residuals, squared)
