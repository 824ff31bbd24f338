"""Every number of the dynamics, with its unit; all backends compute from these.

The values of time, gravity, reach, jump, damage and turning are the ones that Avalon publishes (arXiv 2210.13417 and its
documentation); the others are this benchmark's own.
"""

# Numbers stand here plainly, one by one: the numba and Warp backends put their values into compiled code.

DT = 0.1
"""Seconds per frame: one action, one frame."""
GRAVITY = 10.0
"""Metres per second squared."""

BODY_RADIUS = 0.25
"""Radius of the body's cylinder, in metres."""
BODY_MASS = 60.0
"""Kilograms."""
HEAD_TOP = 1.8
"""Height of the eyes above the feet when upright, in metres."""
HEAD_LOW = 0.6
"""Lowest height of the eyes above the feet, in metres."""
HEAD_CLEAR = 0.15
"""Free space needed above the eyes, in metres."""
HEAD_MOVE = 0.3
"""Largest translation of the head per frame, in metres; it is what walking, crouching and rising are made of."""
HEAD_PITCH = 0.08726646259971647
"""Largest change of pitch per frame: 5 degrees, in radians."""
HEAD_YAW = 0.17453292519943295
"""Largest change of yaw per frame: 10 degrees, in radians."""
HEAD_ROLL = 0.017453292519943295
"""Largest change of roll per frame: 1 degree, in radians."""
PITCH_LIMIT = 1.5
"""Pitch stays within this many radians of level."""
ROLL_LIMIT = 0.5
"""Roll stays within this many radians of level."""
AIR = 2.0 / 3.0
"""Walking speed in the air, as a share of that on the ground: a jump of 11 frames crosses 2.2 m."""
CROUCH_SLOWEST = 0.2
"""Walking speed at the lowest crouch, as a share of the upright one."""
STEP_UP = 0.4
"""Highest edge of a box that a walk takes without a jump, in metres."""
SLOPE = 1.0
"""Steepest ground that can be walked up: rise per run, 45 degrees."""
JUMP = 1.5
"""Height that a jump reaches, in metres."""

HAND_MOVE = 1.0
"""Largest translation of a hand per frame, in metres."""
HAND_TURN = 0.2617993877991494
"""Largest rotation of a hand per frame: 15 degrees, in radians."""
ARM = 1.0
"""Farthest a hand is from the eyes, in metres."""
HAND_RADIUS = 0.07
"""Radius of a hand, in metres."""
GRASP = 0.35
"""Farthest a hand is from the surface of what it grasps, in metres."""
EAT = 0.45
"""Food held this near the eyes is eaten, in metres."""
THROW = 1.5
"""Speed of what is let go, as a multiple of the hand's own."""
THROW_LIMIT = 15.0
"""Largest speed of what is let go, in metres per second."""
CARRY_LIMIT = 80.0
"""Heaviest thing that a hand moves, in kilograms; what is heavier can only be pushed."""
PUSH = 20.0
"""A thing that is pushed moves at the body's speed times PUSH * BODY_MASS / its mass, at most once its speed."""

FALL_FACTOR = 2.6e-5
"""Damage of a fall: FALL_FACTOR * mass * (speed**2 - FALL_FREE**2)."""
FALL_FREE = 10.0
"""Speed of an impact that does no harm, in metres per second."""
HIT_SPEED = 2.0
"""Slowest impact of a tool that hurts an animal, in metres per second."""
FRAME_COST = 1e-4
"""Reward lost per frame in evaluation."""
AFTER_FOOD = 20.0
"""Frames that an episode goes on after the last food."""
SIGHT = 60.0
"""Depth beyond which nothing is seen, in metres."""
FREEZE = 50.0
"""Animals farther than this stand still, in metres."""
BITE = 1.1
"""Distance at which a predator attacks, in metres."""
CELL = 0.5
"""Metres between neighbouring heights of the terrain."""
UNITS = 128.0
"""Heights of terrain are whole multiples of 1/UNITS metres."""
COARSE = 8
"""Cells per side of a block of the coarse map with which the camera skips empty space."""
CLIMBABLE = 128
"""Bit of a cell of `ground` that says it can be climbed; the bits below hold the biome."""
