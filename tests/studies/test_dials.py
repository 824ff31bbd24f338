"""Which dial changes in a study, which stay, and which rules are compared: what is wrong is said before any run."""

from __future__ import annotations

import pytest

from similitude.core.errors import GridError, PlanError
from similitude.studies.dials import Compared, compared, fixed_dials
from tests.cases import tiny_experiment


@pytest.mark.parametrize(
    ("base", "dial", "fixed"),
    [
        (128, "depth", {"width": 128}),
        ({"depth": 4, "width": 128}, "depth", {"width": 128}),
        (None, "width", {}),
        (64, "width", {}),
        ({"depth": 6}, "width", {"depth": 6}),
        ({"width": 64, "depth": 6, "heads": 2}, "width", {"depth": 6, "heads": 2}),
    ],
)
def test_the_dials_that_stay(base, dial, fixed):
    assert fixed_dials(base, dial=dial, smallest={"width": 64, "depth": 4}[dial]) == fixed


@pytest.mark.parametrize(
    ("base", "dial", "text"),
    [
        (None, "depth", r"the width is not given. Pass base=.*--base 128"),
        ({"depth": 4}, "depth", "the width is not given"),
        ({"width": 64, "depth": 8}, "depth", "base has depth 8, and the smallest depth of the study is 4"),
        (128, "width", "base has width 128, and the smallest width of the study is 4"),
    ],
)
def test_a_base_that_does_not_fit(base, dial, text):
    with pytest.raises(GridError, match=text):
        fixed_dials(base, dial=dial, smallest=4)


def test_rules_go_by_their_names():
    assert compared("width", None, None) == {"sp": Compared("sp", None), "mup": Compared("mup", None)}
    assert compared("depth", None, "complete_p") == {"complete_p": Compared("mup", "complete_p")}
    assert compared("depth", None, [0.75, "sp"]) == {
        "0.75": Compared("mup", 0.75),
        "sp": Compared("mup", "sp"),
    }


@pytest.mark.parametrize(
    ("dial", "rules", "depth_rule", "error", "text"),
    [
        ("width", (), None, GridError, "compares nothing: name at least one rule"),
        ("width", ("mup", "mup"), None, GridError, "each once"),
        ("width", ("mupp",), None, PlanError, "rule 'mupp' is unknown"),
        ("width", None, "sp", GridError, "depth_rule='sp' has no effect where the width changes"),
        ("depth", None, None, GridError, "depth_rule is not given. Choose 'depth_mup'"),
        ("depth", None, (), GridError, "compares nothing"),
        ("depth", None, ("sp", "sp"), GridError, r"each once, e.g. depth_rule=\('sp', 'depth_mup'\)"),
        ("depth", None, "mup", PlanError, "depth_rule 'mup' is unknown"),
        ("depth", None, (0.5, 0.2), PlanError, r"depth_rule=0.2 is outside \[0.5, 1\]"),
        ("depth", ("mup",), "sp", GridError, "are compared over widths, and here the depth changes"),
    ],
)
def test_rules_that_do_not_fit(dial, rules, depth_rule, error, text):
    with pytest.raises(error, match=text):
        compared(dial, rules, depth_rule)


def test_one_dial_changes_at_a_time():
    with pytest.raises(GridError, match="one dial changes at a time"):
        tiny_experiment(depths=(2, 4), base=8, depth_rule="sp")


def test_a_depth_that_stays_is_part_of_the_experiment():
    shallow, deep = (tiny_experiment(base={"depth": depth}, make=two_dials) for depth in (1, 3))
    assert shallow.at(16) == {"width": 16, "depth": 1}
    assert deep.fingerprint()["depth"] == 3
    assert deep.fingerprint()["code of the model"] != shallow.fingerprint()["code of the model"]
    assert {"depth"}.isdisjoint(shallow.grid()[0])


def two_dials(width, depth):
    from similitude.models import MLP

    return MLP(16, 4, width=width, depth=depth).double()
