"""Train real networks of one width and many seeds as one batched program, in an abcd-parametrization (paper 14)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.scaling.abcd import Layer, Parametrization, abcd
from similitude.scaling.trial import OptimizerLike
from similitude.theory.adaptive_limits.entrywise import Adaptive, Entrywise, State, entrywise
from similitude.theory.adaptive_limits.perceptron import Make, Perceptron, read_perceptron
from similitude.theory.adaptive_limits.records import Chi, NetworkRuns, errors_of, kernel_change, residual
from similitude.theory.finite_width.given import number, whole
from similitude.training.ensemble import stack_size


def train_networks(
    net: Perceptron,
    rule: Entrywise,
    parametrization: Parametrization,
    task: tuple[Tensor, Tensor],
    *,
    width: int,
    seeds: int,
    steps: int,
    lr: float,
    chi: Chi = residual,
) -> NetworkRuns:
    """Train the user's own module from several starts at once, all inputs in every batch.

    Multipliers n^-a are folded into the init and the rate, so that the module runs as it is.

    Args:
        net: The perceptron.
        rule: Its optimizer.
        parametrization: Exponents of the layers "input", "hidden" and "output".
        task: Inputs, shape (M, features), and targets, shape (M,).
        width: What the factory is given.
        seeds: Number of networks; each draws its own numbers at every width.
        steps: Number of steps.
        lr: Learning rate, times n^-c of each layer.
        chi: dLoss / df of outputs and targets.

    Raises:
        TheoryError: A network diverges.

    Cost: networks are stacked in batches that fit the caches, four at least; memory of one batch's parameters, times 2
    for gradients and more for what the optimizer remembers.
    """
    model, units = net.build(width)
    layers = dict(zip(net.names, _layers(net, parametrization), strict=True))
    size = stack_size(model, whole("seeds", seeds))
    parts = []
    for start in range(0, seeds, size):
        weights = _drawn(layers, model, units=units, seeds=range(start, min(start + size, seeds)))
        try:
            parts.append(_train_stack(net, rule, layers, model, weights, task, steps=steps, lr=lr, chi=chi))
        except FloatingPointError as error:
            raise TheoryError(
                f"a network of width {width} diverges in {error} at lr={lr:g}. Pass a smaller rate."
            ) from error
    outputs, moved = (torch.cat(found) for found in zip(*parts, strict=True))
    return NetworkRuns(width, units, outputs, moved)


def _train_stack(
    net: Perceptron,
    rule: Entrywise,
    layers: dict[str, Layer],
    model: nn.Module,
    weights: dict[str, Tensor],
    task: tuple[Tensor, Tensor],
    *,
    steps: int,
    lr: float,
    chi: Chi,
) -> tuple[Tensor, Tensor]:
    """Train the networks of one stack and return their outputs and the change of their kernels."""
    x, y = task
    units = weights[net.names[0]].shape[1]
    states: dict[str, State] = dict.fromkeys(layers, ())
    run = vmap(lambda one: functional_call(model, one, (x,)).reshape(len(x)), randomness="error")
    with torch.no_grad():
        first = net.hidden(weights, x)[-1]
    outputs = []
    for step in range(steps + 1):
        with torch.set_grad_enabled(step < steps):
            f = run(weights)
        outputs.append(f.detach())
        if not torch.isfinite(outputs[-1]).all():
            raise FloatingPointError(f"step {step}")
        if step == steps:
            break
        gradients = torch.autograd.grad((f * errors_of(chi, outputs[-1], y)).sum(), list(weights.values()))
        with torch.no_grad():
            for (name, layer), g in zip(layers.items(), gradients, strict=True):
                update, states[name] = rule.step(units ** float(layer.d) * g, states[name])
                weights[name].sub_(update, alpha=lr * units ** -float(layer.c))
    with torch.no_grad():
        moved = kernel_change(first, net.hidden(weights, x)[-1])
    return torch.stack(outputs, 1), moved


@cites(14, "Section 2.2: eps goes as n^-d")
def limit_groups(
    make: Make,
    model: nn.Module,
    *,
    lr: float,
    optimizer: str | Entrywise | OptimizerLike,
    parametrization: str = "ntp",
) -> list[dict[str, Any]]:
    """Return parameter groups with which a network of the user's own follows the limit under torch's optimizers.

    eps of torch.optim.Adam stands outside of the root and does not scale: gradients fall as n^-d, so a number that stays
    wins in wide networks. Here each layer's eps is eps n^-d, its rate lr n^-c, and SGD's rate lr n^(d-c), multipliers
    folded into the init: the gradient of a readout of standard deviation n^-1/2 stays, and so does its eps.

    Args:
        make: The family.
        model: One of it, whose weights were drawn with standard deviations "std" of the groups: `normal_(std=...)`.
        lr: Learning rate of the limit.
        optimizer: The optimizer as the limit has it, or what `sim.theory.entrywise` reads.
        parametrization: "ntp" or "mup".

    Returns:
        A group per layer with "params", "lr", "std" and for adaptive optimizers "eps".

    Raises:
        TheoryError: The module is no perceptron, is none of the family, or eps stands under the root.

    Example:
        >>> def make(width):
        ...     first, last = nn.Linear(2, width, bias=False), nn.Linear(width, 1, bias=False)
        ...     return nn.Sequential(first, nn.Tanh(), last)
        >>> groups = limit_groups(make, make(64), lr=0.5, optimizer=Adaptive(eps=1e-4))
        >>> [(g["lr"], g["eps"], g["std"]) for g in groups]
        [(0.0625, 1.25e-05, 1.0), (0.0078125, 0.0001, 0.125)]
    """
    net, rule = read_perceptron(make), entrywise(optimizer)
    parameters = dict(model.named_parameters())
    if parameters.keys() != set(net.names):
        raise TheoryError(
            "model has other parameters than the modules of make. Pass one that make has built."
        )
    if isinstance(rule, Adaptive) and rule.inside:
        raise TheoryError(
            "eps stands under the root, where torch's optimizers have it outside. Pass Adaptive(inside=False)."
        )
    number("lr", lr, above=True)
    units = parameters[net.names[0]].shape[0]
    groups = []
    for name, layer in zip(net.names, _layers(net, table(net, parametrization)), strict=True):
        rate = layer.c - (layer.d if rule.linear else 0)
        group = {"params": [parameters[name]], "lr": lr * units ** -float(rate), "std": _std(layer, units)}
        if isinstance(rule, Adaptive):
            group["eps"] = rule.eps * units ** -float(layer.d)
        groups.append(group)
    return groups


def table(net: Perceptron, name: str) -> Parametrization:
    """Return the exponents of paper 14's table, in which SGD's are those of its gradients times n^d."""
    return abcd(name, "entrywise", hidden_layers=net.hidden_layers)


def _layers(net: Perceptron, parametrization: Parametrization) -> list[Layer]:
    """Return the exponents of every weight in order, multipliers folded."""
    kinds = {layer.role: layer for layer in parametrization.folded().layers}
    middle = [kinds["hidden"] for _ in range(net.hidden_layers - 1)]
    return [kinds["input"], *middle, kinds["output"]]


def _drawn(layers: dict[str, Layer], model: nn.Module, *, units: int, seeds: range) -> dict[str, Tensor]:
    """Draw the weights of some seeds, the same whichever are drawn together."""
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    drawn = {name: torch.empty(len(seeds), *shapes[name], dtype=torch.float64) for name in layers}
    for i, seed in enumerate(seeds):
        generator = torch_generator(seed, "networks beside the limit", units)
        for name, layer in layers.items():
            drawn[name][i].normal_(generator=generator).mul_(_std(layer, units))
    return {name: w.requires_grad_() for name, w in drawn.items()}


def _std(layer: Layer, units: int) -> float:
    return 0.0 if layer.b is None else units ** -float(layer.b)
