"""The curvature of a loss at a point: products with the Hessian, its Gauss-Newton and residual parts and the NTK, and
what follows from them."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import CurvatureError
from similitude.landscape.batches import read_batches
from similitude.landscape.density import Density, spectral_density
from similitude.landscape.jacobian import Pick
from similitude.landscape.lanczos import Eigenvalues, lanczos
from similitude.landscape.operators import Operator
from similitude.landscape.products import STALE, Products
from similitude.landscape.sharpness import Sharpness, Split
from similitude.landscape.trace import Trace, trace
from similitude.landscape.units import units_of
from similitude.landscape.vectors import ParameterSpace, ParameterVector
from similitude.scaling.matching import unwrapped
from similitude.training.loop import Loss

Kind = Literal["hessian", "gauss_newton", "residual", "ntk"]

SLACK = 10.0
"""How many times the tolerance the residual of a sharpness may be; the error is then within the tolerance unless other
eigenvalues lie within ten times the tolerance of the largest. It saves a quarter of the products (experiments/LOG.md);
`Curvature.top` takes none."""

GRAPH_BYTES = 2 * 2**30
"""Memory, in bytes, that kept graphs of several batches may take; beyond it they are built anew for every product."""


@cites(2, "Section 2: sharpness, Hessian, Gauss-Newton part and NTK")
class Curvature:
    """The curvature of a loss at a model's present parameters.

    Products are backward passes through a kept graph of the gradient, at 1.4 to 3 gradients each. The model is used in
    the mode that it is in: in train mode batch normalization takes the batch's statistics and dropout one fixed mask.
    Nothing of the user's is changed: neither mode, buffers, gradients, generators nor global settings.

    A context manager: `with Curvature(...) as curv:` frees the graphs at the end, as `close()` does.

    Args:
        model: Any module. Compiled or replicated (DDP) models are unwrapped: the curvature is that of this process's
            batch. Parameters sharded over processes (FSDP) are refused.
        loss: `loss(model, batch) -> scalar`, the mean over the batch's examples.
        batch: One batch (a tensor, a tuple or a dict), or a list or other iterable of batches, over whose examples the
            mean is taken.
        outputs: Takes what the model returns, gives the tensor or tensors that the loss is a function of, for the
            Gauss-Newton part and the NTK; the tensor itself, `logits`, or all tensors that the loss uses where None.
        seed: Seeds what random layers draw.
        memory: Bytes that kept graphs of several batches may take.

    Raises:
        CurvatureError: No trainable parameters, an empty batch, a loss that is no finite scalar, or parameters that are
            not finite, complex or sharded.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> with Curvature(model, lambda model, x: model(x).square().sum() / 2, x) as curv:
        ...     curv.hvp(torch.tensor([1.0, 1.0], dtype=torch.float64))
        ...     round(curv.sharpness().value, 9)
        tensor([4., 1.], dtype=torch.float64)
        4.0
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        batch: Any,
        *,
        outputs: Pick | None = None,
        seed: int = 0,
        memory: int = GRAPH_BYTES,
    ) -> None:
        if not callable(loss):
            raise CurvatureError(
                f"loss is a {type(loss).__name__}. Pass a function loss(model, batch) that returns a scalar tensor."
            )
        self.model = unwrapped(model)
        self.loss = loss
        self._batches = read_batches(batch)
        self._pick, self._seed, self._memory = outputs, seed, memory
        self.refresh()

    def refresh(self) -> None:
        """Follow an update of the parameters: build the graphs anew.

        Raises:
            CurvatureError: The loss or the parameters are not finite any more.
        """
        self._at: Products | None = None  # the old graphs go before the new ones come
        self.space = ParameterSpace.of(self.model)
        self._at = Products(
            self.model, self.loss, self._batches, self.space, self._pick, seed=self._seed, memory=self._memory
        )

    def close(self) -> None:
        """Free the graphs; `refresh()` opens again."""
        self._at = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the trainable parameters, in the order of flat vectors."""
        return self.space.names

    @property
    def dim(self) -> int:
        """Number of trainable entries."""
        return self.space.dim

    @property
    def dtype(self) -> torch.dtype:
        """Of flat vectors."""
        return self.space.dtype

    @property
    def device(self) -> torch.device:
        """Of flat vectors."""
        return self.space.device

    @property
    def examples(self) -> int:
        """Examples in all batches."""
        return sum(count for _, count in self._batches)

    @property
    def unused(self) -> tuple[str, ...]:
        """Trainable parameters that the loss does not depend on."""
        return self._products(fresh=True).unused

    @property
    def loss_value(self) -> float:
        """The loss at this point."""
        return self._products(fresh=True).value

    def gradient(self) -> Tensor:
        """Return the gradient at this point, flat, shape (dim,)."""
        return self._products(fresh=True).gradient.clone()

    def hvp(self, vector: ParameterVector) -> Tensor | dict[str, Tensor]:
        """Multiply the Hessian by a vector.

        Args:
            vector: Flat, shape (dim,), or a dict by parameter name.

        Returns:
            H v, in the form in which the vector came.

        Raises:
            CurvatureError: The vector does not fit, the parameters have changed, or an operation cannot be differentiated
                twice (it is named).

        Source: Pearlmutter (1994), by two backward passes.
        """
        return self._in_form("hessian", vector)

    def gauss_newton_product(self, vector: ParameterVector) -> Tensor | dict[str, Tensor]:
        """Multiply the Gauss-Newton matrix J^T L'' J by a vector; J is the Jacobian of the model's outputs and L'' the
        loss's second derivative in them.

        Raises:
            CurvatureError: As for `hvp`; or the loss is no function of the model's outputs alone.
        """
        return self._in_form("gauss_newton", vector)

    def residual_product(self, vector: ParameterVector) -> Tensor | dict[str, Tensor]:
        """Multiply the Hessian less the Gauss-Newton matrix by a vector.

        Raises:
            CurvatureError: As for `gauss_newton_product`.
        """
        return self._in_form("residual", vector)

    def ntk_product(self, vector: Tensor) -> Tensor:
        """Multiply the empirical NTK J J^T by a vector over all outputs of all examples.

        Args:
            vector: Shape (outputs_dim,): the outputs' entries in the order in which the model gives them, batch by batch.

        Returns:
            J J^T u, of the same shape; a sum over parameters that is not divided by anything.

        Raises:
            CurvatureError: As for `gauss_newton_product`.
        """
        operator = self.operator("ntk")
        if not isinstance(vector, Tensor) or vector.shape != (operator.dim,):
            given = tuple(vector.shape) if isinstance(vector, Tensor) else type(vector).__name__
            raise CurvatureError(
                f"the vector is {given}: the model gives {operator.dim} outputs on this data. Pass a flat tensor of "
                f"shape ({operator.dim},)."
            )
        return operator.matvec(vector.detach().to(dtype=operator.dtype, device=operator.device))

    @property
    def outputs_dim(self) -> int:
        """Number of outputs of all examples together."""
        return self._products(fresh=True).outputs_dim

    def operator(self, of: Kind = "hessian") -> Operator:
        """Return one of the operators on flat vectors, for solvers of other libraries.

        Raises:
            CurvatureError: The kind is unknown, or the parameters have changed.
        """
        if of not in get_args(Kind):
            raise CurvatureError(f"of={of!r}: the operators are {', '.join(map(repr, get_args(Kind)))}.")
        products = self._products(fresh=True)
        product = getattr(products, of)
        dim = products.outputs_dim if of == "ntk" else self.dim

        def matvec(vector: Tensor) -> Tensor:
            if self._at is not products:
                raise CurvatureError(STALE)
            products.check_versions()
            with torch.inference_mode(False), torch.no_grad():
                return product(vector.clone() if vector.is_inference() else vector)

        return Operator(matvec, dim, self.dtype, self.device)

    def self_check(self, *, seed: int = 0) -> float:
        """Return how far the Hessian products are from symmetric: |u'Hv - v'Hu| / |Hu| |v| for random u, v.

        Rounding alone gives 1e-6 in float32 and 1e-15 in float64. `similitude doctor` compares with finite differences.
        """
        generator = torch.Generator().manual_seed(seed)
        u, v = (
            torch.randn(self.dim, generator=generator).to(dtype=self.dtype, device=self.device)
            for _ in range(2)
        )
        operator = self.operator("hessian")
        hu, hv = operator.matvec(u), operator.matvec(v)
        scale = max(float(hu.norm() * v.norm()), float(hv.norm() * u.norm()))
        return float((u @ hv - v @ hu).abs()) / scale if scale else 0.0

    def sharpness(
        self,
        tol: float = 1e-3,
        *,
        precondition: torch.optim.Optimizer | None = None,
        start: Tensor | None = None,
        most: int | None = None,
        seed: int = 0,
    ) -> Sharpness:
        """Find the largest eigenvalue of the Hessian.

        Args:
            tol: Relative error to reach. `top(1, tol=tol)` ends by the residual itself, without slack.
            precondition: The optimizer: the eigenvalue is then that of the Hessian in its own geometry, as its state
                stands (Adam's second moments, learning rates by group), and comes with learning rate and threshold.
            start: Vectors to begin with, shape (dim,) or (vectors, dim), such as the vector of an earlier measurement.
            most: Hessian products at most.
            seed: Seeds the random start.

        Raises:
            CurvatureError: As for `hvp`; or the optimizer has no scalar threshold or no state yet.

        Cost: 5 to 12 Hessian products from a random start, 2 to 4 from the vector of a moment before.

        Source: Cohen et al. (2021, 2022) for the thresholds; see `similitude.landscape.units`.
        """
        operator, units = self.operator("hessian"), None
        if precondition is not None:
            units = units_of(precondition, self.space)
            operator = operator.scaled(units.scale, units.shift)
        found = lanczos(operator, 1, tol=tol, start=start, most=most, seed=seed, slack=SLACK)
        return Sharpness(
            value=found[0],
            vector=found.vectors[0],
            bound=float(found.bounds[0]),
            residual=float(found.residuals[0]),
            products=found.products,
            converged=found.converged,
            eta=None if units is None else units.eta,
            threshold=None if units is None else units.threshold,
            formula="" if units is None else units.formula,
        )

    def top(
        self,
        k: int = 1,
        of: Kind = "hessian",
        *,
        tol: float = 1e-3,
        start: Tensor | None = None,
        most: int | None = None,
        seed: int = 0,
    ) -> Eigenvalues:
        """Find the k largest (algebraic) eigenvalues of one of the operators, in descending order.

        Args:
            k: How many.
            of: "hessian", "gauss_newton", "residual" or "ntk" (J J^T, not divided by the number of examples).
            tol: Relative error to reach.
            start: Vectors to begin with.
            most: Products at most.
            seed: Seeds random directions.

        Returns:
            A sequence of numbers, with vectors and error bounds.

        Raises:
            CurvatureError: k is above the dimension; or as for the operator's products.

        Cost: about 3 k + 8 products.
        """
        return lanczos(self.operator(of), k, tol=tol, start=start, most=most, seed=seed)

    def split(self, *, tol: float = 1e-3, seed: int = 0) -> Split:
        """Find the largest eigenvalues of the Hessian, of its Gauss-Newton part and of the rest.

        Raises:
            CurvatureError: As for `gauss_newton_product`.
        """
        kinds: tuple[Kind, ...] = ("hessian", "gauss_newton", "residual")
        found = [self.top(1, kind, tol=tol, seed=seed) for kind in kinds]
        return Split(*(f[0] for f in found), products=sum(f.products for f in found))

    def trace(
        self, of: Kind = "hessian", *, products: int = 30, tol: float | None = None, seed: int = 0
    ) -> Trace:
        """Estimate the trace of one of the operators; see `similitude.landscape.trace.trace`.

        Args:
            of: "hessian", "gauss_newton", "residual" or "ntk".
            products: Products to use; the trace is exact where the dimension is no larger.
            tol: Standard error to reach, relative to the trace, with more products.
            seed: Seeds random directions.

        Raises:
            CurvatureError: As for the operator's products.
        """
        return trace(self.operator(of), products=products, tol=tol, seed=seed)

    def density(self, of: Kind = "hessian", *, steps: int = 60, probes: int = 4, seed: int = 0) -> Density:
        """Estimate how the eigenvalues of one of the operators are distributed; see
        `similitude.landscape.density.spectral_density`.

        Args:
            of: "hessian", "gauss_newton", "residual" or "ntk".
            steps: Products per probe: nodes of the quadrature.
            probes: Random directions.
            seed: Seeds them.

        Raises:
            CurvatureError: As for the operator's products.
        """
        return spectral_density(self.operator(of), steps=steps, probes=probes, seed=seed)

    def directional_sharpness(self, direction: ParameterVector) -> float:
        """Return d'Hd / d'd: the curvature along one direction, such as the last update.

        It is no substitute for the sharpness, from which it can be far away, but it exists for every optimizer.

        Raises:
            CurvatureError: The direction is zero or does not fit.
        """
        flat = self.space.flatten(direction)
        square = float(flat @ flat)
        if not 0 < square < float("inf"):
            raise CurvatureError(
                f"the direction has squared length {square:g}: there is no curvature along it."
            )
        return float(flat @ self.operator("hessian").matvec(flat)) / square

    def _in_form(self, of: Kind, vector: ParameterVector) -> Tensor | dict[str, Tensor]:
        return self.space.like(self.operator(of).matvec(self.space.flatten(vector)), vector)

    def _products(self, *, fresh: bool = False) -> Products:
        """Return the graphs, if there are any; `fresh` looks whether they belong to the present parameters.

        Raises:
            CurvatureError: The curvature is closed, or stale.
        """
        if self._at is None:
            raise CurvatureError(
                "this Curvature is closed, its graphs are freed. Call refresh() to open it again."
            )
        if fresh:
            self._at.check_values()
        return self._at
