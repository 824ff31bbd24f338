"""Family, decay and defaults of everything that can stand for an optimizer."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.optim import SGD, Adam, AdamW

from similitude.core.errors import PlanError
from similitude.scaling.optimizers import resolve


class Mine(AdamW):
    pass


def _parameter() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(2))]


@pytest.mark.parametrize(
    ("optimizer", "name", "family", "decay", "eps", "weight_decay"),
    [
        (SGD, "SGD", "sgd", "shrink", None, 0),
        (partial(SGD, lr=0.1, momentum=0.9, weight_decay=1e-4), "SGD", "sgd", "shrink", None, 1e-4),
        (Adam, "Adam", "entrywise", "gradient", 1e-8, 0),
        (lambda p: Adam(p, eps=1e-6, amsgrad=True), "Adam", "entrywise", "gradient", 1e-6, 0),
        (AdamW, "AdamW", "entrywise", "shrink", 1e-8, 1e-2),
        (AdamW(_parameter(), weight_decay=0.1, foreach=True), "AdamW", "entrywise", "shrink", 1e-8, 0.1),
        (Mine, "Mine", "entrywise", "shrink", 1e-8, 1e-2),
    ],
)
def test_what_a_plan_learns_about_an_optimizer(optimizer, name, family, decay, eps, weight_decay):
    spec = resolve(optimizer)
    assert (spec.name, spec.family, spec.decay) == (name, family, decay)
    assert (spec.defaults.get("eps"), spec.defaults["weight_decay"]) == (eps, weight_decay)
    assert "lr" not in spec.defaults


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (
            torch.optim.RMSprop,
            r"optimizer RMSprop has no rule yet.*SGD \(with or without momentum\), Adam, AdamW",
        ),
        (torch.optim.LBFGS, "LBFGS has no rule"),
        ("adamw", "optimizer='adamw' is not an optimizer"),
        (lambda p: p, "returned a list, not a torch.optim.Optimizer"),
        (lambda p, lr: SGD(p, lr=lr), "cannot be built from parameters alone: TypeError"),
    ],
)
def test_what_has_no_rule_is_told(optimizer, text):
    with pytest.raises(PlanError, match=text):
        resolve(optimizer)
