"""Super Consistency of residual networks and transformers on real data; the claims of paper 2 measure MLPs, ConvNets."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import similitude as sim
from similitude.data import load
from similitude.data.batches import ImageBatches, TextBatches
from similitude.studies.consistency_nets import make_gpt, make_resmlp, make_resnet, make_vit
from similitude.training.losses import cross_entropy, squared_error_of_classes


def digits(size: int) -> dict[str, Any]:
    return {"batches": ImageBatches(load("digits"), batch_size=size), "loss": squared_error_of_classes}


def over_widths(make: Any, folder: Any, **given: Any) -> sim.Consistency:
    study = sim.consistency(
        make, seeds=range(3), top=1, engine=sim.ProcessPool(workers=2), storage=folder, **given
    )
    print(study)
    assert not any(rule.diverged for rule in study.rules.values())
    return study


def assert_shrinks_under_ntp_alone(study: sim.Consistency) -> None:
    plain, rule = study.rules["ntp"].spreads[-1], study.rules["mup"].spreads[-1]
    widths = sorted(plain.means)
    assert plain.means[widths[0]] > plain.means[widths[1]] > plain.means[widths[2]]
    assert plain.interval is not None
    assert plain.interval[0] > 0.1
    assert rule.value < plain.value / 2


@pytest.mark.slow
def test_resnets_sharpen_the_less_the_wider_under_ntp_and_alike_under_mup(tmp_path):
    study = over_widths(make_resnet, tmp_path, widths=(8, 16, 32), lr=0.02, steps=40, every=5, **digits(32))
    assert_shrinks_under_ntp_alone(study)


@pytest.mark.slow
def test_gpts_under_adamw_sharpen_the_less_the_wider_under_ntp_and_alike_under_mup(tmp_path):
    text = {"batches": TextBatches(load("text"), batch_size=16), "loss": cross_entropy}
    adamw = {"lr": 0.008, "optimizer": torch.optim.AdamW, "steps": 50, "every": 5}
    study = over_widths(make_gpt, tmp_path, widths=(16, 32, 64), **adamw, **text)
    assert_shrinks_under_ntp_alone(study)


@pytest.mark.slow
def test_vits_under_adam_sharpen_towards_the_edge_of_adam(tmp_path):
    adam = {"lr": 0.008, "optimizer": torch.optim.Adam, "steps": 40, "every": 4}
    study = over_widths(make_vit, tmp_path, widths=(16, 32, 64), **adam, **digits(32))
    for rule in study.rules.values():
        assert rule.threshold == pytest.approx(38.0)
        first, *_, last = (window.means for window in rule.spreads[1:])
        assert all(1.2 * first[width] < last[width] < rule.threshold for width in first)


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
