"""Super Consistency of residual networks on real data, over depth; the claims of paper 2 measure it over width."""

from __future__ import annotations

import pytest

import similitude as sim
from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.studies.consistency_nets import make_resmlp
from similitude.training.losses import squared_error_of_classes


@pytest.mark.slow
def test_depths_of_one_layer_per_block_meet_under_depth_mup_and_diverge_without_a_rule(tmp_path):
    study = sim.consistency(
        make_resmlp,
        ImageBatches(load("digits"), batch_size=64),
        loss=squared_error_of_classes,
        depths=(4, 8, 16),
        base=64,
        depth_rule=("depth_mup", "sp"),
        lr=0.006,
        steps=60,
        every=6,
        seeds=range(4),
        top=1,
        engine=sim.ProcessPool(workers=2),
        storage=tmp_path,
    )
    print(study)
    rule = study.rules["depth_mup"]
    assert not rule.diverged
    assert rule.spreads[-1].value <= 0.1
    assert rule.spreads[-1].value < rule.spreads[0].value
    plain = study.rules["sp"]
    assert plain.spreads[0].means[8] > 2 * plain.threshold  # it begins beyond the edge
    assert plain.diverged.get(8, 0) > 0
    assert not plain.verdict.ok
