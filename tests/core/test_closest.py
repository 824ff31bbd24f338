"""The name that a user may have meant: the closest, where one is close enough."""

import difflib

import pytest

from similitude.core.closest import closest_name, did_you_mean

NAMES = ["raster", "cycles", "mitsuba"]


def test_the_closest_of_those_that_are_close_enough():
    given = "mitsub"
    likeness = {name: difflib.SequenceMatcher(None, name, given).ratio() for name in NAMES}
    assert closest_name(given, NAMES) == max(NAMES, key=likeness.__getitem__) == "mitsuba"
    assert closest_name(given, NAMES, cutoff=likeness["mitsuba"] - 0.01) == "mitsuba"
    assert closest_name(given, NAMES, cutoff=likeness["mitsuba"] + 0.01) is None


def test_what_is_given_need_not_be_text_and_known_names_may_come_one_by_one():
    assert closest_name(10, iter(["100", "x"])) == "100"
    assert closest_name("x", []) is None


def test_a_question_ends_with_a_space_or_is_nothing():
    assert f"none. {did_you_mean('cicles', NAMES)}There are 3." == "none. Did you mean cycles? There are 3."
    assert did_you_mean("x", NAMES) == ""
    assert did_you_mean(None, ["None"]) == "Did you mean None? "


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("nosuch", "mitsuba"),
        ("None", "ground"),
        ("blender", "cycles"),
        ("nosuch", "anagrams"),
        ("bayes", "carbs"),
    ],
)
def test_names_of_which_less_than_half_agrees_are_not_close(given, known):
    assert did_you_mean(given, [known]) == ""


@pytest.mark.parametrize(("given", "known"), [("zoom", "zoom_factor"), ("bxo", "box"), ("rand", "random")])
def test_names_of_which_half_agrees_are_close(given, known):
    assert did_you_mean(given, [known]) == f"Did you mean {known}? "
