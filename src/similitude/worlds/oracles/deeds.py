"""From the steps of a solution to controllers: what an oracle does, one step after the other."""

from __future__ import annotations

from similitude.worlds.engine import columns as c
from similitude.worlds.oracles import blocks, climbing, doorways, fighting, reaching, throwing, walking
from similitude.worlds.oracles.avatar import Avatar, Deed
from similitude.worlds.world import Step

ROUNDS = 3
"""How often a solution is tried while food is left."""


def carry_out(me: Avatar) -> Deed:
    """Carry out the solution of a world, again from the start where food is left at the end."""
    world = me.simulation.worlds[me.e]
    assert world is not None
    for _ in range(ROUNDS):
        for number, step in enumerate(world.solution):
            if needed(me, step):
                after = world.solution[number + 1] if number + 1 < len(world.solution) else None
                yield from deed(me, step, after)
            if me.body[c.FOOD_LEFT] <= 0.0:
                break
        yield from walking.settle(me)
        yield from leftovers(me)
        if me.body[c.FOOD_LEFT] <= 0.0:
            break
    while True:
        yield me.act()


def needed(me: Avatar, step: Step) -> bool:
    """Return whether a step is still to be done."""
    if step.thing >= 0 and me.gone(step.thing):
        return False
    if step.target >= 0 and step.do in ("throw", "strike"):
        if me.gone(step.target):
            return False
        role, state = me.role(step.target), me.state(step.target)
        if role in (c.PREY, c.PREDATOR):
            return state == c.ALIVE
        return state == c.CLOSED
    return True


def deed(me: Avatar, step: Step, after: Step | None) -> Deed:
    """Carry out one step of a solution."""
    if step.do == "walk":
        return (yield from walking.walk(me, step.at, end=end_of(after)))
    if step.do == "jump":
        done = True
        for start, goal in zip(step.at, step.at[1:], strict=False):
            done = yield from walking.jump(me, start, goal)
        return done
    if step.do == "drop":
        done = True
        for start, goal in zip(step.at, step.at[1:], strict=False):
            done = yield from walking.drop(me, start, goal)
        return done
    if step.do == "climb":
        return (yield from climbing.climb(me, step.at))
    if step.do == "take":
        at = step.at[0] if step.at else None
        if after is not None and at is None and me.role(step.thing) == c.TOOL and fights(me):
            return (yield from fighting.arm(me))
        return (yield from reaching.take(me, step.thing, at=at))
    if step.do == "eat":
        if me.role(step.thing) == c.PREY and me.state(step.thing) == c.ALIVE:
            yield from throwing.throw(me, step.thing, ())
        return (yield from reaching.eat(me, step.thing))
    if step.do == "place":
        return (yield from blocks.place(me, step.thing, step.at))
    if step.do == "push":
        return (yield from blocks.push(me, step.thing, step.at))
    if step.do in ("throw", "strike"):
        return (yield from use_tool(me, step))
    if step.do == "unlock":
        return (yield from doorways.unlock(me, step.thing))
    if step.do == "open":
        return (yield from doorways.open_door(me, step.thing))
    for _ in range(10):
        yield me.act()
    return True


def use_tool(me: Avatar, step: Step) -> Deed:
    """Carry out a step "throw" or "strike": at an animal, at a closed food, or with a closed food at the ground."""
    if step.target < 0:
        return (yield from reaching.smash(me, step.thing))
    role = me.role(step.target)
    if role == c.FOOD:
        return (yield from reaching.hit(me, step.thing, step.target))
    if role == c.PREDATOR and step.do == "strike":
        me.busy = True
        done = yield from fighting.fight(me, [step.target])
        me.busy = False
        return done
    return (yield from throwing.throw(me, step.target, step.at))


def fights(me: Avatar) -> bool:
    """Return whether the solution strikes at predators."""
    world = me.simulation.worlds[me.e]
    assert world is not None
    return any(
        step.do == "strike" and step.target >= 0 and me.role(step.target) == c.PREDATOR
        for step in world.solution
    )


def end_of(after: Step | None) -> float:
    """Return how near the last point of a walk has to be reached for what comes after it, in metres."""
    return 0.08 if after is not None and after.do in ("jump", "place", "push", "climb", "drop") else 0.2


def leftovers(me: Avatar) -> Deed:
    """Eat what food is left and can be eaten."""
    for k in range(len(me.things)):
        if me.things[k, c.ENERGY] <= 0.0:
            continue
        role, state = me.role(k), me.state(k)
        if role == c.FOOD or (role == c.PREY and state == c.DEAD):
            yield from reaching.eat(me, k)
    return True
