"""How objects are made: solids against closed forms, normals against a plain loop, pictures against brute force."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import trimesh

from similitude.scenes.meshes import Mesh
from similitude.scenes.objects.lettering import written
from similitude.scenes.objects.outlines import arc, joined, rectangle, regular, rounded, smooth
from similitude.scenes.objects.painting import by_direction, by_place, mixed, noise, spread, step, strokes
from similitude.scenes.objects.solids import (
    ball,
    box,
    directions,
    disc,
    label,
    lathed,
    picture,
    plate,
    rod,
    tube,
    upright,
)
from similitude.scenes.objects.surfaces import GRAIN, grid, placed, settled, surface, united
from similitude.scenes.stage import Material

CLAY = Material("clay", (0.6, 0.4, 0.3))


def solid_of(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices.round(6), mesh.faces, merge_norm=True, merge_tex=True)


def face_normals(mesh: Mesh) -> np.ndarray:
    corners = mesh.vertices[mesh.faces].astype(float)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return across / np.linalg.norm(across, axis=1, keepdims=True)


def prism(sides: int) -> float:
    """Area of a regular polygon in the unit circle."""
    return sides / 2 * np.sin(2 * np.pi / sides)


CYLINDER = [(0, 0), (2, 0), (2, 3), (0, 3)]


@pytest.mark.parametrize(
    ("mesh", "volume"),
    [
        (lathed(CYLINDER, CLAY), prism(64) * 4 * 3),
        (lathed([(1, 0), (2, 0), (2, 3), (1, 3), (1, 0)], CLAY), prism(64) * (4 - 1) * 3),
        (lathed([(0, 0), (2, 0), (0, 3)], CLAY), prism(64) * 4 * 3 / 3),
        (plate(regular(6, 2.0), 0.5, CLAY), prism(6) * 4 * 0.5),
        (box(2, 3, 4, CLAY), 24),
        (rod([0, 0, 0], [3, 4, 0], 0.5, CLAY), prism(24) * 0.25 * 5),
        (ball(CLAY, 0.5, rows=96), np.pi / 6),
    ],
)
def test_solids_are_closed_and_hold_their_closed_form(mesh, volume):
    solid = solid_of(mesh)
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert solid.volume == pytest.approx(volume, rel=1e-3)  # positive: faces look outwards


def test_a_closed_tube_is_a_torus():
    angle = 2 * np.pi * np.arange(96) / 96
    circle = np.stack([3 * np.cos(angle), 3 * np.sin(angle), 0 * angle], 1)
    torus = solid_of(tube(circle, 0.5, CLAY, closed=True))
    assert torus.is_watertight
    assert torus.volume == pytest.approx(2 * np.pi * 3 * prism(24) * 0.25, rel=2e-3)  # Pappus


def test_tubes_in_space_close_however_their_frame_turns():
    t = 2 * np.pi * np.arange(200) / 200
    knot = np.stack([np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)], 1)
    assert solid_of(tube(knot, 0.2, CLAY, closed=True)).is_watertight


def test_bevels_take_away_a_little_and_keep_the_extent():
    sharp, soft = box(2, 2, 2, CLAY), box(2, 2, 2, CLAY, bevel=0.2)
    assert np.ptp(soft.vertices, axis=0) == pytest.approx([2, 2, 2])
    assert 0.9 * 8 < solid_of(soft).volume < solid_of(sharp).volume - 0.05


def test_edges_beyond_the_crease_are_sharp_and_others_smooth():
    cylinder = lathed(CYLINDER, CLAY, sections=32)
    side = np.abs(cylinder.normals[:, 2]) < 0.5
    around = cylinder.vertices[side] * [1, 1, 0]
    assert cylinder.normals[side] == pytest.approx(around / 2, abs=1e-6)  # as round as if it were
    assert np.abs(cylinder.normals[~side]) == pytest.approx(np.tile([0, 0, 1], ((~side).sum(), 1)))
    flat = lathed(CYLINDER, CLAY, sections=32, crease=0.0)
    assert (flat.normals[flat.faces] * face_normals(flat)[:, None]).sum(-1) == pytest.approx(1, abs=1e-6)


def test_normals_are_those_of_a_plain_loop():
    rng = np.random.default_rng(3)
    points = np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0), indexing="ij"), -1)
    bumpy = np.concatenate([points, rng.uniform(0, 0.9, (5, 4, 1))], 2)
    mesh = grid(bumpy, CLAY, crease=0.6)
    flat = face_normals(mesh)
    corners = mesh.vertices[mesh.faces].astype(float)
    for f, face in enumerate(mesh.faces):
        for k, vertex in enumerate(face):
            total = np.zeros(3)
            for g in range(len(flat)):
                for j in range(3):
                    here = np.allclose(corners[g, j], corners[f, k])
                    if here and flat[g] @ flat[f] >= np.cos(0.6):
                        a, b = corners[g, (j + 1) % 3] - corners[g, j], corners[g, j - 1] - corners[g, j]
                        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
                        total += angle * flat[g]
            assert mesh.normals[vertex] == pytest.approx(total / np.linalg.norm(total), abs=1e-5)


def test_faces_without_area_are_left_out():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]], float)
    mesh = surface(points, np.array([[0, 1, 2], [0, 1, 3]]), points[:, :2], CLAY)
    assert len(mesh.faces) == 1


def test_the_seam_of_texture_coordinates_is_not_seen():
    mesh = ball(CLAY, 1.0, rows=16)
    assert mesh.normals == pytest.approx(mesh.vertices, abs=0.01)
    assert mesh.uv.min() == 0
    assert mesh.uv.max() == 1


def test_a_picture_of_directions_has_its_middle_in_front_and_up_above():
    assert directions(np.array([0.5, 0.5])) == pytest.approx([0, -1, 0], abs=1e-12)
    assert directions(np.array([0.75, 0.5])) == pytest.approx([1, 0, 0], abs=1e-12)
    assert directions(np.array([0.2, 1.0])) == pytest.approx([0, 0, 1], abs=1e-12)
    pixels = by_direction(lambda away: 0.5 + 0.5 * away, height=32)
    assert pixels[16, 32] == pytest.approx([0.5, 0.0, 0.5], abs=0.06)
    assert pixels[0, 5, 2] == pytest.approx(1.0, abs=0.01)
    assert pixels.dtype == np.float32
    assert pixels * 255 == pytest.approx(np.round(pixels * 255), abs=1e-4)


def test_textures_of_balls_and_of_their_directions_agree():
    mesh = ball(CLAY, 1.0, rows=24)
    inner = np.abs(mesh.vertices[:, 2]) < 0.99  # at the poles all u are one point
    assert directions(mesh.uv[inner]) == pytest.approx(mesh.vertices[inner], abs=1e-6)


def test_a_sheet_faces_the_front_and_shows_its_picture_upright():
    sheet = picture(2.0, 1.0, CLAY)
    assert face_normals(sheet) == pytest.approx(np.tile([0, -1, 0], (2, 1)))
    assert sheet.uv == pytest.approx(sheet.vertices[:, [0, 2]] / [2, 1] + 0.5)
    top = upright(plate(rectangle(2, 1), 0.2, CLAY))
    front = face_normals(top)[:, 1] < -0.9
    assert front.any()
    assert top.vertices[top.faces[front]][..., 1] == pytest.approx(-0.1)


def test_placing_scales_then_turns_then_moves_and_mirrors_stay_outside_out():
    mesh = placed(box(1, 1, 1, CLAY), (0, 0, 5), rotation=(0, 0, np.pi / 2), scale=(4, 2, -1))
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx([2, 4, 1], abs=1e-5)
    assert solid_of(mesh).volume == pytest.approx(8, rel=1e-5)
    assert (mesh.normals[mesh.faces] * face_normals(mesh)[:, None]).sum(-1).min() > 0.999


def test_parts_of_one_material_become_one_mesh_of_the_same_triangles():
    other = Material("other")
    parts = [box(1, 1, 1, CLAY), ball(other, rows=8), placed(box(1, 1, 1, CLAY), (3, 0, 0))]
    first, second = united(parts)
    assert (first.material, second.material) == (CLAY, other)
    expected = np.concatenate([parts[k].vertices[parts[k].faces] for k in (0, 2)])
    assert np.array_equal(first.vertices[first.faces], expected)


def test_rounded_corners_stay_inside_and_ends_stay():
    line = rounded([(0, 0), (2, 0), (2, 2)], 0.5)
    assert line[0].tolist() == [0, 0]
    assert line[-1].tolist() == [2, 2]
    assert np.linalg.norm(line - [2, 0], axis=1).min() == pytest.approx(
        0.5 / 8**0.5
    )  # the middle of the parabola
    square = rounded([(0, 0), (1, 0), (1, 1), (0, 1)], 10.0, closed=True, steps=8)  # no more than half a side
    x, y = square.T
    area = 0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum()
    assert area == pytest.approx(
        1 - 4 * 0.5**2 / 6, abs=0.01
    )  # a parabola cuts a sixth of r^2 off each corner


def test_smooth_curves_pass_through_their_points_and_joined_lines_have_no_repeats():
    points = [(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]
    curve = smooth(points, steps=400)
    for point in points:
        assert np.linalg.norm(curve - point, axis=1).min() < 0.01
    half = arc((0, 0), 1, 0, np.pi)
    line = joined(half, [(-1, 0), (0, 0)])
    assert len(line) == len(half) + 1


def test_strokes_are_distances_to_the_nearest_piece():
    rng = np.random.default_rng(0)
    line, points = rng.uniform(-1, 1, (4, 2)), rng.uniform(-2, 2, (50, 2))
    along = np.concatenate([a + np.linspace(0, 1, 4001)[:, None] * (b - a) for a, b in pairwise(line)])
    brute = np.linalg.norm(points[:, None] - along, axis=-1).min(1)
    assert strokes(*points.T, line) == pytest.approx(brute, abs=1e-3)


def test_noise_is_a_function_of_the_place_alone():
    points = np.random.default_rng(1).uniform(-1, 1, (4000, 3))
    values = noise(points, 2.0, seed=4)
    assert noise(points[7:9], 2.0, seed=4) == pytest.approx(values[7:9])
    assert np.abs(noise(points, 2.0, seed=5) - values).max() > 0.3
    assert 0.3 < values.std() < 1.0
    assert abs(values.mean()) < 0.15


def test_spread_points_lie_evenly():
    points = spread(300)
    assert np.linalg.norm(points, axis=1) == pytest.approx(1)
    near = np.sort(np.linalg.norm(points[:, None] - points, axis=-1), axis=1)[:, 1]
    # Each of 300 points has 4 pi / 300 of the ball: neighbours are about its root apart.
    assert near.min() > 0.75 * np.sqrt(4 * np.pi / 300)
    assert np.linalg.norm(points.mean(0)) < 0.01


def test_mixing_and_steps():
    assert mixed((0, 0, 0), (1, 2, 4), np.array([-1, 0.5, 2])).tolist() == [[0, 0, 0], [0.5, 1, 2], [1, 2, 4]]
    assert step(np.array([0.0, 1.0, 2.0]), 1.0, 1.0).tolist() == [0, 0.5, 1]
    half = by_place(lambda u, v: mixed((0, 0, 0), (1, 1, 1), (v > 0.5).astype(float)), 4, 4)
    assert half[0].min() == 1  # v grows upwards: the upper rows
    assert half[-1].max() == 0


def test_a_disc_faces_up_and_a_label_goes_around_the_front():
    sheet = disc(3.0, CLAY)
    assert face_normals(sheet) == pytest.approx(np.tile([0, 0, 1], (len(sheet.faces), 1)))
    assert sheet.uv == pytest.approx(sheet.vertices[:, :2] / 3 + 0.5, abs=1e-6)
    around = label(2.0, 1.0, 4.0, np.pi / 3, CLAY)
    assert np.linalg.norm(around.vertices[:, :2], axis=1) == pytest.approx(2)
    assert around.vertices[:, 0].max() == pytest.approx(2 * np.sin(np.pi / 3), abs=1e-6)
    assert around.vertices[:, 1].max() == pytest.approx(-1, abs=1e-6)  # 60 degrees to both sides of -y
    assert (face_normals(around)[:, 1] < 0).all()
    left = around.uv[:, 0] == 0
    assert (around.vertices[left, 0] < 0).all()  # as it is read from the front


def test_writing_is_centred_and_as_large_as_asked():
    corners = np.concatenate(written("8", (1.0, 2.0), width=0.4, height=0.8, gap=0.1))
    assert corners.min(0) == pytest.approx([0.8, 1.6])
    assert corners.max(0) == pytest.approx([1.2, 2.4])
    four = written("STOP", (0.0, 0.0), width=0.2, height=0.4, gap=0.1)
    assert [len(four), four[0][:, 0].min(), four[3][:, 0].max()] == pytest.approx([4, -0.55, 0.55])


def test_settled_numbers_hide_the_last_bits():
    mesh = ball(CLAY, rows=12)
    noisy = replace(
        mesh, vertices=(mesh.vertices * (1 + 1e-8 * (-1) ** np.arange(len(mesh.vertices)))[:, None])
    )
    assert np.abs(settled(mesh).vertices - mesh.vertices).max() <= GRAIN / 2 * 1.001
    assert np.array_equal(settled(noisy).vertices, settled(mesh).vertices)
    assert np.array_equal(settled(settled(mesh)).normals, settled(mesh).normals)
