"""Optimizers with modes: trained in one, evaluated in the other, and left in the first."""

from __future__ import annotations

import pytest
import torch

from similitude.training.loop import train
from similitude.training.modes import switch
from tests.cases import TeacherBatches, toy_mlp


def test_a_schedule_free_run_is_evaluated_at_its_mean():
    schedulefree = pytest.importorskip("schedulefree")
    batches, net = TeacherBatches(), toy_mlp()
    optimizer = schedulefree.AdamWScheduleFree(net.parameters(), lr=0.01)

    def loss(model, batch):
        return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])

    result = train(net, optimizer, batches=batches, loss=loss, steps=8)
    assert optimizer.param_groups[0]["train_mode"]
    here = loss(net, batches.evaluation()).item()
    switch(optimizer, "eval")
    assert loss(net, batches.evaluation()).item() == pytest.approx(result.evaluation, rel=1e-12)
    assert result.evaluation != pytest.approx(here, rel=1e-6)
