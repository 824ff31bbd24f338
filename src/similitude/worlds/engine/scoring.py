"""Reward, hit points, the end of an episode and its score."""

from similitude.worlds.engine.columns import (
    EATEN,
    ENEMY,
    ENERGY,
    FALL,
    FOOD,
    FOOD_LEFT,
    FRAME,
    FRAME_PRICE,
    HP,
    LIMIT,
    N_THINGS,
    PREY,
    REWARD,
    ROLE,
    SCORE,
    SINCE,
)
from similitude.worlds.engine.constants import AFTER_FOOD, FRAME_COST


def ended(e, meta, body):
    """Return 1 if the episode is over: dead, AFTER_FOOD frames after the last food, or at its limit of frames."""
    if float(body[e, HP]) <= 0.0 or float(body[e, SINCE]) > AFTER_FOOD:
        return 1
    if float(body[e, FRAME]) >= float(meta[e, LIMIT]):
        return 1
    return 0


def food_left(e, meta, things):
    """Return how many foods and prey with energy are left."""
    n = float(0.0)
    for k in range(int(meta[e, N_THINGS])):
        role = int(things[e, k, ROLE])
        if (role == FOOD or role == PREY) and float(things[e, k, ENERGY]) > 0.0:
            n = n + 1.0
    return n


def score(e, meta, things, body):
    """Take the reward of this frame and the score so far.

    Reward: energy eaten less the damage by animals and falls, at least minus the hit points; less the price of a frame.
    Score: hit points gained, and FRAME_COST for every frame that is left when the last food is eaten; not below 0. A
    world that never had food has no last one.
    """
    points = float(body[e, HP])
    gain = max(float(body[e, EATEN]) - float(body[e, ENEMY]) - float(body[e, FALL]), -points)
    body[e, HP] = points + gain
    body[e, REWARD] = gain - float(meta[e, FRAME_PRICE])
    frame = float(body[e, FRAME]) + 1.0
    body[e, FRAME] = frame
    if float(body[e, SINCE]) > 0.0:
        body[e, SINCE] = float(body[e, SINCE]) + 1.0
        return
    body[e, SCORE] = max(points + gain - 1.0 + (float(meta[e, LIMIT]) - frame) * FRAME_COST, 0.0)
    left = food_left(e, meta, things)
    if left == 0.0 and float(body[e, FOOD_LEFT]) > 0.0:
        body[e, SINCE] = 1.0
    body[e, FOOD_LEFT] = left
