import copy
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib
import pytest
import report_cases as cases

from similitude.core.errors import ReportError
from similitude.report.costs import costs
from similitude.report.figures import figures, save_figures
from similitude.report.optima import optima
from similitude.report.scale import loss_ticks, loss_window, mean_losses, octave_ticks
from similitude.report.svg import draw
from similitude.report.u_curves import u_curves
from similitude.studies.records import Curve

SVG = "{http://www.w3.org/2000/svg}"


def texts(panel):
    return ["".join(node.itertext()) for node in ET.fromstring(panel.svg).iter(f"{SVG}text")]


def test_a_study_has_three_figures_and_every_panel_is_a_described_image():
    made = figures(cases.study())
    assert [f.key for f in made] == ["curves", "optima", "costs"]
    for figure in made:
        for panel in figure.panels:
            root = ET.fromstring(panel.placed("here"))
            title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
            assert root.get("role") == "img"
            assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
            assert title.text
            assert "µP" in desc.text or "SP" in desc.text
            assert "unplaced" not in panel.placed("here")


def test_every_reference_inside_a_panel_has_its_target():
    for figure in figures(cases.study()):
        for panel in figure.panels:
            root = ET.fromstring(panel.placed("here"))
            ids = [node.get("id") for node in root.iter() if node.get("id")]
            assert len(ids) == len(set(ids))
            used = {node.get("href")[1:] for node in root.iter(f"{SVG}use")}
            used |= {node.get("clip-path")[5:-1] for node in root.iter() if node.get("clip-path")}
            assert used <= set(ids)


def test_panels_of_the_curves_share_axes_and_heights():
    study = cases.study(
        transfers={"sp": cases.diverged(), "mup": cases.transfer("mup", 0.0, cases.TRANSFERS)}
    )
    one, other = u_curves(study).panels
    ticks = [[t for t in texts(p) if t[0].isdigit()] for p in (one, other)]
    assert ticks[0] == ticks[1]
    clips = [ET.fromstring(p.svg).find(f".//{SVG}clipPath/{SVG}rect") for p in (one, other)]
    # The panel without a line still has clipped grid lines, in a box of the same size.
    assert clips[0].attrib == clips[1].attrib


def test_colours_follow_the_theme():
    for figure in figures(cases.study()):
        for panel in figure.panels:
            styles = [node.get("style", "") for node in ET.fromstring(panel.svg).iter()]
            colours = {
                part.split(": ")[1]
                for style in styles
                for part in style.split("; ")
                if part.startswith(("fill: ", "stroke: "))
            }
            assert all(c == "none" or c.startswith("var(--") for c in colours), colours


def test_numbers_are_said_in_words():
    curves, best, cost = figures(cases.study())
    assert (
        "Width 256: best rate 2^-8.3 (0.0032), 95 % interval [2^-8.5, 2^-8.1], loss 0.3517."
        in curves.numbers[0]
    )
    assert best.numbers[1] == "µP: +0.02 [-0.06, +0.09] octaves per doubling of width."
    assert cost.numbers[0] == "SP: 0.4467 at the transferred rate, 0.3517 at the best (+27.0 %)."
    assert "SP: -1.00 [-1.08, -0.93] octaves per doubling" in texts(best.panels[0])


def test_a_slope_is_drawn_where_the_study_says():
    panel = optima(cases.study()).panels[0]
    root = ET.fromstring(panel.svg)
    marks = {}
    for node in root.iter(f"{SVG}use"):
        style = node.get("style")
        if "--r1" in style:
            marks[float(node.get("x"))] = float(node.get("y"))
    line = next(
        n.get("d").split()
        for n in root.iter(f"{SVG}path")
        if "--r1" in n.get("style", "") and "dasharray" in n.get("style") and n.get("clip-path")
    )
    x0, y0, x1, y1 = (float(line[i]) for i in (1, 2, 4, 5))
    for x, y in sorted(marks.items())[-3:]:
        if x > 60:
            on_line = y0 + (x - x0) / (x1 - x0) * (y1 - y0)
            # Points stand aside of the line by the dodge of 0.03 octaves of width.
            assert abs(on_line - y) < 0.05 * abs(y1 - y0)


def test_what_cannot_be_drawn_is_left_out():
    nothing = cases.study(transfers={"sp": cases.diverged()})
    assert [f.key for f in figures(nothing)] == ["curves"]
    assert "every run diverged" in texts(u_curves(nothing).panels[0])
    assert optima(nothing) is None
    assert costs(nothing) is None
    assert figures(cases.study(transfers={})) == []


def test_drawing_changes_no_setting_of_matplotlib():
    before = copy.deepcopy(dict(matplotlib.rcParams))
    figures(cases.study())
    assert dict(matplotlib.rcParams) == before


def test_drawing_loads_no_window_system():
    code = (
        "import sys; from similitude.report.svg import draw;"
        "draw(lambda figure: figure.subplots(), title='t', description='d');"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_text_of_the_user_is_neither_formula_nor_markup():
    panel = draw(lambda f: f.text(0.5, 0.5, '$\\frac{<b> & id="x'), title="<t>", description='a & "b"')
    root = ET.fromstring(panel.svg)
    assert '$\\frac{<b> & id="x' in texts(panel)
    assert root.find(f"{SVG}title").text == "<t>"


def test_an_unknown_result_is_named():
    with pytest.raises(ReportError, match="no figures are known for a dict"):
        figures({})


def test_another_package_can_register_its_result():
    class Check: ...

    figures.register(Check, lambda check: [])
    assert figures(Check()) == []


def test_means_do_not_flatter_rates_at_which_a_seed_diverged():
    curve = Curve(8, (0.1, 0.2, 0.3), ((1.0, 3.0), (1.0, math.nan), ()))
    assert mean_losses(curve) == (2.0, math.inf, None)


def test_one_exploding_run_does_not_flatten_the_valley():
    curve = Curve(8, (0.1, 0.2, 0.4, 0.8), ((2.0,), (0.5,), (0.7,), (1e9,)))
    low, high = loss_window([curve])
    assert 0.4 < low < 0.5
    assert 2.0 < high < 2.5
    assert loss_window([Curve(8, (0.1,), ((math.nan,),))]) is None


def test_negative_losses_have_a_window():
    low, high = loss_window([Curve(8, (0.1, 0.2), ((-1.0,), (-3.0,)))])
    assert low < -3.0
    assert high > -1.0
    assert all(low <= t <= high for t in loss_ticks(low, high))


@pytest.mark.parametrize(
    "window", [(0.09, 2.5), (0.001, 30.0), (2.0, 2.3), (1.4, 4.2), (-3.2, -0.8), (0.33, 0.51)]
)
def test_ticks_are_few_round_and_inside(window):
    ticks = loss_ticks(*window)
    assert 2 <= len(ticks) <= 16
    assert all(window[0] <= t <= window[1] for t in ticks)
    assert all(float(f"{t:.4g}") == pytest.approx(t) for t in ticks)


def test_octaves_are_labelled_on_common_multiples():
    assert octave_ticks(-12.4, -1.6) == [-12, -10, -8, -6, -4, -2]
    assert octave_ticks(-7.6, -5.2) == [-7, -6]


def test_importing_the_package_imports_no_heavy_library():
    code = "import sys, similitude.report; print({'matplotlib', 'jinja2', 'rich'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_saved_figures_are_svg_files_of_their_own(tmp_path):
    study = cases.study()
    paths = save_figures(study, tmp_path / "new")
    panels = [panel for figure in figures(study) for panel in figure.panels]
    assert len(paths) == len(panels) == len({p.name for p in paths})
    for path, panel in zip(paths, panels, strict=True):
        root = ET.parse(path).getroot()
        style = next(e.text for e in root.iter() if e.tag.endswith("style"))
        assert style is not None
        used = set(re.findall(r"var\(--(\w+)\)", path.read_text()))
        assert used <= set(re.findall(r"--(\w+):", style))
        assert [t.text for t in root.iter() if t.tag.endswith("text")] == texts(panel)


def test_saving_into_a_file_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="Pass a path elsewhere"):
        save_figures(cases.study(), tmp_path / "file")
