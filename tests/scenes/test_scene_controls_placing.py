"""Orientation, position, scale and ground, measured on frames."""

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.frame import GROUND
from similitude.scenes.rendering import render, stage_of
from similitude.scenes.scene import Scene
from tests.scenes.control_frames import center_of, drawn, mask_of, places_of

FRONT = {"view_point_x": 0.0, "view_point_y": -1.0, "view_point_z": 0.0, "focal_length": 400.0}


def test_half_a_turn_mirrors_a_mug_seen_from_the_front():
    there, back = (mask_of(drawn(camera=FRONT, orientation={"rotation_z": angle})) for angle in (0.0, np.pi))
    assert (there & back[:, ::-1]).sum() / (there | back[:, ::-1]).sum() > 0.98
    assert (there & back).sum() / (there | back).sum() < 0.9


def test_turns_are_about_x_then_y_then_z():
    # About x first, the handle (+x) stays; then about z by a quarter it is at the back.
    stage = stage_of(Scene("mug", {"orientation": {"rotation_x": np.pi / 2, "rotation_z": np.pi / 2}}))
    turned = stage.subject.matrix[:3, :3]
    assert turned @ [1, 0, 0] == pytest.approx([0, 1, 0])
    assert turned @ [0, 0, 1] == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(("axis", "offset"), [("x", 0.2), ("y", 0.3), ("z", -0.25)])
def test_position_moves_what_is_seen(axis, offset):
    # A ball looks the same from anywhere, so the points that are seen move as it does but for perspective.
    scenes = [Scene("ball", {"position": {f"offset_{axis}": way}}, resolution=96) for way in (0.0, offset)]
    here, there = (places_of(render(scene), scene).mean(0) for scene in scenes)
    expected = np.zeros(3)
    expected["xyz".index(axis)] = offset
    assert there - here == pytest.approx(expected, abs=0.04)


def test_scale_is_squared_in_the_area_seen_from_afar():
    whole, half = (mask_of(drawn("ball", scale={"factor": f}, resolution=192)).sum() for f in (1.0, 0.5))
    # A ball of radius r at distance d fills the picture as r^2 / (d^2 - r^2), but for the slant of its cone.
    far = np.linalg.norm([0.8, 2.0, 1.0]) ** 2
    assert half / whole == pytest.approx((0.25**2 / (far - 0.25**2)) / (0.5**2 / (far - 0.5**2)), rel=0.03)


@pytest.mark.parametrize("height", [0.0, 0.35, -0.5])
def test_a_pinned_object_has_its_lowest_point_there(height):
    controls = {
        "pin_to_ground": {"z_ground": height},
        "orientation": {"rotation_x": 0.7, "rotation_y": 0.4},
        "scale": {"factor": 0.8},
        "camera": {"view_point_z": -0.3},  # from below, so that the lowest point is seen
    }
    scene = Scene("mug", controls, resolution=160)
    places = places_of(render(scene), scene)
    assert places[:, 2].min() == pytest.approx(height, abs=0.01)


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_a_floor_lies_under_the_object(gap):
    scene = Scene("mug", {"ground": {"gap": gap}, "orientation": {"rotation_x": 1.0}, "camera": {}})
    frame = render(scene)
    floor = places_of(frame, scene, GROUND)
    assert len(floor) > 1000
    model_low = stage_of(scene).props[0].position[2]
    assert floor[:, 2] == pytest.approx(np.full(len(floor), model_low), abs=2e-3)
    low_seen = Scene("mug", {**scene.controls, "camera": {"view_point_z": -0.3}}, resolution=160)
    without = {name: settings for name, settings in low_seen.controls.items() if name != "ground"}
    bare = Scene("mug", without, resolution=160)
    assert places_of(render(bare), bare)[:, 2].min() - model_low == pytest.approx(gap, abs=0.01)


def test_floors_are_of_their_material():
    wood, checks = (
        drawn(ground={"material": name}, camera={"zoom_factor": 0.6}) for name in ("wood", "checker")
    )
    floor = mask_of(wood, GROUND)
    assert (floor == mask_of(checks, GROUND)).all()
    assert np.abs(wood.rgb[floor] - checks.rgb[floor]).mean() > 0.05


def test_a_scene_is_one_picture_in_whichever_order_it_is_said():
    controls = {
        "orientation": {"rotation_y": 1.0},
        "pin_to_ground": {},
        "liquid": {"milk": 1.0},
        "ground": {"material": "checker"},
        "light": {"distance": 2.0},
        "camera": {"zoom_factor": 0.7},
        "location_in_frame": {"x_shift": 0.3},
        "occlusion": {"ratio": 0.3},
        "background": {"value": 0.2},
        "hsv": {"saturation_factor": 0.0},
    }
    one = render(Scene("mug", controls))
    other = render(Scene("mug", dict(reversed(controls.items()))))
    for name in ("rgb", "segmentation", "depth"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_effects_act_in_the_order_in_which_they_are_said():
    grey, red = {"kind": "hsv", "saturation_factor": 0.0}, {"kind": "hsv", "hue_shift": 0.5}
    behind = {"background": {"saturation": 1.0, "value": 1.0}}
    dark = {"kind": "hsv", "value_factor": 0.5}
    assert drawn(**behind, a=grey, b=red).rgb[0, 0] == pytest.approx([1, 1, 1], abs=0.01)
    twice = {"kind": "hsv", "value_factor": 2.0}
    clipped, restored = drawn(a=twice, b=dark).rgb[0, 0], drawn(a=dark, b=twice).rgb[0, 0]
    assert clipped == pytest.approx([0.5] * 3, abs=0.01)
    assert restored == pytest.approx([0.6] * 3, abs=0.01)


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(
        SceneError, match=r"'scale', setting 'factor': 0 is not possible: give a number above 0"
    ):
        Scene("mug", {"scale": {"factor": 0}})
    assert center_of(mask_of(drawn(scale={"factor": 2.0}))) is not None
