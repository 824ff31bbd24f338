"""Names: where data is looked for, in which order, and what is said where it is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_files import cifar_batches, tar_gz, write_idx_folder

from similitude.core.errors import DataError
from similitude.data import ImageSet, TextSet, available, load
from similitude.data.entries import ENTRIES


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SIMILITUDE_DATA", raising=False)


def test_digits_are_scikit_learns_shuffled_once():
    from sklearn.datasets import load_digits

    data, theirs = load("digits"), load_digits()
    assert isinstance(data, ImageSet)
    images = np.concatenate([data.train_images, data.test_images])[..., 0]
    labels = np.concatenate([data.train_labels, data.test_labels])
    assert (images.min(), images.max()) == (0, 255)
    counts = np.rint(images * (16 / 255)).astype(int).reshape(len(images), -1)
    ours = np.column_stack([counts, labels])
    wanted = np.column_stack([theirs.data.astype(int), theirs.target])  # type: ignore[attr-defined]
    assert not np.array_equal(ours, wanted)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], wanted[np.lexsort(wanted.T)])
    again = load("digits")
    assert isinstance(again, ImageSet)
    np.testing.assert_array_equal(again.test_labels, data.test_labels)


def test_the_users_path_wins_over_the_data_folder_over_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "text.txt").write_text("from the data folder")
    (tmp_path / "mine.txt").write_text("from the user's path")
    assert load("text").train.startswith("CHAPTER 1.")
    monkeypatch.setenv("SIMILITUDE_DATA", str(tmp_path / "data"))
    assert load("text").train == "from the data folder"[:18]
    assert load("text", path=tmp_path / "mine.txt").train == "from the user's path"[:18]


def test_the_data_folder_holds_sets_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIMILITUDE_DATA", str(tmp_path))
    write_idx_folder(tmp_path / "fashion-mnist")
    tar_gz(tmp_path / "cifar-10-python.tar.gz", cifar_batches(10)[0])
    assert load("fashion-mnist").source == str(tmp_path / "fashion-mnist")
    assert len(load("cifar-10").train_images) == 50
    found = {item.name: item.where for item in available() if item.found}
    assert found["cifar-10"] == str(tmp_path / "cifar-10-python.tar.gz")


def test_what_is_in_the_data_folder_is_not_passed_over_when_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SIMILITUDE_DATA", str(tmp_path))
    (tmp_path / "fashion-mnist").mkdir()
    with pytest.raises(DataError, match="has no train-images file"):
        load("fashion-mnist")
    monkeypatch.setenv("SIMILITUDE_DATA", str(tmp_path / "absent"))
    with pytest.raises(DataError, match=r"\$SIMILITUDE_DATA is '.*absent', which is no folder.*mkdir -p"):
        load("cifar-10")
    assert available(), "listing works all the same"


def test_missing_data_says_the_command_that_supplies_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("similitude.data.entries.DEBIAN_FASHION", tmp_path / "absent")
    with pytest.raises(DataError, match=r"not found.*or run: apt install dataset-fashion-mnist$"):
        load("fashion-mnist")
    with pytest.raises(DataError, match=r"export SIMILITUDE_DATA=~/data && .*cifar-100-python\.tar\.gz"):
        load("cifar-100")
    monkeypatch.setattr("similitude.data.photos.find_spec", lambda _name: None)
    with pytest.raises(DataError, match=r"Run: pip install 'similitude\[photos\]'"):
        load("photos")


@pytest.mark.parametrize("name", sorted(n for n, e in ENTRIES.items() if e.is_format))
def test_formats_need_a_path(name: str):
    with pytest.raises(DataError, match=rf"load\('{name}'\) needs a path.*load\('{name}', path="):
        load(name)


def test_wrong_calls_say_what_to_do(tmp_path: Path):
    with pytest.raises(DataError, match=r"'cifar10' is not a data set.*Did you mean 'cifar-10'\?"):
        load("cifar10")
    with pytest.raises(DataError, match="'digits' is read from an installed package and takes no path"):
        load("digits", path=tmp_path)
    with pytest.raises(DataError, match="size= resizes the images of 'image-folder' alone"):
        load("digits", size=16)


@pytest.mark.parametrize("name", sorted(n for n, e in ENTRIES.items() if e.read is not None))
def test_every_reader_names_a_path_that_is_not_there(name: str, tmp_path: Path):
    with pytest.raises(DataError, match=r"absent.*no such"):
        load(name, path=tmp_path / "absent")


def test_listing_covers_every_name_as_plain_data():
    listed = available()
    assert [item.name for item in listed] == list(ENTRIES)
    assert json.loads(json.dumps([item.to_dict() for item in listed]))
    by_name = {item.name: item for item in listed}
    assert by_name["digits"].found
    assert by_name["text"].found
    assert by_name["npz"].needs_path
    assert all(item.size and item.licence and item.get for item in listed)


def test_importing_and_listing_load_nothing_heavy():
    code = (
        "import sys, similitude.data as d; d.available(); "
        "print([m for m in ('torch', 'sklearn', 'skimage', 'PIL', 'rich', 'scipy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_sets_describe_themselves():
    from rich.console import Console

    console = Console(width=200, color_system=None)
    for name, kind in (("digits", ImageSet), ("text", TextSet)):
        data = load(name)
        assert isinstance(data, kind)
        summary = json.loads(json.dumps(data.to_dict()))
        assert summary["name"] == name
        assert summary["train"] > summary["test"] > 0
        assert str(data).startswith(f"{name}: {summary['train']:,} + {summary['test']:,} ")
        assert len(repr(data)) < 500
        with console.capture() as printed:
            console.print(data)
        assert printed.get().strip() == str(data)


def test_what_is_neither_images_nor_text_names_its_reader():
    with pytest.raises(
        DataError, match=r"'clues' is neither.*read_clues\(PATH\); to get it, run: similitude data get"
    ):
        load("clues")
