"""Routes: walking, jumping, climbing and falling on land made by hand; paths against Dijkstra; proofs of solutions."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import JUMP
from similitude.worlds.engine.falling import harm
from similitude.worlds.routes import walking
from similitude.worlds.routes.paths import BESIDE, CORNER, Land, gentle_cells
from similitude.worlds.routes.proof import Proof, verify
from similitude.worlds.routes.reach import reachable, reaches
from similitude.worlds.routes.state import State
from similitude.worlds.routes.walking import Flaw
from similitude.worlds.tasks.site import Site


def site_of(z, size=64):
    """A site with heights from a function of x and y, without trees."""
    site = Site("eat", 0.5, 1, draws=Draws("routes"), size=size)
    site.z = np.broadcast_to(np.asarray(z(site.x, site.y), dtype=np.float64), (size, size)).copy()
    site.trees = 0.0
    site.set_spawn(-6.0, 0.0, (1.0, 0.0))
    return site


def plain(x, y):
    return 2.0 + 0.0 * x * y


def test_jumps_rise_by_the_engines_law():
    """Sum of what the engine adds: 5 m/s up in the first frame, then 1 m/s less in each."""
    total = 0.0
    for frame in range(1, 15):
        total += 0.5 - 0.1 * (frame - 1)
        assert walking.rise(frame) == pytest.approx(total)
    assert max(map(walking.rise, range(15))) == pytest.approx(JUMP)


def state(z=plain):
    return State(site_of(z).finish())


@pytest.mark.parametrize(("slope", "fine"), [(0.5, True), (0.98, True), (1.02, False), (3.0, False)])
def test_slopes_up_to_45_degrees_can_be_walked_up(slope, fine):
    ramp = state(lambda x, y: 2.0 + slope * np.minimum(np.maximum(x, 0.0), 4.0) + 0.0 * y)
    way = [(-2.0, 0.1), (6.0, 0.1)]
    if fine:
        assert walking.walk(ramp, way, 2.0) == pytest.approx(2.0 + 4.0 * slope, abs=0.01)
    else:
        with pytest.raises(Flaw, match=r"too steep|slides"):
            walking.walk(ramp, way, 2.0)


@pytest.mark.parametrize(("tall", "fine"), [(0.39, True), (0.41, False)])
def test_boxes_up_to_a_step_can_be_walked_onto(tall, fine):
    site = site_of(plain)
    site.add_box(2.0, 0.0, (1.0, 2.0, tall / 2))
    there = State(site.finish())
    if fine:
        assert walking.walk(there, [(0.0, 0.0), (2.0, 0.0)], 2.0) == pytest.approx(2.0 + tall, abs=0.01)
    else:
        with pytest.raises(Flaw, match="blocked"):
            walking.walk(there, [(0.0, 0.0), (2.0, 0.0)], 2.0)


def test_walks_do_not_fall_and_do_not_leave_the_map():
    ledge = state(lambda x, y: np.where(x > 0.0, 1.0, 3.0) + 0.0 * y)
    with pytest.raises(Flaw, match=r"slides|falls"):
        walking.walk(ledge, [(-2.0, 0.0), (3.0, 0.0)], 3.0)
    with pytest.raises(Flaw, match="leaves the map"):
        walking.walk(state(), [(0.0, 0.0), (15.9, 0.0)], 2.0)


def test_the_sea_is_waded_through():
    sea = state(lambda x, y: np.where(x > 2.0, -3.0, np.minimum(-x, 1.0) * 0.5) + 0.0 * y)
    assert walking.walk(sea, [(-2.0, 0.0), (8.0, 0.0)], 0.5) == -0.5


@pytest.mark.parametrize(("gap", "fine"), [(1.0, True), (2.0, True), (2.5, False)])
def test_jumps_over_gaps(gap, fine):
    chasm = state(lambda x, y: np.where((x > 0.0) & (x < gap), -0.4, 4.0) + 0.0 * y)
    start, end = (-0.06, 0.0, 4.0), (gap + 0.06, 0.0, 4.0)
    if fine:
        assert walking.jump(chasm, start, end, 4.0) == pytest.approx(4.0, abs=0.01)
    else:
        with pytest.raises(Flaw, match="a jump of"):
            walking.jump(chasm, start, end, 4.0)


@pytest.mark.parametrize(("rise", "fine"), [(1.0, True), (1.4, True), (1.6, False)])
def test_jumps_onto_ledges(rise, fine):
    ledge = state(lambda x, y: np.where(x > 0.0, 2.0 + rise, 2.0) + 0.0 * y)
    if fine:
        assert walking.jump(ledge, (-0.1, 0.0), (0.6, 0.0), 2.0) == pytest.approx(2.0 + rise, abs=0.01)
    else:
        with pytest.raises(Flaw, match="a jump of"):
            walking.jump(ledge, (-0.1, 0.0), (0.6, 0.0), 2.0)


def test_jumps_hit_walls():
    site = site_of(plain)
    site.add_box(1.0, 0.0, (0.125, 2.0, 1.5))
    with pytest.raises(Flaw, match="a jump of"):
        walking.jump(State(site.finish()), (0.0, 0.0), (2.0, 0.0), 2.0)


def cliff(holds):
    site = site_of(lambda x, y: 2.0 + 3.0 * np.minimum(np.maximum(x, 0.0), 2.0) + 0.0 * y)
    if not holds:
        site.climbs[:] = False
    return State(site.finish())


def test_cliffs_are_climbed_where_there_are_holds():
    way = [(-1.0, 0.0, 2.0), (0.0, 0.0, 2.0), (2.0, 0.0, 8.0), (3.0, 0.0, 8.0)]
    assert walking.climb(cliff(holds=True), way, 2.0) == pytest.approx(8.0)
    with pytest.raises(Flaw, match="no hold"):
        walking.climb(cliff(holds=False), way, 2.0)
    with pytest.raises(Flaw, match="nobody can stand"):
        walking.climb(cliff(holds=True), [*way[:2], (1.0, 0.0, 5.0)], 2.0)


def test_nobody_climbs_the_air_but_ladders():
    site = site_of(plain)
    way = [(0.0, 0.0, 2.0), (0.0, 0.0, 6.0), (1.0, 0.0, 6.0)]
    with pytest.raises(Flaw, match="hangs in the air"):
        walking.climb(State(site.finish()), way, 2.0)
    site.add_box(0.5, 0.0, (0.1, 0.5, 2.0), climbs=True)
    site.add_box(1.5, 0.0, (0.75, 0.75, 2.0))
    assert walking.climb(State(site.finish()), way, 2.0) == pytest.approx(6.0)


@pytest.mark.parametrize("high", [3.0, 8.0, 30.0])
def test_drops_cost_what_the_fall_costs(high):
    edge = state(lambda x, y: np.where(x > 0.0, 2.0, 2.0 + high) + 0.0 * y)
    feet, lost = walking.drop(edge, (0.0, 0.0), (1.5, 0.0), 2.0 + high)
    assert feet == 2.0
    # the speed after falling a height, and one frame more: never less than what the engine takes
    speed = math.sqrt(2.0 * 10.0 * high) + 1.0
    assert lost == pytest.approx(max(2.6e-5 * 60.0 * (speed**2 - 100.0), 0.0))
    assert lost >= harm(math.sqrt(2.0 * 10.0 * high))
    with pytest.raises(Flaw, match="meets ground"):
        walking.drop(edge, (1.5, 0.0), (-1.5, 0.0), 2.0)


def test_gentle_cells_of_planes():
    x, y = site_of(plain).x, site_of(plain).y
    assert gentle_cells(5.0 + 0.7 * x + 0.7 * y + 40.0)[5:-5, 5:-5].all()
    assert not gentle_cells(5.0 + 0.72 * x + 0.72 * y + 40.0).any()
    assert not gentle_cells(0.0 * x * y)[:2].any()


def rough(seed):
    def z(x, y):
        draws = Draws("rough", seed)
        bumps = draws.array(64, 64)
        return 4.0 + 1.5 * (bumps > 0.97) + 0.0 * x * y

    return State(site_of(z).finish())


def test_paths_are_as_short_as_dijkstras():
    """A* with its prices finds ways that cost what scipy's Dijkstra says."""
    compared = 0
    for seed in range(6):
        land = Land(rough(seed))
        n = land.size
        index = np.arange(n * n).reshape(n, n)
        rows, columns, prices = [], [], []
        for i, j in zip(*np.nonzero(land.free), strict=True):
            for a, b, length in (*BESIDE, *CORNER):
                if not land.free[i + a, j + b] or (
                    a and b and not (land.free[i + a, j] and land.free[i, j + b])
                ):
                    continue
                rows.append(index[i, j])
                columns.append(index[i + a, j + b])
                prices.append(length * (1.0 if land.calm[i + a, j + b] else 1.5))
        graph = sparse.csr_matrix((prices, (rows, columns)), shape=(n * n, n * n))
        cells = np.argwhere(land.free)
        first, last = tuple(cells[len(cells) // 5].tolist()), tuple(cells[-len(cells) // 5].tolist())
        best = csgraph.dijkstra(graph, indices=int(index[first]))[index[last]]
        found = land._search(first, last, lambda cell, last=last: cell == last, 0.0)
        assert (found is None) == np.isinf(best)
        if found is not None:
            compared += 1
            cost = 0.0
            for here, there in itertools.pairwise(found):
                length = math.hypot(there[0] - here[0], there[1] - here[1])
                cost += length * (1.0 if land.calm[there] else 1.5)
            assert cost == pytest.approx(best)
    assert compared >= 3


def test_paths_go_around_walls_and_can_be_walked():
    site = site_of(plain)
    site.add_box(0.0, 0.0, (0.125, 6.0, 1.5))
    there = State(site.finish())
    land = Land(there)
    path = land.path((-4.0, 0.0), (4.0, 0.0))
    assert path is not None
    assert path[0] == (-4.0, 0.0)
    assert path[-1] == (4.0, 0.0)
    assert max(abs(y) for _, y in path) > 6.0
    assert len(path) < 8  # straight stretches
    walking.walk(there, path, 2.0)
    length = sum(math.dist(a, b) for a, b in itertools.pairwise(path))
    assert 2.0 * math.hypot(4.0, 6.25) < length < 1.15 * 2.0 * math.hypot(4.0, 6.5)


def test_there_is_no_path_over_a_chasm():
    land = Land(state(lambda x, y: np.where(abs(x) < 1.0, -0.4, 4.0) + 0.0 * y))
    assert land.path((-4.0, 0.0), (4.0, 0.0)) is None
    assert land.path((-4.0, 0.0), (0.0, 0.0), within=4.0) is not None


def test_blocks_and_doors_are_in_the_way_but_foods_are_not():
    site = site_of(plain)
    site.add_thing("boulder", 0.0, 0.0)
    site.add_thing("apple", 4.0, 0.0)
    land = Land(State(site.finish()))
    assert not land.open_line((-3.0, 0.1), (3.0, 0.1), calm=False)
    assert land.open_line((2.0, 0.1), (6.0, 0.1), calm=True)
    assert Land(State(site.finish()), without=0).open_line((-3.0, 0.1), (3.0, 0.1), calm=False)


def test_what_is_reached_at_most():
    ring = site_of(lambda x, y: np.where((np.maximum(abs(x), abs(y)) < 4.0), 5.0, 2.0))
    world = ring.finish()
    assert reaches(world, 10.0, 10.0)
    assert not reaches(world, 0.0, 0.0)
    low = site_of(lambda x, y: np.where((np.maximum(abs(x), abs(y)) < 4.0), 3.25, 2.0)).finish()
    assert reaches(low, 0.0, 0.0)
    assert not reaches(low, 0.0, 0.0, jumps=False)


def test_a_flood_by_walking_covers_free_land():
    """What paths reach, the generous flood reaches too."""
    there = rough(3)
    site = site_of(plain)
    world = dataclasses.replace(site.finish(), height=there.height[0])
    reached, land = reachable(world, jumps=False), Land(there)
    i, j = np.argwhere(land.free & reached)[0]
    region = land.regions == land.regions[i, j]
    assert region.sum() > 100
    assert reached[region].all()


def meal(z=plain):
    site = site_of(z)
    apple = site.add_thing("apple", 4.0, 0.0)
    return site, apple


def test_a_proof_fills_in_the_way():
    site, apple = meal()
    site.add_box(0.0, 0.0, (0.125, 4.0, 1.5))
    site.step("eat", thing=apple)
    world = verify(site.finish())
    assert [step.do for step in world.solution] == ["walk", "eat"]
    path = [(world.spawn[0], world.spawn[1]), *world.solution[0].at]
    walking.walk(State(world), path, 2.0)
    assert math.dist(path[-1], (4.0, 0.0)) < 1.0


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], "3 foods are left"),
        ([("fly", {})], "nobody knows how to fly"),
        ([("place", {"at": [(0.0, 0.0, 2.0)], "thing": 1})], "thing 1 is not in a hand"),
        ([("take", {"thing": 2})], "weighs more than 80 kg"),
        ([("eat", {"thing": 1})], "thing 1 cannot be eaten"),
        ([("eat", {"thing": 3})], "thing 3 is closed"),
        ([("eat", {"thing": 4})], "thing 4 is alive"),
        ([("take", {"thing": 1}), ("throw", {"thing": 1, "target": 5})], "thing 5 cannot be killed"),
        ([("take", {"thing": 1}), ("throw", {"thing": 1, "target": 0})], "thing 0 is no animal"),
        ([("open", {"thing": 6})], "door 6 is locked"),
        ([("unlock", {"thing": 1})], "thing 1 is no lock"),
        ([("open", {"thing": 1})], "thing 1 is no door"),
        ([("push", {"thing": 2, "at": [(-6.0, 9.0)]})], "pushed against a rise"),
        ([("drop", {"at": [(-6.0, 8.5), (-6.0, 9.0)]})], "step 1, drop"),
    ],
)
def test_steps_that_do_not_work(steps, text):
    site, _ = meal(lambda x, y: np.where(y > 8.0, 4.0, 2.0) + 0.0 * x)
    site.add_thing("rock", -5.0, 1.0)
    site.add_thing("boulder", -6.0, 5.0)
    site.add_thing("fig", -5.0, -2.0, state=c.CLOSED)
    site.add_thing("deer", -2.0, -3.0)
    site.add_thing("bear", -1.0, -6.0)
    site.add_thing("swing door", 6.0, 6.0, opens=1.0)
    for do, settings in steps:
        site.step(
            do, settings.get("at", ()), thing=settings.get("thing", -1), target=settings.get("target", -1)
        )
    with pytest.raises(Flaw, match=text):
        verify(site.finish())


def test_tools_open_foods_and_kill_and_doors_open_when_unlocked():
    site, apple = meal()
    rock = site.add_thing("rock", -5.0, 1.0)
    avocado = site.add_thing("avocado", -3.0, -2.0, state=c.CLOSED)
    deer = site.add_thing("deer", -2.0, 3.0)
    door = site.add_thing("swing door", 0.0, 0.0, opens=1.0, half=(0.0625, 6.0, 1.0))
    lock = site.add_thing("button", -0.3, 0.0, z=3.2, link=door)
    site.step("take", thing=rock)
    site.step("strike", thing=rock, target=avocado)
    site.step("strike", thing=rock, target=deer)
    for food in (avocado, deer):
        site.step("eat", thing=food)
    site.step("unlock", thing=lock)
    site.step("open", thing=door)
    site.step("walk", [(3.0, 0.0)])
    site.step("eat", thing=apple)
    world = verify(site.finish())
    last = [step for step in world.solution if step.do == "walk"][-1]
    assert last.at[0] == (3.0, 0.0)  # straight through the open door


def test_nobody_starts_inside_a_wall_or_in_the_air():
    site, _ = meal()
    site.add_box(-6.0, 0.0, (1.0, 1.0, 2.0))
    with pytest.raises(Flaw, match="spawn"):
        Proof(site.finish())
    site, _ = meal()
    high = dataclasses.replace(site.finish(), spawn=(-6.0, 0.0, 9.0, 1.0, 0.0))
    with pytest.raises(Flaw, match="spawn"):
        Proof(high)


def test_deadly_falls_are_refused():
    site, apple = meal(lambda x, y: np.where(x < -4.0, 42.0, 2.0) + 0.0 * y)
    site.set_spawn(-6.0, 0.0, (1.0, 0.0))
    site.step("drop", [(-4.6, 0.0), (-3.0, 0.0)])
    site.step("eat", thing=apple)
    with pytest.raises(Flaw, match=r"falls cost 1.[0-9]+ hit points"):
        verify(site.finish())
