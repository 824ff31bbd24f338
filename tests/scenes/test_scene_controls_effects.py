"""Backgrounds, shades and corruptions of the picture."""

import colorsys
import sys

import numpy as np
import pytest
from PIL import Image

from similitude.core.errors import SceneError
from similitude.scenes.controls.corruption import KINDS, corrupted
from similitude.scenes.rendering import render
from similitude.scenes.scene import Scene
from tests.scenes.control_frames import drawn, mask_of


def test_the_background_has_its_color_and_the_object_its_own():
    plain, green = drawn(), drawn(background={"hue": 0.4, "saturation": 0.7, "value": 0.9})
    behind, inside = plain.alpha == 0, plain.alpha == 1
    expected = np.round(np.array(colorsys.hsv_to_rgb(0.4, 0.7, 0.9)) * 255) / 255
    assert green.rgb[behind] == pytest.approx(np.broadcast_to(expected, (behind.sum(), 3)), abs=1e-6)
    assert np.array_equal(green.rgb[inside], plain.rgb[inside])


def test_edges_are_mixed_by_their_coverage():
    black, white = (drawn(background={"value": v}) for v in (0.0, 1.0))
    edge = (black.alpha > 0) & (black.alpha < 1)
    assert edge.sum() > 50
    assert (white.rgb - black.rgb)[edge].mean(1) == pytest.approx(1 - black.alpha[edge], abs=0.01)


def test_a_picture_is_the_background_cropped_to_the_frame(tmp_path):
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, :20] = (255, 0, 0)  # the quarters to the left and right are cut off
    wide[:, 20:40], wide[:, 40:60] = (0, 255, 0), (0, 0, 255)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    frame = drawn(background={"picture": str(tmp_path / "wide.png")})
    assert frame.rgb[0, 5] == pytest.approx([0, 1, 0], abs=0.02)
    assert frame.rgb[-1, -6] == pytest.approx([0, 0, 1], abs=0.02)
    assert frame.rgb[mask_of(frame)].std() < 0.3
    assert not np.array_equal(drawn(background={"picture": "brick"}).rgb, frame.rgb)


def test_a_background_hides_a_visible_environment():
    frame = drawn(environment={}, background={"value": 0.0})
    assert (frame.rgb[frame.alpha == 0] == 0).all()


def test_a_missing_picture_is_refused(tmp_path):
    with pytest.raises(SceneError, match="missing\\.png"):
        drawn(background={"picture": str(tmp_path / "missing.png")})


@pytest.mark.parametrize(
    ("shift", "saturation", "value"), [(0.25, 1.0, 1.0), (0.0, 0.3, 0.7), (-0.4, 1.5, 1.6)]
)
def test_shades_are_those_of_the_standard_library(shift, saturation, value):
    controls = {
        "background": {"hue": 0.1, "saturation": 0.5, "value": 0.5},
        "material": {"replacement": "rust"},
    }
    before = drawn(**controls)
    settings = {"hue_shift": shift, "saturation_factor": saturation, "value_factor": value}
    after = drawn(**controls, hsv=settings)
    for row, column in [(0, 0), (48, 48), (40, 44), (60, 50)]:
        h, s, v = colorsys.rgb_to_hsv(*map(float, before.rgb[row, column]))
        expected = colorsys.hsv_to_rgb((h + shift) % 1, min(1, s * saturation), min(1, v * value))
        # The picture is rounded to 8 bits only at its end.
        assert after.rgb[row, column] == pytest.approx(expected, abs=0.02)


@pytest.fixture
def imagecorruptions():
    return pytest.importorskip("imagecorruptions", exc_type=ImportError)


GLASS = pytest.param("glass_blur", marks=pytest.mark.slow)  # it is compiled first


@pytest.mark.parametrize("name", [GLASS if name == "glass_blur" else name for name in KINDS])
def test_every_kind_of_imagenet_c_corrupts_and_does_so_twice_alike(name, imagecorruptions):
    scene = Scene(
        "mug", {"background": {"hue": 0.1, "saturation": 0.4}, "corruption": {"name": name}}, resolution=64
    )
    bare = Scene("mug", {"background": {"hue": 0.1, "saturation": 0.4}}, resolution=64)
    once, twice = render(scene), render(scene)
    assert np.array_equal(once.rgb, twice.rgb)
    assert np.isfinite(once.rgb).all()
    assert np.abs(once.rgb - render(bare).rgb).mean() > 1e-3
    assert np.array_equal(once.segmentation, twice.segmentation)


def test_the_kinds_are_all_that_the_package_has(imagecorruptions):
    assert set(KINDS) == set(imagecorruptions.get_corruption_names("all"))


def test_noise_has_the_spread_of_the_paper(imagecorruptions):
    # Severity 3 of Gaussian noise has a standard deviation of 0.18; on a middle grey little is cut off.
    grey = np.full((64, 64, 3), 128, np.uint8)
    noise = corrupted(grey, "gaussian_noise", 3, seed=1).astype(float) / 255
    assert noise.std() == pytest.approx(0.18, rel=0.04)
    spread = [corrupted(grey, "gaussian_noise", s, seed=1).std() for s in range(1, 6)]
    assert spread == sorted(spread)


def test_the_seed_decides_and_the_global_generator_is_left_alone(imagecorruptions):
    grey = np.full((32, 32, 3), 128, np.uint8)
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    for name in ("shot_noise", "impulse_noise", "snow"):
        corrupted(grey, name, 2, seed=3)
    assert np.random.random() == expected
    one, same, other = (corrupted(grey, "impulse_noise", 2, seed=s) for s in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (grey == 128).all()


def test_severity_0_is_no_corruption():
    assert np.array_equal(drawn(corruption={"severity": 0}).rgb, drawn().rgb)


def test_pictures_that_are_too_small_are_refused():
    with pytest.raises(SceneError, match="16 x 16 pixels are too few for fog"):
        drawn(resolution=16, corruption={"name": "fog"})


def test_without_the_package_the_install_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(SceneError, match=r"pip install 'similitude\[corruptions\]'"):
        drawn(corruption={"name": "fog"})


def test_noise_is_the_same_in_whichever_order_a_scene_is_said(imagecorruptions):
    said = {
        "background": {"value": 0.4, "hue": 0},
        "scale": {"factor": 1},
        "corruption": {"name": "shot_noise", "severity": 4},
    }
    turned_round = {
        instance: dict(reversed(settings.items())) for instance, settings in reversed(said.items())
    }
    turned_round["scale"] = {"factor": 1.0}
    one, other, moved = (
        render(Scene("ball", controls, resolution=32))
        for controls in (said, turned_round, {**said, "scale": {"factor": 0.9}})
    )
    assert np.array_equal(one.rgb, other.rgb)
    assert not np.array_equal(one.rgb[0], moved.rgb[0])  # the corner shows the noise alone
