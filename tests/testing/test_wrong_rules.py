"""Rules that the kit must catch: wrong powers of learning rate and init, and promises that a rule does not keep."""

import re
from dataclasses import replace

import pytest

import similitude as sim
from similitude.scaling.rules import TABLE, Power
from similitude.testing import RuleTests

HIDDEN = TABLE["mup"]["hidden"]


def kit(**attributes):
    return type("Kit", (RuleTests,), {"rule": "wrong", "families": ("entrywise",), **attributes})()


def wrong(role="hidden", regime="features", **powers):
    return sim.register_rule(
        "wrong", {role: replace(TABLE["mup"][role], **powers)}, like="mup", regime=regime
    )


@pytest.mark.parametrize(
    ("role", "family", "power", "grows"),
    [
        ("hidden", "entrywise", Power(-0.5, 0), 0.5),
        ("hidden", "sgd", Power(-1, 0.5), -0.5),
        ("hidden", "orthogonalized", Power(-1, 0), -1),
        ("input", "entrywise", Power(0, -1), -1),
        ("output", "sgd", Power(), 1),
    ],
)
def test_a_wrong_power_of_the_learning_rate_is_caught_with_its_exponent(role, family, power, grows):
    with wrong(role, **{family: power}), pytest.raises(AssertionError) as error:
        kit(families=(family,)).test_steps_have_the_promised_size()
    said = str(error.value)
    assert said.startswith(f"rule 'wrong', role {role!r}, {family}: one step's natural norm goes as width^")
    assert float(re.findall(r"width\^(-?[\d.]+),", said)[0]) == pytest.approx(grows, abs=0.25)
    assert f"Correct the power of lr for {family} in the cell of {role!r}" in said


def test_a_wrong_rate_and_a_wrong_init_fail_the_coordinate_check():
    with (
        wrong(entrywise=Power()),
        pytest.raises(AssertionError, match="the check says grows, expected is ok"),
    ):
        kit().test_passes_the_coordinate_check()
    with wrong(init=Power()), pytest.raises(AssertionError, match="the check says"):
        kit().test_passes_the_coordinate_check()


def test_a_regime_that_is_not_its_own_is_caught():
    """muP keeps features moving; as a rule of the kernel regime it would have to let them stand still."""
    with wrong(regime="kernel"), pytest.raises(AssertionError, match=r"promised is width\^-0.50"):
        kit().test_steps_have_the_promised_size()


def test_sp_is_no_rule_that_keeps_its_promises():
    with pytest.raises(AssertionError, match="the check says grows, expected is ok"):
        kit(rule="sp").test_passes_the_coordinate_check()


@pytest.fixture
def table(monkeypatch):
    """Change the table behind the registry's back, as no registration can."""
    with wrong():
        yield TABLE["wrong"]


def test_a_base_that_is_not_1_and_a_factor_without_a_reason_are_caught(table):
    class Shifted(Power):
        """A power with a constant in front, so that the base is not the reference."""

        def __call__(self, r_in, r_out):
            return 2 * super().__call__(r_in, r_out)

    table["hidden"] = replace(HIDDEN, entrywise=Shifted(-1, 0))
    with pytest.raises(
        AssertionError, match=r"role 'hidden', entrywise: at the base every factor must be 1, found .*lr"
    ):
        kit().test_base_is_the_reference()
