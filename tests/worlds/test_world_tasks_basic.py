"""Eat, move, jump, climb, descend and scramble: what they demand, and that the land leaves no easier way."""

import dataclasses
import math
from itertools import islice

import numpy as np
import pytest

from similitude.worlds import make_world
from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CLIMBABLE
from similitude.worlds.kinds import FOODS, KINDS, NAMES
from similitude.worlds.land.biomes import cell_slopes
from similitude.worlds.routes.proof import verify
from similitude.worlds.routes.reach import reachable, reaches
from similitude.worlds.routes.walking import Flaw
from similitude.worlds.simulation import Simulation
from similitude.worlds.tasks import climb, descend, jump, move
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.site import Site

TASKS = ("eat", "move", "jump", "climb", "descend", "scramble")


def foods(world):
    return [row for row in world.things if KINDS[int(row[0])].role == c.FOOD]


def goal(world):
    x, y = foods(world)[0][1:3].tolist()
    return x, y


def distance(world):
    return math.dist(goal(world), world.spawn[:2])


def outdoors(task, difficulty, count):
    """The first worlds that are not made of a hall: floods know the terrain only."""
    worlds = (make_world(task, difficulty, seed) for seed in range(5 * count))
    return list(islice((w for w in worlds if not w.parameters.get("indoors")), count))


def mean(task, difficulty, name, *, count=12):
    values = [
        world.parameters[name] for world in outdoors(task, difficulty, count) if name in world.parameters
    ]
    return sum(map(float, values)) / len(values)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("task", TASKS)
def test_worlds_can_be_solved(task, difficulty):
    for seed in range(4):
        world = make_world(task, difficulty, 100 + seed)
        assert verify(world).digest == world.digest
        assert foods(world)
        assert world.solution[-1].do == "eat"
        assert {step.thing for step in world.solution if step.do == "eat"} >= {
            i for i, row in enumerate(world.things) if KINDS[int(row[0])].role == c.FOOD
        }


@pytest.mark.parametrize(
    ("task", "name", "easy", "hard"),
    [
        ("eat", "several foods", 0.0, 0.7),
        ("eat", "closed", 0.0, 0.95),
        ("eat", "off the ground", 0.0, 0.9),
        ("eat", "foods", 1.0, 3.0),
        ("move", "indirect", 0.05, 0.95),
        ("move", "distance", 2.0, 38.0),
        ("jump", "jumpable width", 10.0, 3.0),
        ("jump", "gap", 0.4, 1.0),
        ("jump", "distance", 7.0, 12.0),
        ("climb", "height", 3.2, 20.0),
        ("climb", "slope", 1.43, 4.0),
        ("climb", "strip width", 10.0, 1.5),
        ("descend", "height", 4.5, 40.0),
        ("descend", "path width", 10.0, 1.0),
        ("descend", "aside", 0.0, 4.0),
        ("scramble", "distance", 2.5, 20.0),
        ("scramble", "roughness", 0.1, 0.45),
    ],
)
def test_parameters_go_from_easy_to_hard(task, name, easy, hard):
    low, middle, high = (mean(task, d, name) for d in (0.0, 0.5, 1.0))
    span = abs(hard - easy)
    assert low == pytest.approx(easy, abs=0.3 * span)
    assert high == pytest.approx(hard, abs=0.45 * span)
    order = sorted([low, middle, high])
    assert [low, middle, high] in (order, order[::-1])


def test_easy_food_lies_before_ones_feet_and_hard_food_does_not():
    easy = [make_world("eat", 0.0, seed) for seed in range(12)]
    assert all(distance(world) < 2.5 for world in easy)
    assert all(len(world.things) == 1 and world.things[0, 10] == c.FREE for world in easy)
    assert max(distance(make_world("eat", 1.0, seed)) for seed in range(12)) > 4.0


def test_every_food_is_eaten_somewhere():
    kinds, states = set(), set()
    for seed in range(60):
        for row in foods(make_world("eat", 0.5 + seed / 120.0, seed)):
            kinds.add(NAMES[int(row[0])])
            states.add(int(row[10]))
    assert kinds == set(FOODS)
    assert states == {c.FREE, c.CLOSED, c.HANGING, c.BURIED}


def test_foods_are_within_reach_of_hands():
    for seed in range(30):
        world = make_world("eat", 1.0, seed)
        site = Site("eat", 1.0, seed, draws=Draws("x"), size=world.size)
        site.z = world.height / 128.0
        for row in foods(world):
            above = row[3] - site.height_at(float(row[1]), float(row[2]))
            assert -0.2 < above < 2.4


def test_closed_foods_are_opened_before_they_are_eaten():
    seen = set()
    for seed in range(40):
        world = make_world("eat", 1.0, seed)
        for i, row in enumerate(world.things):
            if int(row[10]) == c.CLOSED and KINDS[int(row[0])].role == c.FOOD:
                acts = [step.do for step in world.solution if i in (step.thing, step.target)]
                assert acts in (["take", "throw", "eat"], ["strike", "eat"])
                seen.add(acts[-2])
    assert seen == {"throw", "strike"}


@pytest.mark.parametrize("difficulty", [0.0, 0.4, 0.8, 1.0])
@pytest.mark.parametrize("task", ["climb", "jump"])
def test_goals_cannot_be_walked_to(task, difficulty):
    for world in outdoors(task, difficulty, 6):
        assert not reaches(world, *goal(world), jumps=False), world.name
        assert reaches(world, *goal(world)) == (task == "jump"), world.name


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_cliffs_have_no_holds_but_on_their_strip(difficulty):
    """Around the plateau all steep cells that can be climbed lie beside the way up."""
    for world in outdoors("climb", difficulty, 4):
        x, y = goal(world)
        steps = next(step for step in world.solution if step.do == "climb")
        steep = cell_slopes(world.height / 128.0) > 1.0
        holds = np.argwhere(steep & (world.ground >= CLIMBABLE))
        n = world.size
        width = float(world.parameters["strip width"])
        for i, j in holds.tolist():
            px, py = 0.5 * (j - n // 2) + 0.25, 0.5 * (i - n // 2) + 0.25
            if math.dist((px, py), (x, y)) < 16.0:
                near = min(
                    math.dist((px, py), (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
                    for a, b in zip(steps.at[:-1], steps.at[1:], strict=True)
                    for t in np.linspace(0.0, 1.0, 40)
                )
                assert near <= 0.5 * width + 0.5
        assert steps.at[-1][2] - steps.at[0][2] == pytest.approx(world.parameters["height"], abs=0.01)


def test_a_climb_without_its_holds_is_refused():
    world = outdoors("climb", 0.5, 1)[0]
    bare = dataclasses.replace(world, ground=(world.ground & 127).astype(np.uint8))
    with pytest.raises(Flaw, match="no hold"):
        verify(bare)


@pytest.mark.parametrize("difficulty", [0.0, 0.6, 1.0])
def test_gaps_are_as_wide_as_they_are_said_to_be(difficulty):
    for world in outdoors("jump", difficulty, 8):
        leap = next(step for step in world.solution if step.do == "jump").at
        length = math.dist(leap[0][:2], leap[1][:2])
        if world.parameters["gap"] is True:
            assert length == pytest.approx(float(world.parameters["gap width"]) + 2 * jump.BEFORE)
            assert leap[0][2] == leap[1][2]
        else:
            assert leap[1][2] - leap[0][2] == pytest.approx(world.parameters["ledge height"], abs=0.05)


def test_strips_above_chasms_are_the_only_way():
    chasms = 0
    for seed in range(8):
        world = make_world("move", 0.9, seed)
        if "strip width" not in world.parameters:
            continue
        chasms += 1
        x, y = goal(world)
        assert reaches(world, x, y, jumps=False)
        cut = world.height.copy()
        # a trench through the strip, at the middle of the way
        ways = [step for step in world.solution if step.do == "walk"]
        n, (px, py) = world.size, ways[0].at[len(ways[0].at) // 2]
        i, j = int(py / 0.5) + n // 2, int(px / 0.5) + n // 2
        wide = math.ceil(float(world.parameters["strip width"]) + 4.0)
        cut[i - wide : i + wide + 1, j - wide : j + wide + 1] = -200
        assert not reaches(dataclasses.replace(world, height=cut), x, y, jumps=False)
    assert chasms >= 4


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_terraces_lead_down_without_harm(difficulty):
    for seed in range(4):
        world = make_world("descend", difficulty, seed)
        drops = [step for step in world.solution if step.do == "drop"]
        assert len(drops) == world.parameters["drops"]
        total = sum(step.at[0][2] - step.at[1][2] for step in drops)
        assert total == pytest.approx(world.parameters["height"], abs=0.05)
        assert all(0.0 < step.at[0][2] - step.at[1][2] <= descend.DROP + 0.01 for step in drops)


def test_hard_rocks_are_sheer_and_deadly_beside_the_terraces():
    world = make_world("descend", 1.0, 3)
    assert float(world.parameters["height"]) > 36.0
    top = world.spawn[2]
    z = world.height / 128.0
    n = world.size
    i, j = int(world.spawn[1] / 0.5) + n // 2, int(world.spawn[0] / 0.5) + n // 2
    around = z[i - 14 : i + 15, j - 14 : j + 15]
    between = ((around < top - 1.0) & (around > top - 30.0)).sum()
    assert between < 0.12 * around.size


def test_going_straight_to_the_food_is_deadly_on_hard_rocks():
    for seed in range(4):
        world = make_world("descend", 1.0, seed)
        food = world.things[0, 1:3].astype(float)
        simulation = Simulation(1, backend="plain", resolution=(1, 1))
        simulation.load(0, world)
        action = np.zeros((1, 21))
        for _ in range(100):
            x, y, yaw = simulation.body[0, [c.BX, c.BY, c.YAW]]
            ahead = math.atan2(food[1] - y, food[0] - x) - yaw
            action[0, [2, 0]] = math.cos(ahead), -math.sin(ahead)
            simulation.step(action)
        assert simulation.body[0, c.HP] < 0.05  # the heights vary about 40 m


def test_mountains_are_rough():
    steep = []
    for seed in range(6):
        world = make_world("scramble", 1.0, seed)
        z = world.height / 128.0
        n = world.size // 2
        steep.append((cell_slopes(z)[n - 24 : n + 24, n - 24 : n + 24] > 1.0).mean())
        assert len(world.solution[0].at) > 1  # no straight way
    assert 0.02 < sum(steep) / len(steep) < 0.6


def test_obstacles_work_both_inward_and_outward_and_name_their_parameters():
    for outward in (False, True):
        for task, extent in ((move, 9.0), (jump, 5.0), (climb, 15.0), (descend, 18.0)):
            site = Site("navigate", 0.6, 1, draws=Draws("obstacle", outward))
            arena(site, radius=26.0, below=42.0, relief=1.0)
            budget = Budget(Draws("b"), 0.6)
            ring = site.ring(0.0, 0.0, (1.0, 0.0), 6.0 if outward else 22.0, outward=outward, flat=3.0)
            site.set_spawn(*ring.point(-2.5), (1.0, 0.0))
            end = task.obstacle(site, budget, ring, prefix="first ")
            assert 0.0 < end <= extent
            assert budget.parameters
            assert all(name.startswith("first ") for name in budget.parameters)
            food = site.add_thing("apple", *ring.point(end + 2.0))
            site.step("eat", thing=food)
            world = verify(site.finish())
            if task is not move:
                blocked = not reachable(world, jumps=task is climb)[_corner(world, ring.point(end + 2.0))]
                assert blocked or task is descend


def _corner(world, point):
    n = world.size
    return int(point[1] / 0.5) + n // 2, int(point[0] / 0.5) + n // 2
