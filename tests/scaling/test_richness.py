"""The dial's law as numbers; what it says of training is measured in tests/studies/test_gamma_sweep.py."""

import pytest

from similitude.core.citation import cite
from similitude.core.errors import PlanError
from similitude.scaling.richness import known_gamma, lr_scale, power_of
from similitude.scaling.rules import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("layers", [1, 2, 3, 7])
def test_both_sides_meet_at_one(family, layers):
    assert lr_scale(1, layers, family) == 1.0
    below, above = (lr_scale(gamma, layers, family) for gamma in (1 - 1e-9, 1 + 1e-9))
    assert below == pytest.approx(above, abs=1e-8)
    assert below < 1.0 < above


@pytest.mark.parametrize("family", FAMILIES)
def test_one_layer_has_no_rich_side(family):
    assert lr_scale(0.5, 1, family) * lr_scale(2.0, 1, family) == 1.0


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_weights_that_grow_by_equal_shares_undo_gamma(layers):
    """w -> s w in every layer makes outputs s^L larger; SGD follows at s^2 times the rate, sign descent at s."""
    share = 3.0
    gamma = share**layers
    assert lr_scale(gamma, layers, "sgd") == pytest.approx(share**2)
    assert lr_scale(gamma, layers, "entrywise") == pytest.approx(share)
    assert lr_scale(gamma, layers, "orthogonalized") == pytest.approx(share)


def test_lazy_rates_keep_the_step_of_the_output():
    """An output w x / gamma moves by lr / gamma^2 under SGD, and by lr / gamma under steps of a fixed size."""
    gamma = 1 / 8
    assert lr_scale(gamma, 5, "sgd") / gamma**2 == 1.0
    assert lr_scale(gamma, 5, "entrywise") / gamma == 1.0
    assert power_of(gamma, 5, "sgd") == 2 * power_of(gamma, 5, "orthogonalized")


@pytest.mark.parametrize("gamma", [0, -1.0, float("nan"), float("inf"), "4", None, True])
def test_what_is_no_richness_is_refused(gamma):
    with pytest.raises(PlanError, match=r"gamma=.* positive finite number"):
        known_gamma(gamma)


@pytest.mark.parametrize("layers", [0, -2, 2.5, True])
def test_layers_are_counted(layers):
    with pytest.raises(PlanError, match=r"layers=.*at least 1"):
        lr_scale(2.0, layers, "sgd")


def test_families_are_those_of_the_rules():
    with pytest.raises(PlanError, match="'adam' is unknown"):
        lr_scale(2.0, 2, "adam")


def test_the_law_cites_its_paper():
    assert cite(lr_scale)[0].paper.number == cite(power_of)[0].paper.number == 1
