"""abcd-parametrizations: their symmetry, the named ones against the rules of plans, and what is refused."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.abcd import NAMES, Parametrization, abcd, layer
from similitude.scaling.rules import FAMILIES, ROLES, TABLE

THETA = st.fractions(min_value=-3, max_value=3, max_denominator=12)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rule", ["mup", "ntp"])
def test_without_multipliers_they_are_the_rules_of_plans(rule, family):
    for found in abcd(rule, family).folded().layers:
        cell = TABLE[rule][found.role]
        init, lr = cell.init, cell.lr(family)
        sides = float(found.fan_in), float(found.fan_out)
        assert found.a == 0
        assert -float(found.b) == init.fan_in * sides[0] + init.fan_out * sides[1]
        assert -float(found.c - (found.d if family == "sgd" else 0)) == (
            lr.fan_in * sides[0] + lr.fan_out * sides[1]
        )
        if family != "sgd":
            eps = cell.eps_of(family)
            assert -float(found.d) == eps.fan_in * sides[0] + eps.fan_out * sides[1]


@given(THETA, st.sampled_from(["input", "hidden", "output"]))
def test_a_shift_moves_one_layer_and_can_be_undone(theta, role):
    plain = abcd("ntp", "entrywise")
    moved = plain.shift(theta, roles=[role])
    assert moved.shift(-theta, roles=[role]) == plain
    for before, after in zip(plain.layers, moved.layers, strict=True):
        assert after.a + after.b == before.a + before.b
        assert after.signal == before.signal
        assert (after == before) == (theta == 0 or before.role != role)


def test_zero_inits_stay_zero():
    zero = Parametrization("zero head", (layer("output", "sgd", b=None, c=1),))
    assert zero.shift(1).layers[0].b is None
    assert zero.layers[0].signal is None


def test_slower_changes_rates_alone():
    slower = abcd("mup", "sgd").slower(Fraction(1, 2), roles=["hidden"])
    assert [x.c for x in slower.layers] == [0, Fraction(1, 2), 0]
    assert [x.b for x in slower.layers] == [x.b for x in abcd("mup", "sgd").layers]


@pytest.mark.parametrize("role", ROLES)
def test_a_layer_grows_as_its_role_says(role):
    found = layer(role, "sgd")
    grows = {
        "input": (0, 1), "lookup": (0, 1), "vector": (0, 1), "hidden": (1, 1), "bottleneck": (1, 0), "output": (1, 0),
        "finite": (0, 0),
    }  # fmt: skip
    assert (found.fan_in, found.fan_out) == grows[role]


@pytest.mark.parametrize("family", FAMILIES)
def test_one_hidden_layer_has_no_hidden_matrix(family):
    for name in NAMES:
        assert [x.role for x in abcd(name, family, hidden_layers=1).layers] == ["input", "output"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: abcd("mupp", "sgd"),
            PlanError,
            "parametrization 'mupp' is unknown. Choose one of 'sp', 'ntp'",
        ),
        (lambda: abcd("mup", "adam"), PlanError, "optimizer family 'adam' is unknown"),
        (lambda: abcd("mup", "sgd", hidden_layers=0), PlanError, "hidden_layers=0"),
        (lambda: abcd("mean_field", "sgd"), PlanError, "a limit of 1 hidden layer, not of 2"),
        (lambda: layer("head", "sgd"), RoleError, "role 'head' is unknown"),
        (lambda: layer("output", "adam"), PlanError, "family 'adam' is unknown"),
        (lambda: abcd("mup", "sgd").shift(1, roles=["head"]), RoleError, "role 'head' is unknown"),
    ],
)
def test_what_does_not_exist_is_named(call, error, text):
    with pytest.raises(error, match=text):
        call()
