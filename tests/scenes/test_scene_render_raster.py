"""The fast renderer against closed forms, projections by hand, and scenes that break careless renderers."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from render_parts import ABOVE, ALBEDO, DARK, MATT, crowded_stage, known, lamp_stage, middle, sheet, sky_stage

from similitude.scenes.assets.environments import environment_pixels
from similitude.scenes.assets.textures import texture_pixels
from similitude.scenes.frame import GROUND, NOTHING, OBJECT
from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.renderers import textures, trees
from similitude.scenes.renderers.optics import linear, over_black, shown
from similitude.scenes.renderers.raster import Raster
from similitude.scenes.renderers.trees import geometry_of
from similitude.scenes.stage import Camera, Environment, Light, Material, Placed, Stage, ground_at

RASTER = Raster()
FRONT = Camera((0.0, -3.0, 0.0))


def test_a_matt_sheet_under_a_lamp_follows_lamberts_law() -> None:
    stage, radiance = lamp_stage()
    assert middle(RASTER.draw(stage, resolution=32)) == pytest.approx(radiance, rel=0.01)


def test_a_matt_ball_under_even_light_has_its_albedo_everywhere() -> None:
    stage, radiance = sky_stage()
    frame = RASTER.draw(stage, resolution=64)
    light = linear(frame.rgb)[frame.alpha == 1]
    assert light == pytest.approx(np.full_like(light, radiance), rel=0.02)


def test_a_small_curved_thing_has_no_shadow_on_itself() -> None:
    # Rays that start on triangles of a coarse ball must not meet its other triangles.
    frame = RASTER.draw(
        Stage(
            Placed("ball", scale=(0.2, 0.2, 0.2), material=MATT), lights=(), camera=Camera((0.0, -0.6, 0.1))
        ),
        resolution=96,
    )
    grey = linear(frame.rgb[..., 1])
    inside = frame.alpha == 1
    across = np.abs(np.diff(grey, axis=1))[inside[:, 1:] & inside[:, :-1]]
    assert across.max() < 0.03


def test_points_are_where_a_pinhole_puts_them() -> None:
    # A ball of radius 0.02 at (0.3, 0.4, 0.25), seen from y = -3 with 50 mm before 36 mm: x = 0.3 * 50 / 3.4 mm.
    small = Placed("ball", (0.3, 0.4, 0.25), scale=(0.04, 0.04, 0.04))
    frame = RASTER.draw(Stage(small, camera=FRONT), resolution=200)
    rows, columns = np.nonzero(frame.segmentation == OBJECT)
    assert columns.mean() + 0.5 == pytest.approx((0.5 + 0.3 * 50 / 3.4 / 36) * 200, abs=0.3)
    assert rows.mean() + 0.5 == pytest.approx((0.5 - 0.25 * 50 / 3.4 / 36) * 200, abs=0.3)
    assert frame.depth[frame.segmentation == OBJECT].min() == pytest.approx(3.38, abs=1e-3)
    assert np.isinf(frame.depth[frame.segmentation == NOTHING]).all()


def test_a_shift_moves_the_picture_to_the_right_and_up() -> None:
    small = Placed("ball", scale=(0.05, 0.05, 0.05))
    frame = RASTER.draw(Stage(small, camera=replace(FRONT, shift=(0.25, 0.125))), resolution=80)
    rows, columns = np.nonzero(frame.segmentation == OBJECT)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((0.75 * 80, 0.375 * 80), abs=0.3)


def test_texture_coordinates_are_those_of_the_surface(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, sheet())
    frame = RASTER.draw(Stage(Placed("sheet"), camera=FRONT), resolution=40)
    seen = frame.segmentation == OBJECT
    # The sheet is 1 wide at distance 3: 50 / 3 / 36 of the picture.
    place = (np.arange(40) + 0.5) / 40 - 0.5
    u = place / (50 / 3 / 36) + 0.5
    assert frame.uv[20, seen[20], 0] == pytest.approx(u[seen[20]], abs=1e-4)
    assert frame.uv[seen[:, 20], 20, 1] == pytest.approx(1 - u[seen[:, 20]], abs=1e-4)
    assert np.isnan(frame.uv[~seen]).all()


def test_pictures_of_a_stage_are_one_to_the_byte() -> None:
    first, second = (Raster().draw(crowded_stage(), resolution=48) for _ in range(2))
    for name in ("rgb", "alpha", "depth", "segmentation", "uv"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_a_picture_does_not_depend_on_the_one_before() -> None:
    alone = Raster().draw(crowded_stage(), resolution=32)
    RASTER.draw(lamp_stage()[0], resolution=32)
    assert RASTER.draw(crowded_stage(), resolution=32).rgb.tobytes() == alone.rgb.tobytes()


def test_the_ground_catches_the_shadow_of_a_ball() -> None:
    floor = ground_at(-0.5, MATT)
    lamp = Light((0.0, 0.0, 4.0), 300.0, radius=0.05)
    stage = Stage(Placed("ball"), (floor,), Camera((0.0, -4.0, 3.0)), (lamp,), DARK)
    frame = RASTER.draw(stage, resolution=64)
    without = RASTER.draw(replace(stage, subject=Placed("ball", (0.0, 0.0, 50.0))), resolution=64)
    ground = frame.segmentation == GROUND
    change = (without.rgb - frame.rgb).max(-1)[ground]
    assert (change > 0.3).sum() > 20  # the shadow
    assert (change < 0.02).mean() > 0.5  # and the rest of the ground as before


def test_larger_lamps_have_softer_shadows() -> None:
    wide = []
    for radius in (0.0, 0.8):
        lamp = Light((0.0, 0.0, 4.0), 300.0, radius=radius)
        stage = Stage(Placed("ball"), (ground_at(-1.5, MATT),), Camera((0.0, -5.0, 3.0)), (lamp,), DARK)
        away = replace(stage, subject=Placed("ball", (0.0, 0.0, 50.0)))
        frame, without = (RASTER.draw(s, resolution=96) for s in (stage, away))
        ground = (frame.segmentation == GROUND) & (frame.alpha == 1)
        share = linear(frame.rgb[..., 0])[ground] / linear(without.rgb[..., 0])[ground]
        wide.append(((share > 0.15) & (share < 0.85)).sum())
    assert wide[1] > 3 * wide[0]


def test_alpha_cuts_holes_in_what_is_seen_and_in_shadows(monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = np.ones((8, 8, 4), np.float32)
    leaf[:, :4, 3] = 0.0  # the left half is not there
    known(monkeypatch, sheet("leaf", material=replace(MATT, texture="leaf"), leaf=leaf))
    frame = RASTER.draw(Stage(Placed("leaf"), camera=FRONT), resolution=64)
    assert frame.segmentation[32, 22] == NOTHING
    assert frame.segmentation[32, 42] == OBJECT
    assert frame.alpha[32, 22] == 0
    assert frame.visible == pytest.approx((50 / 3 / 36) ** 2 / 2, rel=0.05)
    # Its shadow on a wall behind it falls from the half that is there.
    wall = Placed("plane", (0.0, 1.0, 0.0), (np.pi / 2, 0.0, 0.0), (6.0, 6.0, 1.0), MATT, segment=GROUND)
    lamp = Light((0.0, -9.0, 0.0), 900.0, radius=0.0)
    high = Camera((0.0, -3.0, 4.0), target=(0.0, 1.0, 0.0))
    frame = RASTER.draw(Stage(Placed("leaf"), (wall,), high, (lamp,), DARK), resolution=128)
    dark = (linear(frame.rgb[..., 0]) < 0.01) & (frame.segmentation == GROUND)
    assert dark[:, 66:].sum() > 30
    assert dark[:, :62].sum() == 0


def test_what_is_behind_glass_is_seen_through_it() -> None:
    glass = Material("glass", (1.0, 1.0, 1.0), roughness=0.0, transmission=1.0)
    red = Material("red", (0.8, 0.0, 0.0), roughness=1.0)
    behind = Placed("ball", (0.0, 1.0, 0.0), scale=(0.4, 0.4, 0.4), material=red, segment=2)
    stage = Stage(
        Placed("ball", material=glass), (behind,), FRONT, environment=Environment("white", 0.5), lights=()
    )
    frame = RASTER.draw(stage, resolution=48)
    assert frame.segmentation[24, 24] == OBJECT
    assert frame.rgb[24, 24, 0] > 0.5 > 0.4 > frame.rgb[24, 24, 1]
    # Beside the red ball there is nothing behind the glass: it is mostly clear, and brighter at its rim.
    assert frame.alpha[24, 17] < 0.3
    rim = np.nonzero(frame.alpha[24])[0][1]
    assert frame.alpha[24, rim] > frame.alpha[24, 17]


def test_a_mirror_shows_what_stands_before_it() -> None:
    mirror = Material("mirror", (1.0, 1.0, 1.0), roughness=0.0, metallic=1.0)
    green = Material("green", (0.0, 0.8, 0.0), roughness=1.0)
    before = Placed("ball", (0.0, 0.0, 0.6), scale=(0.5, 0.5, 0.5), material=green, segment=2)
    floor = Placed("plane", scale=(4.0, 4.0, 1.0), material=mirror)
    stage = Stage(floor, (before,), Camera((0.0, -2.0, 0.6)), (), Environment("white", 0.5))
    frame = RASTER.draw(stage, resolution=64)
    image = frame.rgb[(frame.segmentation == OBJECT) & (frame.rgb[..., 1] > 2 * frame.rgb[..., 0])]
    assert len(image) > 50


def test_box_projection_turns_with_the_object() -> None:
    # The same picture of a cube from above, and of the cube on its side from the side that was above.
    painted = Material("painted", (1.0, 1.0, 1.0), "checker", "box", 1.3, 1.0)
    even = Environment("white")
    up = Stage(Placed("box", material=painted), camera=Camera((0.0, 0.0, 3.0)), lights=(), environment=even)
    turned = Stage(
        Placed("box", rotation=(np.pi / 2, 0.0, 0.0), material=painted),
        camera=Camera((0.0, -3.0, 0.0)), lights=(), environment=even,
    )  # fmt: skip
    first, second = (RASTER.draw(stage, resolution=64) for stage in (up, turned))
    assert first.rgb.std() > 0.1
    assert np.abs(first.rgb - second.rgb).mean() < 0.005


def test_fine_textures_are_averaged_and_do_not_alias() -> None:
    fine = Material("fine", (1.0, 1.0, 1.0), "checker", "uv", 60.0, 1.0)
    stage = Stage(Placed("plane", material=fine), camera=ABOVE, lights=(), environment=Environment("white"))
    frame = RASTER.draw(stage, resolution=64)
    inside = linear(frame.rgb[..., 0])[20:44, 20:44]
    light = environment_pixels("white").mean() * linear(texture_pixels("checker")).mean()
    assert inside.mean() == pytest.approx(light, rel=0.05)
    assert inside.std() < 0.06


def test_depth_of_field_blurs_what_is_out_of_focus_alone() -> None:
    far = Placed("box", (0.0, 3.0, 0.0), scale=(0.6, 0.6, 0.6), material=MATT, segment=2)
    near = Placed("box", (-0.3, 0.0, 0.0), scale=(0.3, 0.02, 0.3), material=MATT)
    stage = Stage(near, (far,), FRONT)
    sharp, open_ = (
        RASTER.draw(replace(stage, camera=replace(FRONT, aperture=aperture)), resolution=96)
        for aperture in (None, 2.0)
    )
    edges = [
        [((f.alpha > 0.05) & (f.alpha < 0.95))[:, columns].sum() for columns in (slice(0, 40), slice(52, 96))]
        for f in (sharp, open_)
    ]
    assert edges[1][0] < 2 * edges[0][0] + 20
    assert edges[1][1] > 3 * edges[0][1]


def test_meshes_without_area_or_normals_leave_no_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    v = rng.normal(size=(60, 3)).astype(np.float32) / 3
    v[:20] = v[0]  # triangles that are points
    v[20:30, 1:] = 0  # and lines
    f = rng.integers(0, 60, (200, 3)).astype(np.int32)
    nothing = np.zeros((60, 3), np.float32)
    finish = (
        MATT,
        replace(MATT, metallic=1.0, roughness=0.0),
        replace(MATT, transmission=1.0, texture="checker"),
    )
    meshes = tuple(Mesh(v, f, nothing, np.full((60, 2), np.nan, np.float32), m) for m in finish)
    known(monkeypatch, ObjectModel("broken", meshes))
    frame = RASTER.draw(Stage(Placed("broken", scale=(1.0, 0.0, 1.0)), camera=FRONT), resolution=48)
    assert frame.alpha.max() > 0.9
    assert np.isfinite(frame.rgb).all()
    assert np.isfinite(frame.alpha).all()


def test_a_large_mesh_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=7)  # 327,680 triangles
    v = ball.vertices.astype(np.float32) / 2
    mesh = Mesh(v, ball.faces.astype(np.int32), v * 2, np.zeros((len(v), 2), np.float32), MATT)
    model = ObjectModel("large", (mesh,))
    known(monkeypatch, model)
    stage = Stage(Placed("large"), camera=FRONT)
    first = RASTER.draw(stage, resolution=32)
    assert geometry_of(model) is geometry_of(ObjectModel("another name", (mesh,)))
    tree = geometry_of(model).tree
    again = RASTER.draw(replace(stage, subject=Placed("large", rotation=(0.0, 0.0, 1.0))), resolution=32)
    assert geometry_of(model).tree is tree
    assert np.abs(again.alpha - first.alpha).max() <= 0.25


def test_samples_are_squares_and_smooth_the_edges() -> None:
    stage = Stage(Placed("ball"), camera=FRONT)
    levels = [len(np.unique(RASTER.draw(stage, resolution=32, samples=n).alpha)) for n in (1, 4, 8, 9)]
    assert levels[:3] == [2, 5, 5]
    assert 5 < levels[3] <= 10


def test_colours_over_black_keep_their_hue_at_edges() -> None:
    light = np.array([[0.1, 0.2, 0.4]], np.float32)
    full, half = over_black(light, np.ones(1)), over_black(light / 2, np.full(1, 0.5))
    assert half == pytest.approx(full / 2)
    assert full == pytest.approx(shown(light))
    assert over_black(np.zeros((1, 3)), np.zeros(1)).max() == 0


def test_keep_color_multiplies_the_objects_own_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, sheet("red", material=Material("red", (0.9, 0.2, 0.2))))
    cover = Material("checker", (1.0, 1.0, 1.0), "checker", "box", 2.0, 1.0)
    even = Environment("white")
    kept, replaced = (
        linear(
            RASTER.draw(
                Stage(Placed("red", material=cover, keep_color=keep), (), FRONT, (), even), resolution=48
            ).rgb
        )
        for keep in (True, False)
    )
    assert kept == pytest.approx(replaced * linear(np.array([0.9, 0.2, 0.2])), abs=2e-3)


def test_albedo_of_the_tests_is_that_of_their_colour() -> None:
    assert pytest.approx(((0.735 + 0.055) / 1.055) ** 2.4, rel=1e-5) == ALBEDO


def test_threads_may_share_trees_and_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "_KEPT", 8)
    monkeypatch.setattr(textures, "_KEPT", 8)
    models = [sheet(str(k), material=replace(MATT, name=str(k))) for k in range(24)]
    assert len({model.digest for model in models}) == len(models)
    pictures = [np.full((1, 1, 3), 0.5, np.float32) for _ in models]

    def use(first: int) -> None:
        for k in range(1_500):
            place = (first * 7 + k * 5) % len(models)
            assert len(trees.geometry_of(models[place]).faces) == 2
            assert len(textures.pyramid_of(pictures[place]).pixels) == 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(use, range(4)))
    finally:
        sys.setswitchinterval(before)
