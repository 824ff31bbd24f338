"""similitude and the curvature libraries that it is measured against, behind one interface."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from landscape_models import Problem
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from similitude.landscape.curvature import Curvature

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Found:
    """The largest eigenvalues as a library gives them; `certified` by a bound on their error that it computes itself."""

    values: list[float]
    products: int
    certified: bool
    seconds: float  # CPU time


class Tool(Protocol):
    """A library: its name, the module to import, products with the Hessian, and its own way to the top."""

    name: str
    module: str

    def product(self, problem: Problem) -> Product: ...

    def largest(self, problem: Problem, k: int, tol: float) -> Found: ...


class Similitude:
    """Products from a kept graph; Lanczos until the error bounds are met."""

    name, module = "similitude", "similitude"

    def product(self, problem: Problem) -> Product:
        return Curvature(problem.model, problem.loss, problem.batch).hvp  # type: ignore[return-value]

    def largest(self, problem: Problem, k: int, tol: float) -> Found:
        started = time.process_time()
        with Curvature(problem.model, problem.loss, problem.batch) as curv:
            found = curv.top(k, tol=tol)
        return Found(list(found), found.products, found.converged, time.process_time() - started)


class Whole(nn.Module):
    """The problem's forward pass as a module of the whole batch, for libraries that call `model(inputs)`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.model, self.pass_through = problem.model, problem.forward

    def forward(self, batch: Any) -> Any:
        return self.pass_through(self.model, batch["batch"] if isinstance(batch, Held) else batch)


class Held(dict):
    """A batch of any form as the mapping that curvlinops takes."""


class PyHessian:
    """Products from a kept graph of `loss.backward(create_graph=True)`; power iteration with deflation."""

    name, module = "PyHessian", "pyhessian"

    def _made(self, problem: Problem) -> Any:
        from pyhessian import hessian

        problem.model.zero_grad()  # gradients that are there already would add to its Hessian
        return hessian(Whole(problem), problem.criterion, data=(problem.batch, problem.batch), cuda=False)

    def product(self, problem: Problem) -> Product:
        from pyhessian.utils import hessian_vector_product

        made = self._made(problem)

        def product(vector: Tensor) -> Tensor:
            parts = vector.split([p.numel() for p in made.params])
            shaped = [part.view(p.shape) for part, p in zip(parts, made.params, strict=True)]
            return torch.cat([h.flatten() for h in hessian_vector_product(made.gradsH, made.params, shaped)])

        return product

    def largest(self, problem: Problem, k: int, tol: float) -> Found:
        started = time.process_time()
        made = self._made(problem)
        home, count = sys.modules["pyhessian.hessian"], 0
        own = home.hessian_vector_product  # type: ignore[attr-defined]

        def counted(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            return own(*arguments)

        home.hessian_vector_product = counted  # type: ignore[attr-defined]
        dtype = torch.get_default_dtype()
        torch.set_default_dtype(problem.parameters[0].dtype)  # it draws its vectors in the default dtype
        try:
            values, _ = made.eigenvalues(tol=tol, top_n=k)
        finally:
            torch.set_default_dtype(dtype)
            home.hessian_vector_product = own  # type: ignore[attr-defined]
        return Found(sorted(values, reverse=True), count, False, time.process_time() - started)


class HessianEigenthings:
    """Products from a graph built anew each time; Lanczos of a fixed number of steps.

    Its user chooses the number of steps. Here they double until every value is converged by its own residual test, and
    only the last run counts: the user who knows the number beforehand.
    """

    name, module = "hessian-eigenthings", "hessian_eigenthings"

    def _made(self, problem: Problem) -> Any:
        import hessian_eigenthings

        return hessian_eigenthings.HessianOperator(problem.model, [problem.batch], problem.loss)

    def product(self, problem: Problem) -> Product:
        return self._made(problem).matvec

    def largest(self, problem: Problem, k: int, tol: float) -> Found:
        import hessian_eigenthings

        operator, steps = self._made(problem), k + 9
        while True:
            steps, started = min(steps, operator.size), time.process_time()
            found = hessian_eigenthings.lanczos(
                operator, k=k, max_iter=steps, tol=tol, which="LA", seed=0, reorthogonalize=True
            )
            seconds, certified = time.process_time() - started, bool(found.converged.all())
            if certified or steps >= min(operator.size, 150):
                return Found(found.eigenvalues.tolist(), found.iterations, certified, seconds)
            steps *= 2


class Curvlinops:
    """Products by forward mode over reverse mode; SciPy's eigsh on its operator, as its documentation does."""

    name, module = "curvlinops", "curvlinops"

    def _made(self, problem: Problem) -> Any:
        import curvlinops

        class Criterion(nn.Module):
            reduction = "mean"

            def forward(self, outputs: Any, _: Tensor) -> Tensor:
                return problem.criterion(outputs, problem.batch)

        return curvlinops.HessianLinearOperator(
            Whole(problem),
            Criterion(),
            problem.parameters,
            [(Held(batch=problem.batch), torch.zeros(1))],
            check_deterministic=False,
            batch_size_fn=lambda held: 1,
        )

    def product(self, problem: Problem) -> Product:
        made = self._made(problem)
        return lambda vector: made @ vector

    def largest(self, problem: Problem, k: int, tol: float) -> Found:
        started = time.process_time()
        made, count = self._made(problem).to_scipy(), 0

        def counted(vector: Any) -> Any:
            nonlocal count
            count += 1
            return made.matvec(vector.reshape(-1).astype(dtype))

        dtype = torch.empty(0, dtype=problem.parameters[0].dtype).numpy().dtype
        start = torch.randn(made.shape[0], generator=torch.Generator().manual_seed(0)).numpy().astype(dtype)
        operator = LinearOperator(made.shape, matvec=counted, dtype=dtype)  # type: ignore[call-arg]
        values = eigsh(operator, k, which="LA", tol=tol, v0=start, return_eigenvectors=False)
        values = sorted(map(float, values), reverse=True)
        return Found(values, count, True, time.process_time() - started)


TOOLS: tuple[Tool, ...] = (Similitude(), PyHessian(), HessianEigenthings(), Curvlinops())
