"""World files: what is written is read back, and every kind of damage is named."""

import dataclasses
import io
import json
import warnings
import zipfile

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds import TASKS, World, make_world
from similitude.worlds.world import SOLID_FIELDS, THING_FIELDS, Step


@pytest.fixture(scope="module")
def world():
    return make_world("stack", 0.6, 5)


@pytest.fixture
def path(world, tmp_path):
    return world.save(tmp_path / "world")


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, **changes):
    """Write the archive again with some members changed; None leaves one out."""
    content = {name.removesuffix(".npy"): data for name, data in members(path).items()} | changes
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name + ".npy", data)
    return path


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array))
    return buffer.getvalue()


def texted(path, **changes):
    text = json.loads(np.load(path)["text"].tobytes())
    text.update(changes)
    text = {key: value for key, value in text.items() if value is not ...}
    return rewrite(path, text=npy(np.frombuffer(json.dumps(text).encode(), dtype=np.uint8)))


def test_a_world_is_read_back_as_it_was(world, path):
    again = World.load(path)
    assert again.digest == world.digest
    for name in ("height", "ground", "solids", "things"):
        assert np.array_equal(getattr(again, name), getattr(world, name))
        assert getattr(again, name).dtype == getattr(world, name).dtype
    for name in ("task", "difficulty", "seed", "spawn", "parameters", "solution"):
        assert getattr(again, name) == getattr(world, name)


def test_the_same_world_gives_the_same_bytes(world, path, tmp_path):
    assert World.load(path).save(tmp_path / "again.npz").read_bytes() == path.read_bytes()
    assert path.stat().st_size < 300_000


def test_no_file(tmp_path):
    with pytest.raises(WorldError, match=r"there is no world file .*Make the world again"):
        World.load(tmp_path / "none.npz")
    with pytest.raises(WorldError, match="cannot be read"):
        World.load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(WorldError, match="not a whole npz archive"):
        World.load(path)


def test_flipped_bytes_never_pass(path):
    data = path.read_bytes()
    random = np.random.default_rng(0)
    for at in random.integers(0, len(data), 60).tolist():
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            again = World.load(path)
        except WorldError:
            continue
        path.write_bytes(data)
        assert again.digest == World.load(path).digest  # a byte of the archive's own book-keeping


def test_other_members(path):
    with pytest.raises(WorldError, match="is no world file: it holds"):
        World.load(rewrite(path, extra=npy([1])))


@pytest.mark.parametrize("name", ["height", "ground", "solids", "things", "text", "digest"])
def test_a_missing_array(path, name):
    with pytest.raises(WorldError, match="is no world file: it holds"):
        World.load(rewrite(path, **{name: None}))


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("height", np.zeros((64, 64), np.int32), "'height' .*its type is int32, not int16"),
        ("solids", np.zeros((2, 11)), "'solids' .*its type is float64, not float32"),
        ("height", np.zeros((64, 60), np.int16), r"heights have the shape \(64, 60\)"),
        ("height", np.zeros((63, 63), np.int16), "even n"),
        ("ground", np.zeros((64, 64), np.uint8), r"ground has the shape \(64, 64\)"),
        ("things", np.zeros((2, 14), np.float32), r"things have the shape \(2, 14\)"),
        ("solids", np.zeros((5000, 11), np.float32), "solids have the shape"),
        ("things", np.full((1, 15), np.nan, np.float32), r"kind of things\[0\] is nan"),
        ("solids", np.full((1, 11), np.inf, np.float32), r"x of solids\[0\] is inf"),
        ("things", np.full((1, 15), 99.0, np.float32), "the kind of a thing is 99"),
        ("solids", np.full((1, 11), 7.0, np.float32), "the shape of a solid is 7"),
    ],
)
def test_wrong_arrays(path, name, array, text):
    with pytest.raises(WorldError, match=text):
        World.load(rewrite(path, **{name: npy(array)}))


def test_nothing_is_unpickled(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(WorldError, match=r"'things' .*type"):
            World.load(rewrite(path, things=npy(np.array([print], dtype=object))))


def test_a_header_that_claims_more_than_there_is(path):
    header = npy(np.zeros((2, 11), np.float32)).replace(b"(2, 11)", b"(9999999999, 11)".ljust(7))
    # the header's length is fixed: take the blanks off its end
    start = header.index(b"{")
    end = header.index(b"\n")
    padded = header[start:end].rstrip()
    rest = header[end + 1 :]
    size = 128 - 10 - 1
    bad = header[:8] + (size + 1).to_bytes(2, "little") + padded.ljust(size) + b"\n" + rest
    with pytest.raises(WorldError, match="takes 439999999956 bytes"):
        World.load(rewrite(path, solids=bad))


def test_a_bomb_is_not_unpacked(path):
    with pytest.raises(WorldError, match="larger than 16 MiB"):
        World.load(rewrite(path, height=bytes(20 * 2**20)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": "isle-0"}, "of version 'isle-0', and this release reads 'isle-1'"),
        ({"version": ...}, "no version"),
        ({"task": "swim"}, "its task 'swim' is none of eat"),
        ({"difficulty": 2.0}, "not in \\[0, 1\\]"),
        ({"seed": -1}, "seed -1"),
        ({"seed": True}, "not a whole number"),
        ({"spawn": [0.0, 1.0]}, "its spawn is"),
        ({"spawn": [0.0, 0.0, float("nan"), 1.0, 0.0]}, "its spawn is"),
        ({"parameters": {"a": [1]}}, "its parameters"),
        ({"solution": [["walk", [["x"]], -1, -1]]}, "its solution has the step"),
        ({"solution": [["eat", [], 999, -1]]}, "its solution has the step"),
        ({"solution": [["eat", [], True, -1]]}, "its solution has the step"),
        ({"solution": [["walk", [[10**400, 0]], -1, -1]]}, "its solution has the step"),
        ({"spawn": [10**400, 0, 0, 1, 0]}, "its spawn is"),
        ({"parameters": {"a": 10**400}}, "its parameters"),
        ({"solution": "walk"}, "its solution is not a list"),
        ({"more": 1}, "its text has the keys"),
        ({"seed": 6}, "it was changed"),
    ],
)
def test_wrong_texts(path, changes, text):
    with pytest.raises(WorldError, match=text):
        World.load(texted(path, **changes))


def test_text_that_is_not_json(path):
    with pytest.raises(WorldError, match="not JSON"):
        World.load(rewrite(path, text=npy(np.frombuffer(b"\xff\xfe{", dtype=np.uint8))))


@pytest.mark.parametrize(
    ("name", "row", "field", "value", "text"),
    [
        ("things", 0, "x", 1e30, "x of things"),
        ("things", 0, "z", 1e4, "z of things"),
        ("things", 0, "half_x", -1.0, "half_x of things"),
        ("things", 0, "half_y", 0.0, "half_y of things"),
        ("things", 0, "cos", 3.0, "direction of things"),
        ("things", 0, "mass", 0.0, "mass of things"),
        ("things", 0, "state", 0.5, "state of things"),
        ("things", 0, "state", 77.0, "state of things"),
        ("things", 0, "energy", -1.0, "energy of things"),
        ("things", 0, "link", 0.0, "no door"),
        ("solids", 0, "half_z", 1e20, "half_z of solids"),
    ],
)
def test_worlds_out_of_bounds_are_refused_though_their_digest_fits(
    world, tmp_path, name, row, field, value, text
):
    rows = getattr(world, name).copy()
    rows[row, (THING_FIELDS if name == "things" else SOLID_FIELDS).index(field)] = value
    with pytest.raises(WorldError, match=text):
        World.load(dataclasses.replace(world, **{name: rows}).save(tmp_path / "odd"))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ground": ...}, "biome 99"),
        ({"spawn": (1e9, 0.0, 0.0, 1.0, 0.0)}, "outside the map"),
        ({"spawn": (0.0, 0.0, 0.0, 0.0, 0.0)}, "no unit vector"),
        ({"solution": (Step("fly"),)}, "no known kind"),
        ({"solution": (Step("eat"),)}, "says too little"),
        ({"solution": (Step("take", (), -5),)}, "says too little"),
        ({"solution": (Step("jump", ((0.0, 0.0, 0.0),)),)}, "says too little"),
        ({"solution": (Step("walk", ((0.0,),)),)}, "says too little"),
    ],
)
def test_odd_worlds_are_refused_though_their_digest_fits(world, tmp_path, changes, text):
    if "ground" in changes:
        changes = {"ground": np.full_like(world.ground, 99)}
    with pytest.raises(WorldError, match=text):
        World.load(dataclasses.replace(world, **changes).save(tmp_path / "odd"))


def test_pieces_cut_out_of_a_file(path):
    whole = path.read_bytes()
    for start in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:start] + whole[start + len(whole) // 50 + 1 :])
        with pytest.raises(WorldError):
            World.load(path)


@pytest.mark.parametrize("task", TASKS)
def test_worlds_of_every_task_are_within_bounds(task, tmp_path):
    for difficulty in (0.0, 1.0):
        made = make_world(task, difficulty, 1)
        assert World.load(made.save(tmp_path / "one")).digest == made.digest


def test_a_height_that_was_changed(path, world):
    height = world.height.copy()
    height[3, 3] += 1
    with pytest.raises(WorldError, match="it was changed"):
        World.load(rewrite(path, height=npy(height)))
