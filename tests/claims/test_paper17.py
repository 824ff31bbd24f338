"""Claims of paper 17: what is judged, on synthetic losses with known optima."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from similitude.claims import paper17
from similitude.claims.paper17 import DroppedMLP, judged_curves, judged_text
from similitude.claims.sweeps import chosen_at_base, finals, moves, stays, sweep, train
from similitude.core.verdict import Outcome
from similitude.studies.records import Curve
from similitude.studies.shift import transfer
from tests.cases import tiny_experiment

WIDTHS = (64, 128, 256)
VALUES = tuple(2.0**k for k in range(-6, 5))


def basin(best, *, curvature=0.02, noise=0.003):
    """Losses by width and value: a parabola in log2 of the value whose minimum is `best(width)`."""

    def losses_at(width, value):
        rng = np.random.default_rng([width, round(value * 1024)])
        return 0.5 + curvature * (math.log2(value) - best(width)) ** 2 + noise * rng.standard_normal(4)

    return losses_at


def drift(octaves):
    return lambda width: octaves * math.log2(width / 64) - 1


def test_a_fixed_optimum_stays_and_a_moving_one_moves():
    fixed = sweep(WIDTHS, VALUES, basin(drift(0.0)))
    moving = sweep(WIDTHS, VALUES, basin(drift(1.0)))
    assert stays("scale", fixed).verdict.outcome is Outcome.OK
    assert moves("scale", fixed).verdict.outcome is Outcome.INCONSISTENT
    assert stays("scale", moving).verdict.outcome is Outcome.INCONSISTENT
    assert moves("scale", moving).verdict.outcome is Outcome.OK
    assert stays("scale", moving).value == pytest.approx(1.0, abs=0.1)
    assert "the best scale moves by +1.0" in stays("scale", moving).verdict.summary
    assert not any("learning rate" in row.name for row in stays("scale", moving).verdict.evidence)


def test_a_flat_basin_is_judged_by_cost_if_values_matter():
    def walled(width, value):
        flat = basin(lambda _: 0.0, curvature=0.0)(width, value)
        return flat + (1.0 if value < 2**-3 else 0.0)

    found = sweep(WIDTHS, VALUES, walled)
    assert found.verdict.undecided
    assert stays("scale", found).verdict.outcome is Outcome.OK
    nothing = sweep(WIDTHS, VALUES, basin(lambda _: 0.0, curvature=0.0))
    assert stays("scale", nothing).verdict.undecided
    assert moves("scale", nothing).verdict.outcome is Outcome.CANNOT_TELL


@pytest.mark.parametrize(
    ("wide", "outcome", "cost"),
    [
        ([1.0, 1.5, 2.0], Outcome.OK, 0.0),
        ([1.01, 1.0, 2.0], Outcome.OK, 0.01),
        ([1.1, 1.0, 2.0], Outcome.INCONSISTENT, 0.1),
    ],
)
def test_a_choice_at_the_base_is_judged_by_its_cost(wide, outcome, cost):
    seeds = np.array([0.0, 0.3, -0.3])  # the same for every choice: paired, it cancels
    base = np.array([1.0, 1.2, 1.4])[:, None] + seeds
    found = chosen_at_base("shape", ("a", "b", "c"), {64: base, 256: np.array(wide)[:, None] + seeds})
    assert found.verdict.outcome is outcome
    assert found.value == pytest.approx(cost)
    assert found.interval == pytest.approx((cost, cost))


def test_choices_that_do_not_matter_say_nothing():
    same = np.full((2, 3), 1.0)
    assert chosen_at_base("shape", ("a", "b"), {64: same, 128: same}).verdict.outcome is Outcome.CANNOT_TELL


def test_curves_are_compared_part_by_part():
    rng = np.random.default_rng(0)
    narrow = 1.0 + 0.01 * rng.standard_normal((8, 100))
    ahead = judged_curves(narrow, narrow - 0.1)
    assert ahead.verdict.outcome is Outcome.OK
    assert ahead.value == pytest.approx(-0.1)
    late = narrow.copy()
    late[:, 50:] += 0.1
    assert judged_curves(narrow, late - 0.05).verdict.outcome is Outcome.INCONSISTENT
    first_part_is_free = narrow - 0.1
    first_part_is_free[:, :10] += 1.0
    assert judged_curves(narrow, first_part_is_free).verdict.outcome is Outcome.OK


def study(rule, octaves):
    losses_at = basin(drift(octaves), noise=0.001)
    return transfer(
        rule,
        [
            Curve(w, VALUES, tuple(tuple(losses_at(w, v).tolist()) for v in VALUES))
            for w in (64, 128, 256, 512)
        ],
    )


def test_the_text_claim_counts_notches_over_all_widths():
    good = judged_text(study("mup", 0.1), study("sp", -0.8))
    assert good.verdict.outcome is Outcome.OK
    assert good.value == pytest.approx(0.3, abs=0.15)
    assert "under sp it moves by -2." in good.verdict.summary
    assert judged_text(study("mup", 0.6), study("sp", -0.8)).verdict.outcome is Outcome.INCONSISTENT


def test_training_applies_options_and_knobs():
    experiment = tiny_experiment(rules=("mup",))
    settings = [(experiment.lrs[0], {}), (experiment.lrs[0], {"betas": (0.0, 0.5)})]
    losses = finals(train(experiment, experiment.widths[0], settings, seeds=(0, 1)))
    assert losses.shape == (2, 2)
    assert (losses[0] != losses[1]).all()
    scaled = finals(
        train(experiment, experiment.widths[0], settings[:1], seeds=(0, 1), knobs={"hidden": {"init": 4.0}})
    )
    assert (scaled[0] != losses[0]).all()


def test_dropout_is_on_in_training_alone():
    model = DroppedMLP(32, rate=0.5)
    torch.nn.init.ones_(model.get_parameter("mlp.head.weight"))
    x = torch.ones(2, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    assert torch.equal(model(x), model.mlp(x))


@pytest.mark.parametrize(
    ("claim", "right", "wrong"),
    [
        (paper17.init_scale, 0.0, 1.0),
        (paper17.output_multiplier, 0.0, 1.0),
        (paper17.dropout, 1.0, 0.0),
    ],
)
def test_an_optimum_of_another_power_of_the_width_turns_a_claim_red(monkeypatch, claim, right, wrong):
    """Losses whose optimum goes as a power of the width stand in for those of trained networks."""
    monkeypatch.setattr(paper17, "tuned", lambda experiment: 1.0)
    for power, outcome in ((right, Outcome.OK), (wrong, Outcome.INCONSISTENT)):
        losses_at = basin(drift(power))
        monkeypatch.setattr(
            paper17, "sweep", lambda widths, values, _, losses_at=losses_at: sweep(widths, values, losses_at)
        )
        assert claim().verdict.outcome is outcome


@pytest.mark.parametrize("claim", [paper17.transfer, paper17.text_transfer])
def test_rates_of_another_power_of_the_width_turn_transfer_red(monkeypatch, claim):
    for mup, sp, holds in ((0.05, -0.8, True), (0.6, -0.8, False)):
        found = SimpleNamespace(transfers={"mup": study("mup", mup), "sp": study("sp", sp)})
        monkeypatch.setattr(paper17, "run", lambda *_, found=found: found)
        assert claim().verdict.ok is holds


@pytest.mark.parametrize("claim", [paper17.betas, paper17.schedule])
def test_a_choice_that_is_best_at_one_width_alone_turns_a_claim_red(monkeypatch, claim):
    """The cost of a choice is its distance from the best one, whose place may depend on the width."""
    monkeypatch.setattr(paper17, "tuned", lambda experiment: 1.0)
    monkeypatch.setattr(paper17, "finals", lambda losses: losses)
    for moved, outcome in ((0, Outcome.OK), (2, Outcome.INCONSISTENT)):
        seen: dict[int, int] = {}

        def losses(experiment, width, settings, *, seeds, seen=seen, moved=moved):
            first = seen.get(width, 0)
            seen[width] = first + len(settings)
            best = 1 + moved * (width != experiment.widths[0])
            places = np.arange(first, first + len(settings))
            return 1 + 0.1 * np.abs(places - best)[:, None] + np.zeros(len(seeds))

        monkeypatch.setattr(paper17, "train", losses)
        assert claim().verdict.outcome is outcome
