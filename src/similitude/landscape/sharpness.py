"""Sharpness: the largest eigenvalue of the Hessian, in the units of the optimizer that walks on it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Sharpness:
    """The largest eigenvalue of a Hessian, as it is or preconditioned by an optimizer.

    Attributes:
        value: The eigenvalue, of H or of D^(1/2) (H + wd) D^(1/2) with the optimizer's preconditioner D and its coupled
            weight decay; loss per squared parameter, times the units of D.
        vector: Its unit eigenvector, flat, shape (dim,). Preconditioned, the direction of the parameters is D^(1/2)
            times it.
        bound: Error bound, in the value's units: a tenth of the residual, or its square over the gap to the next
            eigenvalue as far as that was seen, whichever is larger.
        residual: |H v - value v|, and what rounding may add: an eigenvalue lies within this of the value for certain.
        products: Hessian products used.
        converged: Whether the tolerance was met.
        eta: Largest learning rate of the optimizer's groups; None without an optimizer. Other groups' rates are in D.
        threshold: Value of eta times the eigenvalue above which the optimizer is unstable on a quadratic; None without
            an optimizer.
        formula: That threshold as a formula.
    """

    value: float
    vector: Tensor
    bound: float
    residual: float
    products: int
    converged: bool = True
    eta: float | None = None
    threshold: float | None = None
    formula: str = ""

    @property
    def eta_lambda(self) -> float | None:
        """Learning rate times sharpness; None without an optimizer."""
        return None if self.eta is None else self.eta * self.value

    @property
    def margin(self) -> float | None:
        """The sharpness over the one at which the optimizer becomes unstable; above 1 is beyond the edge of stability."""
        scaled = self.eta_lambda
        return None if scaled is None or self.threshold is None else scaled / self.threshold

    def __repr__(self) -> str:
        text = f"Sharpness({self.value:.6g} ± {self.bound:.1g}, products={self.products}"
        if self.eta_lambda is not None and self.threshold is not None:
            text += f", eta*lambda={self.eta_lambda:.4g} of {self.threshold:.4g}"
        return text + ("" if self.converged else ", not converged") + ")"


@dataclass(frozen=True)
class Split:
    """The Hessian's two parts: H = J^T L'' J (Gauss-Newton) + the rest, which the curvature of the network makes.

    Attributes:
        hessian: Largest eigenvalue of the Hessian.
        gauss_newton: Largest eigenvalue of the Gauss-Newton part.
        residual: Largest eigenvalue of the residual part.
        products: Products used for all three; one with the residual part counts as one.
    """

    hessian: float
    gauss_newton: float
    residual: float
    products: int

    @property
    def ratio(self) -> float:
        """Residual over Gauss-Newton: near 0 for a network that is linear in its parameters, of order 1 where features
        are learned."""
        return self.residual / self.gauss_newton if self.gauss_newton else float("inf")
