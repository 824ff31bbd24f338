"""Batches: the same by seed and step, standardized, with the noise asked for; windows of text."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from similitude.core.errors import DataError
from similitude.data import ImageSet, TextSet, load
from similitude.data.batches import Batches, ImageBatches, TextBatches, check_batches, describe_batches
from tests.cases import TeacherBatches

DIGITS = load("digits")
TEXT = TextSet("verse", "the cat sat on the mat. " * 40, "a cat, a mat, a zebra!! " * 20, "here", "none")


@pytest.mark.parametrize(
    "batches", [ImageBatches(DIGITS, noise=0.5), TextBatches(TEXT, vocabulary=8)], ids=["images", "text"]
)
def test_a_batch_is_decided_by_seed_and_step(batches):
    assert isinstance(batches, Batches)
    first = batches.batch(1, 2)
    torch.manual_seed(0)
    for again in (batches.batch(1, 2), type(batches)(**_fields(batches)).batch(1, 2)):
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (batches.batch(1, 3), batches.batch(2, 2)):
        assert not torch.equal(first[0], other[0])
    assert all(torch.equal(a, b) for a, b in zip(batches.evaluation(), batches.evaluation(), strict=True))


def _fields(batches):
    return {k: v for k, v in vars(batches).items() if not k.startswith("_")}


def test_images_are_standardized_and_laid_out_for_torch():
    batches = ImageBatches(DIGITS, batch_size=1500)
    images, labels = batches.batch(0, 0)
    assert (images.shape, images.dtype) == ((1500, 1, 8, 8), torch.float32)
    assert (labels.shape, labels.dtype) == ((1500,), torch.int64)
    pixels = DIGITS.train_images.astype(float)
    mean, std = pixels.mean(), pixels.std()
    # 1500 draws with replacement of images with 64 pixels: the mean is off by about 1/sqrt(1500) of a pixel's.
    assert images.mean().item() == pytest.approx(0, abs=0.03)
    assert images.std().item() == pytest.approx(1, abs=0.03)
    back = (images[:, 0].double().numpy() * std + mean).round().astype(np.uint8)
    known = {
        (image.tobytes(), int(label))
        for image, label in zip(DIGITS.train_images, DIGITS.train_labels, strict=True)
    }
    assert all((image.tobytes(), int(label)) in known for image, label in zip(back, labels, strict=True))


def test_channels_come_first():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8)
    labels = np.arange(20) % 2
    data = ImageSet("small", images, labels, images, labels, ("a", "b"), "here", "none")
    batch, _ = ImageBatches(data, batch_size=7).batch(0, 0)
    assert batch.shape == (7, 3, 4, 5)


def test_noise_is_fresh_and_of_the_size_asked_for():
    clean, noisy = ImageBatches(DIGITS, batch_size=500), ImageBatches(DIGITS, batch_size=500, noise=0.7)
    for step in range(2):
        (x, y), (z, same) = clean.batch(3, step), noisy.batch(3, step)
        assert torch.equal(y, same)
        assert (z - x).std().item() == pytest.approx(0.7, rel=0.02)
    assert not torch.equal(
        noisy.batch(3, 0)[0] - clean.batch(3, 0)[0], noisy.batch(3, 1)[0] - clean.batch(3, 1)[0]
    )


def test_evaluation_has_every_test_image_before_any_twice():
    _, labels = ImageBatches(DIGITS, evaluate=297 * 2).evaluation()
    assert torch.equal(labels[:297].bincount(), torch.from_numpy(np.bincount(DIGITS.test_labels)))
    assert torch.equal(labels[:297], labels[297:])


def test_text_windows_are_shifted_by_one_and_lie_in_the_text():
    batches = TextBatches(TEXT, batch_size=50, context=10, vocabulary=40)
    tokens, following = batches.batch(0, 0)
    assert tokens.shape == following.shape == (50, 10)
    assert tokens.dtype == following.dtype == torch.int64
    assert torch.equal(tokens[:, 1:], following[:, :-1])
    alphabet = sorted(set(TEXT.train))
    for row, end in zip(tokens.tolist(), following[:, -1].tolist(), strict=True):
        assert "".join(alphabet[t] for t in [*row, end]) in TEXT.train


def test_distinct_examples_are_there_once_and_always_the_same():
    size = len(DIGITS.train_labels)
    every, _ = ImageBatches(DIGITS, batch_size=size).distinct()
    whole = sorted(row.tobytes() for row in every.numpy())
    images = (DIGITS.train_images.astype(np.float32) - DIGITS.train_images.mean()) / DIGITS.train_images.std()
    assert every.double().sum().item() == pytest.approx(
        images.astype(float).sum(), abs=0.1
    )  # each image is there
    few, labels = ImageBatches(DIGITS, batch_size=64).distinct()
    assert labels.shape == (64,)
    assert {row.tobytes() for row in few.numpy()} <= set(whole)
    assert torch.equal(few, ImageBatches(DIGITS, batch_size=64).distinct()[0])
    places = len(TEXT.train) - 8
    tokens, following = TextBatches(TEXT, batch_size=places, context=8).distinct()
    assert torch.equal(tokens[:, 1:], following[:, :-1])
    each = np.lib.stride_tricks.sliding_window_view(np.array(list(TEXT.train)), 8)[:places]
    assert len(np.unique(tokens.numpy(), axis=0)) == len(np.unique(each, axis=0))


@pytest.mark.parametrize(
    "batches", [ImageBatches(DIGITS, batch_size=10**9), TextBatches(TEXT, batch_size=10**9)]
)
def test_more_distinct_examples_than_there_are_is_an_error(batches):
    size = (
        len(DIGITS.train_labels) if isinstance(batches, ImageBatches) else len(TEXT.train) - batches.context
    )
    with pytest.raises(DataError, match=f"1000000000 different .* has {size} to train on"):
        batches.distinct()


def test_the_alphabet_is_the_most_frequent_characters_of_the_training_part():
    batches = TextBatches(TEXT, context=4, vocabulary=4, evaluate=500)
    frequent = sorted(sorted(set(TEXT.train), key=lambda c: -TEXT.train.count(c))[:3])
    assert frequent == [" ", "a", "t"]
    tokens, _ = batches.evaluation()
    assert set(tokens.unique().tolist()) == {0, 1, 2, 3}
    test = "".join(c if c in frequent else "?" for c in TEXT.test)
    spelled = {"".join([*frequent, "?"][t] for t in row) for row in tokens.tolist()}
    assert all(window in test for window in spelled)


def test_every_window_is_possible():
    text = TextSet("abc", "abcdefgh", "abcdefgh", "here", "none")
    batches = TextBatches(text, batch_size=200, context=3, vocabulary=9)
    assert {row[0] for row in batches.batch(0, 0)[0].tolist()} == set(range(5))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ImageBatches(DIGITS, batch_size=0), "batch_size=0.*at least 1"),
        (lambda: ImageBatches(DIGITS, noise=-0.1), "noise=-0.1"),
        (lambda: ImageBatches(DIGITS, noise=float("nan")), "noise=nan"),
        (lambda: ImageBatches(DIGITS, evaluate=0), "evaluate=0"),
        (lambda: TextBatches(TEXT, context=0), "context=0"),
        (lambda: TextBatches(TEXT, vocabulary=1), "vocabulary=1 at least 2"),
        (lambda: TextBatches(TEXT, context=480), r"480 characters, fewer than context \+ 1 = 481"),
        (
            lambda: check_batches(object(), "--data x"),
            r"--data x is a object and has no batch\(\), evaluation\(\)",
        ),
        (lambda: check_batches(TeacherBatches), "TeacherBatches is a class. Pass an object"),
    ],
)
def test_what_makes_no_batches(make, text):
    with pytest.raises(DataError, match=text):
        make()


def test_descriptions_tell_data_apart_and_are_the_same_in_every_process():
    batches = ImageBatches(DIGITS, batch_size=5)
    said = describe_batches(batches)
    assert said["data"] == "digits"
    assert (said["images"], said["batch_size"], said["noise"]) == (1500, 5, 0.0)
    changed = DIGITS.train_images.copy()
    changed[0, 0, 0, 0] ^= 1
    other = ImageSet(
        "digits", changed, DIGITS.train_labels, DIGITS.test_images, DIGITS.test_labels, DIGITS.classes, "", ""
    )
    assert describe_batches(ImageBatches(other, batch_size=5)) != said
    program = (
        "from similitude.data import load; from similitude.data.batches import ImageBatches\n"
        "print(ImageBatches(load('digits'), batch_size=5).describe())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(said)
