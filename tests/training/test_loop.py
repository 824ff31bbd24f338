"""The plain loop: schedules, divergence, evaluation, callbacks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from similitude.training.loop import train
from similitude.training.losses import cross_entropy, mean_squared_error
from similitude.training.schedule import WarmupCosine, WarmupLinear, constant
from tests.cases import TeacherBatches, toy_mlp


def run(**options):
    torch.manual_seed(0)
    model = toy_mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=options.pop("lr", 0.1))
    arguments = {"batches": TeacherBatches(), "loss": cross_entropy, "steps": 10, **options}
    return model, optimizer, train(model, optimizer, **arguments)


def test_is_the_textbook_loop():
    model, _, result = run()
    torch.manual_seed(0)
    twin, batches = toy_mlp(), TeacherBatches()
    for step in range(10):
        loss = cross_entropy(twin, batches.batch(0, step))
        assert result.losses[step] == loss.item()
        grads = torch.autograd.grad(loss, list(twin.parameters()))
        with torch.no_grad():
            for p, g in zip(twin.parameters(), grads, strict=True):
                p -= 0.1 * g
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-14)
    assert result.final == cross_entropy(twin, batches.evaluation()).item()


def test_the_schedule_multiplies_and_is_undone():
    _, optimizer, result = run(schedule=lambda step: 0.0 if step < 5 else 1.0)
    untouched = [
        cross_entropy(run(steps=1, schedule=lambda _: 0.0)[0], TeacherBatches().batch(0, s)).item()
        for s in range(6)
    ]
    assert result.losses[:6].tolist() == untouched
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_divergence_stops_the_run():
    _, _, result = run(lr=1e300)
    assert result.diverged
    assert result.final == math.inf
    assert np.isnan(result.losses[-1])


def test_without_evaluation_the_last_losses_count():
    class Online(TeacherBatches):
        def evaluation(self):
            return None

    _, _, result = run(batches=Online(), steps=30)
    assert result.final == pytest.approx(result.losses[-3:].mean())


def test_an_error_in_the_callback_ends_the_run():
    seen = []

    def stop(step, loss):
        seen.append((step, loss))
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_step=stop)
    assert [step for step, _ in seen] == [0, 1, 2, 3]


def test_schedules_at_known_points():
    assert [constant(t) for t in (0, 99)] == [1.0, 1.0]
    cosine = WarmupCosine(100, warmup=10, final=0.1)
    assert cosine(0) == pytest.approx(0.1)
    assert cosine(9) == cosine(10) == 1.0
    assert cosine(55) == pytest.approx(0.1 + 0.9 * 0.5)
    assert cosine(100) == pytest.approx(0.1)
    linear = WarmupLinear(100, warmup=20)
    assert linear(60) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="warmup"):
        WarmupLinear(10, warmup=11)


def test_mean_squared_error_is_the_mean_over_entries():
    x = torch.randn(5, 16, dtype=torch.float64)
    y = torch.zeros(5, 4, dtype=torch.float64)
    model = toy_mlp()
    assert mean_squared_error(model, (x, y)).item() == pytest.approx((model(x) ** 2).mean().item())
