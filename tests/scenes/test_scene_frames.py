"""Frames: what a file holds of them, and that a new one is rounded as a stored one is."""

import numpy as np
import pytest

from similitude.scenes.frame import OBJECT, Frame


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    uv = rng.random((9, 7, 2)).astype(np.float32)
    uv[0] = np.nan
    depth = rng.random((9, 7)).astype(np.float32)
    depth[0] = np.inf
    return Frame(
        rng.normal(0.5, 0.5, (9, 7, 3)).astype(np.float32),
        rng.random((9, 7)).astype(np.float32),
        depth,
        rng.integers(0, 5, (9, 7)).astype(np.uint8),
        uv,
    )


def test_a_rounded_frame_is_what_its_file_holds(frame):
    rounded, stored = frame.quantized(), Frame.from_bytes(frame.to_bytes())
    for name in ("rgb", "alpha", "depth", "segmentation", "uv"):
        ours, theirs = getattr(rounded, name), getattr(stored, name)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_rounding_is_to_the_nearest_of_256_shades_within_0_and_1(frame):
    rounded = frame.quantized()
    assert np.abs(rounded.rgb - np.clip(frame.rgb, 0, 1)).max() <= 0.5 / 255 + 1e-6
    assert Frame.from_bytes(rounded.to_bytes()).rgb.tobytes() == rounded.rgb.tobytes()


def test_what_is_visible_is_the_share_of_the_object(frame):
    assert frame.visible == pytest.approx((frame.segmentation == OBJECT).sum() / 63)
    assert frame.resolution == (9, 7)
