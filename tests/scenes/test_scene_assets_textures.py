"""Textures and materials by name, and pictures of the user's."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from similitude.core.errors import SceneError
from similitude.scenes.assets import pictures
from similitude.scenes.assets.animal_textures import ANIMALS
from similitude.scenes.assets.materials import ANIMAL_COATS, MATERIALS, material_named
from similitude.scenes.assets.patterns import SIZE, cells, noise
from similitude.scenes.assets.plain_textures import PLAIN
from similitude.scenes.assets.textures import TEXTURES, texture_digest, texture_pixels


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_goes_on_without_a_seam(name):
    pixels = texture_pixels(name)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() < pixels.max() <= 1
    for axis in (0, 1):
        inside = np.abs(np.diff(pixels, axis=axis)).mean(axis=(1 - axis, 2))
        over = np.abs(pixels.take(0, axis) - pixels.take(-1, axis)).mean()
        # What changes over the edge is no more than between some other two neighbours.
        assert over <= inside.max() * 1.05 + 1e-6


def test_textures_differ_and_are_drawn_alike_twice():
    assert len({texture_digest(name) for name in TEXTURES}) == len(TEXTURES)
    for name in ("rust", "leopard"):
        again = np.clip((PLAIN | ANIMALS)[name](), 0, 1).astype(np.float32)
        np.testing.assert_array_equal(texture_pixels(name), again)


def test_textures_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        texture_pixels("zebra")[0] = 0


def test_checker_is_one():
    pixels = texture_pixels("checker")[32::64, 32::64, 0] > 0.5
    np.testing.assert_array_equal(pixels, np.indices((8, 8)).sum(0) % 2 == 1)


def test_noise_is_periodic_and_has_its_waves():
    values = noise(0, 8)
    assert abs(values.mean()) < 1e-9
    assert values.std() == pytest.approx(1)
    power = np.abs(np.fft.fft2(values)) ** 2
    low = power[:9, :9].sum() + power[-8:, :9].sum() + power[:9, -8:].sum() + power[-8:, -8:].sum()
    assert low / power.sum() > 0.8  # nearly all of it is in waves no shorter than an eighth of the edge


def test_cells_are_voronois():
    near, edge, which, _ = cells(3, 6)
    assert len(np.unique(which)) == 36
    assert near.min() < 0.05
    border = which != np.roll(which, 1, axis=1)  # over the seam too
    assert edge[border].max() < 2 * 6 / SIZE
    assert edge[~border].mean() > edge[border].mean()


def test_a_picture_is_read_by_its_path(tmp_path):
    shown = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    path = tmp_path / "own.png"
    Image.fromarray(shown).save(path)
    np.testing.assert_allclose(texture_pixels(str(path)), shown / 255, atol=1e-6)
    before = texture_digest(str(path))
    Image.fromarray(255 - shown).save(path)
    assert texture_digest(str(path)) != before  # it is read again


def test_digests_are_those_of_the_pixels_and_follow_the_file(tmp_path):
    path = tmp_path / "own.png"
    for size in (4, 6):
        Image.fromarray(np.random.default_rng(size).integers(0, 256, (size, 9, 3), np.uint8)).save(path)
        os.utime(path, ns=(10**18, 10**18))  # a change that its time does not tell
        for name in (str(path), "zebra"):
            for _ in range(2):
                assert texture_digest(name) == hashlib.sha256(texture_pixels(name).tobytes()).hexdigest()
    path.unlink()
    with pytest.raises(SceneError, match=r"own\.png: no such file"):
        texture_digest(str(path))


def test_digests_are_made_once(monkeypatch):
    made = texture_digest("zebra")
    monkeypatch.setattr(hashlib, "sha256", None)
    assert texture_digest("zebra") == made


def test_a_transparent_picture_keeps_that(tmp_path):
    shown = np.full((4, 4, 4), 255, np.uint8)
    shown[0, 0, 3] = 0
    Image.fromarray(shown).save(tmp_path / "holes.png")
    pixels = texture_pixels(str(tmp_path / "holes.png"))
    assert pixels.shape == (4, 4, 4)
    assert pixels[0, 0, 3] == 0


def test_sixteen_bits_of_grey_keep_their_values(tmp_path):
    grey = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    pixels = texture_pixels(str(tmp_path / "grey.png"))
    np.testing.assert_allclose(pixels[..., 0], grey / 65535, atol=1 / 255)


def test_a_large_picture_is_made_smaller_and_a_huge_one_refused(tmp_path, monkeypatch):
    Image.new("RGB", (2048, 100), (200, 100, 50)).save(tmp_path / "wide.png")
    pixels = texture_pixels(str(tmp_path / "wide.png"))
    assert pixels.shape == (50, 1024, 3)
    np.testing.assert_allclose(pixels[20, 500], np.array([200, 100, 50]) / 255, atol=1e-6)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1000)
    Image.new("RGB", (101, 10)).save(tmp_path / "huge.png")
    with pytest.raises(SceneError, match=r"huge.png: has 101 x 10 pixels, more than the 1,000"):
        texture_pixels(str(tmp_path / "huge.png"))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"bad\.png"):
        texture_pixels(str(path))


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(SceneError, match=r"gone\.png: no such file"):
        texture_pixels(str(tmp_path / "gone.png"))
    with pytest.raises(SceneError, match=r"no texture 'zebar'. Did you mean zebra"):
        texture_pixels("zebar")
    with pytest.raises(SceneError, match="absolute path"):
        texture_pixels("pictures/own.png")


def test_every_texture_is_a_material():
    for name in TEXTURES:
        assert material_named(name).texture == name
        assert material_named(name).projection == "box"
    assert set(ANIMAL_COATS) == set(ANIMALS)


def test_materials_are_within_their_ranges():
    for material in MATERIALS.values():
        values = [*material.color, material.roughness, material.metallic, material.transmission]
        assert all(0 <= value <= 1 for value in values)
    assert material_named("gold").metallic == 1
    assert material_named("glass").transmission > 0.9
    with pytest.raises(SceneError, match=r"no material 'golld'. Did you mean gold"):
        material_named("golld")
