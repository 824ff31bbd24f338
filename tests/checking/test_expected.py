"""What plans promise: exponents of every rule, and of tensors that carry multipliers."""

import dataclasses

import pytest
from check_cases import plan

from similitude.checking.expected import Promise, exponent, promised


def _expected(rule, quantity, role, *, carries=None, tied=False, by_name=False):
    return exponent(rule, quantity, role, carries=carries or Promise(), tied=tied, by_name=by_name)


@pytest.mark.parametrize("rule", ["mup", "spectral", "sp"])
@pytest.mark.parametrize(
    "quantity", ["update", "change", "logits change", "init norm", "update norm", "decay"]
)
def test_learning_alike_is_zero_everywhere(rule, quantity):
    assert _expected(rule, quantity, "hidden") == 0.0


def test_the_kernel_regime_falls_inside_and_not_at_the_outputs():
    assert _expected("ntp", "update", "hidden") == _expected("ntp", "change", "input") == -0.5
    assert _expected("ntp", "update", "output") == _expected("ntp", "logits change", "output") == 0.0
    assert _expected("ntp", "init norm", "output") == 0.5
    assert _expected("ntp", "update", "hidden", by_name=True) == 0.0


def test_tables_of_unit_scaled_mup_are_slower_by_name_too():
    for by_name in (False, True):
        assert _expected("u_mup", "update", "lookup", by_name=by_name) == -0.5
        assert _expected("u_mup", "update norm", "lookup", by_name=by_name) == -0.5
        assert _expected("u_mup", "init norm", "lookup", by_name=by_name) == 0.0
        assert _expected("u_mup", "update", "hidden", by_name=by_name) == 0.0


def test_levels_are_reported_without_an_expectation():
    assert _expected("mup", "logits", "output") is None


def test_a_carried_multiplier_is_expected_to_show():
    row = dataclasses.replace(plan().rows[0], multiplier=0.25, carries=("the head's multiplier x0.25",))
    made = dataclasses.replace(plan(), rows=(row,))
    inner = promised(made, by_name=False, outer=False)[row.name]
    assert (inner.effect, inner.norm) == (pytest.approx(-1.0), pytest.approx(-1.0))
    assert _expected("mup", "update", "vector", carries=inner) == pytest.approx(-1.0)
    assert promised(dataclasses.replace(made, rule="sp"), by_name=True, outer=False) == {}


def test_a_multiplier_that_cancels_one_promises_nothing_at_an_output():
    row = plan().rows[-2]
    row = dataclasses.replace(row, multiplier=2.0, carries=("the inverse of width^-0.5 in the forward pass",))
    made = dataclasses.replace(plan(), rows=(row,))
    assert promised(made, by_name=False, outer=True)[row.name] == Promise(0.0, None)
    assert promised(made, by_name=False, outer=False)[row.name].effect == pytest.approx(0.5)


def test_a_table_that_is_the_head_has_no_norm_to_promise():
    assert _expected("mup", "update norm", "lookup", tied=True) is None
    assert _expected("mup", "logits change", "lookup", tied=True) == 0.0
