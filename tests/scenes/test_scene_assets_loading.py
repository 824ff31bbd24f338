"""OBJ and glTF files of the user's: what is read, and what is refused."""

import json
import struct

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from similitude.core.errors import SceneError
from similitude.scenes.assets import beside, gltf_header, loading
from similitude.scenes.assets.loading import load_object
from similitude.scenes.assets.normals import smooth_corners
from similitude.scenes.assets.textures import texture_pixels

SHOWN = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)

# A square in the file's x-y plane, 2 wide and 1 high, its normal to +z (the front), y up.
OBJ = """# a square
mtllib square.mtl
v 0 0 0
v 2 0 0
v 2 1 0
v 0 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl painted
f 1/1 2/2 3/3 4/4
"""
MTL = """newmtl painted
Kd 0.2 0.4 0.6
Ks 0.5 0.5 0.5
Ns 250
map_Kd own.png
newmtl glass
Kd 0.2 0.4 0.6
Ks 0 0 0
d 0.25
newmtl metal
Kd 0.9 0.8 0.7
Pr 0.3
Pm 1
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "square.obj").write_text(OBJ)
    (tmp_path / "square.mtl").write_text(MTL)
    Image.fromarray(SHOWN).save(tmp_path / "own.png")
    return tmp_path


def saved(folder, text, name="square.obj"):
    (folder / name).write_text(text)
    return folder / name


def glb(mesh):
    return trimesh.Scene(mesh).export(file_type="glb")


def box_with(material):
    mesh = trimesh.creation.box((1, 2, 4))
    mesh.visual = trimesh.visual.TextureVisuals(uv=np.zeros((len(mesh.vertices), 2)), material=material)
    return mesh


def header_of(data):
    length = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + length]), data[20 + length :]


def with_header(header, rest=b""):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


def test_a_square_stands_upright_and_faces_the_front(folder):
    model = load_object(folder / "square.obj")
    (mesh,) = model.meshes
    np.testing.assert_allclose(model.bounds, [[-0.5, 0, -0.25], [0.5, 0, 0.25]], atol=1e-7)
    np.testing.assert_allclose(mesh.normals, np.tile([0, -1, 0], (len(mesh.normals), 1)), atol=1e-6)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    assert (np.cross(b - a, c - a)[:, 1] < 0).all()  # counterclockwise from the front
    # The picture's lower left corner is at the object's lower left, as seen from the front.
    corner = np.argmin(mesh.vertices[:, 0] + mesh.vertices[:, 2])
    np.testing.assert_allclose(mesh.uv[corner], [0, 0], atol=1e-6)
    assert model.name == "square"


def test_a_picture_and_a_shine_come_along(folder):
    model = load_object(folder / "square.obj")
    material = model.meshes[0].material
    assert (material.name, material.texture, material.projection) == ("painted", "own.png", "uv")
    assert material.color == (1, 1, 1)  # Kd is left out where a picture is
    assert material.roughness == pytest.approx(0.5)  # 1 - sqrt(250 / 1000)
    np.testing.assert_allclose(model.textures["own.png"], SHOWN / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        # Seen through: a quarter of the colour, three quarters of what is behind.
        ("glass", {"color": (0.8, 0.85, 0.9), "transmission": 0.75, "roughness": 1.0, "texture": None}),
        ("metal", {"color": (0.9, 0.8, 0.7), "metallic": 1.0, "roughness": 0.3, "transmission": 0.0}),
    ],
)
def test_materials_without_a_picture(folder, name, told):
    model = load_object(saved(folder, OBJ.replace("painted", name)))
    for key, value in told.items():
        assert getattr(model.meshes[0].material, key) == (
            value if value is None else pytest.approx(value, abs=0.003)
        )


def test_materials_may_have_any_name(folder):
    (folder / "square.mtl").rename(folder / "looks.txt")
    model = load_object(saved(folder, OBJ.replace("square.mtl", "looks.txt")))
    assert model.meshes[0].material.texture == "own.png"


def test_parts_of_each_material_are_meshes(folder):
    text = OBJ + "usemtl metal\nf 1/1 3/3 2/2\nusemtl painted\nf 1/1 4/4 3/3\n"
    model = load_object(saved(folder, text))
    assert sorted((m.material.name, len(m.faces)) for m in model.meshes) == [("metal", 1), ("painted", 3)]


def test_normals_of_the_file_are_kept_and_others_are_made(folder):
    text = OBJ.replace("usemtl", "vn 0 0.6 0.8\nusemtl").replace(
        "f 1/1 2/2 3/3 4/4", "f 1/1/1 2/2/1 3/3/1 4/4/1"
    )
    mesh = load_object(saved(folder, text)).meshes[0]
    np.testing.assert_allclose(mesh.normals, np.tile([0, -0.8, 0.6], (len(mesh.normals), 1)), atol=1e-6)
    zero = text.replace("vn 0 0.6 0.8", "vn 0 0 0")
    mesh = load_object(saved(folder, zero)).meshes[0]
    np.testing.assert_allclose(mesh.normals, np.tile([0, -1, 0], (len(mesh.normals), 1)), atol=1e-6)


def test_balls_are_smooth_and_boxes_are_sharp():
    ball = trimesh.creation.icosphere(subdivisions=3)
    corners = ball.vertices[ball.faces].reshape(-1, 3)
    assert ((smooth_corners(ball.triangles) * corners).sum(1) > 0.999).all()
    box = trimesh.creation.box()
    np.testing.assert_allclose(smooth_corners(box.triangles), np.repeat(box.face_normals, 3, 0), atol=1e-9)
    # A wedge bent by less than the crease: what meets there has the mean by area.
    wedge = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 1, 0], [-1, 0, 0.5]]], float)
    normals = smooth_corners(wedge)
    both = np.cross(wedge[:, 1] - wedge[:, 0], wedge[:, 2] - wedge[:, 0]).sum(0)
    np.testing.assert_allclose(normals[0], both / np.linalg.norm(both))
    np.testing.assert_allclose(normals[1], [0, 0, 1])  # only its own triangle is there
    assert np.isfinite(smooth_corners(np.zeros((2, 3, 3)))).all()


def test_a_missing_picture_is_an_error_of_who_draws_it(folder):
    (folder / "own.png").unlink()
    material = load_object(folder / "square.obj").meshes[0].material
    with pytest.raises(
        SceneError, match=r"square\.obj: own\.png: is missing; put it.* another material by a control"
    ):
        texture_pixels(material.texture)


def test_a_damaged_picture_is_one_too(folder):
    (folder / "own.png").write_bytes((folder / "own.png").read_bytes()[:40])
    material = load_object(folder / "square.obj").meshes[0].material
    with pytest.raises(SceneError, match=r"own\.png: is no picture"):
        texture_pixels(material.texture)


def test_missing_materials_are_one_too(folder):
    (folder / "square.mtl").unlink()
    material = load_object(folder / "square.obj").meshes[0].material
    with pytest.raises(SceneError, match=r"square\.mtl: is missing"):
        texture_pixels(material.texture)


def test_materials_that_cannot_be_read_are_no_grey_ones(folder, monkeypatch):
    monkeypatch.setattr(beside, "LARGEST", len(OBJ) + 1)
    saved(folder, MTL + "#" * len(OBJ), "square.mtl")
    with pytest.raises(SceneError, match=r"square\.mtl: has \d+ bytes, more than"):
        load_object(folder / "square.obj")


def test_names_that_no_disk_has_are_missing(folder):
    for name in ("n" * 5000, "a\0b.png"):
        saved(folder, MTL.replace("own.png", name), "square.mtl")
        with pytest.raises(SceneError, match="is missing"):
            texture_pixels(load_object(folder / "square.obj").meshes[0].material.texture)
        with pytest.raises(SceneError):
            texture_pixels(f"{folder}/{name}")


@pytest.mark.parametrize(
    "written", ["{outside}/secret.png", "../secret.png", "C:\\Users\\me\\secret.png", "a/../../secret.png"]
)
def test_a_file_cannot_make_us_read_elsewhere(tmp_path, written):
    inside = tmp_path / "model"
    inside.mkdir()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "secret.png")
    saved(inside, OBJ)
    saved(inside, MTL.replace("own.png", written.format(outside=tmp_path)), "square.mtl")
    model = load_object(inside / "square.obj")
    assert not model.textures
    with pytest.raises(SceneError, match="is missing"):
        texture_pixels(model.meshes[0].material.texture)
    # The file of that name beside the model stands in for it: models come with paths of their authors' machines.
    Image.new("RGB", (2, 2), (0, 0, 255)).save(inside / "secret.png")
    (pixels,) = load_object(inside / "square.obj").textures.values()
    np.testing.assert_array_equal(pixels[0, 0], [0, 0, 1])


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    inside = tmp_path / "model"
    inside.mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    saved(inside, OBJ)
    saved(inside, MTL, "square.mtl")
    (inside / "own.png").symlink_to(tmp_path / "secret.png")
    assert not load_object(inside / "square.obj").textures


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("hello\n", "holds no triangles"),
        (OBJ.replace("f 1/1 2/2 3/3 4/4", ""), "holds no triangles"),
        (OBJ.replace("3/3", "9/3"), "cannot be read as obj"),
        (OBJ.replace("3/3", "-9/3"), "cannot be read as obj"),
        (OBJ.replace("v 2 1 0", "v nan 1 0"), "not finite"),
        (OBJ.replace("v 2 1 0", "v inf 1 0"), "not finite"),
        (OBJ.replace("vt 1 1", "vt nan 1"), "not finite"),
        (OBJ.replace("3/3", "x/3"), "cannot be read as obj"),
        ("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "all its vertices are one"),
    ],
)
def test_what_is_wrong_with_an_obj_is_said(folder, text, said):
    with pytest.raises(SceneError, match=said) as caught:
        load_object(saved(folder, text))
    assert "square.obj" in str(caught.value)


def test_a_glb_comes_with_its_colours_and_pictures(tmp_path):
    material = trimesh.visual.material.PBRMaterial(
        name="paint",
        baseColorFactor=[1.0, 0.5, 0.0, 1.0],
        metallicFactor=0.25,
        roughnessFactor=0.75,
        baseColorTexture=Image.fromarray(SHOWN),
    )
    path = tmp_path / "box.glb"
    path.write_bytes(glb(box_with(material)))
    model = load_object(path)
    # x, y, z of the file are 1, 2 and 4 large; its y becomes z.
    np.testing.assert_allclose(np.ptp(model.bounds, 0), [0.25, 1, 0.5], atol=1e-6)
    own = model.meshes[0].material
    assert (own.metallic, own.roughness) == (pytest.approx(0.25), pytest.approx(0.75))
    # Linear 1, 0.5, 0 in sRGB, by IEC 61966-2-1.
    assert own.color == pytest.approx((1, 1.055 * 0.5 ** (1 / 2.4) - 0.055, 0), abs=0.005)
    np.testing.assert_allclose(model.textures[own.texture], SHOWN / 255, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(model.meshes[0].normals, axis=1), 1, atol=1e-6)


def test_a_gltf_reads_what_lies_beside_it(tmp_path):
    material = trimesh.visual.material.PBRMaterial(baseColorFactor=[255, 255, 255, 64], alphaMode="BLEND")
    for name, data in trimesh.Scene(box_with(material)).export(file_type="gltf").items():
        (tmp_path / name).write_bytes(data)
    model = load_object(tmp_path / "model.gltf")
    assert model.meshes[0].material.transmission == pytest.approx(0.75, abs=0.003)
    renamed = (tmp_path / "model.gltf").read_text().replace(".bin", ".numbers")
    saved(tmp_path, renamed, "renamed.gltf")
    for binary in tmp_path.glob("*.bin"):
        binary.with_suffix(".numbers").write_bytes(binary.read_bytes())
    assert load_object(tmp_path / "renamed.gltf").digest == model.digest
    for binary in tmp_path.glob("*.bin"):
        binary.unlink()
    with pytest.raises(SceneError, match=r"model\.gltf.*\.bin is missing"):
        load_object(tmp_path / "model.gltf")


def test_nodes_move_turn_and_mirror_their_meshes(tmp_path):
    header, rest = header_of(glb(trimesh.creation.box((1, 1, 1))))
    header["nodes"] = [
        {"mesh": 0, "translation": [0, 0, 0], "scale": [1, 1, -1]},
        {"mesh": 0, "translation": [0, 3, 0], "scale": [2, 1, 1]},
    ]
    header["scenes"], header["scene"] = [{"nodes": [0, 1]}], 0
    path = tmp_path / "two.glb"
    path.write_bytes(with_header(header, rest))
    model = load_object(path)
    np.testing.assert_allclose(np.ptp(model.bounds, 0), [0.5, 0.25, 1], atol=1e-6)
    for mesh in model.meshes:  # all faces look out, of the mirrored one too
        middle = mesh.vertices.mean(0)
        a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
        assert ((np.cross(b - a, c - a) * ((a + b + c) / 3 - middle)).sum(1) > 0).all()
        assert ((mesh.normals * (mesh.vertices - middle)).sum(1) > 0).all()


def test_a_part_that_is_flattened_gets_normals(tmp_path):
    header, rest = header_of(glb(trimesh.creation.box((1, 1, 1))))
    header["nodes"] = [{"mesh": 0, "scale": [1, 1, 0]}]
    header["scenes"], header["scene"] = [{"nodes": [0]}], 0
    (tmp_path / "flat.glb").write_bytes(with_header(header, rest))
    model = load_object(tmp_path / "flat.glb")
    np.testing.assert_allclose(np.ptp(model.bounds, 0), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(model.meshes[0].normals, axis=1), 1, atol=1e-6)


def test_colours_of_vertices_are_averaged(tmp_path):
    mesh = trimesh.creation.box()
    mesh.visual.vertex_colors = np.tile([255, 0, 51, 255], (len(mesh.vertices), 1)).astype(np.uint8)
    path = tmp_path / "painted.glb"
    path.write_bytes(glb(mesh))
    assert load_object(path).meshes[0].material.color == pytest.approx((1, 0, 0.2), abs=0.003)


def refused(tmp_path, header, rest, said):
    path = tmp_path / "bad.glb"
    path.write_bytes(with_header(header, rest))
    with pytest.raises(SceneError, match=said):
        load_object(path)


def test_what_a_gltf_promises_is_checked_first(tmp_path):
    data = glb(box_with(trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(SHOWN))))
    header, rest = header_of(data)
    huge = json.loads(json.dumps(header))
    huge["accessors"].append({"count": 10**12, "componentType": 5126, "type": "VEC3"})
    refused(tmp_path, huge, rest, "promises 1,000,000,000,0.. elements")
    for nodes, said in (
        ([{"children": [0]}], "hold themselves"),
        ([{"children": [1]}, {"children": [0]}], "hold themselves"),
        ([{"children": [1]}, {}, {"children": [1]}], "held twice"),
        ([{"children": [7]}], "not there"),
    ):
        refused(tmp_path, header | {"nodes": nodes}, rest, said)
    refused(tmp_path, header | {"asset": {"version": "1.0"}}, rest, "glTF 1.0")
    view = header["images"][0]["bufferView"]
    broken = json.loads(json.dumps(header))
    broken["bufferViews"][view]["byteLength"] = 20
    refused(tmp_path, broken, rest, "image 0: is no picture")
    missing = json.loads(json.dumps(header))
    missing["images"][0]["bufferView"] = 99
    refused(tmp_path, missing, rest, "which is not there")
    flat = json.loads(json.dumps(header))
    place = header["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    flat["accessors"][place]["type"] = "VEC2"
    refused(tmp_path, flat, rest, "cannot be read as glb")
    corners = json.loads(json.dumps(header))
    corners["accessors"][0]["count"] = 10**6  # more than the file has
    refused(tmp_path, corners, rest, "cannot be read as glb")


def test_corners_out_of_range_are_refused(tmp_path):
    header, rest = header_of(glb(trimesh.creation.box()))
    index = header["meshes"][0]["primitives"][0]["indices"]
    view = header["bufferViews"][header["accessors"][index]["bufferView"]]
    start = 8 + view.get("byteOffset", 0)  # after the head of the binary part
    rest = rest[:start] + struct.pack("<I", 8000) + rest[start + 4 :]
    refused(tmp_path, header, rest, r"bad\.glb")


def test_limits(folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(beside, "LARGEST", 50)
        with pytest.raises(SceneError, match=r"square\.obj: has \d+ bytes, more than the 50"):
            load_object(folder / "square.obj")
    with monkeypatch.context() as patch:
        patch.setattr(loading, "MOST_TRIANGLES", 1)
        with pytest.raises(SceneError, match="more than 1 triangles"):
            load_object(folder / "square.obj")
    with monkeypatch.context() as patch:
        patch.setattr(gltf_header, "MOST_NUMBERS", 5)
        (folder / "box.glb").write_bytes(glb(trimesh.creation.box()))
        with pytest.raises(SceneError, match="more than the 5 that are read"):
            load_object(folder / "box.glb")


def test_other_files_are_refused(folder):
    with pytest.raises(SceneError, match=r"none of \.obj, \.gltf, \.glb"):
        load_object(folder / "own.png")
    with pytest.raises(SceneError, match="no such file"):
        load_object(folder / "gone.obj")


def whole_files():
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(SHOWN))
    data = glb(box_with(material))
    header, _ = header_of(data)
    header["buffers"][0]["uri"] = "gone.bin"
    return {"obj": OBJ.encode(), "glb": data, "gltf": json.dumps(header).encode()}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_damaged_files_give_a_model_or_an_error_of_scenes(folder, data):
    kind = data.draw(st.sampled_from(("obj", "glb", "gltf")))
    content = bytearray(whole_files()[kind])
    content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / f"fuzzed.{kind}"
    path.write_bytes(bytes(content))
    try:
        model = load_object(path)
    except SceneError as error:
        said = str(error)
    else:
        said = f"{model.name}: {'finite' if np.isfinite(model.bounds).all() else 'not finite'}"
    assert "fuzzed" in said
    assert said != "fuzzed: not finite"


def test_a_file_whose_triangles_are_lines_is_refused(tmp_path):
    place = tmp_path / "line.obj"
    place.write_text("v 0 0 0\nv 1 1 1\nv 3 3 3\nf 1 2 3\n")
    with pytest.raises(SceneError, match="no surface"):
        load_object(place)
