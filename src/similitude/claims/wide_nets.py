"""Wide nets on digits that the claims of papers 8 and 21 train: architectures beside their kernels, and ensembles."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from similitude.claims.cores import engine_here
from similitude.core.seeding import derive, seeded
from similitude.kernels.entry import kernel
from similitude.studies.universality import universality
from similitude.studies.universality_nets import ARCHITECTURES, PIXELS, WEIGHT_VARIANCE, digits_task
from similitude.studies.universality_records import Architecture

WIDTHS = MappingProxyType(
    {
        "MLP": (64, 128, 256, 512, 1024),
        "ConvNet": (32, 64, 128, 256),
        "ResNet with norms": (32, 64, 128, 256),
        "transformer": (32, 64, 128, 256),
    }
)
"""Widths at which every architecture is trained."""

WIDER = MappingProxyType({"MLP": 2048, "transformer": 512})
"""Further widths of some, at full size."""

SEEDS = 4

C_W, C_B = 2.0, 0.1
"""Variance of weights times fan-in, and of biases, in paper 8's MLPs."""

TRAIN, TEST = 12, 8


@functools.cache
def compared(name: str, batch_size: int | None = None, *, full: bool = False) -> Architecture:
    """Train one of the reference architectures at all its widths, and at full size `WIDER` too, beside its kernel."""
    study = universality(
        {name: ARCHITECTURES[name]},
        digits_task(),
        widths=(*WIDTHS[name], WIDER[name]) if full else WIDTHS[name],
        batch_size=batch_size,
        seeds=range(SEEDS),
        contrast="mup" if batch_size is None else None,
        weight_variance=WEIGHT_VARIANCE,
        engine=engine_here(),
    )
    return study.architectures[name]


def make_biased_mlp(width: int, *, hidden: int = 2) -> nn.Module:
    """Return an MLP of ReLUs with one output, its weights of variance `C_W` / fan-in and its biases of variance `C_B`."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(hidden):
        layers += [nn.Linear(width if i else PIXELS, width), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(width, 1))
    for name, p in net.named_parameters():
        nn.init.normal_(p, std=math.sqrt(rate_of(name, p)))
    return net


def rate_of(name: str, parameter: Tensor) -> float:
    """Return the variance that a parameter is drawn with: its learning rate in the NTK parametrization, over lr."""
    return C_B if name.endswith("bias") else C_W / parameter.shape[1]


def limit_kernels(inputs: Tensor, *, hidden: int = 2) -> tuple[Tensor, Tensor]:
    """Return the NNGP and the tangent kernel of `make_biased_mlp` on some inputs."""
    make = functools.partial(make_biased_mlp, hidden=hidden)
    limit = kernel(make, sample=inputs[:2], widths=(32, 48), weight_variance=C_W, bias_variance=C_B)
    return limit.nngp(inputs), limit.ntk(inputs)


def even_or_odd() -> tuple[Tensor, Tensor]:
    """Return digits, the first `TRAIN` of which are trained on, and for these 1 where even and -1 where odd."""
    task = digits_task(train=TRAIN, test=TEST)
    even = task.targets.argmax(1) % 2 == 0
    return task.inputs, torch.where(even, 1.0, -1.0)[:, None]


def trained_ensemble(
    make: Callable[[], nn.Module], inputs: Tensor, targets: Tensor, *, nets: int, lr: float, steps: int
) -> Tensor:
    """Train nets from random starts by gradient descent on half the sum of squared errors, as one batched program.

    Args:
        make: Draws a net, with parameters as `make_biased_mlp` has them.
        inputs: Inputs (P, ...); those that have a target come first.
        targets: Targets (N, 1).
        nets: Number of nets.
        lr: Learning rate of a parameter that is drawn with variance 1.
        steps: Steps.

    Returns:
        Outputs (nets, P - N) on the inputs without target, after the last step.
    """
    drawn = []
    for seed in range(nets):
        with seeded(derive(seed, "ensemble")):
            drawn.append(make())
    parameters, buffers = stack_module_state(drawn)
    rates = {name: rate_of(name, p) for name, p in drawn[0].named_parameters()}
    outputs = vmap(lambda p, b, x: functional_call(drawn[0], (p, b), (x,)), in_dims=(0, 0, None))
    for _ in range(steps):
        loss = 0.5 * (outputs(parameters, buffers, inputs[: len(targets)]) - targets).square().sum()
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        with torch.no_grad():
            for (name, p), gradient in zip(parameters.items(), gradients, strict=True):
                p.sub_(gradient, alpha=lr * rates[name])
    with torch.no_grad():
        return outputs(parameters, buffers, inputs[len(targets) :])[..., 0].double()
