"""Photo patches: the same every time, balanced, and no test pixel from where training looked."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.data import ImageSet, load
from similitude.data.photos import PHOTOS, TEST_START, TRAIN_END, photo_files

pytestmark = pytest.mark.skipif(photo_files() is None, reason="pip install 'similitude[photos]'")


@pytest.fixture(scope="module")
def photos() -> ImageSet:
    data = load("photos")
    assert isinstance(data, ImageSet)
    return data


def test_shapes_balance_and_shuffling(photos: ImageSet):
    assert photos.train_images.shape == (9000, 32, 32, 3)
    assert photos.test_images.shape == (1800, 32, 32, 3)
    assert np.bincount(photos.train_labels).tolist() == [1000] * 9
    assert np.bincount(photos.test_labels).tolist() == [200] * 9
    assert len(set(photos.train_labels[:50].tolist())) == 9
    assert photos.classes == tuple(PHOTOS)


def test_every_call_gives_the_same_patches(photos: ImageSet):
    again = load("photos")
    np.testing.assert_array_equal(again.train_images, photos.train_images)
    np.testing.assert_array_equal(again.test_labels, photos.test_labels)


def test_train_and_test_come_from_apart():
    assert TRAIN_END < TEST_START


def test_it_is_learnable_and_not_trivial(photos: ImageSet):
    """Nearest class mean of coarse colours is far above chance and far below certainty."""

    def features(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 2, 16, 2, 16, 3).mean((2, 4)).reshape(len(images), -1)

    train, test = features(photos.train_images), features(photos.test_images)
    means = np.stack([train[photos.train_labels == c].mean(0) for c in range(9)])
    guess = ((test[:, None] - means) ** 2).sum(-1).argmin(1)
    assert 0.3 < (guess == photos.test_labels).mean() < 0.8


def test_licences_name_whom_to_credit(photos: ImageSet):
    assert "CC BY 2.0" in photos.licence
    assert "motorcycle" not in photos.classes
