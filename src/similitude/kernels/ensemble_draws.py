"""Mean and covariance of an ensemble of wide nets trained on any loss, by following the flow from drawn starts."""

from __future__ import annotations

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.core.seeding import torch_generator
from similitude.kernels.arguments import seeded_by, whole
from similitude.kernels.gradient_flow import gradient_flow
from similitude.kernels.losses import Loss, outputs_of, targets_for
from similitude.kernels.prediction import Prediction
from similitude.kernels.spectrum import spectrum
from similitude.kernels.train_test import TrainTest


def drawn_ensemble(
    nngp: TrainTest,
    ntk: TrainTest,
    y: Tensor,
    *,
    time: float,
    loss: Loss,
    draws: int = 16,
    seed: int = 0,
    ridge: float = 0.0,
    rtol: float = 1e-6,
) -> Prediction:
    """Return what nets that were drawn at random and trained by gradient flow on any loss predict on average.

    Where the loss is the squared error, `ensemble` has it in closed form. Else outputs at the start are drawn from the
    Gaussian process with the NNGP covariance, on training and test samples together, and each draw follows the flow.

    Args:
        nngp: All three blocks of the covariance at the start.
        ntk: Blocks of the tangent kernel that the nets are trained by.
        y: Targets, one row per training sample.
        time: Learning rate times steps; the loss is summed over samples.
        loss: "cross_entropy" or `loss(outputs, targets) -> number`.
        draws: Nets, at least 2.
        seed: Seed of the draws.
        ridge: Pull of the parameters to where they began.
        rtol: Relative error of a step of the integration.

    Returns:
        The mean of the outputs, shape (m, C), and their covariance among the draws, shape (C, m, m).

    Raises:
        KernelError: There are fewer than 2 draws, no `test` block, or the flow cannot be followed.

    Cost: that of `gradient_flow` for every draw.
    """
    whole("draws", draws, least=2, remedy="A covariance among nets takes at least 2 of them.")
    seeded_by(seed)
    if nngp.test is None:
        raise KernelError(
            f"draws of the {nngp.name} on test samples need its 'test' block. Pass TrainTest(..., test)."
        )
    outputs = outputs_of(loss, targets_for(loss, y, ntk.n, outputs=None))
    cross = nngp.cross()
    joint = torch.cat(
        [torch.cat([nngp.train.double(), cross.T], 1), torch.cat([cross, nngp.test.double()], 1)]
    )
    found = spectrum(joint, name=nngp.name)
    root = found.vectors * found.values.sqrt()
    generator = torch_generator(seed, "kernel ensemble")
    ends = []
    for _ in range(draws):
        normals = torch.randn(len(root), outputs, generator=generator, dtype=torch.float64)
        start = root @ normals.to(root.device)  # drawn on the CPU: the same everywhere
        flow = gradient_flow(
            ntk, y, times=time, loss=loss, start=start[: ntk.n], start_test=start[ntk.n :], ridge=ridge, rtol=rtol
        )  # fmt: skip
        assert flow.test is not None
        ends.append(flow.test[0])
    nets = torch.stack(ends)  # (draws, m, C)
    apart = nets - nets.mean(0)
    cov = torch.einsum("dic,djc->cij", apart, apart) / (draws - 1)
    error = float((nets.std(0) / draws**0.5).max())
    note = f"mean and covariance of {draws} drawn nets: the standard error of a mean is at most {error:.2g}"
    return Prediction(nets.mean(0), cov, float(ridge), notes=(note,))
