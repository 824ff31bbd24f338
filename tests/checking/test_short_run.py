"""A few steps of training: what a loss may return, and schedulers of every kind."""

import math

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from similitude.checking.short_run import ShortRun, short_run
from similitude.core.errors import PlanError

X = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def _square(model, batch):
    return model(batch).square().mean()


def _run(loss=_square, *, batch=X, schedule=None, steps=3) -> ShortRun:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return short_run(
        model,
        optimizer,
        loss=loss,
        batch=lambda step: batch,
        steps=steps,
        seed=0,
        scheduler=None if schedule is None else schedule(optimizer),
    )


def test_a_plateau_scheduler_is_given_the_loss():
    # In mode "max" a falling loss is no progress, so with no patience every step but the first lowers the rate.
    falling = _run(
        schedule=lambda o: lr_scheduler.ReduceLROnPlateau(o, "max", factor=0.5, patience=0), steps=4
    )
    assert falling.learned
    assert falling.rates["weight"] == pytest.approx(0.1 * 0.5**2)
    steady = _run(schedule=lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=0), steps=4)
    assert steady.rates["weight"] == pytest.approx(0.1)


def test_other_schedulers_are_stepped_after_every_step():
    assert _run(schedule=lambda o: lr_scheduler.ExponentialLR(o, 0.5)).rates["bias"] == pytest.approx(0.025)


WRONG = {
    "a dict": lambda m, b: {"loss": _square(m, b)},
    "a tuple": lambda m, b: (_square(m, b), m(b)),
    "a float": lambda m, b: _square(m, b).item(),
    "None": lambda m, b: None,
    r"a tensor of shape \(8,\)": lambda m, b: m(b).square().mean(1),
    r"a number without a gradient \(float32\)": lambda m, b: _square(m, b).detach(),
    r"a number without a gradient \(int64\)": lambda m, b: _square(m, b).long(),
}


@pytest.mark.parametrize("found", WRONG)
def test_a_loss_is_one_number_with_a_gradient(found):
    with pytest.raises(PlanError, match=rf"must return one differentiable number, got {found}\. Return"):
        _run(WRONG[found])


def test_a_tensor_of_one_entry_is_a_number():
    assert _run(lambda m, b: _square(m, b)[None]).learned


def test_a_loss_that_is_lost_before_the_first_step_is_told_from_one_that_training_lost():
    broken = _run(batch=X * math.nan)
    assert (broken.broken, broken.diverged, len(broken.losses)) == (True, True, 1)
    grown = _run(lambda m, b: _square(m, b) * 1e30)
    assert (grown.broken, grown.diverged) == (False, True)
    assert not _run().broken
