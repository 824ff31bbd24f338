"""Class folders: PNG and JPEG files in every layout, and images that are damaged, bombs or odd in size."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from data_files import memory_below
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from similitude.core.errors import DataError
from similitude.data import load
from similitude.data.folder import read_folder


def write(
    root: Path, count: int = 10, *, classes: tuple[str, ...] = ("cat", "dog"), suffix: str = "png"
) -> Path:
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            colour = (10 * i, 100 * c, 7)
            Image.new("RGB", (6, 5), colour).save(root / name / f"{i:03}.{suffix}")
    return root


def test_every_tenth_image_is_held_out(tmp_path: Path):
    data = load("image-folder", path=write(tmp_path, 20))
    assert data.classes == ("cat", "dog")
    assert data.image_shape == (5, 6, 3)
    assert data.train_labels.tolist() == [0] * 18 + [1] * 18
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    assert data.test_images[:, 0, 0].tolist() == [[90, 0, 7], [190, 0, 7], [90, 100, 7], [190, 100, 7]]


@pytest.mark.parametrize("test", ["test", "val", "Validation"])
def test_train_and_test_folders_and_jpeg(tmp_path: Path, test: str):
    write(tmp_path / "train", 3, suffix="jpg")
    write(tmp_path / test, 2, suffix="JPEG")
    data = read_folder(tmp_path)
    assert (len(data.train_images), len(data.test_images)) == (6, 4)
    assert np.abs(data.train_images[4].astype(int) - [10, 100, 7]).max() <= 6


def test_grey_images_have_one_channel_and_colour_wins(tmp_path: Path):
    for i in range(10):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.new("L", (4, 4), 20 * i).save(tmp_path / "a" / f"{i}.png")
    data = read_folder(tmp_path)
    assert data.image_shape == (4, 4, 1)
    assert data.train_images[3].tolist() == np.full((4, 4, 1), 60).tolist()
    Image.new("RGBA", (4, 4), (1, 2, 3, 0)).save(tmp_path / "a" / "3.png")
    data = read_folder(tmp_path)
    assert data.train_images[3, 0, 0].tolist() == [1, 2, 3]
    assert data.train_images[2, 0, 0].tolist() == [40, 40, 40]


def test_sizes_must_agree_unless_resized(tmp_path: Path):
    write(tmp_path)
    Image.new("RGB", (9, 8)).save(tmp_path / "dog" / "004.png")
    with pytest.raises(
        DataError, match=r"004\.png: is 8x9 \(height x width\), but .*000\.png' is 5x6.*Pass size="
    ):
        load("image-folder", path=tmp_path)
    assert load("image-folder", path=tmp_path, size=4).image_shape == (4, 4, 3)
    with pytest.raises(DataError, match="size=0: images have at least 1 pixel"):
        load("image-folder", path=tmp_path, size=0)
    with pytest.raises(DataError, match="more than the 8,589,934,592 that are read into memory"):
        load("image-folder", path=tmp_path, size=20_000)


def png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_not_decoded(tmp_path: Path, side: int):
    write(tmp_path)
    (tmp_path / "cat" / "bomb.png").write_bytes(png(side, side))
    with memory_below(3), pytest.raises(DataError, match=r"bomb\.png.*(pixels|could be decompression bomb)"):
        read_folder(tmp_path, size=8)


@pytest.mark.parametrize(
    ("blob", "text"),
    [
        (b"", "cannot be decoded as PNG or JPEG"),
        (b"GIF89a" + bytes(50), "cannot be decoded as PNG or JPEG"),
        (png(6, 5, bytes(3)), "cannot be decoded as PNG or JPEG"),
        (png(6, 5, bytes(35))[:44], "cannot be decoded as PNG or JPEG"),
    ],
)
def test_damaged_images_are_named(tmp_path: Path, blob: bytes, text: str):
    write(tmp_path)
    (tmp_path / "dog" / "bad.png").write_bytes(blob)
    with pytest.raises(DataError, match=text) as caught:
        read_folder(tmp_path)
    assert "bad.png" in str(caught.value)


def test_sixteen_bit_images_are_refused(tmp_path: Path):
    write(tmp_path)
    Image.fromarray(np.full((5, 6), 4000, np.uint16)).save(tmp_path / "dog" / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png: has pixels of mode 'I;16', but 8-bit"):
        read_folder(tmp_path)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_corrupt_images_give_images_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    root = tmp_path_factory.mktemp("folder")
    (root / "a").mkdir()
    suffix = data.draw(st.sampled_from(["png", "jpg"]))
    for i in range(10):
        Image.new("RGB", (8, 8), (i, 2, 3)).save(root / "a" / f"{i}.{suffix}")
    blob = bytearray((root / "a" / f"5.{suffix}").read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=1, max_size=4)):
        blob[position] = data.draw(st.integers(0, 255))
    (root / "a" / f"5.{suffix}").write_bytes(blob[: data.draw(st.integers(0, len(blob)))])
    try:
        text = str(read_folder(root).train_images.shape)
    except DataError as error:
        text = str(error)
    assert text == "(9, 8, 8, 3)" or f"5.{suffix}" in text


def test_folders_without_what_is_needed(tmp_path: Path):
    with pytest.raises(DataError, match="no such folder; a folder of class folders is expected"):
        read_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="there are no class folders"):
        read_folder(tmp_path)
    write(tmp_path, 9)
    with pytest.raises(DataError, match="no class has 10 images, of which every 10th is held out"):
        read_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match="the folder 'empty' has no PNG or JPEG image; 2 class folders"):
        read_folder(tmp_path)
    write(tmp_path / "split" / "train", 2)
    write(tmp_path / "split" / "test", 2, classes=("cat", "owl"))
    with pytest.raises(DataError, match="2 classes are in only one of 'train' and 'test': dog, owl"):
        read_folder(tmp_path / "split")


def test_hidden_files_and_other_types_are_passed_over(tmp_path: Path):
    write(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"junk")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"junk")
    assert len(read_folder(tmp_path).train_images) == 18
