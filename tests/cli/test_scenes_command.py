"""`similitude scenes`: pictures of single scenes, configurations of 3DB, admission, comparison."""

import textwrap
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from similitude.cli.scenes_check import _admission, _catalogue
from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.assets import sweethome
from similitude.scenes.frame import Frame
from similitude.scenes.rendering import render
from similitude.scenes.scene import Scene
from similitude.scenes.study.catalogue import CatalogueCheck
from tests.scenes.test_scene_assets_sweethome import library

ORIGINAL = """
    inference:
      module: torchvision.models
      class: resnet18
    policy:
      module: threedb.policies.random_search
      samples: 3
    controls:
      - module: threedb.controls.blender.orientation
        rotation_x: -1.57
        rotation_y: 0.0
      - module: threedb.controls.blender.camera
        zoom_factor: [0.7, 1.3]
        aperture: 8.0
        focal_length: 50.0
      - module: threedb.controls.blender.of_mine
    render_args:
      engine: threedb.rendering.render_blender
      resolution: 32
      samples: 4
"""


def test_a_picture_is_that_of_the_library(cli, tmp_path):
    ran = cli(
        *("scenes", "render", "ball", "--set", "orientation.rotation_z=0.5", "--set", "lamp.kind=light"),
        *("--set", "lamp.power=90", "--resolution", "32", "--out", tmp_path / "ball.png", "--all", "--json"),
    )
    assert ran.code == 0, ran.err
    scene = Scene(
        "ball", {"orientation": {"rotation_z": 0.5}, "lamp": {"kind": "light", "power": 90}}, resolution=32
    )
    assert ran.json["digest"] == scene.digest
    wanted = render(scene)
    names = [
        "ball.png",
        "ball-alpha.png",
        "ball-depth.png",
        "ball-segmentation.png",
        "ball-uv.png",
        "ball.npz",
    ]
    assert ran.json["files"] == [str(tmp_path / name) for name in names]
    shown = np.asarray(Image.open(tmp_path / "ball.png"), float) / 255
    assert np.abs(shown - wanted.rgb).max() < 1 / 255
    exact = Frame.from_bytes((tmp_path / "ball.npz").read_bytes())
    assert (exact.segmentation == wanted.segmentation).all()
    assert np.allclose(exact.depth, wanted.depth, atol=1e-6)
    segments = np.asarray(Image.open(tmp_path / "ball-segmentation.png"))
    assert len(np.unique(segments.reshape(-1, 3), axis=0)) == len(np.unique(wanted.segmentation))


def test_the_everyday_view_can_be_begun_with(cli, tmp_path):
    ran = cli(
        *("scenes", "render", "mug", "--canonical", "--set", "camera.zoom_factor=0.5", "--resolution", "16"),
        *("--out", tmp_path / "mug.png", "--json"),
    )
    assert ran.json["scene"]["controls"]["camera"]["zoom_factor"] == 0.5
    assert ran.json["scene"]["controls"]["ground"] == {"material": "wood"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("muug", "--out", "a.png"), "Did you mean mug?"),
        (("mug", "--out", "a.jpg"), "--out a.png"),
        (("mug", "--out", "a.png", "--set", "rotation_z=3"), "write control.setting=value"),
        (("mug", "--out", "a.png", "--set", "scale.factor=[1"), "is no value"),
        (("mug", "--out", "a.png", "--set", "scale.fctor=1"), "Did you mean factor?"),
        (("mug", "--out", "a.png", "--renderer", "rastr"), "Did you mean raster?"),
        (
            ("mug", "--out", "a.png", "--renderer", "nosuch"),
            "there is no renderer 'nosuch'. There are: raster",
        ),
        (("./nowhere.obj", "--out", "a.png"), "nowhere.obj"),
        (("mug", "--out", "a.png", "--environment", "sunsett"), "Did you mean sunset?"),
        (("mug", "--out", "a.png", "--set", "texture.name=zebbra"), "setting 'name': there is no texture"),
        (("mgu", "--out", "a.png", "--canonical"), "Did you mean mug?"),
        (("~nobody-at-all/chair.glb", "--out", "a.png"), "is no path on this machine"),
        (("mug", "--out", "a.png", "--set", 'texture.name="a\\0/b.png"'), "is no path on this machine"),
        (("m" * 5000, "--out", "a.png"), "there is no object"),
    ],
)
def test_wrong_use_is_told(arguments, said, cli):
    ran = cli("scenes", "render", *arguments)
    assert ran.code == 2
    assert said in ran.message


def test_a_configuration_of_3db_becomes_a_study_that_runs(cli, tmp_path):
    (tmp_path / "original.yaml").write_text(textwrap.dedent(ORIGINAL))
    ran = cli("scenes", "import", "original.yaml", "--objects", "mug", "--json")
    assert ran.code == 0, ran.err
    assert any("of_mine" in line for line in ran.json["not_mapped"])
    assert ran.json["file"] == "original-study.yaml"
    command = (
        "suite",
        "run",
        "scenes",
        "original-study.yaml",
        "--model",
        "efficientnet-lite0",
        "--renderer",
        "raster",
        "--workers",
        "1",
    )
    run = cli(*command, "--resolution", "16", "--json")
    assert run.code == 0, run.err
    assert len(run.json["rows"]) == 3
    assert all(0.7 <= row["controls"]["camera"]["zoom_factor"] <= 1.3 for row in run.json["rows"])
    strict = cli("scenes", "import", "original.yaml", "--objects", "mug", "--strict")
    assert strict.code == 2
    assert "of_mine" in strict.message


def test_admission_is_an_exit_code(cli):
    ran = cli("scenes", "admit", "mug", "--json")
    assert (ran.code, ran.json["admitted"]) == (0, 1)
    assert ran.json["objects"][0]["probability"] >= 0.5
    ran = cli("scenes", "admit", "mgu")
    assert ran.code == 2


@pytest.mark.parametrize(
    ("admitted", "failed", "asked", "code"),
    [
        (33, 0, 34, 0),  # the stop sign is a street sign
        (28, 0, 34, 0),
        (27, 0, 34, 1),
        (27, 1, 34, 3),  # one that could not be drawn decides
        (12, 0, 14, 0),
        (11, 0, 12, 1),  # 92 % of them, but fewer than 12
        (4, 0, 5, 0),
        (3, 2, 5, 3),
        (3, 0, 5, 1),
        (0, 1, 1, 3),
    ],
)
def test_the_bar_of_admission(admitted, failed, asked, code):
    assert _admission(admitted, failed, asked) == code


def test_an_object_that_cannot_be_drawn_is_named_and_stops_nothing(cli, tmp_path):
    (tmp_path / "broken.obj").write_text("f 1 2 3\n")
    ran = cli("scenes", "admit", "mug", "broken.obj", "--json")
    assert (ran.code, ran.json["admitted"], ran.json["bar"]) == (3, 1, "open")
    assert "broken.obj" in ran.json["failures"]["broken.obj"]
    assert "no result: broken.obj" in ran.err


@pytest.mark.parametrize(
    ("right", "objects", "asked", "code"),
    [
        (0.5, 20, 25, 0),
        (0.5, 20, 26, 3),  # fewer than 80 % of those asked for
        (0.5, 11, 11, 3),
        (0.44, 50, 50, 3),  # below the bar, which is in the interval
        (0.1, 50, 50, 1),
    ],
)
def test_the_bar_of_the_catalogue(right, objects, asked, code):
    rows = [
        Row("scenes-catalogue", f"chair {k}", "m", float(k < right * objects), {"yaw": 30})
        for k in range(objects)
    ]
    rows += [replace(rows[0], task="bed", score=float("nan"), error="its picture is missing")]
    assert _catalogue(CatalogueCheck(tuple(rows), (), {}), asked) == code


@pytest.fixture
def furniture(tmp_path, monkeypatch):
    """A catalogue of one labelled piece."""
    (tmp_path / "furniture").mkdir()
    library(tmp_path / "furniture", "One")
    monkeypatch.setenv(sweethome.VARIABLE, str(tmp_path / "furniture"))
    monkeypatch.setattr(sweethome, "_labels", lambda: {"One/lib/slab/slab.obj": ("coffee mug",)})
    sweethome._pieces.cache_clear()
    yield
    sweethome._pieces.cache_clear()


def test_a_catalogue_of_which_nothing_can_be_drawn_leaves_the_bar_open(cli, furniture, monkeypatch):
    def broken(*_, **__):
        raise SceneError("the renderer broke down")

    monkeypatch.setattr("similitude.scenes.study.catalogue.render", broken)
    ran = cli("scenes", "catalogue", "--json")
    assert (ran.code, ran.json["bar"], ran.json["top1"], ran.json["views"]) == (3, "open", None, 0)
    assert [row["error"] for row in ran.json["failures"]] == ["the renderer broke down"] * 3
    assert "failed: slab, yaw 30: the renderer broke down" in ran.err


def test_a_catalogue_in_pictures_that_are_too_large_is_refused(cli, furniture):
    ran = cli("scenes", "catalogue", "--resolution", "9000")
    assert ran.code == 2
    assert "resolution=9000: give a whole number from 8 to 4096" in ran.message


def test_folders_that_cannot_be_compared(cli, tmp_path):
    ran = cli("scenes", "compare", tmp_path / "a", tmp_path / "b")
    assert ran.code == 2
    assert "holds no study" in ran.message


def test_cycles_is_installed_by_the_function_that_says_what_it_does(cli, monkeypatch):
    monkeypatch.setattr(
        "similitude.scenes.renderers.blender.install_cycles", lambda python=None: f"/env/{python}"
    )
    ran = cli("scenes", "install", "cycles", "--python", "python3.11", "--json")
    assert ran.json == {"renderer": "cycles", "python": "/env/python3.11"}
    assert cli("scenes", "install", "mitsuba").code == 2


def test_the_catalogue_without_the_furniture_says_its_package(cli, monkeypatch, tmp_path):
    monkeypatch.setenv("SIMILITUDE_SWEETHOME3D", str(tmp_path / "nowhere"))
    ran = cli("scenes", "catalogue", "--objects", "1")
    assert ran.code == 2
    assert "sweethome3d-furniture" in ran.message
