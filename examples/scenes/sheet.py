"""Sheets of all objects in their everyday views, and of one under controls: `python examples/scenes/sheet.py FOLDER`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from similitude.scenes import OBJECTS, Scene, render
from similitude.scenes.objects.admission import canonical_scene

SIDE = 128
COLUMNS = 6
LIKE = canonical_scene("mug").controls
CHANGED = {
    "as it is": {},
    "turned": {"orientation": {"rotation_x": 0.9, "rotation_z": 2.2}},
    "seen from above": {"camera": {"view_point_z": 3.0, "zoom_factor": 0.7}},
    "wide and close": {"camera": {"focal_length": 14.0, "zoom_factor": 0.9}},
    "zebra": {"texture": {"name": "zebra"}},
    "gold": {"material": {"replacement": "gold"}},
    "warm lamp": {"light": {"kelvin": 2200.0, "power": 300.0, "direction_x": 1.0}},
    "sunset": {"environment": {"visible": True, "strength": 1.5}},
    "hidden 0.5": {"occlusion": {"ratio": 0.5, "direction": "left"}},
    "milk and coffee": {"liquid": {"milk": 0.6, "coffee": 0.4}, "camera": {"view_point_z": 1.2}},
    "motion blur": {"corruption": {"name": "motion_blur", "severity": 4}},
    "on grass": {"ground": {"material": "grass"}},
}


def sheet(scenes: Sequence[Scene], path: Path) -> None:
    """Draw scenes side by side, row after row."""
    pictures = [render(scene).rgb for scene in scenes]
    pictures += [np.ones_like(pictures[0])] * (-len(pictures) % COLUMNS)
    rows = [np.concatenate(pictures[i : i + COLUMNS], 1) for i in range(0, len(pictures), COLUMNS)]
    Image.fromarray((np.concatenate(rows) * 255).astype(np.uint8)).save(path, quality=85)
    print(path)


def main(folder: Path) -> None:
    """Draw both sheets."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name, entry in OBJECTS.items() if not entry.is_prop]
    sheet([canonical_scene(name, resolution=SIDE) for name in names], folder / "objects.jpg")
    changed = []
    for label, settings in CHANGED.items():
        controls = {name: {**LIKE.get(name, {}), **settings.get(name, {})} for name in {**LIKE, **settings}}
        environment = "sunset" if label == "sunset" else "studio"
        changed.append(Scene("mug", controls, environment, SIDE))
    sheet(changed, folder / "controls.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
