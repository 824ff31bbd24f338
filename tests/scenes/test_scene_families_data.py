"""Rendered sets: factors are what they say, shifts change one thing, and a killed drawing goes on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.assets.animal_textures import ANIMALS
from similitude.scenes.families import dataset
from similitude.scenes.families.dataset import TEST, TRAIN, Part, rendered_set, scenes_of, set_digest
from similitude.scenes.families.factors import (
    ELEVATION,
    FACTORS,
    SHIFTS,
    TEXTURES,
    YAW,
    Factors,
    draw_factors,
    scene_of,
    targets,
)
from similitude.scenes.families.settings import FamilySettings
from similitude.scenes.families.trained import batches_of
from similitude.scenes.rendering import render
from tests.scenes.family_parts import TINY

CHANGES = {
    "pose": {"orientation", "camera"},
    "texture": {"texture"},
    "light": {"light"},
    "background": {"background"},
    "occlusion": {"occlusion"},
    "corruption": {"corruption"},
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A set whose drawing was killed after two parts and went on, and which parts each call drew."""
    out = tmp_path_factory.mktemp("pictures")
    first: list[str] = []
    second: list[str] = []

    def kill(what: str, done: int, total: int) -> None:
        first.append(what)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rendered_set(TINY, out=out, on_done=kill)
    pictures = rendered_set(TINY, out=out, on_done=lambda what, done, total: second.append(what))
    return SimpleNamespace(pictures=pictures, out=out, first=first, second=second)


def test_a_killed_drawing_goes_on(drawn: SimpleNamespace) -> None:
    assert drawn.first == ["pictures of train, 0 to 63", "pictures of train, 64 to 69"]
    assert [what.split()[2].rstrip(",") for what in drawn.second] == ["test", "pose", "light", "occlusion"]


def test_what_is_there_is_read_and_torn_files_are_drawn_again(drawn: SimpleNamespace) -> None:
    torn = next(Path(drawn.out).rglob("test-*.npy"))
    before = torn.read_bytes()
    torn.write_bytes(before[:100])
    again: list[str] = []
    found = rendered_set(TINY, out=drawn.out, on_done=lambda what, done, total: again.append(what))
    assert again == ["pictures of test, 0 to 11"]
    assert torn.read_bytes() == before
    for split, pixels in drawn.pictures.images.items():
        np.testing.assert_array_equal(found.images[split], pixels)


@pytest.mark.parametrize(("split", "place"), [(TRAIN, 65), (TEST, 3), ("pose", 0), ("occlusion", 7)])
def test_a_picture_is_that_of_its_scene(drawn: SimpleNamespace, split: str, place: int) -> None:
    (scene,) = scenes_of(TINY, split, place, 1)
    expected = np.round(render(scene).rgb * 255)
    np.testing.assert_array_equal(drawn.pictures.images[split][place], expected)
    labels = drawn.pictures.labels(split)
    assert TINY.objects[labels[place]] == scene.object


def test_networks_see_in_tests_what_batches_show_them(drawn: SimpleNamespace) -> None:
    images, labels = batches_of(TINY, drawn.pictures).evaluation()  # in an order of its own
    inputs = drawn.pictures.inputs(TEST)
    distances = np.abs(inputs[:, None] - images.numpy()[None]).max((2, 3, 4))
    same = distances.argmin(1)
    assert sorted(same) == list(range(TINY.tests))
    assert distances[range(TINY.tests), same].max() < 1e-5
    np.testing.assert_array_equal(drawn.pictures.labels(TEST), labels.numpy()[same])


def test_scenes_have_the_factors_that_were_drawn() -> None:
    factors = Factors(object=1, yaw=0.3, elevation=0.2, texture=2, light=-0.4, background=0.6)
    scene = scene_of(factors, ("mug", "banana"), resolution=32)
    assert scene.object == "banana"
    assert scene["orientation.rotation_z"] == 0.3
    up, back = float(scene["camera.view_point_z"] or 0), float(scene["camera.view_point_y"] or 0)
    assert math.atan2(up, -back) == pytest.approx(0.2)
    assert scene["texture.name"] == TEXTURES[2]
    assert scene["light.direction_x"] == -0.4
    assert scene["background.hue"] == 0.6


def test_factors_fill_their_ranges_and_do_not_depend_on_the_size_of_the_set() -> None:
    many = [draw_factors(3, TRAIN, index, classes=4) for index in range(400)]
    assert [one.object for one in many[:6]] == [0, 1, 2, 3, 0, 1]
    for name, (low, high) in {
        "yaw": (-YAW, YAW),
        "elevation": ELEVATION,
        "light": (-1, 1),
        "background": (0, 1),
    }.items():
        values = np.array([getattr(one, name) for one in many])
        assert low <= values.min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < values.max() <= high
    own = np.mean([one.texture == 0 for one in many])
    assert 0.4 < own < 0.6
    assert {one.texture for one in many} == set(range(len(TEXTURES)))
    assert draw_factors(3, TEST, 0, classes=4) != many[0] != draw_factors(4, TRAIN, 0, classes=4)
    small, large = (scenes_of(replace(TINY, images=size), TRAIN, 5, 2) for size in (10, 70))
    assert small == large


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_changes_one_thing_alone(shift: str) -> None:
    settings = replace(TINY, shifts=(shift,))
    for plain, shifted in zip(scenes_of(settings, TEST, 0, 8), scenes_of(settings, shift, 0, 8), strict=True):
        assert shifted.object == plain.object
        names = {*plain.controls, *shifted.controls}
        moved = {name for name in names if plain.controls.get(name) != shifted.controls.get(name)}
        assert moved == CHANGES[shift]
        assert (shifted.environment != plain.environment) == (shift == "light")


def test_shifts_leave_what_training_has() -> None:
    settings = FamilySettings()
    for scene in scenes_of(settings, "pose", 0, 40):
        assert abs(float(scene["orientation.rotation_z"] or 0)) > YAW + 0.5
        assert math.asin(float(scene["camera.view_point_z"] or 0)) > ELEVATION[1] + 0.2
    coats = {scene["texture.name"] for scene in scenes_of(settings, "texture", 0, 40)}
    assert coats <= set(ANIMALS)
    assert not coats & set(TEXTURES)
    assert len(coats) > 3


def test_occlusion_hides_two_fifths() -> None:
    settings = replace(TINY, resolution=96)
    for plain, hidden in zip(
        scenes_of(settings, TEST, 0, 3), scenes_of(settings, "occlusion", 0, 3), strict=True
    ):
        assert render(hidden).visible / render(plain).visible == pytest.approx(0.6, abs=0.06)


def test_targets_of_probes() -> None:
    few = [Factors(1, 0.3, 0.2, 4, -0.5, 0.25), Factors(0, -0.3, 0.4, 0, 0.5, 0.5)]
    np.testing.assert_array_equal(targets("object", few, classes=3), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(targets("texture", few, classes=3), np.eye(len(TEXTURES))[[4, 0]])
    np.testing.assert_array_equal(targets("yaw", few, classes=3), [[0.3], [-0.3]])
    np.testing.assert_allclose(targets("background", few, classes=3), [[0, 1], [-1, 0]], atol=1e-12)
    assert set(FACTORS) == set(Factors.__dataclass_fields__)


def test_other_settings_are_other_pictures() -> None:
    first = replace(TINY, images=4, tests=4, shifts=("pose",))
    digests = {
        set_digest(settings) for settings in (first, replace(first, seed=1), replace(first, resolution=33))
    }
    assert len(digests) == 3
    assert set_digest(first) == set_digest(replace(first, steps=99, widths=(2, 4)))


def test_a_scene_that_cannot_be_drawn_is_named() -> None:
    settings = replace(TINY, objects=("mug", "teacup"))
    with pytest.raises(
        SceneError, match=r"picture 5 of train \(teacup\) cannot be drawn: SceneError: .*teacup"
    ):
        dataset.draw_part(settings, Part(TRAIN, 5, 1))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"images": 2}, "images=2: needs a whole number of at least 3"),
        ({"resolution": 31}, "resolution=31: needs a whole number of at least 32"),
        ({"steps": True}, "steps=True"),
        ({"objects": ("mug",)}, "objects=.*at least 2, each once"),
        ({"seeds": (1, 1)}, "seeds=.*each once"),
        ({"widths": (8, 4)}, "widths=.*that increase"),
        ({"shifts": ("fog",)}, "there is no shift 'fog'. Shifts: pose"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(SceneError, match=text):
        replace(TINY, **changes)  # type: ignore[arg-type]
