"""Environments: which direction is where, skies, and files of light."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from similitude.core.errors import SceneError
from similitude.scenes.assets import light_files
from similitude.scenes.assets.environments import (
    ENVIRONMENTS,
    backdrop,
    environment_digest,
    environment_pixels,
    radiance,
)
from similitude.scenes.assets.skies import directions
from similitude.scenes.renderers import blender
from similitude.scenes.stage import Camera, Environment

AXES = {
    (1, 0, 0): (1.0, 0.0, 0.0),
    (-1, 0, 0): (0.0, 1.0, 1.0),
    (0, 1, 0): (0.0, 1.0, 0.0),
    (0, -1, 0): (1.0, 0.0, 1.0),
    (0, 0, 1): (0.0, 0.0, 1.0),
    (0, 0, -1): (1.0, 1.0, 0.0),
}
"""A colour for each of the six directions."""


def six_colours(rows=64):
    """Each pixel has the colour of the axis that it is nearest to, by columns and rows alone."""
    out = np.zeros((rows, 2 * rows, 3), np.float32)
    quarter = rows // 2
    sides = [(-1, 0, 0), (0, 1, 0), (1, 0, 0), (0, -1, 0)]  # from the left, turning right as seen from inside
    for k, side in enumerate(sides):
        columns = (np.arange(quarter) + k * quarter - quarter // 2) % (2 * rows)
        out[:, columns] = AXES[side]
    out[: rows // 4] = AXES[0, 0, 1]
    out[-rows // 4 :] = AXES[0, 0, -1]
    return out


def save_exr(path, pixels, *, prefix=""):
    exr = pytest.importorskip("OpenEXR")
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    channels = {prefix + name: np.ascontiguousarray(pixels[..., k]) for k, name in enumerate("RGB")}
    exr.File(header, channels).write(str(path))
    return str(path)


def save_hdr(path, pixels):
    cv2 = pytest.importorskip("cv2")
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return str(path)


@pytest.mark.parametrize("save", [save_exr, save_hdr])
def test_six_directions_are_where_they_belong(tmp_path, save):
    name = save(tmp_path / ("six" + (".exr" if save is save_exr else ".hdr")), six_colours())
    for axis, color in AXES.items():
        seen = radiance(Environment(name, strength=2.0), np.array([axis], float))[0]
        np.testing.assert_allclose(seen, 2 * np.array(color), atol=0.02)


def test_a_turned_environment_brings_x_to_y(tmp_path):
    name = save_exr(tmp_path / "six.exr", six_colours())
    turned = Environment(name, rotation=np.pi / 2)
    np.testing.assert_allclose(radiance(turned, np.array([0.0, 1.0, 0.0])), AXES[1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(radiance(turned, np.array([-1.0, 0.0, 0.0])), AXES[0, 1, 0], atol=1e-6)


def test_what_a_camera_sees_is_not_mirrored(tmp_path):
    name = save_exr(tmp_path / "six.exr", six_colours())
    camera = Camera(position=(0, -2, 0), target=(0, 0, 0), focal_length=8.0)  # 132 degrees wide, towards +y
    seen = backdrop(Environment(name), camera, (33, 33))
    assert seen.shape == (33, 33, 3)
    np.testing.assert_allclose(seen[16, 16], AXES[0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(seen[16, 32], AXES[1, 0, 0], atol=1e-6)  # +x at the right
    np.testing.assert_allclose(seen[16, 0], AXES[-1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(seen[0, 16], AXES[0, 0, 1], atol=1e-6)


def test_between_pixels_light_is_linear(tmp_path):
    pixels = np.random.default_rng(0).random((16, 32, 3)).astype(np.float32)
    name = save_exr(tmp_path / "noise.exr", pixels)
    vectors = np.random.default_rng(1).normal(size=(200, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    row = np.arccos(vectors[:, 2]) / np.pi * 16 - 0.5
    column = (np.pi - np.arctan2(vectors[:, 1], vectors[:, 0])) / (2 * np.pi) * 32 - 0.5
    wrapped = np.concatenate(
        [pixels[:, -1:], pixels, pixels[:, :1]], 1
    )  # the seam behind, for an oracle without one
    for k in range(3):
        told = ndimage.map_coordinates(wrapped[..., k], [np.clip(row, 0, 15), column + 1], order=1)
        np.testing.assert_allclose(radiance(Environment(name), vectors)[:, k], told, atol=1e-5)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_light_from_all_around(name):
    pixels = environment_pixels(name)
    assert pixels.shape == (256, 512, 3)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert pixels.min() >= 0
    # No seam behind: the first and the last column differ no more than any two neighbours.
    steps = np.abs(np.diff(pixels, axis=1)).mean((0, 2))
    assert np.abs(pixels[:, 0] - pixels[:, -1]).mean() <= steps.max() + 1e-6


def test_environments_differ():
    assert len({environment_digest(name) for name in ENVIRONMENTS}) == len(ENVIRONMENTS)


def test_an_overcast_sky_is_three_times_as_bright_overhead():
    pixels = environment_pixels("overcast").mean((1, 2))
    assert pixels[0] / pixels[126] == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize(("name", "azimuth", "height"), [("day", -125, 50), ("sunset", -20, 6)])
def test_the_sun_stands_where_it_is_said_to(name, azimuth, height):
    pixels = environment_pixels(name).sum(-1)
    weights = np.where(pixels > pixels.max() / 2, pixels, 0)[..., None]
    x, y, z = (directions() * weights).sum((0, 1)) / weights.sum()
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(azimuth, abs=1)
    assert np.degrees(np.arctan2(z, np.hypot(x, y))) == pytest.approx(height, abs=1)


def test_directions_of_pixels_are_what_radiance_asks_for(tmp_path):
    name = save_exr(tmp_path / "where.exr", directions(32).astype(np.float32) + 1)
    seen = radiance(Environment(name), directions(32))
    np.testing.assert_allclose(seen, directions(32) + 1, atol=1e-5)


def test_large_pictures_keep_their_light(tmp_path, monkeypatch):
    monkeypatch.setattr(light_files, "ROWS", 12)
    pixels = np.random.default_rng(0).random((32, 64, 3)).astype(np.float32)
    pixels[5, 7] = 1e4
    small = environment_pixels(save_exr(tmp_path / "large.exr", pixels))
    assert small.shape == (12, 24, 3)
    np.testing.assert_allclose(small.mean((0, 1)), pixels.mean((0, 1)), rtol=1e-5)
    # By an exact multiple the means are those of blocks.
    monkeypatch.setattr(light_files, "ROWS", 8)
    small = light_files.reduced(pixels)
    np.testing.assert_allclose(small, pixels.reshape(8, 4, 16, 4, 3).mean((1, 3)), rtol=1e-5)


def test_layers_grey_and_suns_without_end(tmp_path):
    exr = pytest.importorskip("OpenEXR")
    pixels = np.full((8, 16, 3), 0.5, np.float32)
    pixels[0, 0], pixels[1, 1] = np.inf, -0.1
    seen = environment_pixels(save_exr(tmp_path / "layer.exr", pixels, prefix="Combined."))
    assert seen[0, 0, 0] == 65504
    assert seen[1, 1, 0] == 0
    assert seen[2, 2, 0] == 0.5
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    exr.File(header, {"Y": np.full((8, 16), 0.25, np.float32)}).write(str(tmp_path / "y.exr"))
    assert (environment_pixels(str(tmp_path / "y.exr")) == 0.25).all()
    exr.File(header, {"Z": np.full((8, 16), 0.25, np.float32)}).write(str(tmp_path / "z.exr"))
    with pytest.raises(SceneError, match="has the channels Z"):
        environment_pixels(str(tmp_path / "z.exr"))


def test_a_changed_file_is_read_again(tmp_path):
    name = save_exr(tmp_path / "a.exr", np.zeros((8, 16, 3), np.float32))
    before = environment_digest(name)
    save_exr(tmp_path / "a.exr", np.ones((8, 16, 3), np.float32))
    assert environment_digest(name) != before


def test_digests_are_those_of_the_pixels_and_made_once(tmp_path, monkeypatch):
    names = ["studio", save_exr(tmp_path / "six.exr", six_colours())]
    told = [hashlib.sha256(environment_pixels(name).tobytes()).hexdigest() for name in names]
    assert [environment_digest(name) for name in names] == told
    monkeypatch.setattr(hashlib, "sha256", None)
    assert [environment_digest(name) for name in names] == told


@pytest.mark.parametrize("save", [save_exr, save_hdr])
def test_damaged_files_are_refused(tmp_path, save):
    ending = ".exr" if save is save_exr else ".hdr"
    whole = tmp_path / f"whole{ending}"
    save(whole, np.random.default_rng(0).random((8, 16, 3)).astype(np.float32))
    data = whole.read_bytes()
    bad = tmp_path / f"bad{ending}"
    for length in (0, 1, 20, len(data) // 4, len(data) // 2):
        bad.write_bytes(data[:length])
        with pytest.raises(SceneError, match="bad"):
            environment_pixels(str(bad))


def test_wrong_shapes_and_numbers_are_refused(tmp_path, monkeypatch):
    with pytest.raises(SceneError, match="is 8 x 8, and an environment is twice as wide"):
        environment_pixels(save_exr(tmp_path / "square.exr", np.ones((8, 8, 3), np.float32)))
    with pytest.raises(SceneError, match="not numbers"):
        environment_pixels(save_exr(tmp_path / "nan.exr", np.full((4, 8, 3), np.nan, np.float32)))
    turned = Path(save_hdr(tmp_path / "turned.hdr", np.ones((8, 16, 3), np.float32)))
    turned.write_bytes(turned.read_bytes().replace(b"-Y 8 +X 16", b"+Y 8 +X 16"))
    with pytest.raises(SceneError, match="another order"):
        environment_pixels(str(turned))
    for save, name in ((save_exr, "big.exr"), (save_hdr, "big.hdr")):
        path = save(tmp_path / name, np.ones((8, 16, 3), np.float32))
        with monkeypatch.context() as patch:
            patch.setattr(light_files, "MOST_PIXELS", 100)
            with pytest.raises(SceneError, match="has 16 x 8 pixels"):
                environment_pixels(path)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(SceneError, match=r"no environment 'sunrset'. Did you mean sunset"):
        environment_pixels("sunrset")
    with pytest.raises(SceneError, match=r"gone\.exr: no such file"):
        environment_pixels(str(tmp_path / "gone.exr"))
    with pytest.raises(SceneError, match="absolute path"):
        environment_pixels("sky.hdr")
    name = save_exr(tmp_path / "a.exr", np.zeros((8, 16, 3), np.float32))
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(SceneError, match="pip install OpenEXR"):
        environment_pixels(name)


def test_blenders_environments_are_found_beside_its_python(tmp_path, monkeypatch):
    world = tmp_path / "bpy" / "4.5" / "datafiles" / "studiolights" / "world"
    world.mkdir(parents=True)
    (tmp_path / "bpy" / "__init__.py").write_text("raise SystemExit('it need not be imported')")
    save_exr(world / "forest.exr", np.full((8, 16, 3), 0.25, np.float32))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    program = tmp_path / "python-of-blender"
    program.symlink_to(sys.executable)
    monkeypatch.setenv(blender.VARIABLE, str(program))
    assert (environment_pixels("blender:forest") == 0.25).all()
    with pytest.raises(SceneError, match=r"no environment 'moon'. It has forest"):
        environment_pixels("blender:moon")


def test_without_blender_its_install_line_is_said(monkeypatch):
    monkeypatch.setattr(blender, "blender_command", lambda: None)
    with pytest.raises(SceneError, match="similitude scenes install cycles"):
        environment_pixels("blender:city")


def test_strength_scales_the_light():
    one, two = (replace(Environment("room"), strength=s) for s in (1.0, 2.0))
    vectors = directions(8)
    np.testing.assert_allclose(2 * radiance(one, vectors), radiance(two, vectors), rtol=1e-6)
