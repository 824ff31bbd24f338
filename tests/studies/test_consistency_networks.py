"""Super Consistency of networks on real data: what is the same at every width or depth, and what is not."""

from __future__ import annotations

import pytest

import similitude as sim
from similitude.core.verdict import Outcome
from similitude.data import load
from similitude.data.batches import ImageBatches
from similitude.studies import consistency_nets as nets
from similitude.training.losses import squared_error_of_classes

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)


def digits(make, *, images, **settings):
    """Run a study on one full batch of digits, and print what it measured."""
    batches = ImageBatches(load("digits"), batch_size=images)
    return study(make, batches, loss=squared_error_of_classes, **settings)


def study(make, batches, **settings):
    found = sim.consistency(
        make, batches, **({"seeds": SEEDS, "top": 1, "engine": sim.ProcessPool(workers=2)} | settings)
    )
    print(f"{found.seconds:.0f} s, learning rate {found.rate}")
    for name, rule in found.rules.items():
        print(f"{name}: {rule.verdict.summary}")
        for s in rule.spreads:
            means = ", ".join(f"{size}: {mean:.3f}" for size, mean in s.means.items())
            print(f"  {s.window}: {means}; spread {s.value} {s.interval}")
        for growth in rule.growths:
            print(f"  {growth}")
    return found


def spreads(rule, *, since=0):
    """Spreads over the compared sizes in the windows that begin at a step or later."""
    return [s.value for s in rule.spreads if s.window.first >= since]


def growths(rule):
    """How the gaps to the largest size change, by quantity."""
    return {growth.quantity: growth for growth in rule.growths}


@pytest.fixture(scope="module")
def mlp(tmp_path_factory):
    return digits(
        nets.make_mlp, images=256, widths=(64, 128, 256, 512, 1024), lr=90.5, storage=tmp_path_factory.mktemp("mlp")
    )  # fmt: skip


def test_the_mlp_is_super_consistent_under_mup(mlp):
    rule = mlp.rules["mup"]
    assert all(s.compared == (256, 512, 1024) for s in rule.spreads)
    assert max(spreads(rule)) <= 0.12
    assert rule.verdict.outcome is Outcome.CONSISTENT
    assert rule.spreads[-1].means[1024] == pytest.approx(2, rel=0.08)  # it came to the edge of stability


def test_the_mlp_is_not_under_ntp(mlp):
    rule = mlp.rules["ntp"]
    assert min(spreads(rule, since=100)) >= 0.25
    assert rule.verdict.outcome is Outcome.INCONSISTENT
    means = list(rule.spreads[-1].means.values())
    assert means == sorted(means, reverse=True)  # the wider, the flatter


def test_the_mlp_has_a_gap_of_the_loss_that_grows_and_none_of_the_sharpness(mlp):
    for rule in mlp.rules.values():
        assert growths(rule)["loss"].interval[0] > 1
    mup = growths(mlp.rules["mup"])
    assert mup["sharpness"].interval[0] < 1
    assert mup["sharpness"].value < mup["loss"].interval[0]


@pytest.fixture(scope="module")
def convnet(tmp_path_factory):
    return digits(
        nets.make_convnet, images=64, widths=(8, 32, 64), lr=0.25, steps=150, storage=tmp_path_factory.mktemp("conv")
    )  # fmt: skip


def test_the_convnet_becomes_consistent_under_mup_alone(convnet):
    mup, ntp = convnet.rules["mup"], convnet.rules["ntp"]
    assert max(spreads(mup, since=50)) <= 0.12
    assert min(spreads(ntp, since=50)) >= 0.2
    late = mup.spreads[-1].means
    assert all(mean == pytest.approx(2, rel=0.08) for mean in late.values())
    assert ntp.spreads[-1].means[64] < 1  # far from the edge to the end
    assert growths(mup)["sharpness"].value < 1 < growths(ntp)["sharpness"].interval[0]


def test_the_convnet_differs_between_widths_at_the_start_whatever_the_rule(convnet):
    """So narrow networks are not near their limit before they have learned: no verdict of consistency."""
    for rule in convnet.rules.values():
        assert spreads(rule)[0] >= 0.15
        assert not rule.verdict.ok


@pytest.fixture(scope="module")
def resmlp(tmp_path_factory):
    return digits(
        nets.make_resmlp, images=64, depths=(4, 8, 16), base=64, depth_rule=("depth_mup", "sp"), lr=0.006, steps=60,
        every=6, seeds=range(8), storage=tmp_path_factory.mktemp("resmlp"),
    )  # fmt: skip


def test_depths_of_one_layer_per_block_meet_under_depth_mup(resmlp):
    rule = resmlp.rules["depth_mup"]
    assert not rule.diverged
    assert spreads(rule)[-1] <= 0.1
    assert spreads(rule)[-1] < spreads(rule)[0]


def test_depths_without_a_rule_begin_beyond_the_edge_and_diverge(resmlp):
    rule = resmlp.rules["sp"]
    assert rule.spreads[0].means[8] > 2 * rule.threshold
    assert rule.diverged.get(8, 0) > 0
    assert not rule.verdict.ok
