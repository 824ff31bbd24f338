"""The camera against closed forms and against a marcher in numpy that skips nothing."""

import math

import numpy as np
import pytest

from similitude.worlds.engine import build
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import COARSE, HEAD_TOP, SIGHT
from similitude.worlds.engine.scene import SCENE
from similitude.worlds.kinds import BIOME, COLOR, KINDS, NUMBER
from similitude.worlds.scenery import block_tops
from similitude.worlds.viewing.colors import cell_colors, solid_palette, thing_palette
from tests.oracles.isle_marcher import picture, rays

EYES = HEAD_TOP


class Stage:
    """One environment put together by hand."""

    def __init__(self, height, ground=None):
        n = len(height)
        self.height = np.round(np.asarray(height) * 128).astype(np.int16)
        self.ground = np.full((n, n), BIOME["grassland"], np.uint8) if ground is None else ground
        self.solids, self.things = [], []
        self.body, self.hands = np.zeros(c.BODY), np.zeros((2, c.HAND))
        self.body[c.HEAD] = EYES
        self.hands[:, c.HZ] = -50.0  # out of sight

    def solid(self, shape, place, half, *, yaw=0.0, color="wall"):
        self.solids.append([*place, math.cos(yaw), math.sin(yaw), *half, shape, COLOR[color], 0.0])
        return self

    def thing(self, name, place, *, yaw=0.0, state=0.0, half=None):
        row = np.zeros(c.THING)
        row[[c.KIND, c.ROLE, c.STATE]] = NUMBER[name], KINDS[NUMBER[name]].role, state
        row[[c.TX, c.TY, c.TZ]], row[[c.COS, c.SIN]] = place, (math.cos(yaw), math.sin(yaw))
        row[[c.EX, c.EY, c.EZ]] = KINDS[NUMBER[name]].half if half is None else half
        self.things.append(row)
        return self

    def stand(self, x, y, z, *, yaw=0.0, pitch=0.0, roll=0.0):
        self.body[[c.BX, c.BY, c.BZ, c.YAW, c.PITCH, c.ROLL]] = x, y, z, yaw, pitch, roll
        return self

    def arrays(self, shape):
        solids = np.array(self.solids).reshape(-1, c.SOLID)
        things = np.array(self.things).reshape(-1, c.THING)
        meta = np.zeros((1, c.META))
        meta[0, [c.SIZE, c.N_SOLIDS, c.N_THINGS]] = len(self.height), len(solids), len(things)
        colors = cell_colors(self.height, self.ground)[None]
        return [
            *(self.height[None], block_tops(self.height)[None], colors, meta),
            *(solids[None], things[None], self.body[None], self.hands[None]),
            *(thing_palette(), solid_palette()),
            np.zeros((1, 3 + len(solids) + 2 * len(things), SCENE)),
            *(np.zeros((1, *shape), np.float32), np.zeros((1, *shape, 4), np.uint8)),
        ]

    def view(self, shape=(48, 48), backend="numba"):
        """Return image and depth."""
        arrays = self.arrays(shape)
        build.engine(backend).view(0, 1, *arrays)
        return arrays[-1][0], arrays[-2][0]

    def reference(self, shape):
        found = self.arrays(shape)
        height, _, colors, _, solids, things, body, hands = (array[0] for array in found[:8])
        return picture(height, colors, solids, things, body, hands, *found[8:10], shape)


def flat(z=1.0, n=64):
    return np.full((n, n), z)


def directions(stage, shape):
    return rays(stage.body, *shape)[1]


def rough(n=64, seed=0):
    """An island with hills, a cliff of 5 m and a pit."""
    draws = np.random.default_rng(seed)
    z = np.kron(draws.uniform(0.0, 5.0, (n // 8, n // 8)), np.ones((8, 8)))
    for _ in range(8):
        z = (z + np.roll(z, 1, 0) + np.roll(z, -1, 0) + np.roll(z, 1, 1) + np.roll(z, -1, 1)) / 5
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    z = z * np.clip(3 * (1 - np.hypot(x, y)), 0, 1) - 0.5
    z[n // 2 + 8 : n // 2 + 20, n // 2 + 6 : n // 2 + 9] += 5.0
    z[n // 2 - 12 : n // 2 - 8, n // 2 + 4 : n // 2 + 14] -= 3.0
    return z + draws.uniform(-0.1, 0.1, z.shape)


def busy(seed):
    """A stage with some of everything around the middle of the map."""
    stage = Stage(rough(seed=seed))
    draws = np.random.default_rng(seed)
    around = lambda near, far: (  # noqa: E731
        (radius := draws.uniform(near, far)) * math.cos(angle := draws.uniform(0, 2 * math.pi)),
        radius * math.sin(angle),
    )
    for _ in range(4):
        x, y = around(2, 12)
        stage.solid(c.CYLINDER, (x, y, 3.0), (0.2, 0.2, 2.0), color="trunk")
        stage.solid(c.CROWN, (x, y, 5.5), (1.2, 1.2, 1.6), color="leaves")
        stage.solid(c.BOX, (*around(3, 9), 2.5), (1.5, 0.125, 1.4), yaw=draws.uniform(0, 6), color="roof")
    for name in ("apple", "stone", "wolf", "deer", "large stick", "swing door", "bear"):
        stage.thing(name, (*around(1.5, 8), draws.uniform(1.5, 4)), yaw=draws.uniform(0, 6))
    stage.thing("coconut", (*around(1, 2), 3.0), state=c.CLOSED).thing("frog", (1, 1, 2), state=c.DEAD)
    stage.hands[0, :3], stage.hands[1, :3] = (0.4, 0.3, 4.0), (0.4, -0.3, 4.0)
    stage.hands[1, c.GRIP] = 1.0
    return stage


@pytest.mark.parametrize("pitch", [0.0, -0.6, 0.4])
def test_depth_of_a_level_plane(pitch):
    stage = Stage(flat()).stand(0.0, 0.0, 1.0, yaw=0.7, pitch=pitch)
    _, depth = stage.view()
    down = -directions(stage, (48, 48))[..., 2]
    with np.errstate(divide="ignore"):
        expected = np.where(down > 0, EYES / down, SIGHT)
    on_map = expected < 10.0  # the corners of the map are 22 m away, its edges 16
    assert on_map.sum() > 400
    assert np.allclose(depth[on_map], expected[on_map], rtol=1e-6)
    assert (depth[down <= 0] == SIGHT).all()


def test_sea_reaches_beyond_the_map_to_the_horizon():
    stage = Stage(flat(-1.0, n=16)).stand(0.0, 0.0, -0.5)
    image, depth = stage.view()
    down = -directions(stage, (48, 48))[..., 2]
    near = (down > 0) & ((EYES - 0.5) / np.maximum(down, 1e-9) < SIGHT)
    assert np.allclose(depth[near], (EYES - 0.5) / down[near], rtol=1e-6)
    assert (depth[~near] == SIGHT).all()
    assert (image[near][:, 2] > image[near][:, 0]).all(), "water is blue"


def test_a_ball_covers_exactly_the_rays_that_pass_within_its_radius():
    middle = np.array([4.0, 0.7, 2.4])
    stage = Stage(flat(-1.0, n=16)).stand(0.0, 0.0, 1.0)
    _, empty = stage.view((96, 96))
    _, depth = stage.thing("apple", middle, half=(0.5,) * 3).view((96, 96))
    ways = directions(stage, (96, 96))
    to = middle - [0.0, 0.0, 1.0 + EYES]
    along = ways @ to / (ways**2).sum(-1)
    apart = np.sqrt(np.maximum(((ways * along[..., None] - to) ** 2).sum(-1), 0.0))
    back = np.sqrt(np.maximum(0.25 - apart**2, 0.0)) / np.sqrt((ways**2).sum(-1))
    covered = apart < 0.5
    assert 60 < covered.sum() < 200
    assert np.allclose(depth[covered], (along - back)[covered], rtol=1e-5)
    assert (depth[~covered] == empty[~covered]).all()


@pytest.mark.parametrize("turn", [0.0, math.pi / 4, 1.2])
def test_depth_of_a_wall_and_its_edges(turn):
    stage = Stage(flat(-1.0, n=16)).stand(0.0, 0.0, 1.0, yaw=turn)
    middle = np.array([5.0 * math.cos(turn), 5.0 * math.sin(turn), 3.0])
    stage.solid(c.BOX, middle, (0.125, 2.0, 1.0), yaw=turn)
    _, depth = stage.view((96, 96))
    side = 4.875 * (95 - 2 * np.arange(96)) / 96
    up = 1.0 + EYES + side
    face = (np.abs(side) < 2.0)[None, :] & (np.abs(up - 3.0) < 1.0)[:, None]
    assert np.allclose(depth[face], 4.875, rtol=1e-6)
    beyond = (np.abs(side) > 2.0)[None, :] | (up > 4.1)[:, None]
    assert (depth[beyond & (up > 1.0 + EYES)[:, None]] == SIGHT).all()


def test_a_trunk_is_a_cylinder_with_a_flat_end():
    stage = Stage(flat(-1.0, n=16)).stand(0.0, 0.0, 1.0, pitch=-1.2)
    stage.solid(c.CYLINDER, (1.0, 0.0, 0.5), (0.4, 0.4, 1.0), color="trunk")
    _, depth = stage.view((96, 96))
    ways = directions(stage, (96, 96))
    t = (1.5 - 1.0 - EYES) / np.minimum(ways[..., 2], -1e-9)
    top = (ways[..., 0] * t - 1.0) ** 2 + (ways[..., 1] * t) ** 2 < 0.399**2
    assert top.sum() > 300
    assert np.allclose(depth[top], t[top], rtol=1e-6)


def where(stage):
    """Return row and column of the middle of what is not background."""
    _, depth = stage.view((48, 48))
    rows, cols = np.nonzero(depth < 10.0)
    assert len(rows) > 5
    return rows.mean(), cols.mean()


def test_which_way_the_picture_moves():
    stage = lambda y=0.0, up=0.0: Stage(flat(-9.0, n=16)).thing(  # noqa: E731
        "apple", (4.0, y, 61.8 + up), half=(0.4,) * 3
    )
    row, col = where(stage().stand(0, 0, 60))
    assert (row, col) == pytest.approx((23.5, 23.5), abs=0.6)
    assert where(stage(y=1.0).stand(0, 0, 60))[1] < col - 3, "what is on the left is on the left"
    assert where(stage(up=1.0).stand(0, 0, 60))[0] < row - 3, "what is above is above"
    assert where(stage().stand(0, 0, 60, yaw=0.3))[1] > col + 3, "a left turn moves it right"
    assert where(stage().stand(0, 0, 60, pitch=0.3))[0] > row + 3, "looking up moves it down"
    assert where(stage(y=-2.0).stand(0, 0, 60, roll=0.4))[0] < row - 3, "the right side sinks: it rises there"


def test_what_is_nearer_hides_what_is_behind():
    open_, _ = Stage(flat()).thing("apple", (5, 0, 2.8)).stand(0, 0, 1).view()
    stage = Stage(flat()).thing("apple", (5, 0, 2.8)).solid(c.BOX, (3, 0, 2.0), (0.1, 2, 2)).stand(0, 0, 1)
    shut, depth = stage.view()
    without = Stage(flat()).solid(c.BOX, (3, 0, 2.0), (0.1, 2, 2)).stand(0, 0, 1).view()[0]
    assert (shut == without).all()
    assert (open_ != shut).any()
    assert depth[24, 24] == pytest.approx(2.9)
    hill = flat()
    hill[:, 40:42] = 6.0
    assert (
        Stage(hill).stand(0, 0, 1).thing("apple", (8, 0, 2)).view()[0] == Stage(hill).stand(0, 0, 1).view()[0]
    ).all()


def test_gone_things_and_things_behind_are_not_drawn():
    empty = Stage(flat()).stand(0, 0, 1).view()[0]
    stage = Stage(flat()).stand(0, 0, 1).thing("apple", (3, 0, 2.8)).thing("wolf", (-3, 0, 2))
    stage.things[0][c.ROLE] = c.GONE
    assert (stage.view()[0] == empty).all()


def test_the_fourth_channel_is_the_depth():
    image, depth = busy(0).stand(0, 0, 2.5).view()
    assert (image[..., 3] == np.floor(255 * depth.astype(float) / SIGHT + 0.5)).all()
    assert image[..., 3].min() < 20
    assert image[..., 3].max() == 255


@pytest.mark.parametrize(
    ("seed", "pitch", "roll"), [(0, 0.0, 0.0), (1, -0.5, 0.0), (2, -0.9, 0.4), (3, 0.5, -0.3), (4, -1.5, 0.1)]
)
def test_pictures_agree_with_brute_force(seed, pitch, roll):
    stage = busy(seed).stand(0.3, -0.4, 3.0, yaw=1.3 * seed, pitch=pitch, roll=roll)
    image, depth = stage.view((36, 48))
    expected, far = stage.reference((36, 48))
    off = (np.abs(image.astype(int) - expected.astype(int)) > 2).any(-1)
    assert off.mean() <= 0.005
    assert (np.abs(depth - far) > 0.02 * far).mean() <= 0.005
    assert len(np.unique(image[..., :3].reshape(-1, 3), axis=0)) > 15, "there is something to see"


def test_plain_python_draws_the_same_bytes():
    stage = busy(1).stand(0.3, -0.4, 3.0, yaw=0.4, pitch=-0.3, roll=0.1)
    image, depth = stage.view((12, 16))
    plain, far = stage.view((12, 16), backend="plain")
    assert (image == plain).all()
    assert (depth == far).all()


def test_a_larger_map_around_changes_nothing():
    """Arrays of a simulation are as large as its largest world."""
    stage = busy(2).stand(0.0, 0.0, 3.0)
    arrays = stage.arrays((24, 24))
    build.engine("numba").view(0, 1, *arrays)
    wide = stage.arrays((24, 24))
    wide[0] = np.pad(wide[0], ((0, 0), (0, 16), (0, 16)), constant_values=9999)
    wide[1] = np.pad(wide[1], ((0, 0), (0, 2), (0, 2)), constant_values=99)
    wide[2] = np.pad(wide[2], ((0, 0), (0, 16), (0, 16), (0, 0)))
    build.engine("numba").view(0, 1, *wide)
    assert (wide[-1] == arrays[-1]).all()


@pytest.mark.parametrize("n", [8, 64, 61])
def test_block_tops_are_the_highest_corners(n):
    height = np.random.default_rng(n).integers(-999, 9999, (n, n)).astype(np.int16)
    tops = block_tops(height)
    assert tops.shape == (-(-n // COARSE),) * 2
    for i in range(len(tops)):
        for j in range(len(tops)):
            rows = slice(i * COARSE, i * COARSE + COARSE + 1)
            cols = slice(j * COARSE, j * COARSE + COARSE + 1)
            assert tops[i, j] == height[rows, cols].max() / 128


def test_colors_show_sun_and_climbable_walls():
    z = np.zeros((32, 32))
    z[:, 8:] += np.clip(np.arange(24) * 1.0, 0, 6)  # rises along x: turned away from the sun
    z[:, 20:] -= np.clip(np.arange(12) * 1.0, 0, 6)
    height = (z * 128).astype(np.int16)
    ground = np.full((32, 32), BIOME["bare rock"], np.uint8)
    brightness = cell_colors(height, ground).astype(int).sum(-1)
    away, level, towards = brightness[:, 9:13], brightness[:, :6], brightness[:, 21:25]
    assert away.max() < min(level.min(), towards.min())
    climbable = cell_colors(height, ground | 128).astype(int).sum(-1)
    changed = climbable != brightness
    assert changed[:, 9:13].mean() == 0.5, "every other cell of a steep climbable wall"
    assert not changed[:, :6].any(), "level ground looks alike"
