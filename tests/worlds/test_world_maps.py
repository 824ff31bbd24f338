"""Maps: what lies where."""

import numpy as np

from similitude.worlds.kinds import BIOME, COLOR, COLORS, KINDS, NUMBER
from similitude.worlds.viewing.maps import world_map
from similitude.worlds.world import Step, World


def world(**changes):
    height = np.full((32, 32), 128, np.int16)
    height[:, :8] = -256  # the sea is in the west
    ground = np.full((32, 32), BIOME["grassland"], np.uint8)
    fields = {
        "solids": np.zeros((0, 11), np.float32),
        "things": np.zeros((0, 15), np.float32),
        "spawn": (6.0, -6.0, 1.0, 1.0, 0.0),
        **changes,
    }
    return World("eat", 0.0, 0, height, ground, **fields)


def pixel(image, x, y, scale=4):
    array = np.asarray(image.convert("RGB"))
    return tuple(array[int((16 - y * 2) * scale), int((x * 2 + 16) * scale)].tolist())


def test_size_land_and_sea():
    image = world_map(world(), scale=4)
    assert image.size == (128, 128)
    sea, land = pixel(image, -7, 3), pixel(image, 3.1, 3.1)
    assert sea[2] > sea[1] > sea[0]
    assert land[1] > land[2]


def test_things_solids_and_spawn_lie_where_they_are():
    wall = [3.0, 5.0, 2.0, 1.0, 0.0, 2.0, 0.5, 1.0, 0, COLOR["wall"], 0]
    boulder = [NUMBER["boulder"], 1.0, -4.0, 2.0, 1.0, 0.0, 1.0, 1.0, 1.0, *[0.0] * 6]
    image = world_map(
        world(solids=np.array([wall], np.float32), things=np.array([boulder], np.float32)), scale=4
    )
    assert pixel(image, 1.0, -4.0) == KINDS[NUMBER["boulder"]].color
    wall_color = dict(COLORS)["wall"]
    assert np.abs(np.subtract(pixel(image, 3.0, 5.0), wall_color)).max() < 30
    assert np.abs(np.subtract(pixel(image, 4.5, 5.0), wall_color)).max() < 30, "2 m along x"
    assert np.abs(np.subtract(pixel(image, 3.0, 6.5), wall_color)).max() > 30, "half a metre along y"
    assert pixel(image, 6.3, -6.0) == (255, 255, 255)


def test_the_way_is_drawn_if_asked_for():
    way = (Step("walk", ((6.0, 2.0), (-2.0, 2.0))),)
    shown = world_map(world(solution=way), scale=4)
    hidden = world_map(world(solution=way), scale=4, solution=False)
    assert sum(pixel(shown, 2.0, 2.0)) > sum(pixel(hidden, 2.0, 2.0)) + 100
    assert hidden.tobytes() == world_map(world(), scale=4).tobytes()
