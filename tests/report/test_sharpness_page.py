"""The table, the figures and the page of a tracked run, made of numbers that are known."""

import io
import math
import re
from dataclasses import replace

from rich.console import Console

from similitude.landscape.portrait import DensityNumbers, Portrait, SplitNumbers
from similitude.landscape.sharpness_run import SharpnessRun
from similitude.landscape.tracker_records import SharpnessHistory, SharpnessRecord
from similitude.report.figures import figures, save_figures
from similitude.report.sharpness_page import render_sharpness_page, write_sharpness_page
from similitude.report.sharpness_table import sharpness_table


def run(ratio=1.0, *, name="mine", measurements=31, threshold=2.0, portrait=True, ratio_of_parts=0.3):
    """A run whose eta x lambda rises to a part of the threshold and stays."""
    records = tuple(
        SharpnessRecord(
            10 * i, 2.0 * 0.9**i, ratio * min(1.0, 0.2 + i / 10) * 20.0, 0.001, 3, cold=i == 0, crossing=i == 4,
            units="gradient descent" if threshold else "", eta=0.1 if threshold else None, threshold=threshold,
            note="" if threshold else "no threshold is known for Signs",
        )
        for i in range(measurements)
    )  # fmt: skip
    grid = tuple(0.5 * math.sinh(x / 10) for x in range(-20, 60))
    drawn = DensityNumbers(grid, tuple(math.exp(-(x**2)) + 1e-9 for x in grid), 0.4, 0.001)
    split = SplitNumbers(20.0, 18.0, 18.0 * ratio_of_parts, ratio_of_parts)
    top = (20.0, 19.0, 4.0, 3.0)
    found = Portrait(0.1, 1000, 64, top, (0.01,) * 4, 120.0, 2.0, split, drawn, ("a note of its own",))
    losses = tuple(2.0 * 0.99**i for i in range(10 * (measurements - 1)))
    return SharpnessRun(
        name, SharpnessHistory(records), losses, found if portrait else None, {"model": "a.<b>"}, 2.5
    )


def shown(result, *, width=80):
    file = io.StringIO()
    Console(file=file, width=width).print(sharpness_table(result))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_the_table_has_time_landscape_and_verdict():
    text = " ".join(shown(run()).split())
    assert "31 measurements, 3.0 products each; 2.5 s" in text
    assert re.search(r"^ *300 +\S+ +20\.00 +2 +100 % of 2", shown(run()), re.MULTILINE)
    assert "largest eigenvalues: 20, 19, 4, 3" in text
    assert "trace 120 +- 2, a mean eigenvalue of 0.12" in text
    assert "note: a note of its own" in text
    assert "at the edge ok learning rate x sharpness is 100 % of the threshold 2 (gradient descent)" in text
    assert "searched anew" in text


def test_every_place_is_told():
    for ratio, place, outcome in ((0.4, "below the edge", "ok"), (1.4, "beyond the edge", "grows")):
        text = " ".join(shown(run(ratio)).split())
        assert f"{place} {outcome}" in text
    unknown = run(threshold=None)
    assert unknown.verdict.causes == ("no threshold is known for Signs",)
    assert "cannot tell" in shown(unknown)
    last = replace(run().history.records[-1], step=999, value=math.nan, loss=math.nan)
    ruined = replace(run(portrait=False), history=SharpnessHistory((*run().history.records, last)))
    assert "the run diverged after step 300" in " ".join(shown(ruined).split())
    assert [figure.key for figure in figures(ruined)] == ["time"]


def test_a_run_that_rises_to_the_edge_at_its_end_is_still_below():
    assert run(0.94).history.edge == "below the edge"
    assert run(0.97).history.edge == "at the edge"


def test_figures_say_whether_it_is_there():
    drawn = {figure.key: figure for figure in figures(run())}
    assert list(drawn) == ["time", "top", "density", "split"]
    assert drawn["time"].numbers[0].startswith("It is there: learning rate x sharpness is 100 %")
    assert "There is one behind number 2" in drawn["top"].numbers[0]
    assert drawn["density"].numbers[0] == "That is so here."
    assert "as where features are learned" in drawn["split"].numbers[0]
    lazy = {figure.key: figure for figure in figures(run(0.4, ratio_of_parts=0.01))}
    assert lazy["time"].numbers[0].startswith("It is not there")
    assert "as in a kernel" in lazy["split"].numbers[0]


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
    page = write_sharpness_page(run(), tmp_path / "deep" / "sharpness.html").read_text()
    assert page == render_sharpness_page(run())
    assert page.count("<svg") == 5
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)
    assert "a.&lt;b&gt;" in page
    assert page.count('scope="row"') == 31
    assert "&lt;i&gt;" in render_sharpness_page(run(name="<i>"))
    drawn = "".join(path.read_text() for path in save_figures(run(), tmp_path))
    assert "mathdefault" not in drawn


def test_records_of_a_portrait_survive_json():
    found = run().portrait
    assert found is not None
    assert Portrait.from_dict(found.to_dict()) == found
