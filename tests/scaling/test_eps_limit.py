"""Where eps has won: faithful tables stay as they are, others end as SGD's, layer by layer."""

from dataclasses import replace
from fractions import Fraction

import pytest

from similitude.scaling.abcd import Parametrization, abcd
from similitude.scaling.eps_limit import where_eps_wins
from similitude.scaling.regime import classify


def _constant(name, hidden_layers=2):
    """The table with its multipliers folded and an eps that stays."""
    layers = abcd(name, "entrywise", hidden_layers=hidden_layers).folded().layers
    return Parametrization(name, tuple(replace(x, d=Fraction(0)) for x in layers))


@pytest.mark.parametrize("name", ["mup", "ntp", "naive_mean_field"])
@pytest.mark.parametrize("family", ["entrywise", "sgd"])
def test_what_is_faithful_or_has_no_eps_stays(name, family):
    given = abcd(name, family)
    assert where_eps_wins(given) is given


@pytest.mark.parametrize("name", ["mup", "ntp"])
def test_with_a_constant_eps_only_the_head_learns(name):
    end = classify(where_eps_wins(_constant(name)))
    assert [x.family for x in end.parametrization.layers] == ["sgd", "sgd", "entrywise"]
    assert (end.kind, end.r, end.readout) == ("kernel", 1, 0)
    assert end.faithful == (0, 0, 0)


def test_eps_wins_layer_by_layer_from_the_head_down():
    """A head of zeros passes on nothing but what its own steps make of it."""
    head = replace(_constant("mup").layers[-1], b=None, d=Fraction(-1))
    given = Parametrization("head", (*_constant("mup").layers[:2], head))
    end = where_eps_wins(given)
    assert [x.family for x in end.layers] == ["sgd", "sgd", "sgd"]
    assert classify(end).backward == classify(given).backward + 1


def test_the_end_is_where_nothing_changes():
    for name in ("sp", "mup", "ntp"):
        for slower in (0, 1, Fraction(3, 2)):
            end = where_eps_wins(_constant(name).slower(slower))
            assert where_eps_wins(end) is end
            assert max(classify(end).faithful) <= 0
