"""Three renderers, one stage: the same geometry, and the light that closed forms give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from render_parts import DARK, MATT, crowded_stage, known, lamp_stage, middle, sheet, sky_stage

from similitude.scenes.frame import GROUND, NOTHING, OBJECT, OCCLUDER, Frame
from similitude.scenes.renderers.optics import linear
from similitude.scenes.renderers.raster import Raster
from similitude.scenes.renderers.renderer import Renderer, missing, renderer_named
from similitude.scenes.stage import Camera, Environment, Material, Placed, Stage

pytestmark = pytest.mark.slow

FRONT = Camera((0.0, -3.0, 0.0))


@pytest.fixture(scope="module", params=["cycles", "mitsuba"])
def tracer(request: pytest.FixtureRequest) -> Iterator[Renderer]:
    """Return a path tracer."""
    if (reason := missing(request.param)) is not None:
        pytest.skip(reason)
    made = renderer_named(request.param)
    yield made
    made.close()


def both(tracer: Renderer, stage: Stage, *, resolution: int = 64, samples: int = 32) -> tuple[Frame, Frame]:
    """Return the pictures of the path tracer and of the fast renderer."""
    return tracer.draw(stage, resolution=resolution, samples=samples), Raster().draw(
        stage, resolution=resolution, samples=16
    )


def test_geometry_is_one(tracer: Renderer) -> None:
    traced, cast = both(tracer, crowded_stage(), resolution=96, samples=1)
    for segment in (OBJECT, OCCLUDER, GROUND):
        one, other = traced.segmentation == segment, cast.segmentation == segment
        assert (one & other).sum() / (one | other).sum() > 0.98
    same = (traced.segmentation == cast.segmentation) & (cast.segmentation != NOTHING)
    assert np.abs(traced.depth[same] / cast.depth[same] - 1).max() < 0.01
    seen = same & (cast.segmentation == OBJECT)
    apart = np.abs(traced.uv[seen] - cast.uv[seen])
    assert np.minimum(apart, 1 - apart).max() < 0.01
    assert np.isnan(traced.uv[traced.segmentation != OBJECT]).all()


def test_a_matt_sheet_under_a_lamp_follows_lamberts_law(tracer: Renderer) -> None:
    stage, radiance = lamp_stage()
    assert middle(tracer.draw(stage, resolution=32, samples=64)) == pytest.approx(radiance, rel=0.02)


def test_a_matt_ball_under_even_light_has_its_albedo_everywhere(tracer: Renderer) -> None:
    stage, radiance = sky_stage()
    frame = tracer.draw(stage, resolution=48, samples=64)
    inside = linear(frame.rgb)[frame.alpha > 0.999]
    assert inside.mean() == pytest.approx(radiance, rel=0.02)


def test_pictures_are_alike(tracer: Renderer) -> None:
    traced, cast = both(tracer, crowded_stage())
    assert np.abs(traced.rgb - cast.rgb).mean() < 0.06
    assert np.abs(traced.alpha - cast.alpha).mean() < 0.005


@pytest.mark.parametrize("rotation", [0.0, 2.0])
def test_an_environment_shines_from_the_same_side(tracer: Renderer, rotation: float) -> None:
    sky = Environment("sunset", rotation=rotation)
    stage = Stage(Placed("ball", material=MATT), camera=FRONT, lights=(), environment=sky)
    frames = both(tracer, stage, resolution=48)
    inside = (frames[0].alpha > 0.999) & (frames[1].alpha > 0.999)
    traced, cast = (linear(frame.rgb)[inside].mean(1) for frame in frames)
    assert np.corrcoef(traced, cast)[0, 1] > 0.9
    assert traced.mean() == pytest.approx(cast.mean(), rel=0.1)


def test_textures_lie_the_same_way(tracer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    painted = np.kron(rng.uniform(0.1, 0.9, (4, 4, 3)), np.ones((16, 16, 1))).astype(np.float32)
    even = Environment("white")
    for projection in ("uv", "box"):
        finish = Material("painted", (1.0, 1.0, 1.0), "own", projection, 1.6, 1.0)
        known(monkeypatch, sheet(projection, material=finish, own=painted))
        stage = Stage(Placed(projection, rotation=(0.0, 0.3, 0.0)), camera=FRONT, lights=(), environment=even)
        traced, cast = both(tracer, stage)
        assert cast.rgb.std() > 0.1
        assert np.abs(traced.rgb - cast.rgb).mean() < 0.02


def test_alpha_cuts_holes(tracer: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = np.ones((8, 8, 4), np.float32)
    leaf[:, :4, 3] = 0.0
    known(monkeypatch, sheet("leaf", material=replace(MATT, texture="leaf"), leaf=leaf))
    traced, cast = both(tracer, Stage(Placed("leaf"), camera=FRONT))
    assert np.abs(traced.alpha - cast.alpha).mean() < 0.01
    assert (traced.segmentation == cast.segmentation).mean() > 0.98


def test_depth_of_field_is_one(tracer: Renderer) -> None:
    far = Placed("box", (0.0, 3.0, 0.0), scale=(0.8, 0.8, 0.8), material=MATT, segment=2)
    near = Placed("box", (-0.4, 0.0, 0.0), scale=(0.2, 0.02, 0.2), material=MATT)
    camera = replace(FRONT, aperture=1.0, shift=(0.125, 0.0625))
    traced, cast = both(tracer, Stage(near, (far,), camera), resolution=96, samples=64)
    sharp = Raster().draw(Stage(near, (far,), replace(camera, aperture=None)), resolution=96)
    apart = np.abs(traced.alpha - cast.alpha).mean(), np.abs(traced.alpha - sharp.alpha).mean()
    assert apart[0] < 0.35 * apart[1]


def test_a_shift_moves_the_picture_with_the_sides_mirrored_too(tracer: Renderer) -> None:
    subject = Placed("mug", rotation=(0.2, 0.1, 0.8), scale=(-0.5, 0.5, 0.7))
    stage = Stage(subject, camera=Camera((1.0, -2.5, -0.8), shift=(-0.2, 0.15)), environment=DARK)
    traced, cast = both(tracer, stage, samples=1)
    one, other = (f.segmentation == OBJECT for f in (traced, cast))
    assert (one & other).sum() / (one | other).sum() > 0.98
    lit = linear(traced.rgb).mean(), linear(cast.rgb).mean()
    assert lit[0] == pytest.approx(lit[1], rel=0.25)


def test_what_is_behind_glass_is_seen_through_it(tracer: Renderer) -> None:
    glass = Material("glass", (1.0, 1.0, 1.0), roughness=0.0, transmission=1.0)
    red = Material("red", (0.8, 0.0, 0.0), roughness=1.0)
    wall = Placed("plane", (0.0, 1.0, 0.0), (np.pi / 2, 0.0, 0.0), (9.0, 9.0, 1.0), red, segment=2)
    stage = Stage(Placed("ball", material=glass), (wall,), FRONT, (), Environment("white", 0.5))
    for frame in both(tracer, stage):
        assert frame.segmentation[32, 32] == OBJECT
        red_there, green_there, _ = frame.rgb[28:36, 28:36].mean((0, 1))
        assert red_there > 2 * green_there


def test_a_texture_that_is_missing_is_named(tracer: Renderer) -> None:
    from similitude.core.errors import SceneError

    stage = Stage(Placed("ball", material=replace(MATT, texture="no-such-texture")))
    for renderer in (tracer, Raster()):
        with pytest.raises(SceneError, match="no-such-texture"):
            renderer.draw(stage, resolution=16)
