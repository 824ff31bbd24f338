"""Debian's catalogue of furniture, by small libraries of its form."""

import json
import zipfile

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.scenes.assets import sweethome
from similitude.scenes.assets.beside import ZipFiles
from similitude.scenes.assets.imagenet import class_ids
from similitude.scenes.assets.sweethome import (
    LABELS,
    furniture,
    furniture_credits,
    furniture_names,
    furniture_piece,
)
from similitude.scenes.objects.catalog import find_object

# A slab in the file's coordinates: 2 along x, 1 along y, 4 along z, and a mark at its +x +z +y end.
SLAB = """v 0 0 0
v 2 0 0
v 2 0 4
v 0 0 4
v 2 1 4
f 1 3 2
f 1 4 3
f 1 3 5
"""

PROPERTIES = """# a comment
id=Test
license=Creative Commons
name#1=Slab \\u20ac
model#1=/lib/slab/slab.obj
width#1=20
depth#1=40
height#1=10
category#1=Things
creator#1=Ada
name#2=Chair
model#2=/lib/chair/chair.obj
modelRotation#2=1 0 0 0 0 1 0 -1 0
width#2=2
depth#2=1
height#2=4
name#3=No model
"""


def library(folder, name, properties=PROPERTIES, **files):
    with zipfile.ZipFile(folder / f"{name}.sh3f", "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("PluginFurnitureCatalog.properties", properties.encode("latin1"))
        for place, text in ({"lib/slab/slab.obj": SLAB, "lib/chair/chair.obj": SLAB} | files).items():
            held.writestr(place, text)


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    library(tmp_path, "One")
    monkeypatch.setenv(sweethome.VARIABLE, str(tmp_path))
    return tmp_path


def test_pieces_are_found_by_name_and_title(catalogue):
    assert furniture_names() == ("slab", "chair")
    piece = furniture_piece("slab")
    assert (piece.title, piece.creator, piece.licence) == ("Slab €", "Ada", "Creative Commons")
    assert furniture_piece("Chair") == furniture_piece("chair") == furniture_piece("One/chair")
    assert furniture_credits(["slab"]) == ["slab: 'Slab €' by Ada; Creative Commons (One)"]
    with pytest.raises(SceneError, match=r"has no 'slap'. Did you mean slab"):
        furniture_piece("slap")


def test_a_name_of_two_libraries_needs_the_library(catalogue, monkeypatch, tmp_path_factory):
    other = tmp_path_factory.mktemp("two")
    for name in ("One", "Two"):
        library(other, name)
    monkeypatch.setenv(sweethome.VARIABLE, str(other))
    assert set(furniture_names()) == {"One/slab", "One/chair", "Two/slab", "Two/chair"}
    with pytest.raises(SceneError, match=r"has 2 'slab'. Say which: One/slab, Two/slab"):
        furniture_piece("slab")
    assert furniture("Two/slab").name == "Two/slab"


def test_a_model_stands_as_the_catalogue_says(catalogue):
    slab = furniture("slab")
    # Width along x, depth along y, height along z; the front, +z of the file, is at -y.
    np.testing.assert_allclose(np.ptp(slab.bounds, 0), [0.5, 1, 0.25], atol=1e-6)
    top = slab.meshes[0].vertices[slab.meshes[0].vertices[:, 2].argmax()]
    np.testing.assert_allclose(top, [0.25, -0.5, 0.125], atol=1e-6)
    # Another file has z up: its own rotation comes first, so that 4 along z become the height.
    chair = furniture("chair")
    np.testing.assert_allclose(np.ptp(chair.bounds, 0), [0.5, 0.25, 1], atol=1e-6)
    top = chair.meshes[0].vertices[chair.meshes[0].vertices[:, 1].argmax()]
    np.testing.assert_allclose(top, [0.25, 0.125, 0.5], atol=1e-6)


def test_a_model_is_stretched_to_the_size_of_the_catalogue(catalogue):
    wide = PROPERTIES.replace("width#1=20", "width#1=80")
    library(catalogue, "One", wide)
    sweethome._pieces.cache_clear()
    model = furniture("slab")
    np.testing.assert_allclose(np.ptp(model.bounds, 0), [1, 0.5, 0.125], atol=1e-6)
    mesh = model.meshes[0]
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    np.testing.assert_allclose(mesh.normals[mesh.faces[:, 0]], flat, atol=1e-5)  # turned with the stretch
    sweethome._pieces.cache_clear()


def test_scenes_find_them(catalogue):
    assert find_object("sweethome3d:slab").name == "slab"


def test_a_missing_catalogue_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv(sweethome.VARIABLE, str(tmp_path))
    with pytest.raises(SceneError, match="sudo apt-get install sweethome3d-furniture"):
        furniture_names()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_library_is_named(tmp_path, monkeypatch, content):
    if content is None:
        with zipfile.ZipFile(tmp_path / "Bad.sh3f", "w") as held:
            held.writestr("other.txt", "nothing")
    else:
        (tmp_path / "Bad.sh3f").write_bytes(content)
    monkeypatch.setenv(sweethome.VARIABLE, str(tmp_path))
    with pytest.raises(SceneError, match=r"Bad\.sh3f"):
        furniture_names()


def test_a_model_that_is_not_in_the_archive_is_named(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "One.sh3f", "w") as held:
        held.writestr("PluginFurnitureCatalog.properties", PROPERTIES.encode("latin1"))
    monkeypatch.setenv(sweethome.VARIABLE, str(tmp_path))
    with pytest.raises(SceneError, match=r"lib/slab/slab\.obj: is not in the archive"):
        furniture("slab")


def test_a_bomb_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_BZIP2) as held:
        held.writestr("folder/zeros.obj", bytes(10**7))  # bzip2 packs it 200,000 to 1
    with pytest.raises(SceneError, match=r"zeros\.obj: promises 10,000,000 bytes"):
        ZipFiles(tmp_path / "bomb.zip", "folder").read("zeros.obj")


def test_names_cannot_leave_the_folder_of_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as held:
        held.writestr("a/own.png", b"own")
        held.writestr("b/other.png", b"other")
        held.writestr("ab/third.png", b"third")
    files = ZipFiles(tmp_path / "two.zip", "a")
    assert files.read("own.png") == b"own"
    assert files.read("C:\\textures\\own.png") == b"own"
    assert files.read("../b/other.png") is None
    assert files.read("/b/other.png") is None
    assert files.read("b/third.png") is None


def test_the_labels_are_classes_of_imagenet():
    entries = json.loads(LABELS.read_text(encoding="utf-8"))["pieces"]
    assert len(entries) == 181
    assert len({entry["model"] for entry in entries}) == 181
    for entry in entries:
        assert entry["labels"]
        class_ids(entry["labels"])
