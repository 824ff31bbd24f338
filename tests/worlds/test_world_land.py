"""Land: noise, islands, rings, strips, biomes, trees."""

import itertools
import math

import numpy as np
import pytest

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.kinds import BIOMES
from similitude.worlds.land.biomes import cell_slopes, paint
from similitude.worlds.land.grid import cell_of, coordinates, half_width, height_at
from similitude.worlds.land.ring import FAR_SIDE, Ring, axis, on_grid
from similitude.worlds.land.strips import distance_to
from similitude.worlds.land.terrain import island, noise, smoothed
from similitude.worlds.making import make_world
from similitude.worlds.tasks.arena import arena, zigzag
from similitude.worlds.tasks.site import Site


def bowl(size=64):
    x, y = coordinates(size)
    return 0.25 * x + 0.5 * y + 0.0 * x * y


def test_heights_between_corners_are_bilinear():
    z = bowl()
    for x, y in [(0.0, 0.0), (3.2, -7.9), (-15.5, 15.0), (0.25, 0.125)]:
        assert height_at(z, x, y) == pytest.approx(0.25 * x + 0.5 * y)


def test_corners_lie_on_whole_cells_around_the_middle():
    x, y = coordinates(64)
    assert x[0, 32] == y[32, 0] == 0.0
    assert x[0, 0] == -half_width(64) == -16.0
    assert cell_of(64, 0.49, -0.01) == (31, 32)
    assert cell_of(64, 1e9, -1e9) == (0, 62)


def test_noise_is_the_same_again_and_another_for_another_name():
    a, b, other = (noise(Draws(name), 128) for name in ("a", "a", "b"))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, other)
    assert a.shape == (128, 128)
    assert np.abs(a).max() < 2.0


@pytest.mark.parametrize("size", [128, 256])
def test_an_island_is_land_inside_and_sea_around(size):
    for seed in range(5):
        z = island(Draws("island", seed), size, relief=4.0, base=2.0)
        x, y = coordinates(size)
        r = np.sqrt(x * x + y * y) / half_width(size)
        assert (z[r < 0.6] > 0.0).all()
        assert (z[r > 1.0] < 0.0).all()
        edge = np.concatenate([z[:3].ravel(), z[-3:].ravel(), z[:, :3].ravel(), z[:, -3:].ravel()])
        assert (edge < 0.0).all()


def test_smoothing_keeps_planes_and_means_and_calms_noise():
    z = bowl()
    assert np.allclose(smoothed(z, 3)[4:-4, 4:-4], z[4:-4, 4:-4])
    rough = Draws("rough").array(64, 64)
    soft = smoothed(rough, 4)
    assert soft.std() < 0.4 * rough.std()
    assert smoothed(rough, 0) is rough


def test_slopes_of_cells_of_a_plane():
    slope = cell_slopes(bowl())
    assert np.allclose(slope[:-1, :-1], 0.25**2 + 0.5**2)


@pytest.mark.parametrize("outward", [False, True])
@pytest.mark.parametrize("direction", [axis(i) for i in range(4)])
def test_a_ring_measures_depth_and_side_where_its_points_are(outward, direction):
    ring = Ring(1.0, -2.0, *direction, 8.0, 64, outward=outward, flat=2.0)
    for depth, side in [(0.0, 0.0), (-1.5, 1.0), (2.0, -1.5)]:
        x, y = ring.point(depth, side)
        i, j = cell_of(64, x, y)
        assert (x, y) == (0.5 * (j - 32), 0.5 * (i - 32))
        assert ring.depth[i, j] == pytest.approx(depth)
        assert ring.side[i, j] == pytest.approx(side)
    # travelling on, depth grows by what one has gone
    (ax, ay), (bx, by) = ring.point(0.0), ring.point(1.0)
    assert (bx - ax, by - ay) == direction


def test_a_ring_is_closed():
    ring = Ring(0.0, 0.0, 1.0, 0.0, 10.0, 64)
    x, y = coordinates(64)
    far = np.maximum(np.abs(x), np.abs(y))
    assert (ring.depth[far > 10.0] < 0.0).all()
    assert (ring.depth[x * x + y * y < 64.0] > 0.0).all()
    assert (ring.side[:, 33:] == FAR_SIDE).all()
    with pytest.raises(ValueError, match="along x or along y"):
        Ring(0.0, 0.0, 0.6, 0.8, 10.0, 64)


def test_wobble_leaves_the_passage_alone():
    plain = Ring(0.0, 0.0, 1.0, 0.0, 10.0, 64)
    uneven = Ring(0.0, 0.0, 1.0, 0.0, 10.0, 64, wobble=np.ones((64, 64)))
    passage = np.abs(plain.side) <= 2.5
    assert np.array_equal(plain.depth[passage], uneven.depth[passage])
    assert (uneven.depth[plain.side == FAR_SIDE] > plain.depth[plain.side == FAR_SIDE]).all()


def test_a_lane_is_full_inside_and_fades():
    ring = Ring(0.0, 0.0, 1.0, 0.0, 10.0, 64)
    lane = ring.passage(-2.0, 3.0, 4.0)
    inside = (ring.depth >= -2.0) & (ring.depth <= 3.0) & (np.abs(ring.side) <= 2.0)
    assert (lane[inside] == 1.0).all()
    assert lane.min() == 0.0
    assert (lane[np.abs(ring.side) >= 4.0] == 0.0).all()


def test_cells_of_corners_are_those_that_touch_them():
    ring = Ring(0.0, 0.0, 1.0, 0.0, 8.0, 64)
    corners = np.zeros((64, 64), dtype=bool)
    corners[10, 20] = True
    assert set(map(tuple, np.argwhere(ring.cells(corners)).tolist())) == {
        (9, 19),
        (9, 20),
        (10, 19),
        (10, 20),
    }


def test_distance_to_a_strip_against_brute_force():
    line = [(0.0, 0.0), (4.0, 3.0), (4.0, 8.0)]
    x, y = coordinates(32)
    found = distance_to(x, y, line)
    dense = [
        (ax + (bx - ax) * t, ay + (by - ay) * t)
        for (ax, ay), (bx, by) in itertools.pairwise(line)
        for t in np.linspace(0.0, 1.0, 400)
    ]
    for i, j in [(0, 0), (20, 25), (31, 3), (16, 16)]:
        brute = min(math.hypot(x[0, j] - p, y[i, 0] - q) for p, q in dense)
        assert found[i, j] == pytest.approx(brute, abs=0.02)
    with pytest.raises(ValueError, match="two points"):
        distance_to(x, y, line[:1])


def test_zigzags_turn_as_often_as_they_should():
    for turns in (0, 1, 2):
        line = zigzag(Draws("z"), turns, 9.0, 2.0)
        assert len(line) == turns + 2
        assert line[0] == (0.0, 0.0)
        assert line[-1] == (9.0, 0.0)
        assert [abs(side) for _, side in line[1:-1]] == [2.0] * turns
        assert all(a[1] * b[1] <= 0.0 for a, b in itertools.pairwise(line))


def test_steep_ground_without_holds_shows():
    x, y = coordinates(64)
    z = np.where(x + 0.0 * y > 0.0, 8.0, 2.0)
    climbs = np.ones((64, 64), dtype=bool)
    climbs[:32] = False
    biome = paint(z, climbs, Draws("paint"))
    names = [BIOMES[b][0] for b in biome[:, 32]]
    assert set(names[:31]) == {"unclimbable"}
    assert set(names[33:-1]) == {"bare rock"}


def test_all_biomes_grow_somewhere():
    seen: set[int] = set()
    for seed in range(40):
        site = Site("eat", 0.5, seed, draws=Draws("biomes", seed))
        arena(site, radius=18.0, relief=4.0)
        site.z[:8, :8] += 12.0
        site.climbs[40:44, 40:44] = False
        site.z[42, 42] += 9.0
        seen |= set(np.unique(site.finish().ground & 127).tolist())
    assert seen >= set(range(len(BIOMES))) - {3}  # fresh water is rare


def test_trees_keep_away_from_the_way():
    planted = 0
    for seed in range(12):
        world = make_world("move", 0.4, seed)
        trunks = world.solids[world.solids[:, 8] == 1.0]
        planted += len(trunks)
        points = [(world.spawn[0], world.spawn[1])]
        points += [p[:2] for step in world.solution for p in step.at]
        for x, y in trunks[:, :2].tolist():
            assert min(math.hypot(x - p, y - q) for p, q in points) > 0.75
            assert math.hypot(x - world.spawn[0], y - world.spawn[1]) > 2.9
    assert planted > 20


def test_an_arena_is_as_large_as_it_has_to_be():
    for radius in (10.0, 30.0, 70.0):
        site = Site("move", 0.5, 1, draws=Draws("arena", radius))
        arena(site, radius=radius, below=5.0)
        assert (site.z[site.distance(0.0, 0.0) < radius] > 4.0).all()
        assert site.size * 0.5 * 0.5 > radius


def test_flattened_land_is_level_and_its_height_is_told():
    site = Site("eat", 0.5, 1, draws=Draws("flat"))
    site.island()
    level = site.flatten(3.0, 2.0, 2.0)
    near = site.distance(3.0, 2.0) <= 2.0
    assert np.ptp(site.z[near]) < 1e-9
    assert site.height_at(3.3, 1.7) == pytest.approx(level)
    far = site.distance(3.0, 2.0)
    before = Site("eat", 0.5, 1, draws=Draws("flat"))
    before.island()
    assert np.array_equal(site.z[far > 4.0], before.z[far > 4.0])


def test_what_is_added_to_a_site_is_in_the_world():
    site = Site("eat", 0.5, 1, draws=Draws("things"))
    site.island(base=3.0)
    apple = site.add_thing("apple", 1.0, 2.0)
    box = site.add_box(4.0, 4.0, (0.5, 0.25, 0.75), facing=(0.6, 0.8))
    site.set_spawn(0.0, 0.0, (0.0, 1.0))
    site.step("eat", thing=apple)
    world = site.finish(Budget(Draws("b"), 0.5).parameters)
    assert world.things[apple, 3] == pytest.approx(site.height_at(1.0, 2.0) + 0.125, abs=1e-3)
    assert world.solids[box, 2] == pytest.approx(site.height_at(4.0, 4.0) + 0.75, abs=1e-3)
    assert on_grid(1.3) == 1.5
    assert world.spawn[3:] == (0.0, 1.0)
    assert world.height.dtype == np.int16
    assert np.abs(world.height / 128.0 - site.z).max() <= 0.5 / 128.0
