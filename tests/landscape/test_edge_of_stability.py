"""The edge of stability: full-batch training comes to the threshold of its own optimizer, and stays."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn, optim

from similitude.data.digits import read_digits
from similitude.landscape.curvature import Curvature

EXAMPLES, WIDTH, CLASSES = 256, 64, 10
Make = Callable[[Iterable[Tensor]], optim.Optimizer]


def task() -> tuple[Tensor, Tensor]:
    """Return centred images and centred one-hot targets."""
    digits = read_digits()
    x = torch.from_numpy(digits.train_images[:EXAMPLES]).float().reshape(EXAMPLES, -1) / 255
    y = nn.functional.one_hot(torch.from_numpy(digits.train_labels[:EXAMPLES]), CLASSES).float()
    return x - x.mean(0), y - y.mean(0)


def squared(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return ((model(batch[0]) - batch[1]) ** 2).sum(1).mean() / 2


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = (
            nn.Linear(64, WIDTH),
            nn.Tanh(),
            nn.Linear(WIDTH, WIDTH),
            nn.Tanh(),
            nn.Linear(WIDTH, CLASSES),
        )
    return nn.Sequential(*layers)


def measured(make: Make, *, steps: int, every: int, first: int, seed: int) -> tuple[list[float], float]:
    """Train on the whole batch; return eta times sharpness from step `first` on, and its threshold."""
    model, batch = network(seed), task()
    optimizer = make(model.parameters())
    found, threshold, start = [], None, None
    for step in range(steps + 1):
        if step >= first and (step - first) % every == 0:
            with Curvature(model, squared, batch) as curvature:
                sharpness = curvature.sharpness(precondition=optimizer, start=start)
            assert sharpness.converged
            found.append(sharpness.eta_lambda)
            threshold, start = sharpness.threshold, sharpness.vector
        optimizer.zero_grad()
        squared(model, batch).backward()
        optimizer.step()
    assert threshold is not None
    return found, threshold


def sgd(**options: float | bool) -> Make:
    return lambda parameters: optim.SGD(parameters, **options)


EDGES: dict[str, tuple[Make, int, float]] = {
    "gd": (sgd(lr=0.4), 1400, 2.0),
    "heavy-ball-0.5": (sgd(lr=0.7, momentum=0.5), 1000, 3.0),
    "heavy-ball-0.7": (sgd(lr=0.5, momentum=0.7), 1000, 3.4),
    "nesterov-0.5": (sgd(lr=0.3, momentum=0.5, nesterov=True), 1000, 1.5),
    "nesterov-0.7": (sgd(lr=0.25, momentum=0.7, nesterov=True), 1000, 3.4 / 2.4),
    "rmsprop": (lambda p: optim.RMSprop(p, lr=5e-4, alpha=0.999), 600, 2.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", EDGES)
def test_sharpness_hovers_at_the_threshold(name, seed):
    make, steps, wanted = EDGES[name]
    values, threshold = measured(make, steps=steps, every=10, first=10, seed=seed)
    assert threshold == pytest.approx(wanted)
    late = values[-len(values) // 3 :]
    print(f"{name} seed {seed}: median {statistics.median(late):.3f} of threshold {threshold:.3f}, ", end="")
    print(f"{min(late):.3f} to {max(late):.3f}, first crossing at measurement {crossing(values, threshold)}")
    assert crossing(values, threshold) < len(values) - len(late)
    assert statistics.median(late) == pytest.approx(wanted, rel=0.08)


def crossing(values: list[float], threshold: float) -> int:
    """Return the number of the first value beyond the threshold; that of values where there is none."""
    return next((i for i, value in enumerate(values) if value > threshold), len(values))


ADAPTIVE: dict[str, Make] = {
    "adam-0.005": lambda p: optim.Adam(p, lr=0.005),
    "adam-0.01": lambda p: optim.Adam(p, lr=0.01),
    "adam-0.02": lambda p: optim.Adam(p, lr=0.02),
    "adamw-0.01": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ADAPTIVE)
def test_adam_stays_at_38(name, seed):
    values, threshold = measured(ADAPTIVE[name], steps=400, every=1, first=300, seed=seed)
    assert threshold == pytest.approx(38)
    high = statistics.quantiles(values, n=10)[-1]
    print(f"{name} seed {seed}: median {statistics.median(values):.2f}, 90th percentile {high:.2f}")
    assert 32 <= high <= 42
