"""The dashboard: what is inside it, that nothing of a user's runs in it, and that it stays small."""

import base64
import hashlib
import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.report.palette import COLOURS
from similitude.scenes.analysis.charts import charts
from similitude.scenes.analysis.comparison import compare
from similitude.scenes.analysis.labels_of_axes import LETTERS, short_names
from similitude.scenes.analysis.surface import SurfaceMap, texels_seen
from similitude.scenes.dashboard.comparison_page import write_comparison
from similitude.scenes.dashboard.page import SCRIPT, STYLE, render_dashboard, write_dashboard
from similitude.scenes.dashboard.surfaces import HELPS, HURTS, painted, surface_pictures
from similitude.scenes.dashboard.table import COLUMNS, page_table
from similitude.scenes.dashboard.thumbnails import Thumbnails, shrunk, thumbnails
from tests.scenes.analysis_rows import NAMES, failed_row, mug_rows, scene_row
from tests.scenes.dashboard_runs import BAD, run_of
from tests.scenes.test_scene_analysis_models import flat_frame, hidden_study


class Reader(HTMLParser):
    """Collects tags and the texts of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.scripts, self.inside = [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


def parsed(page):
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """200 scenes and two models; the pictures are noise, which hardly shrinks."""
    rows = [
        *mug_rows(256)[:200],
        *mug_rows(256, subject="other", harder=0.3)[:200],
        failed_row({"camera.zoom_factor": 1.0}),
    ]
    return run_of(rows, tmp_path_factory.mktemp("run"), noise=True)


@pytest.fixture(scope="module")
def page(run):
    return render_dashboard(run)


def test_the_page_holds_every_row_and_loads_nothing(page):
    reader = parsed(page)
    data = json.loads(reader.scripts[0])
    assert len(data["rows"]) == data["whole"] == 401
    assert data["models"] == ["model", "other"]
    assert len(data["images"]) == 200  # both models were shown the same scenes
    assert not [tag for tag, _ in reader.tags if tag in ("link", "iframe", "object", "embed")]
    sources = [attrs[name] for _, attrs in reader.tags for name in ("src", "href") if name in attrs]
    assert all(one.startswith(("data:image/", "#")) for one in sources)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", page)


def test_only_its_own_script_may_run(page):
    reader = parsed(page)
    policy = next(a["content"] for t, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(reader.scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]


def test_every_part_of_the_script_is_on_the_page_once(page):
    script = parsed(page).scripts[1]
    assert set(SCRIPT) == set(SCRIPT[0].parent.glob("*.js"))
    assert [script.count(part.read_text()) for part in SCRIPT] == [1] * len(SCRIPT)
    names = re.findall(r"^(?:function|const|let) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names)) > 30  # they are in one scope


def test_names_of_users_are_text_everywhere(tmp_path):
    rows = [
        *(
            scene_row(
                {f"{BAD}.x": i / 40, "skin.name": BAD if i % 2 else "plain"},
                right=i % 3 > 0,
                task=BAD,
                subject=BAD,
                prediction=i % 2,
            )
            for i in range(40)
        ),
        failed_row({f"{BAD}.x": 2.0}, error=BAD, task=BAD, subject=BAD),
    ]
    page = render_dashboard(run_of(rows, tmp_path, names=[BAD, "cup"]))
    reader = parsed(page)
    data = json.loads(reader.scripts[0])
    assert data["models"] == [BAD]
    assert BAD in data["classes"]
    assert len(reader.scripts) == 2
    assert not [attrs for tag, attrs in reader.tags if tag == "img" and attrs.get("src") == "x"]
    assert BAD not in page


def test_one_run_gives_one_page(run, page, tmp_path):
    assert write_dashboard(run, tmp_path / "page.html").read_text() == page


def test_200_scenes_of_noise_stay_below_4_megabytes(page):
    assert len(page) < 4_000_000


def test_findings_and_what_is_left_out_are_said(page, tmp_path):
    assert "What the loss depends on" in page
    assert "explains" in page
    assert "Without a result: 1" in page
    assert "confidence minus top-1 accuracy" in page
    assert ">top-1 accuracy<" in page  # of the figure, whatever k the evaluator has
    few = render_dashboard(run_of(mug_rows(16), tmp_path))
    assert "What could not be said" in few
    assert "sensitivity indices take at least 40" in few


def test_one_scene_has_a_page_that_says_what_could_not_be_said(tmp_path):
    (row,) = mug_rows(256)[:1]
    page = render_dashboard(run_of([row, failed_row({"camera.zoom_factor": 1.0})], tmp_path))
    assert re.search(r"Right in (0|100) % \[\d+, \d+\] of 1 scene,", page)
    said = page[page.index("What could not be said") :]
    assert "rules: 1 scenes, 1 of them failures: rules take at least 60" in said
    assert "calibration takes at least two answers" in said
    assert "[nan" not in page


def test_a_study_without_rows_or_without_results(tmp_path):
    with pytest.raises(SceneError, match="no rows yet"):
        render_dashboard(run_of([], tmp_path))
    page = render_dashboard(run_of([failed_row({"a.x": 1.0})], tmp_path))
    assert "Nothing can be said" in page


def test_scores_without_right_and_wrong_have_a_page(tmp_path):
    rows = [Row("scenes", "mug", "m", -i / 50, {"a.x": i / 50}) for i in range(50)]
    page = render_dashboard(run_of(rows, tmp_path))
    assert "Mean score" in page
    assert json.loads(parsed(page).scripts[0])["rows"][3][COLUMNS.index("right")] is None


def test_each_model_has_its_own_classes(tmp_path):
    rows = [*mug_rows(16), *mug_rows(16, subject="other")]
    run = replace(
        run_of(rows, tmp_path),
        classes={"model": tuple(NAMES), "other": ("tench", "a cup of theirs", "x", "y")},
    )
    data = json.loads(parsed(render_dashboard(run)).scripts[0])
    at = COLUMNS.index("said")
    for row, line in zip(rows, data["rows"], strict=True):
        theirs = NAMES if row.subject == "model" else run.classes["other"]
        assert data["classes"][line[at]] == theirs[int(row.metrics["prediction"])]


def header(page):
    return html.unescape(re.search(r"<header>.*?<p>(.*?)</p>", page, re.DOTALL).group(1))


def test_the_page_says_how_many_scenes_and_how_many_answers(page, tmp_path):
    assert header(page) == "model, other on 201 rendered scenes; 1 of 401 answers is without a result."
    one = render_dashboard(run_of(mug_rows(16)[:1], tmp_path))
    assert header(one) == "model on 1 rendered scene."


def test_labels_of_axes_are_files_that_can_be_told_apart():
    names = [f"/home/me/{place}/chair.glb" for place in "ab"]
    assert short_names([*names, "C:\\models\\box.obj"]) == ["a/chair.glb", "b/chair.glb", "box.obj"]
    assert short_names(["x.obj", "/x.obj", "a/x.obj"]) == ["x.obj", "/x.obj", "a/x.obj"]
    assert short_names(["blender:forest", "1/2", "sweethome3d:a/b"]) == [
        "blender:forest",
        "1/2",
        "sweethome3d:a/b",
    ]
    (long,) = short_names(["/tmp/" + 30 * "a" + ".obj"])
    assert (len(long), long[-4:]) == (LETTERS, ".obj")
    rows = [scene_row({"a.x": i}, right=True, task=names[i % 2]) for i in range(4)]
    table = page_table(rows, lambda row: None, Thumbnails((), {}, 0, 0))
    factor = table["factors"][0]
    assert (factor["names"], factor["labels"]) == (names, ["a/chair.glb", "b/chair.glb"])
    (chart,) = [one for one in charts(rows) if one.title == "Accuracy by object"]
    assert chart.x_names == ("a/chair.glb", "b/chair.glb")


def test_numbers_that_a_regression_gives_are_no_classes(tmp_path):
    row = Row("scenes", "mug", "m", -0.1, {"a.x": 0.5}, {"prediction": 0.75})
    run = run_of([row, replace(row, metrics={"prediction": float("nan")})], tmp_path)
    assert [run.prediction(one) for one in run.rows] == ["0.75", None]


def test_tables_keep_numbers_and_name_what_is_constant():
    rows = [*mug_rows(16), failed_row({"camera.zoom_factor": 1.0}, error="no mesh")]
    table = page_table(rows, lambda row: NAMES[0], Thumbnails((), {}, 0, 0))
    assert table["fixed"] == {
        "object": "mug",
        "environment": "studio",
        "renderer": "raster",
        "resolution": "64",
    }
    zoom = next(one for one in table["factors"] if one["name"] == "camera.zoom_factor")
    assert zoom["values"] == pytest.approx([row.params["camera.zoom_factor"] for row in rows], rel=1e-4)
    skin = next(one for one in table["factors"] if one["name"] == "material.texture")
    assert [None if v is None else skin["names"][v] for v in skin["values"]] == [
        row.params.get("material.texture") for row in rows
    ]
    first = dict(zip(COLUMNS, table["rows"][0], strict=True))
    assert first["loss"] == pytest.approx(rows[0].metrics["loss"], rel=1e-4)
    assert first["image"] is None
    assert table["rows"][-1][COLUMNS.index("error")] == "no mesh"


def pictures(folder, count):
    rng = np.random.default_rng(0)
    out = []
    for i in range(count):
        path = folder / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (200, 160, 3), np.uint8)).save(path)
        out.append(path)
    return out


def test_thumbnails_are_small_and_bounded(tmp_path):
    rows = mug_rows(32)
    files = dict(zip([row.item for row in rows], pictures(tmp_path, 32), strict=True))
    found = thumbnails(rows, lambda row: files[row.item], most=10)
    assert (len(found.pictures), found.left_out, found.missing) == (10, 22, 0)
    worst = sorted(rows, key=lambda row: -row.metrics["loss"])
    assert all(row.item in found.places for row in worst[:5])
    assert worst[-1].item in found.places
    image = Image.open(io.BytesIO(base64.b64decode(found.pictures[0].partition(",")[2])))
    assert image.size == (102, 128)
    size = len(found.pictures[0])
    few = thumbnails(rows, lambda row: files[row.item], most_bytes=int(3.5 * size))
    assert sum(map(len, few.pictures)) <= 3.5 * size
    assert len(few.pictures) + few.left_out == 32


def test_missing_and_broken_pictures_are_counted(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG not at all")
    found = thumbnails(mug_rows(16), lambda row: broken if row.success else None)
    assert (found.pictures, found.missing, found.left_out) == ((), 16, 0)
    assert shrunk(tmp_path / "none.png") is None


def test_maps_are_painted_where_they_are_known():
    effect = np.full((2, 2), np.nan)
    effect[0, 0], effect[1, 1] = 2.0, -1.0
    frame = flat_frame()
    pixels = painted(frame, SurfaceMap(effect, np.full((2, 2), 0.1), 20, "hidden"))
    helps, hurts, grey = pixels[31, 0] / 255, pixels[0, 31] / 255, pixels[0, 0] / 255
    assert np.argmax(helps) == np.argmax(HELPS) == 0
    assert np.argmax(hurts) == np.argmax(HURTS) == 2
    assert np.ptp(grey) < 0.01
    assert texels_seen(frame, 2).all()


def test_objects_that_are_hidden_in_part_have_a_map():
    rows, frames = hidden_study(40)
    (found,) = surface_pictures(rows, lambda row: frames[row.key])
    assert found.object == "mug"
    assert found.scenes == 40
    assert found.clear <= found.known
    assert found.painted.startswith("data:image/")
    assert surface_pictures(rows, lambda row: None) == []


def test_comparisons_have_a_page(tmp_path):
    a, b = mug_rows(64, subject="<b>a</b>"), mug_rows(64, subject="b", harder=0.5)
    runs = run_of(a, tmp_path / "a"), run_of(b, tmp_path / "b")
    place = write_comparison(tmp_path / "page.html", (runs[0], a), (runs[1], b))
    page = place.read_text()
    found = compare(a, b)
    assert found.summary.replace("<b>a</b>", "&lt;b&gt;a&lt;/b&gt;") in page
    assert "<b>a</b>" not in page
    assert f"Right with &lt;b&gt;a&lt;/b&gt; alone: {found.only_first}" in page
    assert page.count('<img src="data:image/') == min(24, found.only_first) + min(24, found.only_second)
    assert "Accuracy by material.texture" in page
    silent = [[replace(row, metrics={"loss": row.metrics["loss"]}) for row in rows] for rows in (a, b)]
    runs = run_of(silent[0], tmp_path / "a"), run_of(silent[1], tmp_path / "b")
    page = write_comparison(place, (runs[0], silent[0]), (runs[1], silent[1])).read_text()
    assert page.count("b is wrong</li>") == min(24, found.only_first)  # nobody says what it said


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_numbers_on_the_strongest_colour_of_a_map_can_be_read(dark):
    heat = re.findall(r"--heat: (#[0-9a-f]{6})", STYLE.read_text())[dark]
    low, high = sorted((luminance(heat), luminance(COLOURS["ink"][dark])))
    assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2
