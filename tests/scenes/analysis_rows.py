"""Rows of studies that never were: what is planted in them is known."""

import numpy as np
from scipy.stats import qmc

from similitude.evaluation.rows import Row


def scene_row(params, *, right, loss=1.0, task="mug", subject="model", **metrics):
    return Row(
        "scenes",
        task,
        subject,
        float(right),
        {**params, "environment": "studio", "renderer": "raster", "resolution": 64, "samples": None},
        {"loss": float(loss), "probability": float(np.exp(-loss)), **metrics},
        bool(right),
        seconds=0.1,
        version="1",
    )


def failed_row(params, error="the renderer broke down", *, task="mug", subject="model"):
    return Row(
        "scenes",
        task,
        subject,
        float("nan"),
        {**params, "environment": "studio", "renderer": "raster", "resolution": 64, "samples": None},
        error=error,
        version="1",
    )


def sobol(count, width, seed=0):
    return qmc.Sobol(width, seed=seed).random_base2(int(np.log2(count)))


TEXTURES = ("original", "zebra", "elephant", "wood")
NAMES = ["tench", "coffee mug", "cup", "zebra", "African elephant", "tusker"]


def mug_rows(count=256, *, subject="model", harder=0.0, seed=0):
    """Scenes of a mug: hiding more than 0.4, turning away and any other skin raise the loss; the zoom does nothing."""
    rng = np.random.default_rng(seed)
    rows = []
    for a, b, c, d in sobol(count, 4, seed):
        hidden, angle, skin = 0.8 * a, (2 * b - 1) * np.pi, TEXTURES[int(4 * c)]
        loss = 3 * max(0, hidden - 0.4) + 0.4 * (1 - np.cos(angle)) + (skin != "original") + harder
        loss = max(0.01, loss + 0.3 * rng.normal())
        p = float(np.exp(-loss))
        right = p > 0.35
        said = 1 if right else 3 if skin == "zebra" and rng.random() < 0.5 else 0
        params = {
            "occlusion.occlusion_ratio": float(hidden),
            "orientation.rotation_z": float(angle),
            "material.texture": skin,
            "camera.zoom_factor": 0.5 + float(d),
        }
        rows.append(
            scene_row(
                params,
                right=right,
                loss=loss,
                subject=subject,
                prediction=said,
                margin=p - 0.35,
                confidence=max(p, 0.3),
                visible=0.3 * (1 - hidden),
            )
        )
    return rows
