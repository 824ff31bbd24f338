"""What all controls have in common, and which settings are refused."""

import pickle

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.controls.catalog import checked_settings, controls, in_order
from similitude.scenes.controls.control import Control, PictureControl, StageControl
from similitude.scenes.controls.names import Names
from similitude.scenes.rendering import stage_of
from similitude.scenes.scene import Scene
from similitude.tuning.space.dimensions import Choice

ORIGINALS = {  # the original's 13 by its names; its denoiser is each renderer's own business
    "orientation": "orientation",
    "position": "position",
    "scale": "scale",
    "pin_to_ground": "pin_to_ground",
    "camera": "camera",
    "obj_loc_in_frame": "location_in_frame",
    "occlusion": "occlusion",
    "material": "material",
    "mug_liquid": "liquid",
    "pointlight": "light",
    "background": "background",
    "imagenet_c": "corruption",
}


def test_all_of_the_originals_controls_are_there():
    assert set(ORIGINALS.values()) <= set(controls())
    assert {"ground", "environment", "texture", "hsv"} <= set(controls())


@pytest.mark.parametrize("kind", controls())
def test_controls_are_described_and_their_centers_and_ranges_are_possible(kind):
    control = controls()[kind]
    assert isinstance(control, Control)
    assert isinstance(control, StageControl) != isinstance(control, PictureControl)
    assert control.kind == kind
    assert control.summary
    assert list(control.dimensions) == list(control.settings)
    for name, setting in control.settings.items():
        assert setting.about
        dimension = control.dimensions[name]
        ends = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
        for value in (dimension.first, *ends):
            checked_settings(kind, {name: value})


@pytest.mark.parametrize("kind", [kind for kind, c in controls().items() if isinstance(c, StageControl)])
def test_the_center_of_a_control_is_possible(kind):
    assert stage_of(Scene("mug", {kind: {}})).subject.model == "mug"


IMPOSSIBLE = [
    ("scale", "factor", -1.0),
    ("scale", "factor", True),
    ("camera", "zoom_factor", 0.0),
    ("camera", "focal_length", float("nan")),
    ("camera", "aperture", 0),
    ("corruption", "severity", 7),
    ("corruption", "severity", 2.5),
    ("corruption", "name", "rain"),
    ("occlusion", "ratio", 1.5),
    ("occlusion", "ratio", -0.1),
    ("occlusion", "direction", "behind"),
    ("occlusion", "occluder", ""),
    ("light", "power", -5.0),
    ("light", "power", 0.0),
    ("light", "kelvin", 100.0),
    ("light", "saturation", 1.1),
    ("liquid", "milk", 1.2),
    ("liquid", "level", 0.0),
    ("material", "keep_color", "yes"),
    ("material", "keep_color", 1),
    ("material", "replacement", 3),
    ("texture", "repeats", 0.0),
    ("background", "value", 2.0),
    ("hsv", "value_factor", -1.0),
    ("environment", "strength", 0.0),
    ("ground", "gap", -0.1),
    ("orientation", "rotation_x", "left"),
    ("orientation", "rotation_x", float("inf")),
]


@pytest.mark.parametrize(("kind", "name", "value"), IMPOSSIBLE)
def test_what_is_impossible_is_refused_with_instance_and_setting(kind, name, value):
    with pytest.raises(SceneError, match=f"control 'mine', setting '{name}': "):
        Scene("mug", {"mine": {"kind": kind, name: value}})


BEYOND = [
    ("scale", "factor", 3.0),
    ("camera", "zoom_factor", 0.1),
    ("camera", "view_point_z", -1.0),
    ("orientation", "rotation_z", 40.0),
    ("light", "power", 10_000.0),
    ("light", "distance", 20.0),
    ("light", "hue", -0.2),
    ("occlusion", "ratio", 0.95),
    ("position", "offset_x", 5.0),
    ("material", "replacement", "/pictures/beech.png"),
]


@pytest.mark.parametrize(("kind", "name", "value"), BEYOND)
def test_what_is_outside_of_a_range_but_possible_is_taken(kind, name, value):
    assert Scene("mug", {kind: {name: value}})[f"{kind}.{name}"] == value


def test_unknown_names_are_refused_with_the_close_one():
    with pytest.raises(SceneError, match=r"no setting 'zoom'\. Did you mean zoom_factor\?"):
        Scene("mug", {"camera": {"zoom": 1.0}})
    with pytest.raises(SceneError, match=r"no control 'oclusion'.*Did you mean occlusion"):
        Scene("mug", {"oclusion": {}})
    with pytest.raises(SceneError, match="are no settings"):
        Scene("mug", {"camera": 3})


def test_controls_act_by_phase_and_within_one_in_an_order_of_their_own():
    said = {
        "late": {"kind": "hsv"},
        "occlusion": {},
        "b": {"kind": "light"},
        "orientation": {},
        "a": {"kind": "light"},
    }
    assert [instance for instance, _, _ in in_order(said)] == ["orientation", "a", "b", "occlusion", "late"]
    phases = [control.phase for control in controls().values()]
    assert phases == sorted(phases)


def test_names_are_open_but_searched_among_those_that_are_known():
    names = Names("oak", "pine", center="pine")
    assert (names.first, names.from_unit(1.0), names.bounds) == ("pine", "pine", (-1.0, 0.0))
    assert names.to_unit("oak") == -1.0
    assert names.to_unit("beech") == 1.0


def test_a_scene_is_one_whatever_the_order_of_its_keys_and_the_type_of_its_numbers():
    lamps = {"a": {"kind": "light", "power": 80, "hue": 0.5}, "b": {"kind": "light"}}
    noise = {"corruption": {"name": "gaussian_noise", "severity": 2}}
    one = Scene(
        "mug", {**lamps, "texture": {"name": "zebra"}, "material": {}, "scale": {"factor": 1}, **noise}
    )
    other = Scene(
        "mug",
        {
            "corruption": {"severity": 2.0, "name": "gaussian_noise"},
            "scale": {"factor": np.float64(1.0)},
            "material": {},
            "b": lamps["b"],
            "texture": {"name": "zebra"},
            "a": {"hue": 0.5, "power": 80.0, "kind": "light"},
        },
    )
    assert (one, hash(one), one.digest) == (other, hash(other), other.digest)
    assert list(one.settings.items()) == list(other.settings.items())
    for scene in (one, other):
        assert (type(scene["a.power"]), type(scene["corruption.severity"])) == (float, int)
    assert Scene.from_dict(one.to_dict()) == one
    # Effects act one after the other, as they are given: another order is another scene.
    grey, red = {"kind": "hsv", "saturation_factor": 0.0}, {"kind": "hsv", "hue_shift": 0.5}
    assert Scene("mug", {"a": grey, "b": red}).digest != Scene("mug", {"b": red, "a": grey}).digest
    turned = [Scene("mug", {"orientation": {"rotation_z": zero}}) for zero in (0, 0.0, -0.0)]
    assert len({scene.digest for scene in turned}) == 1


def test_digest_and_noise_do_not_depend_on_how_a_scene_is_written():
    noise = {"name": "gaussian_noise", "severity": 3}
    one = Scene("mug", {"corruption": noise})
    same = Scene("mug", {"corruption": {"kind": "corruption", **noise}})
    assert (one.digest, one.noise_seed) == (same.digest, same.noise_seed)
    centered, left_out = (Scene("mug", {"orientation": o}) for o in ({"rotation_z": 0.0}, {}))
    assert (centered.digest, centered.noise_seed) == (left_out.digest, left_out.noise_seed)
    # A name of an instance, or a control that is as it would be anyhow, makes another scene of the same noise.
    renamed = Scene("mug", {"noise": {"kind": "corruption", **noise}})
    more = Scene("mug", {"orientation": {}, "corruption": noise, "hsv": {}})
    lamps = [Scene("mug", {a: {"kind": "light", "power": 9}, b: {"kind": "light"}}) for a, b in ("pq", "qp")]
    assert {renamed.noise_seed, more.noise_seed} == {one.noise_seed}
    assert len({one.digest, renamed.digest, more.digest}) == 3
    assert lamps[0].noise_seed == lamps[1].noise_seed
    others = [
        Scene("cup.obj", {"corruption": noise}),
        Scene("mug", {"corruption": {**noise, "severity": 4}}),
        Scene("mug", {"corruption": noise, "orientation": {"rotation_z": 0.1}}),
        Scene("mug", {"corruption": noise}, "sunset"),
        Scene("mug", {"corruption": noise}, resolution=64),
        Scene("mug", {"corruption": noise}, samples=4),
        one,
    ]
    assert len({scene.noise_seed for scene in others}) == len(others)
    assert all(0 <= scene.noise_seed < 2**32 for scene in others)


def test_settings_of_a_scene_cannot_be_changed_and_survive_pickling():
    scene = Scene("mug", {"orientation": {"rotation_z": 0.5}})
    assert dict(scene.settings) == {"orientation.rotation_z": 0.5}
    with pytest.raises(TypeError):
        scene.settings["orientation.rotation_z"] = 5
    assert scene["orientation.rotation_z"] == 0.5
    assert pickle.loads(pickle.dumps(scene)).settings == scene.settings


def test_sizes_may_be_numbers_of_numpy():
    scene = Scene("mug", resolution=np.int64(64), samples=np.uint8(4))
    assert (type(scene.resolution), type(scene.samples)) == (int, int)
    assert scene == Scene("mug", resolution=64, samples=4)
    for wrong in (True, np.True_, 64.0, np.float64(64), np.int64(7), "64"):
        with pytest.raises(SceneError, match="give a whole number from 8 to 4096"):
            Scene("mug", resolution=wrong)
