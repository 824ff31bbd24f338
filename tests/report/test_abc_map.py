"""The map, the table and the page of a regime: what they show is what the classification says."""

import io
import xml.etree.ElementTree as ET
from fractions import Fraction
from html.parser import HTMLParser

import pytest
from rich.console import Console

from similitude.report.abc_map import abc_map
from similitude.report.abc_page import write_abc_page
from similitude.report.abc_table import abc_table, eps, exponent, meaning
from similitude.report.figures import figures, save_figures
from similitude.scaling.abcd import Parametrization, abcd, layer
from similitude.scaling.regime import classify

SVG = "{http://www.w3.org/2000/svg}"
STANDARD = classify(abcd("sp", "entrywise"))


def _accent(regime):
    """Return the places of the model's marks inside the axes, and so not those of the legend."""
    root = ET.fromstring(abc_map(regime).panels[0].placed("here"))
    box = root.find(f".//{SVG}clipPath/{SVG}rect")
    left, top = float(box.get("x")), float(box.get("y"))
    marks = [use for use in root.iter(f"{SVG}use") if "accent" in use.get("style", "")]
    places = [(float(use.get("x")), float(use.get("y"))) for use in marks]
    return [(x, y) for x, y in places if x >= left and y >= top]


def test_a_stable_model_is_one_point_and_an_unstable_one_two():
    assert len(_accent(classify(abcd("mup", "sgd")))) == 1
    full, hollow = _accent(STANDARD)
    assert full[0] == hollow[0]  # the head is the same
    assert full[1] < hollow[1]  # svg's y grows downwards: slower features are lower


def test_faster_features_are_higher_and_smaller_heads_farther_right():
    ntp, mup = (_accent(classify(abcd(name, "sgd")))[0] for name in ("ntp", "mup"))
    assert mup[0] > ntp[0]
    assert mup[1] < ntp[1]
    zero = _accent(
        classify(
            Parametrization("zero", (*abcd("mup", "sgd").layers[:2], layer("output", "sgd", b=None, c=1)))
        )
    )
    assert zero[0][0] > mup[0]


def test_points_beyond_the_axes_are_at_their_edge():
    full, hollow = _accent(classify(abcd("sp", "entrywise").slower(-7)))
    assert full[1] < _accent(STANDARD)[0][1]
    assert hollow == _accent(STANDARD)[1]


def test_numbers_are_said_in_words():
    assert abc_map(STANDARD).numbers == (
        "sp: unstable; the head starts at n^-1/2, features change as n^+1.",
        "at the rate n^-3/2: kernel; the head starts at n^-1/2, features change as n^-1/2.",
    )


def test_an_eps_that_stays_has_a_mark_of_its_own():
    mup = abcd("mup", "entrywise").folded()
    stays = classify(Parametrization("muP", tuple(layer(x.role, x.family, b=x.b, c=x.c) for x in mup.layers)))
    assert abc_map(stays).numbers[-1] == (
        "once eps is larger than gradients: kernel; the head starts at n^-1, features change as n^-1."
    )
    assert "once eps is larger" in abc_map(stays).panels[0].placed("here")
    assert "once eps is larger" not in abc_map(classify(mup)).panels[0].placed("here")


def test_without_a_head_there_is_no_map():
    body = classify(Parametrization("body", abcd("mup", "sgd").layers[:2]))
    assert abc_map(body) is None
    assert figures(body) == []


def test_figures_are_saved(tmp_path):
    (path,) = save_figures(STANDARD, tmp_path)
    assert path.name == "sp-map.svg"
    assert "kernel" in "".join(ET.parse(path).getroot().itertext())


def _printed(regime):
    console = Console(file=io.StringIO(), width=120, highlight=False)
    console.print(abc_table(regime))
    return console.file.getvalue()


def test_the_table_has_every_exponent_and_the_broken_laws():
    out = _printed(STANDARD)
    for text in (
        "hidden  hidden 0 1/2 0 -1 its steps change what it gives as n^+1: too fast",
        "input   input  0   0 0  0 learns alike at every width",
        "broken: change of outputs by its own steps: n^+1 (-1 >= 0, broken)",
        "next: one learning rate for the whole is stable up to n^-3/2",
    ):
        assert text in out, out
    assert "broken" not in _printed(classify(abcd("mup", "sgd")))


def test_the_meaning_of_signals():
    assert (
        meaning(layer("output", "sgd", b=None), Fraction(0)) == "learns alike at every width; starts at zero"
    )
    assert meaning(layer("hidden", "sgd", b=1), Fraction(1, 2)).endswith("as n^-1/2: fades; starts as n^-1/2")
    assert meaning(layer("vector", "sgd", b=1), Fraction(0)) == "learns alike at every width"
    assert meaning(layer("hidden", "sgd", b=0), Fraction(0)).endswith("starts as n^+1/2")
    assert exponent(None) == "zero"


def test_an_eps_that_stays_is_told():
    layers = [layer(x.role, x.family, a=x.a, b=x.b, c=x.c) for x in abcd("mup", "entrywise").folded().layers]
    stays = classify(Parametrization("muP", tuple(layers)))
    assert eps(stays) == (
        "eps stays while gradients fall by up to n^-1 (input; hidden): it stops them once it is comparable, "
        "and beyond that the regime is kernel, with features that change as n^-1"
    )
    assert eps(classify(abcd("mup", "entrywise"))) == ""
    assert f"note: {eps(stays)}"[:40] in _printed(stays)


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.outside, self.cells, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.outside += [v for k, v in attrs if k in ("src", "href") and not str(v).startswith("#")]
        self.cells += [tag] if tag in ("td", "th") else []
        self.ids += [values["id"]] if "id" in values else []


@pytest.mark.parametrize("name", ["sp", "mup"])
def test_the_page_is_whole_and_needs_nothing_else(tmp_path, name):
    regime = classify(abcd(name, "entrywise"))
    path = write_abc_page(regime, tmp_path / "new" / "page.html")
    page = path.read_text()
    parser = _Links()
    parser.feed(page)
    assert parser.outside == []
    assert len(parser.ids) == len(set(parser.ids))
    assert len(parser.cells) == 7 * (1 + len(regime.parametrization.layers))
    assert regime.kind in page
    assert all(condition.name in page for condition in regime.conditions)
    assert page == write_abc_page(regime, tmp_path / "again.html").read_text()
