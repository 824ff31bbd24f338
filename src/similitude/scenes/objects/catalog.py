"""All objects by name, and where others are looked for: files of the user's, Debian's furniture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.stage import Material


@lru_cache(maxsize=64)
def find_object(name: str) -> ObjectModel:
    """Return an object by its name, "sweethome3d:NAME", or the path of an OBJ or glTF file.

    Raises:
        SceneError: There is no such object, or its file cannot be read.
    """
    if name == "plane":
        v = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]], np.float32)
        f = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
        n = np.tile(np.array([0, 0, 1], np.float32), (4, 1))
        return ObjectModel("plane", (Mesh(v, f, n, v[:, :2] + 0.5),))
    if name == "mug":
        import trimesh

        body = trimesh.creation.annulus(r_min=0.36, r_max=0.42, height=1.0, sections=64)
        floor = trimesh.creation.cylinder(radius=0.4, height=0.06, sections=64)
        floor.apply_translation([0, 0, -0.47])
        handle = trimesh.creation.torus(0.27, 0.055)
        handle.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
        handle.apply_translation([0.5, 0, 0])
        keep = handle.triangles_center[:, 0] > 0.4
        handle.update_faces(keep)
        parts = [
            Mesh(
                p.vertices.astype(np.float32),
                p.faces.astype(np.int32),
                p.vertex_normals.astype(np.float32),
                np.zeros((len(p.vertices), 2), np.float32),
                Material("ceramic", (0.9, 0.9, 0.87), roughness=0.2),
            )
            for p in (body, floor, handle)
        ]
        return ObjectModel("mug", tuple(parts), ("coffee mug", "cup"), liquid=(0.5, 0.36)).normalised()
    raise SceneError(f"there is no object {name!r}.")
