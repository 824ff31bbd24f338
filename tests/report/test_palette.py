import itertools
import re

import pytest

from similitude.report.palette import COLOURS, css_variables, rule_slots, size_colours, stand_in, themed


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("ground", ["page", "card"])
def test_text_and_marks_have_the_contrast_of_wcag(dark, ground):
    for name, pair in COLOURS.items():
        if name in ("page", "card", "grid"):
            continue
        # Labels in the cost figure are written in the colours of the rules.
        needed = 3.0 if name[0] == "w" else 4.5
        assert contrast(pair[dark], COLOURS[ground][dark]) >= needed, (name, pair[dark])


@pytest.mark.parametrize("dark", [False, True])
def test_widths_are_ordered_by_luminance_for_readers_who_see_no_hue(dark):
    contrasts = [contrast(COLOURS[f"w{i}"][dark], COLOURS["page"][dark]) for i in range(6)]
    assert contrasts == sorted(contrasts)


def test_a_stand_in_is_unique_and_becomes_its_variable():
    assert len({stand_in(name) for name in COLOURS}) == len(COLOURS)
    assert themed(f'style="fill: {stand_in("w3")}"') == 'style="fill: var(--w3)"'
    with pytest.raises(KeyError, match="no colour 'mauve'"):
        stand_in("mauve")


def test_both_themes_declare_every_variable():
    names = [re.findall(r"--(\w+):", css_variables(dark=dark)) for dark in (False, True)]
    assert names == [list(COLOURS)] * 2


def test_up_to_six_widths_have_colours_of_their_own():
    for count in range(1, 7):
        assert len(set(size_colours(count))) == count
    assert len(size_colours(9)) == 9


def test_a_known_rule_has_one_slot_everywhere_and_others_share_none():
    for names in itertools.permutations(["sp", "mine", "mup", "yours"]):
        slots = rule_slots(names)
        assert (slots["mup"], slots["sp"]) == (0, 1)
        assert len(set(slots.values())) == 4
