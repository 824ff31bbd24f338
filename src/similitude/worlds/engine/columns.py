"""Columns of the arrays in which the engine keeps environments: all float64, environment first.

`meta` (E, META), `body` (E, BODY), `hands` (E, 2, HAND), `things` (E, K, THING), `solids` (E, S, SOLID),
`action` (E, 21). Positions in metres, z up, the terrain's middle at x = y = 0; yaw 0 looks along +x, a left turn is
positive; "right, up, forward" is the order of an action's translations.
"""

# meta: what does not change in an episode
SIZE, N_THINGS, N_SOLIDS, LIMIT, FRAME_PRICE = 0, 1, 2, 3, 4
HARD, ANIMALS, DOORS = 5, 6, 7
PARCELS, PER_METRE, LISTS = 8, 9, 10
META = 10
"""SIZE: corners per side. LIMIT: frames of the episode. FRAME_PRICE: reward lost per frame. HARD, ANIMALS, DOORS: one
more than the index of the last block or door, of the last prey or predator, of the last door or lock; 0 for none.
PARCELS, PER_METRE: square parcels of the map per side and per metre. From LISTS on: which solids stand near each parcel
(`parcels.solid_lists`)."""

# body
BX, BY, BZ = 0, 1, 2  # the feet
BVX, BVY, BVZ = 3, 4, 5  # metres per second: BVX and BVY with which it tries to walk, BVZ with which it rises
YAW, PITCH, ROLL = 6, 7, 8
HEAD = 9  # height of the eyes above the feet
# hit points; frames so far; frames since the last food was eaten (0: some is left)
HP, FRAME, SINCE = 10, 11, 12
# of this frame: reward, energy eaten, damage by falling and by enemies
REWARD, EATEN, FALL, ENEMY = 13, 14, 15, 16
GROUNDED, CLIMBING = 17, 18
DYAW, DPITCH, DROLL, DHEAD = 19, 20, 21, 22  # change in this frame
FOOD_LEFT, SCORE = 23, 24
DX, DY, DZ = 25, 26, 27  # how far the feet moved in this frame
BODY = 28

# hands, 0 left and 1 right
HX, HY, HZ = 0, 1, 2
HVX, HVY, HVZ = 3, 4, 5
HPITCH, HYAW, HROLL = 6, 7, 8  # relative to the body
HELD, GRIP = 9, 10  # index of the thing held, -1 for none; whether it grasps (2: it holds climbable ground)
OX, OY, OZ = 11, 12, 13  # from the hand to the centre of what is held, in the frame of the body's yaw
HDPITCH, HDYAW, HDROLL = 14, 15, 16
TOUCH = 17  # index of the thing within reach, -1 for none
HAND = 18

# things: whatever moves, can be taken, eaten, pushed or opened
KIND, ROLE = 0, 1  # index into kinds.KINDS; one of the roles below; -1: gone
TX, TY, TZ = 2, 3, 4  # centre
TVX, TVY, TVZ = 5, 6, 7
COS, SIN = 8, 9  # of its yaw
EX, EY, EZ = 10, 11, 12  # half extents along its own axes
MASS = 13
STATE, TIMER = 14, 15
ENERGY, POINTS = 16, 17  # energy when eaten; hit points left
SPEED, SENSE, DAMAGE, REST, TRAITS = 18, 19, 20, 21, 22
LINK = 23  # lock: index of its door; food on a tree: -1
HOME_X, HOME_Y, HOME_Z = 24, 25, 26
RANDOM = 27  # state of its own random numbers, a whole number below 2**31 - 1
OPENS = 28  # impact in m/s that opens a closed food; door: how many locks still hold it
MOVED = 29  # door: distance or angle it has gone; lock: progress from 0 to 1
THING = 30

# roles
GONE, FOOD, TOOL, BLOCK, PREY, PREDATOR, DOOR, LOCK = -1, 0, 1, 2, 3, 4, 5, 6

# STATE of foods
FREE, CLOSED, HANGING, BURIED = 0, 1, 2, 3
# STATE of animals
ALIVE, DEAD = 0, 1
# STATE of blocks: CARRIED blocks are in a hand and stop nobody
RESTING, CARRIED = 0, 1

# TRAITS, a sum of
FLIES, CLIMBS, UNKILLABLE, SWIMS = 1, 2, 4, 8
# doors: turns about an edge (HOME holds the closed centre), or shifts along its own x
SWINGS, SLIDES = 16, 32
BREAKS, NEEDS_ROCK = 64, 128  # foods: opened by an impact of OPENS; opened by a rock
TURNS, SHIFTS, PRESSES = 256, 512, 1024  # locks: a bar that is lifted; a bar moved along its own x; a button

# solids: what never moves
SX, SY, SZ, SCOS, SSIN = 0, 1, 2, 3, 4
SEX, SEY, SEZ = 5, 6, 7  # half extents
SHAPE, COLOR, SOLID_CLIMBS = 8, 9, 10  # shape; index into kinds.COLORS; 1: hands can climb it
SOLID = 11
BOX, CYLINDER, CROWN = 0, 1, 2  # a crown is an ellipsoid that nothing collides with
