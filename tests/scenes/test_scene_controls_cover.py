"""Occlusion and liquids, measured in segmentations."""

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.controls.filling import COFFEE, MILK, WATER, mixture, surface_of
from similitude.scenes.controls.occlusion import DIRECTIONS
from similitude.scenes.frame import LIQUID, OCCLUDER
from similitude.scenes.objects.catalog import find_object
from similitude.scenes.rendering import render, stage_of
from similitude.scenes.scene import Scene
from tests.scenes.control_frames import center_of, drawn, light_of, mask_of, places_of

CAMERA = {"zoom_factor": 0.7}


def hidden(object_="mug", resolution=128, **occlusion):
    frames = [drawn(object_, resolution, camera=CAMERA, **more) for more in ({}, {"occlusion": occlusion})]
    return 1 - frames[1].visible / frames[0].visible


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.3, 0.5, 0.8, 1.0])
def test_the_ratio_is_the_share_of_the_pixels_that_is_hidden(ratio):
    assert hidden(ratio=ratio) == pytest.approx(ratio, abs=0.015)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("occluder", ["panel", "ball"])
def test_it_is_so_from_every_side_and_for_every_occluder(direction, occluder):
    assert hidden(ratio=0.4, direction=direction, occluder=occluder) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("object_", ["banana", "table_lamp", "soccer_ball"])
def test_it_is_so_for_other_objects(object_):
    assert hidden(object_, ratio=0.25, direction="top", nearness=0.3) == pytest.approx(0.25, abs=0.02)


def test_an_object_can_be_the_occluder_and_two_add_up():
    two = {
        "a": {"kind": "occlusion", "ratio": 0.3, "direction": "left", "occluder": "banana", "scale": 3.0},
        "b": {"kind": "occlusion", "ratio": 0.5, "direction": "right"},
    }
    bare = drawn(camera=CAMERA, resolution=128).visible
    both = drawn(camera=CAMERA, resolution=128, **two).visible
    assert both / bare == pytest.approx(0.7 * 0.5, abs=0.025)


@pytest.mark.parametrize(
    ("direction", "expected"), [("left", (-1, 0)), ("top", (0, 1)), ("bottom right", (1, -1))]
)
def test_the_occluder_comes_from_its_side(direction, expected):
    frame = drawn(camera=CAMERA, occlusion={"ratio": 0.3, "direction": direction, "scale": 1.0})
    apart = center_of(mask_of(frame, OCCLUDER)) - center_of(mask_of(drawn(camera=CAMERA)))
    assert np.where(np.abs(apart) < 0.1, 0, np.sign(apart)).tolist() == list(expected)


def test_the_share_is_of_what_the_picture_shows():
    # Half of the object is cut off by the frame: the ratio is of the rest.
    cut = {"camera": CAMERA, "location_in_frame": {"x_shift": 1.0}}
    bare, covered = drawn(**cut).visible, drawn(**cut, occlusion={"ratio": 0.5, "direction": "top"}).visible
    assert covered / bare == pytest.approx(0.5, abs=0.02)


def test_the_occluder_is_in_front_and_keeps_its_size():
    scene = Scene("mug", {"camera": CAMERA, "occlusion": {"ratio": 0.4, "scale": 0.8, "direction": "right"}})
    frame = render(scene, "raster")
    bare = drawn(camera=CAMERA, resolution=128)
    assert frame.depth[mask_of(frame, OCCLUDER)].max() < frame.depth[mask_of(frame)].min()
    rows, columns = np.nonzero(mask_of(bare))
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    height = np.ptp(np.nonzero(mask_of(frame, OCCLUDER))[0]) + 1
    assert height == pytest.approx(0.8 * side, abs=2)


def test_an_occluder_before_a_wide_lens_does_not_reach_the_camera():
    camera = {"focal_length": 20.0, "view_point_x": -0.9, "view_point_y": 0.5, "view_point_z": 0.4}
    cover = {"ratio": 0.75, "direction": "right", "occluder": "box", "scale": 1.5, "nearness": 0.3}
    bare, covered = drawn("barrel", camera=camera), drawn("barrel", camera=camera, occlusion=cover)
    assert 1 - covered.visible / bare.visible == pytest.approx(0.75, abs=0.02)
    assert covered.depth[mask_of(covered, OCCLUDER)].min() > 0.1 * bare.depth[mask_of(bare)].min()


def test_nothing_is_hidden_at_ratio_0():
    assert stage_of(Scene("mug", {"occlusion": {"ratio": 0.0}})).props == ()


def test_an_occluder_that_is_too_small_is_refused_with_what_it_can():
    with pytest.raises(SceneError, match=r"scale 0.3 can hide 0\.\d+ of the object.*less than the ratio 0.9"):
        render(Scene("mug", {"occlusion": {"ratio": 0.9, "scale": 0.3}}))


def test_an_object_out_of_the_picture_cannot_be_hidden():
    scene = Scene(
        "mug", {"camera": {"zoom_factor": 0.3}, "location_in_frame": {"x_shift": 2.0}, "occlusion": {}}
    )
    with pytest.raises(SceneError, match="nothing of the object is in the picture"):
        render(scene)


ABOVE = {"view_point_x": 0.0, "view_point_y": -0.6, "view_point_z": 1.0}


def poured(**liquid):
    scene = Scene("mug", {"liquid": liquid, "camera": ABOVE}, resolution=128)
    return scene, render(scene)


def test_liquid_is_seen_within_the_brim_and_at_its_level():
    model = find_object("mug")
    brim, radius = model.liquid
    heights = []
    for level in (0.4, 0.9):
        scene, frame = poured(level=level)
        places = places_of(frame, scene, LIQUID)
        assert len(places) > 200
        assert np.ptp(places[:, 2]) < 2e-3
        middle, _ = surface_of(model, level)
        assert np.linalg.norm(places[:, :2] - middle[:2], axis=1).max() <= radius + 1e-6
        heights.append(places[:, 2].mean())
    assert heights[0] < heights[1] < brim
    # A level is linear in the height.
    assert surface_of(model, 1.0)[0][2] == pytest.approx(brim)
    assert heights[1] - heights[0] == pytest.approx(0.5 / 0.1 * (brim - heights[1]), rel=0.01)


@pytest.mark.parametrize("name", ["mug", "bucket"])
def test_the_surface_reaches_the_wall_and_no_farther(name):
    model = find_object(name)
    (x, y, z), radius = surface_of(model, 0.6)
    # Rays outwards in the surface meet the wall where it ends; a few meet rivets that stand out.
    ways = [np.array([np.cos(angle), np.sin(angle), 0.0]) for angle in np.linspace(0.1, 6.1, 9)]
    near = [min(_meets(mesh, np.array([x, y, z]), way) for mesh in model.meshes) for way in ways]
    assert radius == pytest.approx(np.median(near), rel=0.01)


def _meets(mesh, origin, direction):
    """Return how far a ray goes to the first triangle of a mesh (Moeller and Trumbore 1997)."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(float) for k in range(3))
    cross = np.cross(direction, c - a)
    size = ((b - a) * cross).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = ((origin - a) * cross).sum(1) / size
        other = np.cross(origin - a, b - a)
        v = (other @ direction) / size
        far = ((c - a) * other).sum(1) / size
        hit = (np.abs(size) > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (far > 1e-6)
    return far[hit].min() if hit.any() else np.inf


def test_milk_is_bright_and_coffee_dark_and_milk_rules_the_mixture():
    light = {
        name: light_of(poured(milk=milk, coffee=coffee)[1], LIQUID)
        for name, milk, coffee in (("milk", 1.0, 0.0), ("coffee", 0.0, 1.0), ("latte", 0.3, 0.7))
    }
    assert light["milk"].mean() > 3 * light["coffee"].mean()
    assert light["coffee"].mean() < light["latte"].mean() < light["milk"].mean()
    red, _, blue = light["latte"]
    assert red > 1.3 * blue


def test_a_mixture_of_one_is_that_one_and_shares_are_of_the_whole():
    for (milk, coffee), color in (((1.0, 0.0), MILK), ((0.0, 1.0), COFFEE), ((0.0, 0.0), WATER)):
        assert mixture(milk, coffee).color == pytest.approx(color, abs=2e-3)
    assert mixture(1.0, 1.0) == mixture(0.5, 0.5)
    assert mixture(0.0, 0.3).color == pytest.approx(COFFEE, abs=0.05)  # water hardly scatters


def test_liquid_goes_with_a_tilted_vessel():
    stage = stage_of(
        Scene("mug", {"orientation": {"rotation_x": 0.4}, "scale": {"factor": 0.5}, "liquid": {}})
    )
    disc = stage.props[0]
    middle, radius = surface_of(find_object("mug"), 0.85)
    assert disc.matrix[:3, 3] == pytest.approx(stage.subject.matrix[:3, :3] @ middle)
    assert disc.matrix[:3, 2] / 0.5 == pytest.approx([0, -np.sin(0.4), np.cos(0.4)])
    assert np.linalg.norm(disc.matrix[:3, 0]) == pytest.approx(radius)


def test_what_has_no_brim_is_refused_by_name():
    with pytest.raises(SceneError, match="'banana' has no brim"):
        render(Scene("banana", {"liquid": {}}))
