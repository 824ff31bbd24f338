"""Random scenes over the ranges of all controls at once: what is asked for is what is measured."""

import numpy as np
import pytest

from similitude.scenes.controls.catalog import controls
from similitude.scenes.objects.catalog import OBJECTS
from similitude.scenes.rendering import render
from similitude.scenes.scene import Scene
from similitude.scenes.search.uniform import Uniform
from similitude.tuning.space.space import Space
from tests.scenes.control_frames import mask_of

MEASURED = (
    "camera",
    "occlusion",
    "orientation",
    "scale",
    "pin_to_ground",
    "light",
    "environment",
    "material",
)
OTHERS = ("texture", "background", "hsv", "ground")


def scenes_over(kinds, count, seed):
    space = Space(
        {f"{kind}.{name}": dim for kind in kinds for name, dim in controls()[kind].dimensions.items()}
    )
    looked_at = [name for name, entry in OBJECTS.items() if not entry.is_prop]
    for number, values in enumerate(Uniform(space, count=count, seed=seed).draw(0, count)):
        settings: dict[str, dict] = {}
        for name, value in values.items():
            settings.setdefault(name.partition(".")[0], {})[name.partition(".")[2]] = value
        yield looked_at[number % len(looked_at)], settings


def measured(count, seed):
    """Return the errors of the hidden share and of the filled share, and prints them."""
    hidden, filled = [], []
    for name, settings in scenes_over(MEASURED, count, seed):
        settings["camera"] |= {"aperture": 32.0, "zoom_factor": min(1.0, settings["camera"]["zoom_factor"])}
        without = {kind: values for kind, values in settings.items() if kind != "occlusion"}
        bare, covered = (render(Scene(name, c, resolution=128, samples=1)) for c in (without, settings))
        if mask_of(bare).sum() < 300:  # a share of a few pixels is no measurement
            continue
        hidden.append(1 - covered.visible / bare.visible - settings["occlusion"]["ratio"])
        rows, columns = np.nonzero(mask_of(bare))
        side = (max(np.ptp(rows), np.ptp(columns)) + 1) / 128
        filled.append(side - settings["camera"]["zoom_factor"])
    for what, errors in (("hidden", np.abs(hidden)), ("filled", np.abs(filled))):
        middle, high = np.quantile(errors, [0.5, 0.95])
        print(
            f"{what}: {len(errors)} scenes, median {middle:.4f}, 95 % {high:.4f}, largest {errors.max():.4f}"
        )
    return np.abs(hidden), np.abs(filled)


def test_a_few_random_scenes_are_as_asked():
    hidden, filled = measured(8, seed=3)
    assert len(hidden) >= 7
    assert hidden.max() < 0.03
    assert filled.max() < 0.04


@pytest.mark.slow
def test_many_random_scenes_are_as_asked():
    hidden, filled = measured(300, seed=1)
    assert len(hidden) > 280
    assert hidden.max() < 0.03
    assert np.median(hidden) < 0.005
    assert np.quantile(filled, 0.95) < 0.02
    assert (
        filled.max() < 0.07
    )  # a thin corner, as that of a toilet roll's sheet, falls between the middles of pixels


def test_all_controls_together_make_a_picture():
    kinds = [*MEASURED, *OTHERS]
    for name, settings in scenes_over(kinds, 3, seed=0):
        frame = render(Scene(name, settings, resolution=64))
        assert np.isfinite(frame.rgb).all()
        assert frame.rgb.min() >= 0
        assert frame.rgb.max() <= 1
