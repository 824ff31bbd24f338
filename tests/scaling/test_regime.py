"""Regimes against the published classification for SGD, against measured networks, and by their own laws."""

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from similitude.claims.abcd_nets import Training, growth, some_digits, train
from similitude.core.errors import BadVerdictError, PlanError
from similitude.scaling.abcd import NAMES, Parametrization, abcd, layer
from similitude.scaling.regime import classify, power
from similitude.scaling.rules import FAMILIES
from tests.oracles.abc_sgd import AbcSgd

HALF = Fraction(1, 2)
EXPONENT = st.fractions(min_value=-1, max_value=Fraction(3, 2), max_denominator=4)
KINDS = {
    "sp": "unstable",
    "ntp": "kernel",
    "mup": "feature learning",
    "mean_field": "feature learning",
    "naive_mean_field": "vanishing",
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", NAMES)
def test_named_parametrizations(name, family):
    found = classify(abcd(name, family, hidden_layers=1 if name == "mean_field" else 2))
    assert found.kind == KINDS[name]
    assert found.r == {"ntp": HALF}.get(name, found.r)
    if name in ("ntp", "mup", "mean_field"):
        assert found.slowdown == 0  # the largest stable rates
        assert set(found.faithful) == {0}
        assert found.readout == found.carried == 0


@given(st.lists(EXPONENT, min_size=3, max_size=3), EXPONENT, EXPONENT)
def test_sgd_is_classified_as_published(a, head, c):
    b = (-a[0], HALF - a[1], head)
    published = AbcSgd(tuple(a), b, c)
    roles = ("input", "hidden", "output")
    layers = tuple(layer(role, "sgd", a=x, b=y, c=c) for role, x, y in zip(roles, a, b, strict=True))
    found = classify(Parametrization("any", layers))
    assert found.r == published.r
    assert found.kind == published.kind


def _any(family, numbers):
    layers = []
    for role, (a, b, c, d) in zip(("input", "hidden", "output"), numbers, strict=True):
        layers.append(layer(role, family, a=a, b=b, c=c, d=d))
    return Parametrization("any", tuple(layers))


NUMBERS = st.lists(st.tuples(EXPONENT, EXPONENT, EXPONENT, EXPONENT), min_size=3, max_size=3)


@settings(max_examples=60)
@given(st.sampled_from(FAMILIES), NUMBERS, EXPONENT, st.sampled_from(["input", "hidden", "output"]))
def test_the_symmetry_changes_no_regime(family, numbers, theta, role):
    plain = _any(family, numbers)
    moved = dataclasses.replace(
        classify(plain.shift(theta, roles=[role])), parametrization=classify(plain).parametrization
    )
    assert moved == classify(plain)


@settings(max_examples=60)
@given(st.sampled_from(FAMILIES), NUMBERS)
def test_the_slowdown_is_the_least_that_stops_all_growth(family, numbers):
    plain = _any(family, numbers)
    found = classify(plain)
    assert all(c.value >= 0 for c in classify(plain.slower(found.slowdown)).training)
    faster = classify(plain.slower(found.slowdown - Fraction(1, 100)))
    assert any(c.value < 0 for c in faster.training)
    calm = classify(plain.slower(found.layer_slowdown))
    assert min(calm.change) == 0
    assert found.layer_slowdown <= found.slowdown


@pytest.mark.parametrize(("family", "optimizer", "rate"), [("sgd", "sgd", 1e-3), ("entrywise", "adam", 1e-4)])
@pytest.mark.parametrize(
    ("head", "speed"), [(1, (0, 0, 0)), (HALF, (0, 0, 0)), (Fraction(3, 4), (1, Fraction(1, 4), HALF))]
)
def test_measured_networks_follow_r(family, optimizer, rate, head, speed):
    """One small step of networks far from the named ones: the first step sees the initial head alone."""
    slow = dict(zip(("input", "hidden", "output"), speed, strict=True))
    layers = (
        layer("input", family, c=slow["input"] - (head if family == "sgd" else 0)),
        layer("hidden", family, b=HALF, c=slow["hidden"] + 1 - (head if family == "sgd" else 0)),
        layer("output", family, b=head, c=slow["output"] + 1),
    )
    parametrization = Parametrization("any", layers)
    found = classify(parametrization)
    training = Training(optimizer, rate, 1, eps=1e-12)
    measured = growth(
        (64, 192, 576),
        range(12),
        lambda width, seed: train(
            parametrization, width, some_digits(8), training, hidden_layers=2, seed=seed
        ),
        lambda run: {"first": run.features[0], "second": run.features[1], "outputs": run.moved},
    )
    # The second layer also passes on what the first one learned.
    expected = (found.change[0], min(found.change[:2]), min(found.readout, found.carried))
    for slope, exponent in zip(measured.values(), expected, strict=True):
        assert slope.value == pytest.approx(-float(exponent), abs=0.12)


def test_eps_is_held_against_the_gradient():
    constant = Parametrization(
        "muP with a constant eps",
        tuple(dataclasses.replace(x, d=Fraction(0)) for x in abcd("mup", "entrywise").folded().layers),
    )
    assert classify(constant).faithful == (1, 1, 0)
    assert classify(abcd("mup", "entrywise").folded()).faithful == (0, 0, 0)


def test_a_zero_head_is_stable_whatever_features_do():
    found = classify(
        Parametrization(
            "zero head",
            (
                layer("input", "entrywise"),
                layer("hidden", "entrywise", b=HALF, c=1),
                layer("output", "entrywise", b=None, c=1),
            ),
        )
    )
    assert (found.kind, found.carried, found.backward) == ("feature learning", None, 1)


def test_without_a_head_the_loss_is_a_mean_over_activations():
    body = abcd("mup", "sgd").folded().layers[:2]
    found = classify(Parametrization("body", body))
    assert (found.kind, found.readout, found.backward) == ("feature learning", None, 1)


def test_verdicts_say_what_grows_and_what_to_do():
    found = classify(abcd("sp", "entrywise"))
    assert found.verdict.summary == (
        "unstable: change of what hidden layers give by its own steps goes as n^+1, and 2 more"
    )
    assert found.verdict.next == (
        "one learning rate for the whole is stable up to n^-3/2 (kernel, where features change by n^-1/2); up to n^-1 if "
        "outputs may grow. Rule mup has a rate per layer"
    )
    with pytest.raises(BadVerdictError, match="grows: unstable"):
        found.raise_if_bad()
    classify(abcd("mup", "sgd")).raise_if_bad()
    assert "(-1 >= 0, broken)" in str(found)


def test_trivial_and_growing_starts():
    still = classify(abcd("mup", "entrywise").slower(1))
    assert (still.kind, still.verdict.exit_code) == ("trivial", 1)
    loud = classify(
        Parametrization("loud", (layer("input", "sgd"), layer("hidden", "sgd"), layer("output", "sgd")))
    )
    assert "no learning rate mends a start that grows" in loud.verdict.next


def test_plain_data():
    data = classify(abcd("ntp", "sgd")).to_dict()
    assert (data["kind"], data["r"], data["layers"][1]["a"]) == ("kernel", "1/2", "1/2")
    assert all(condition["holds"] for condition in data["conditions"])


def test_nothing_has_no_regime():
    with pytest.raises(PlanError, match="'empty' has no layer"):
        classify(Parametrization("empty", ()))


@pytest.mark.parametrize(
    ("value", "text"), [(Fraction(1), "+1"), (Fraction(0), "0"), (Fraction(-3, 2), "-3/2")]
)
def test_exponents_have_signs(value, text):
    assert power(value) == text
