"""The camera and the place in the frame, measured on frames and by closed forms."""

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.controls.fitting import NEAREST, fitted
from similitude.scenes.frame import GROUND
from similitude.scenes.rendering import render, stage_of
from similitude.scenes.scene import Scene
from tests.scenes.control_frames import center_of, drawn, extent_of, mask_of, places_of

POSES = [
    ({}, {}),
    ({"rotation_x": 1.1, "rotation_z": 2.0}, {"focal_length": 20.0}),
    ({"rotation_y": -0.6}, {"focal_length": 200.0, "view_point_x": -1.0, "view_point_y": 0.3}),
    (
        {"rotation_z": 4.0},
        {"focal_length": 85.0, "view_point_x": 0.0, "view_point_y": 0.0, "view_point_z": 1.0},
    ),
]


@pytest.mark.parametrize(("pose", "camera"), POSES)
@pytest.mark.parametrize("object_", ["mug", "banana"])
def test_at_zoom_1_the_object_fills_the_frame(object_, pose, camera):
    frame = drawn(object_, orientation=pose, camera=camera, position={"offset_x": 0.4}, scale={"factor": 0.5})
    left, right, top, bottom = extent_of(mask_of(frame))
    assert min(left + right, top + bottom) <= 0.04
    assert abs(left - right) <= 0.04
    assert abs(top - bottom) <= 0.04


@pytest.mark.parametrize("zoom", [0.25, 0.5, 0.8])
def test_the_zoom_is_the_share_of_the_frame(zoom):
    left, right, top, bottom = extent_of(mask_of(drawn(camera={"zoom_factor": zoom, "focal_length": 30.0})))
    assert 1 - min(left + right, top + bottom) == pytest.approx(zoom, abs=0.03)


def test_a_zoom_above_1_cuts_the_object_off():
    near = mask_of(drawn("ball", camera={"zoom_factor": 2.0, "focal_length": 400.0}))
    assert extent_of(near) == pytest.approx(np.zeros(4))
    places = places_of(
        drawn("ball", camera={"zoom_factor": 2.0}), Scene("ball", {"camera": {"zoom_factor": 2.0}})
    )
    assert len(places) > 0


@pytest.mark.parametrize("tangent", [0.09, 0.36, 1.8])
def test_fitted_points_touch_the_pyramid_and_none_leaves_it(tangent):
    points = np.random.default_rng(0).normal(size=(200, 3)) * [0.5, 0.3, 0.8]
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    position, distance = fitted(points, axes, tangent)
    right, up, forward = axes @ (points - position).T
    seen = np.stack([right / forward, up / forward]) / tangent
    assert forward.min() >= NEAREST - 1e-9
    assert np.abs(seen).max() == pytest.approx(1, abs=1e-9)
    assert seen.max(1) == pytest.approx(-seen.min(1), abs=1e-6)  # in the middle of both axes
    assert distance == pytest.approx((forward.min() + forward.max()) / 2)


def test_a_ball_is_fitted_by_the_closed_form():
    # The cone of half angle a that touches a ball of radius r has its tip at r / sin(a).
    turns = np.random.default_rng(0).normal(size=(200_000, 3))
    ball = 0.5 * turns / np.linalg.norm(turns, axis=1, keepdims=True)
    position, _ = fitted(ball, np.eye(3), 0.36)
    assert np.linalg.norm(position) == pytest.approx(0.5 / np.sin(np.arctan(0.36)), rel=2e-3)


def test_a_camera_that_cannot_come_so_near_stays_outside():
    stage = stage_of(Scene("ball", {"camera": {"zoom_factor": 40.0, "focal_length": 10.0}}))
    assert np.linalg.norm(stage.camera.position) == pytest.approx(0.5 + NEAREST, abs=1e-3)


def test_the_view_point_is_a_direction():
    one, other = (
        stage_of(
            Scene(
                "mug",
                {"camera": {"view_point_x": f * 0.3, "view_point_y": f * -0.4, "view_point_z": f * 0.5}},
            )
        )
        for f in (1.0, 2.0)
    )
    assert one.camera.position == pytest.approx(other.camera.position)
    toward = np.subtract(one.camera.position, one.camera.target)
    assert toward / np.linalg.norm(toward) == pytest.approx(np.array([0.3, -0.4, 0.5]) / np.sqrt(0.5))


def test_no_view_point_is_refused():
    scene = Scene("mug", {"camera": {"view_point_x": 0, "view_point_y": 0, "view_point_z": 0.0}})
    with pytest.raises(SceneError, match="all 0, which is no direction"):
        render(scene)


@pytest.mark.parametrize(("x", "y"), [(0.4, 0.0), (-0.3, 0.5), (0.0, -0.6)])
def test_a_shift_moves_the_object_by_half_widths(x, y):
    camera = {"zoom_factor": 0.4}
    here = mask_of(drawn(camera=camera))
    there = mask_of(drawn(camera=camera, location_in_frame={"x_shift": x, "y_shift": y}))
    assert there.sum() == pytest.approx(here.sum(), rel=0.03)  # not cut off, not turned
    assert center_of(there) - center_of(here) == pytest.approx([x / 2, y / 2], abs=0.01)


def test_a_shift_of_1_puts_the_middle_at_the_edge():
    frame = drawn("ball", camera={"zoom_factor": 0.5}, location_in_frame={"x_shift": 1.0})
    left, right, *_ = extent_of(mask_of(frame))
    assert right == 0
    assert left == pytest.approx(0.75, abs=0.02)


def test_an_open_lens_blurs_what_is_not_in_focus():
    controls = {"ground": {"material": "checker", "gap": 0.5}}
    lens = {"focal_length": 85.0, "zoom_factor": 0.3}
    sharp, open_ = (
        render(Scene("ball", {**controls, "camera": {**lens, **more}}, resolution=48, samples=49))
        for more in ({}, {"aperture": 1.0})
    )
    far = (sharp.segmentation == GROUND) & (sharp.depth > 1.3 * sharp.depth[sharp.segmentation == 1].min())
    assert far.sum() > 100
    edges = [np.abs(np.diff(frame.rgb.mean(2), axis=1))[far[:, 1:]].mean() for frame in (sharp, open_)]
    assert edges[1] < 0.7 * edges[0]
    assert stage_of(Scene("ball", {"camera": {}})).camera.aperture is None
