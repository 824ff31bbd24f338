"""Worlds with logs, stones and boulders: what they demand, that nothing less does, and the physics of their solutions."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import ndimage

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import JUMP
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.land.grid import cell_of
from similitude.worlds.making import make_world
from similitude.worlds.routes.paths import gentle_cells
from similitude.worlds.routes.proof import verify
from similitude.worlds.routes.reach import FOOTHOLD, reaches
from similitude.worlds.routes.walking import Flaw
from similitude.worlds.simulation import Simulation
from similitude.worlds.tasks import push, stack
from similitude.worlds.tasks.lanes import dig, lane, raise_inside, raise_wall, ring_island
from similitude.worlds.tasks.site import Site

TASKS = ("stack", "bridge", "push")
DIFFICULTIES = (0.0, 0.5, 1.0)
LEAP = 2.4
"""Metres that nobody jumps: ten frames at 0.24 m."""


def outdoors(task, difficulty, count, **wanted):
    """Yield worlds under the open sky whose parameters are as wanted."""
    found = 0
    for seed in range(200):
        world = make_world(task, difficulty, seed)
        parameters = world.parameters
        if not parameters.get("indoors") and all(parameters.get(k) == v for k, v in wanted.items()):
            yield world
            found += 1
            if found == count:
                return
    raise AssertionError(f"no such world of {task} in 200")


def goal_of(world):
    row = next(row for row in world.things if row[11] > 0.0)
    return float(row[1]), float(row[2])


def climbs_to(world, x, y):
    """Whether one gets from the spawn to (x, y) on gentle ground and ground with holds, without jumps."""
    free = gentle_cells(world.height / 128.0) | (world.ground >= 128)
    labels, _ = ndimage.label(free, structure=np.ones((3, 3)))
    first = labels[cell_of(world.size, *world.spawn[:2])]
    return first > 0 and first == labels[cell_of(world.size, x, y)]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_worlds_are_made_and_proved(task, difficulty):
    for seed in range(5):
        world = make_world(task, difficulty, seed)
        assert world.solution[-1].do == "eat"
        assert {step.do for step in world.solution} & {"place", "push"}
        assert world.digest == make_world(task, difficulty, seed).digest


@pytest.mark.parametrize("task", ["stack", "bridge"])
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_nobody_comes_to_the_goal_without_blocks(task, difficulty):
    for world in outdoors(task, difficulty, 2):
        assert not reaches(world, *goal_of(world))
        assert not climbs_to(world, *goal_of(world))


@pytest.mark.parametrize(
    ("kind", "difficulty"), [("ledge", 0.0), ("ledge", 1.0), ("chasm", 0.5), ("chasm", 1.0)]
)
def test_nobody_comes_to_the_goal_without_the_boulder(kind, difficulty):
    for world in outdoors("push", difficulty, 1, kind=kind):
        assert not reaches(world, *goal_of(world))
        assert not climbs_to(world, *goal_of(world))


@pytest.mark.parametrize(("task", "without"), [("stack", "place"), ("bridge", "place"), ("push", "push")])
def test_the_proof_fails_without_what_the_blocks_are_for(task, without):
    for difficulty in DIFFICULTIES:
        for world in outdoors(task, difficulty, 1):
            kept = tuple(step for step in world.solution if step.do not in (without, "take"))
            with pytest.raises(Flaw):
                verify(dataclasses.replace(world, solution=kept))


@pytest.mark.parametrize(
    ("dx", "dz", "text"),
    [(0.0, 0.6, "does not rest"), (0.0, -0.5, "into the ground"), (3.0, 1.0, "does not rest")],
)
@pytest.mark.parametrize(("task", "do"), [("stack", "place"), ("bridge", "place"), ("push", "push")])
def test_blocks_that_hang_in_the_air_or_stick_in_the_ground_are_refused(task, do, dx, dz, text):
    for difficulty in DIFFICULTIES:
        for world in outdoors(task, difficulty, 1):
            steps = list(world.solution)
            number = max(i for i, step in enumerate(steps) if step.do == do)
            at = list(steps[number].at)
            i = 0 if do == "place" else -1
            z = at[i][2] if len(at[i]) > 2 else float(world.things[steps[number].thing, 3])
            at[i] = (at[i][0] + dx, at[i][1], z + dz)
            steps[number] = dataclasses.replace(steps[number], at=tuple(at))
            with pytest.raises(Flaw, match=text if dx == 0.0 else None):
                verify(dataclasses.replace(world, solution=tuple(steps)))


@pytest.mark.parametrize("task", ["stack", "push"])
def test_a_jump_from_the_foot_of_a_cliffs_face_does_not_reach_its_edge(task):
    """The engine lets a body stand 0.2 m up a steep face, and jump from there: still lower than the lowest cliff."""
    wanted = {"stack": {}, "push": {"kind": "ledge"}}[task]
    for world in outdoors(task, 0.0, 3, **wanted):
        simulation = Simulation(1, backend="plain", resolution=(1, 1))
        simulation.load(0, world)
        up = [step for step in world.solution if step.do == "jump"]
        goal, level = up[-1].at[1], up[0].at[0][2]
        ux, uy = world.spawn[3:]
        action = np.zeros((1, 21))
        action[0, 2] = 1.0
        highest = 0.0
        for aside in (1.75, -1.75):  # beside the block
            simulation.load(0, world)
            simulation.body[0, [c.BX, c.BY]] = (
                goal[0] - 2.0 * ux - aside * uy,
                goal[1] - 2.0 * uy + aside * ux,
            )
            simulation.body[0, c.BZ] = level
            for frame in range(150):
                action[0, 20] = float(frame % 12 > 8)
                simulation.step(action)
                highest = max(highest, float(simulation.body[0, c.BZ]))
        assert level + JUMP < highest < level + JUMP + FOOTHOLD


def test_the_boulder_leaves_no_way_past_it_in_an_entrance():
    """The wall's feet are 2 m apart, the boulder is 1.75 m wide: beside it are no 0.5 m, and it is higher than a jump."""
    for difficulty in DIFFICULTIES:
        (world,) = outdoors("push", difficulty, 1, kind="entrance")
        half = float(world.things[0, 6])
        assert 2.0 - 2.0 * half < 0.5
        assert 2.0 * float(world.things[0, 8]) > JUMP + FOOTHOLD
        height = world.height / 128.0
        open_corners = gentle_cells(height)
        x, y = float(world.things[0, 1]), float(world.things[0, 2])
        cos, sin = world.spawn[3:]
        for side in np.arange(-3.0, 3.1, 0.25):
            i, j = cell_of(world.size, x - side * sin + 0.01, y + side * cos + 0.01)
            if abs(side) > 1.26:
                assert not open_corners[i, j] or abs(height[i, j] - world.spawn[2]) > 2.0


def test_bridges_grow_with_difficulty():
    easy, hard = (next(outdoors("bridge", d, 1)).parameters for d in (0.0, 1.0))
    assert easy == easy | {"gap": 3.0, "passage width": 10.0, "log distance": 2.0, "chasm depth": 2.5}
    assert hard == hard | {"gap": 4.5, "passage width": 2.0, "log distance": 6.0, "chasm depth": 5.0}
    log = 2.0 * KINDS[NUMBER["log"]].half[0]
    assert easy["gap"] > LEAP
    assert hard["gap"] + 1.0 < log < hard["gap"] + 4.0  # it spans the passage, and not the chasm beside it


def test_gaps_of_bridges_are_as_wide_as_they_say():
    for difficulty in DIFFICULTIES:
        for world in outdoors("bridge", difficulty, 2):
            place = next(step for step in world.solution if step.do == "place")
            (x, y, _), (fx, fy, _) = place.at
            length = math.hypot(fx - x, fy - y)
            ux, uy = (fx - x) / length, (fy - y) / length
            level = world.spawn[2]
            steps = np.arange(-4.5, 4.51, 0.5)
            heights = [
                world.height[cell_of(world.size, x + s * ux + 1e-6, y + s * uy + 1e-6)] / 128 for s in steps
            ]
            sunk = steps[np.array(heights) < level - 1.0]
            assert len(sunk) * 0.5 == world.parameters["gap"] - 0.5


def test_stacks_need_as_many_stones_as_the_cliff_is_high():
    for difficulty in DIFFICULTIES:
        for world in outdoors("stack", difficulty, 4):
            p = world.parameters
            stones = sum(world.things[:, 0] == NUMBER["stone"])
            assert stones == p["stones"]
            assert p["cliff height"] > JUMP + FOOTHOLD
            needed = 3 if p["stairs"] else 1
            assert needed <= stones <= needed + 1
            assert sum(step.do == "place" for step in world.solution) == needed
            # one stone less would be 1 m less
            top = 2.0 if p["stairs"] else 1.0
            assert top - stack.STONE + JUMP < p["cliff height"] <= top + JUMP - 0.2


def test_pushes_grow_with_difficulty():
    def mean(name, difficulty):
        return np.mean([world.parameters[name] for world in outdoors("push", difficulty, 4)])

    for name in ("boulder mass", "boulder distance"):
        assert mean(name, 0.0) < mean(name, 0.5) < mean(name, 1.0)
    assert mean("boulder mass", 0.0) == push.LIGHT
    kinds = {world.parameters["kind"] for world in outdoors("push", 1.0, 12)}
    assert kinds == {"entrance", "ledge", "chasm"}


# the physics of solutions: blocks are put where the steps say, and come to rest there


def settled(world, thing, at, toward):
    """Return a simulation in which a block was let go 0.3 m above a place, and has come to rest."""
    simulation = Simulation(1, backend="plain")
    simulation.load(0, world)
    row = simulation.things[0, thing]
    length = math.hypot(toward[0] - at[0], toward[1] - at[1])
    row[[c.COS, c.SIN]] = (toward[0] - at[0]) / length, (toward[1] - at[1]) / length
    row[[c.TX, c.TY, c.TZ]] = at[0], at[1], at[2] + 0.3
    row[c.TIMER] = 10.0
    for _ in range(12):
        simulation.step(np.zeros((1, 21)))
    return simulation


def walk(simulation, x, y, frames, *, jump=False):
    """Walk to a point without turning."""
    for _ in range(frames):
        body = simulation.body[0]
        dx, dy = x - body[c.BX], y - body[c.BY]
        far = math.hypot(dx, dy)
        if far < 0.05 and body[c.GROUNDED] > 0.5:
            break
        cos, sin = math.cos(body[c.YAW]), math.sin(body[c.YAW])
        share = min(far / 0.3, 1.0) / max(far, 1e-9)
        action = np.zeros((1, 21))
        action[0, 0], action[0, 2] = (dx * sin - dy * cos) * share, (dx * cos + dy * sin) * share
        action[0, 20] = float(jump)
        simulation.step(action)
        jump = jump and simulation.body[0, c.GROUNDED] > 0.5
    return simulation.body[0, [c.BX, c.BY, c.BZ]]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_log_rests_on_both_rims_and_one_walks_over_it(difficulty):
    (world,) = outdoors("bridge", difficulty, 1)
    place = next(step for step in world.solution if step.do == "place")
    at, toward = place.at
    simulation = settled(world, place.thing, at, toward)
    assert simulation.things[0, place.thing, c.TX : c.TZ + 1] == pytest.approx(np.array(at), abs=0.02)
    # 3.6 m before the middle, where one stood to put it down, to as far behind it
    length = math.hypot(toward[0] - at[0], toward[1] - at[1])
    ux, uy = (toward[0] - at[0]) / length, (toward[1] - at[1]) / length
    simulation.body[0, [c.BX, c.BY]] = at[0] - 3.6 * ux, at[1] - 3.6 * uy
    x, y, z = walk(simulation, at[0] + 3.6 * ux, at[1] + 3.6 * uy, 60)
    assert (x - at[0]) * ux + (y - at[1]) * uy == pytest.approx(3.6, abs=0.1)
    assert z == pytest.approx(world.spawn[2], abs=0.1)


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_stones_come_to_rest_where_they_are_put_and_one_jumps_up_on_them(difficulty):
    (world,) = outdoors("stack", difficulty, 1, stairs=difficulty == 1.0)
    simulation = Simulation(1, backend="plain")
    simulation.load(0, world)
    for row in simulation.things[0, : world.parameters["stones"]]:
        row[c.TX] += 5.0 * world.spawn[4] + 3.0  # out of the way
        row[c.TY] += 5.0 * world.spawn[3] + 3.0
    for step in world.solution:
        if step.do == "place":
            row = simulation.things[0, step.thing]
            row[[c.TX, c.TY, c.TZ]] = np.add(step.at[0], (0.0, 0.0, 0.1))
            row[[c.COS, c.SIN]] = world.spawn[3:]
            row[c.TIMER] = 10.0
            for _ in range(6):
                simulation.step(np.zeros((1, 21)))
            assert row[c.TX : c.TZ + 1] == pytest.approx(np.array(step.at[0]), abs=0.02)
    jumps = [step for step in world.solution if step.do == "jump"]
    assert len(jumps) == (3 if difficulty == 1.0 else 2)
    start = jumps[0].at[0]
    simulation.body[0, [c.BX, c.BY, c.BZ]] = start
    for step in jumps:
        walk(simulation, step.at[0][0], step.at[0][1], 10)
        at = walk(simulation, step.at[1][0], step.at[1][1], 25, jump=True)
        assert at[2] == pytest.approx(step.at[1][2], abs=0.1)


# the parts


def flat_site(level=8.0):
    site = Site("bridge", 0.5, 0, draws=Draws("blocks"), size=96)
    site.z = np.full((96, 96), level)
    return site


def test_a_trench_leads_back_but_not_on():
    site = flat_site()
    ring = site.ring(0.0, 0.0, (1.0, 0.0), 12.0, flat=3.0)
    dig(site, ring, 0.0, 3.0, depth=4.0, level=8.0)
    x, y = ring.point(1.5)
    assert site.height_at(x, y) == 4.0
    assert site.height_at(*ring.point(0.0)) == site.height_at(*ring.point(3.0)) == 8.0
    assert site.climbs[cell_of(96, *ring.point(0.25, 0.25))]
    assert not site.climbs[cell_of(96, *ring.point(2.75, 0.25))]


def test_walls_and_plateaus_have_no_holds():
    site = flat_site(3.0)
    ring = site.ring(0.0, 0.0, (0.0, 1.0), 12.0, flat=3.0)
    raise_inside(site, ring, by=2.0, level=3.0, width=2.0)
    raise_wall(site, ring, 0.0, 2.0, top=9.0, where=np.abs(ring.side) > 1.0)
    assert site.height_at(*ring.point(0.5)) == site.height_at(*ring.point(6.0)) == 5.0
    assert site.height_at(*ring.point(1.0, 3.0)) >= 9.0
    assert site.height_at(*ring.point(0.0)) == 3.0
    for depth, side in [(0.25, 0.1), (0.25, 3.1), (1.75, 3.1)]:
        assert not site.climbs[cell_of(96, *ring.point(depth, side))]
    assert site.climbs[cell_of(96, *ring.point(6.25, 0.1))]


def test_an_island_with_a_ring_has_room_for_both():
    for seed in range(4):
        site = Site("bridge", 1.0, seed, draws=Draws("ring island", seed))
        ring = ring_island(site, 10.0, room=12.0, extent=6.5, below=5.0)
        assert site.spawn[:2] == ring.point(-12.0)
        assert ring.depth.max() > 7.5  # there is land behind the obstacle
        assert site.height_at(*site.spawn[:2]) > 5.0
        level = lane(site, ring, -12.0, 0.0, 4.0)
        assert level * 8.0 == int(level * 8.0)
        assert site.height_at(*ring.point(-6.0, 1.0)) == pytest.approx(level)


def test_obstacles_write_the_same_parameters_with_a_prefix():
    for module in (stack, push):
        site = Site("navigate", 0.5, 3, draws=Draws("prefix"))
        budget = Budget(Draws("budget"), 0.5)
        ring = ring_island(site, 10.0, room=module.ROOM, extent=5.5, below=3.0)
        end = module.obstacle(site, budget, ring, prefix="first ")
        assert 0.0 < end < 9.0
        assert budget.parameters
        assert all(name.startswith("first ") for name in budget.parameters)
