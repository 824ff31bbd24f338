"""Scenes that a search renders until it meets one of the worst hundredth of an object, beside what chance renders.

The threshold is the 99th percentile of the losses of 500 random scenes. Chance needs, on average over orders of these
scenes, 501 / (K + 1) of them until the first of the K above the threshold: that is the least of the ways to say it, as a
fresh random sequence needs 500 / (K - 1) on average. Everything is kept in a folder, where the same command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from similitude.evaluation.rows import Row
from similitude.scenes.study.running import loss_of, run_study
from similitude.scenes.study.settings import StudySettings

OBJECTS = "bucket,flowerpot,banana,candle,strawberry"
CONTROLS = {
    "orientation": {
        "rotation_x": {"low": -0.35, "high": 0.35},
        "rotation_y": {"low": -0.35, "high": 0.35},
        "rotation_z": {"low": -3.1416, "high": 3.1416},
    },
    "camera": {
        "view_point_x": 0.0,
        "view_point_y": -1.0,
        "view_point_z": {"low": 0.0, "high": 1.0},
        "zoom_factor": {"low": 0.6, "high": 1.1},
    },
    "light": {"power": True, "direction_x": True, "direction_y": True},
}
"""Eight settings: any turn about the upright axis, 20 degrees of tilt, the camera's height and zoom, a lamp."""

RANDOM, SEED = 500, 1001
MOST = 120
"""Scenes after which a search is given up."""


class ReachedError(Exception):
    """A search has met one of the worst scenes."""


def random_scenes(name: str, folder: Path, resolution: int) -> tuple[float, float, int]:
    """Return the threshold, how many scenes chance needs on average, and how many of 500 fail."""
    study = StudySettings(
        (name,),
        controls=CONTROLS,
        policy={"kind": "random", "count": RANDOM, "seed": SEED},  # type: ignore[arg-type]
        resolution=resolution,
    )
    rows = run_study(study, folder / name).rows
    found = np.array([loss_of(row) for row in rows])
    threshold = float(np.quantile(found, 0.99))
    return (
        threshold,
        (RANDOM + 1) / (int((found >= threshold).sum()) + 1),
        sum(not row.success for row in rows),
    )


def needed(name: str, folder: Path, resolution: int, threshold: float, **policy: object) -> int | None:
    """Return which scene of a search is the first at or above the threshold; None if none of the first 120 is."""
    seen = 0

    def look(row: Row) -> None:
        nonlocal seen
        seen += 1
        if loss_of(row) >= threshold:
            raise ReachedError

    settings = {"count": MOST, **policy}
    study = StudySettings((name,), controls=CONTROLS, policy=settings, resolution=resolution)  # type: ignore[arg-type]
    try:
        run_study(study, folder / name, on_done=look)
    except ReachedError:
        return seen
    return None


def main() -> None:
    """Measure, and print a line for each object."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, required=True, help="folder of the scenes that were drawn")
    options.add_argument("--objects", default=OBJECTS)
    options.add_argument("--policies", default="adversarial")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--resolution", type=int, default=96)
    options.add_argument("--random-only", action="store_true", help="draw the random scenes, search nothing")
    given = options.parse_args()
    every: dict[str, list[float]] = {}
    for name in given.objects.split(","):
        threshold, chance, failed = random_scenes(name, given.out, given.resolution)
        print(
            f"{name}: {failed} of {RANDOM} random scenes fail, threshold {threshold:.2f}, chance needs {chance:.1f}",
            flush=True,
        )
        for policy in () if given.random_only else given.policies.split(","):
            scenes = [
                needed(name, given.out, given.resolution, threshold, kind=policy, seed=seed)
                for seed in range(given.seeds)
            ]
            shares = [np.inf if one is None else one / chance for one in scenes]
            every.setdefault(policy, []).append(float(np.median(shares)))
            print(f"  {policy}: {scenes}, median {np.median(shares):.2f} of what chance needs", flush=True)
    for policy, medians in every.items():
        print(f"{policy}: median over objects {np.median(medians):.2f}; each {np.round(medians, 2).tolist()}")


if __name__ == "__main__":
    main()
