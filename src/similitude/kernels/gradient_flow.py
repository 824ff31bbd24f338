"""Gradient flow in function space at any time: exactly for the squared error, else integrated with error control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import KernelError
from similitude.kernels.ensemble import checked_time, learned
from similitude.kernels.gradient_descent import Trajectory, largest_eigenvalue, starts
from similitude.kernels.losses import BEND, Loss, pull_of, targets_for
from similitude.kernels.solve import checked_ridge
from similitude.kernels.spectrum import spectrum
from similitude.kernels.train_test import TrainTest

_MOST = 200_000  # products with the kernel that an integration may take
_STEP = 3.3  # times the rate of the fastest direction: the longest stable step of the integrator, RK45


@cites(21, "the limit of small steps of kernel gradient descent")
def gradient_flow(
    ntk: TrainTest,
    y: Tensor,
    *,
    times: float | Sequence[float],
    loss: Loss = "mse",
    start: Tensor | None = None,
    start_test: Tensor | None = None,
    ridge: float = 0.0,
    rtol: float = 1e-6,
    atol: float = 1e-9,
) -> Trajectory:
    """Follow df/dt = -Theta(., X) loss'(f(X), y), the flow of a wide net under gradient descent with small steps.

    Args:
        ntk: Blocks of the tangent kernel Theta; outputs on test samples need its `test_train`.
        y: Targets, one row per training sample.
        times: Learning rate times steps, one or several in ascending order; the loss is summed over samples.
        loss: "mse" (half the sum of squared errors), solved exactly, "cross_entropy" (summed), or
            `loss(outputs, targets) -> number`.
        start: Outputs f_0 on the training samples, shape (n,) or (n, C); 0 where None.
        start_test: Outputs f_0 on the test samples.
        ridge: Pull of the parameters to where they began (ridge / 2 times their squared distance is added to the loss).
        rtol: Relative error of a step of the integration; the squared error needs none.
        atol: Absolute error of a step, in units of the outputs.

    Returns:
        The outputs at the times, as `Trajectory.train` and `.test`.

    Raises:
        KernelError: Shapes do not fit, a time is out of range, or the flow is too stiff to be integrated so long.

    Example:
        >>> kernel = TrainTest(torch.tensor([[2.0]]))
        >>> flow = gradient_flow(kernel, torch.tensor([1.0]), times=0.5)
        >>> round(flow.train.item(), 6)  # 1 - exp(-2 * 0.5)
        0.632121

    Source: sheet of kernel gradient descent; integrator: Dormand and Prince, J. Comput. Appl. Math. 6 (1980). Cost: the
    spectrum, 9 n^3 operations; else n^2 C operations for every evaluation, about largest eigenvalue times time of them.
    """
    at = [float(times)] if isinstance(times, int | float) else [float(time) for time in times]
    if not at or sorted(at) != at:
        raise KernelError(f"times={at}: give at least one time, in ascending order.")
    for time in at:
        checked_time(time)
    ridge = checked_ridge(ridge)
    f, f_test = starts(ntk, y, loss, start, start_test)
    targets = targets_for(loss, y, ntk.n, outputs=f.shape[1], device=f.device)
    if loss == "mse":
        found = spectrum(ntk.train, name=ntk.name)
        duals = [found.apply(lambda v, t=t: learned(v + ridge, t), targets - f) for t in at]
    else:
        duals = _integrated(ntk.train.double(), f, targets, at, loss, ridge=ridge, rtol=rtol, atol=atol)
    train = torch.stack([f + ntk.train.double() @ dual for dual in duals])
    test = None if f_test is None else torch.stack([f_test + ntk.cross() @ dual for dual in duals])
    return Trajectory(tuple(at), train, test)


def _integrated(
    train: Tensor,
    f: Tensor,
    targets: Tensor,
    times: list[float],
    loss: Loss,
    *,
    ridge: float,
    rtol: float,
    atol: float,
) -> list[Tensor]:
    """Integrate the dual a of f = f_0 + Theta a: a' = -loss'(f) - ridge a, which moves on the scale of the pull."""
    from scipy.integrate import solve_ivp  # here: scipy takes a second to import

    pull = pull_of(loss)
    top = largest_eigenvalue(train)
    needed = 6 * times[-1] * (top * (1.0 if callable(loss) else BEND[loss]) + ridge) / _STEP
    if needed > _MOST:
        raise KernelError(
            f"gradient flow to time {times[-1]:.4g} takes about {needed:.1g} products with the kernel, as its fastest "
            f"direction decays at a rate of {top:.4g}; {_MOST} are allowed. Take a shorter time, or gradient_descent "
            f"with lr={1 / top:.3g}."
        )

    def velocity(_: float, flat: np.ndarray) -> np.ndarray:
        dual = torch.from_numpy(flat).to(f.device).reshape(f.shape)
        return -(pull(f + train @ dual, targets) + ridge * dual).reshape(-1).cpu().numpy()

    scale = float(train.diagonal().mean())
    found = solve_ivp(
        velocity,
        (0.0, max(times[-1], 1e-300)),
        np.zeros(f.numel()),
        method="RK45",
        t_eval=times,
        rtol=rtol,
        atol=atol / scale if scale > 0 else atol,
    )
    if not found.success or not np.isfinite(found.y).all():
        raise KernelError(
            f"gradient flow could not be integrated to time {times[-1]:.4g}: {found.message} Look whether the loss is "
            "smooth and finite at these outputs."
        )
    return [
        torch.from_numpy(np.ascontiguousarray(found.y[:, k])).to(f.device).reshape(f.shape)
        for k in range(len(times))
    ]
