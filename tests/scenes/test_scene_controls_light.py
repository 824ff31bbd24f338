"""Lamps, environments, materials and textures, measured as linear light on frames."""

import colorsys

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.controls.warmth import warmth
from similitude.scenes.rendering import render, stage_of
from similitude.scenes.scene import Scene
from similitude.scenes.stage import Light
from tests.scenes.control_frames import drawn, light_of, mask_of

DARK = {"strength": 1e-6, "visible": False}
FAR = {"direction_x": 0.8, "direction_y": -2.0, "direction_z": 1.0, "radius": 0.0}


def lit(object_="ball", **lamp):
    return light_of(drawn(object_, environment=DARK, light={**FAR, **lamp}))


def test_light_falls_off_with_the_square_of_the_distance():
    near, far = lit(distance=20.0, power=2000.0), lit(distance=40.0, power=2000.0)
    assert near / far == pytest.approx(np.full(3, 4.0), rel=0.06)


def test_light_grows_with_power_and_value():
    whole = lit(power=80.0)
    assert lit(power=40.0) / whole == pytest.approx(np.full(3, 0.5), rel=0.03)
    assert lit(power=80.0, value=0.5) / whole == pytest.approx(np.full(3, 0.5), rel=0.03)
    assert lit(power=80.0, value=0.0).max() < 1e-3


@pytest.mark.parametrize("hue", [0.0, 1 / 3, 0.55])
def test_the_light_has_its_hue(hue):
    seen = lit(hue=hue, saturation=0.5, power=80.0) / lit(power=80.0)
    assert seen == pytest.approx(np.array(colorsys.hsv_to_rgb(hue, 0.5, 1.0)), abs=0.03)


def test_warm_light_is_that_of_a_glowing_body():
    assert lit(kelvin=2700.0, power=80.0) / lit(power=80.0) == pytest.approx(warmth(2700.0), abs=0.03)


@pytest.mark.parametrize("kelvin", [2000.0, 3000.0, 4500.0, 9000.0, 20000.0])
def test_warmth_is_plancks_spectrum_as_eyes_see_it(kelvin):
    # The eye's responses as Gaussians (Wyman, Sloan and Shirley 2013), Planck's law summed over wavelengths.
    nm = np.arange(380.0, 781.0)

    def bell(height, middle, left, right):
        width = np.where(nm < middle, left, right)
        return height * np.exp(-0.5 * ((nm - middle) / width) ** 2)

    eye = np.stack(
        [
            bell(1.056, 599.8, 37.9, 31.0) + bell(0.362, 442.0, 16.0, 26.7) + bell(-0.065, 501.1, 20.4, 26.2),
            bell(0.821, 568.8, 46.9, 40.5) + bell(0.286, 530.9, 16.3, 31.1),
            bell(1.217, 437.0, 11.8, 36.0) + bell(0.681, 459.0, 26.0, 13.8),
        ]
    )
    to_rgb = np.linalg.inv([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])

    def color(temperature):
        spectrum = (nm / 560) ** -5 / np.expm1(1.4388e7 / (nm * temperature))
        return np.clip(to_rgb @ (eye @ (spectrum / spectrum.max())), 0, None)

    expected = color(kelvin) / color(6500.0)
    assert warmth(kelvin) == pytest.approx(expected / expected.max(), abs=0.04)


def test_light_comes_from_its_direction():
    front = {"view_point_x": 0.0, "view_point_z": 0.0}
    left, right = (
        drawn(
            "ball",
            environment=DARK,
            camera=front,
            light={"direction_x": x, "direction_y": 0.0, "direction_z": 0.0},
        )
        for x in (-1.0, 1.0)
    )
    half = left.resolution[1] // 2
    within = mask_of(left)[:, :half]
    assert left.rgb[:, :half][within].mean() > 5 * left.rgb[:, half:][within[:, ::-1]].mean()
    assert right.rgb[:, half:][within[:, ::-1]].mean() > 5 * right.rgb[:, :half][within].mean()


def test_two_lamps_add_up_and_the_first_takes_the_place_of_the_usual_one():
    red = {"kind": "light", **FAR, "hue": 0.0, "saturation": 1.0, "power": 40.0}
    blue = {"kind": "light", **FAR, "hue": 2 / 3, "saturation": 1.0, "power": 40.0}
    both = drawn("ball", environment=DARK, left=red, right=blue)
    alone = [light_of(drawn("ball", environment=DARK, one=one)) for one in (red, blue)]
    assert light_of(both) == pytest.approx(sum(alone), rel=0.03, abs=2e-3)
    assert len(stage_of(Scene("ball", {"left": red, "right": blue})).lights) == 2
    usual = {"kind": "light"}
    assert len(stage_of(Scene("ball", {"a": usual, "b": usual})).lights) == 2
    assert stage_of(Scene("ball")).lights == (Light(),)


def test_the_lamp_follows_the_object():
    stage = stage_of(Scene("ball", {"light": {"distance": 3.0}, "position": {"offset_x": 1.0}}))
    assert np.linalg.norm(np.subtract(stage.lights[0].position, (1.0, 0.0, 0.0))) == pytest.approx(3.0)


def test_a_lamp_without_a_direction_is_refused():
    scene = Scene("ball", {"light": {"direction_x": 0.0, "direction_y": 0, "direction_z": 0}})
    with pytest.raises(SceneError, match="all 0, which is no direction"):
        stage_of(scene)


def test_the_environment_lights_by_its_strength():
    out = {"light": {"value": 0.0}}
    once, twice = (
        light_of(drawn("ball", **out, environment={"strength": s, "visible": False})) for s in (0.5, 1.0)
    )
    assert twice / once == pytest.approx(np.full(3, 2.0), rel=0.03)


def test_an_environment_that_turns_with_the_camera_gives_the_same_picture():
    def seen(turn, rotation):
        toward = {"view_point_x": np.sin(turn), "view_point_y": -np.cos(turn), "view_point_z": 0.3}
        controls = {"camera": {**toward, "zoom_factor": 0.5}, "environment": {"rotation": rotation}}
        return render(Scene("ball", {**controls, "light": {"value": 0.0}}, "room", resolution=64)).rgb

    first, both, camera_alone = seen(0.0, 0.0), seen(1.2, 1.2), seen(1.2, 0.0)
    assert np.abs(both - first).mean() < 1e-3
    assert np.abs(camera_alone - first).mean() > 0.05


def test_a_visible_environment_is_the_background_and_grows_with_its_strength():
    weak, strong = (drawn("ball", environment={"strength": s}) for s in (0.5, 1.0))
    assert not np.allclose(weak.rgb[0, 0], 0.6, atol=0.01)
    assert strong.rgb[:10].mean() > weak.rgb[:10].mean()
    hidden = drawn("ball", environment={"visible": False})
    assert hidden.rgb[0, 0] == pytest.approx([0.6] * 3, abs=0.01)


def test_a_texture_wraps_the_object_and_its_shape_stays():
    plain, wrapped = drawn("banana"), drawn("banana", texture={"name": "checker", "repeats": 2.0})
    mask = mask_of(plain)
    assert (mask == mask_of(wrapped)).all()
    assert wrapped.rgb[mask].std() > 1.5 * plain.rgb[mask].mean(1).std()
    colorful = plain.rgb[mask].max(1) - plain.rgb[mask].min(1)
    grey = wrapped.rgb[mask].max(1) - wrapped.rgb[mask].min(1)
    assert grey.mean() < 0.3 * colorful.mean()
    assert np.array_equal(plain.rgb, drawn("banana", texture={"name": "original"}).rgb)


def test_a_material_takes_the_place_of_the_objects_own_and_may_keep_its_color():
    own, replaced, tinted = (
        drawn("flowerpot", material=settings)
        for settings in (
            {"replacement": "original"},
            {"replacement": "marble"},
            {"replacement": "marble", "keep_color": True},
        )
    )
    red = [float(np.subtract(*light_of(f)[[0, 2]]) / light_of(f).sum()) for f in (own, replaced, tinted)]
    assert red[1] < 0.3 * red[0]
    assert red[2] > 0.6 * red[0]
    assert not np.array_equal(own.rgb, tinted.rgb)


@pytest.mark.parametrize("controls", [{"material": {"replacement": "wod"}}, {"texture": {"name": "zebre"}}])
def test_unknown_looks_are_refused_with_the_close_name(controls):
    with pytest.raises(SceneError, match=r"Did you mean (wood|zebra)\?"):
        render(Scene("ball", controls))
