"""Text: plain files, folders and patterns, WikiText, text8 and enwik8, and what is not text."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from similitude.core.errors import DataError
from similitude.data import TextSet, load
from similitude.data.text import read_text, read_text8


@given(text=st.text(alphabet=st.characters(codec="utf-8"), min_size=1), bom=st.booleans())
def test_text_is_read_exactly(tmp_path_factory: pytest.TempPathFactory, text: str, bom: bool):
    file = tmp_path_factory.mktemp("text") / "a.txt"
    file.write_bytes(text.encode("utf-8-sig" if bom or text[0] == "\ufeff" else "utf-8"))
    assert read_text(file) == text


@given(blob=st.binary(min_size=1, max_size=40))
def test_any_bytes_give_text_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, blob: bytes):
    file = tmp_path_factory.mktemp("bytes") / "any.txt"
    file.write_bytes(blob)
    try:
        blob.decode()
    except UnicodeDecodeError:
        with pytest.raises(DataError, match=r"any\.txt"):
            read_text(file)
    else:
        if not blob.startswith(b"PK\x03\x04"):
            assert read_text(file).encode() == blob.removeprefix(b"\xef\xbb\xbf")


def test_the_last_tenth_is_held_out(tmp_path: Path):
    (tmp_path / "a.txt").write_text("0123456789" * 10 + "abc")
    data = load("text-file", path=tmp_path / "a.txt")
    assert (len(data.train), len(data.test)) == (93, 10)
    assert data.train + data.test == "0123456789" * 10 + "abc"


def test_folders_and_patterns_join_files_by_name(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    for name, text in {"b.txt": "second", "a.txt": "first\r\n", "deep/c.txt": "third", "d.md": "no"}.items():
        (tmp_path / name).write_bytes(text.encode())
    whole = load("text-file", path=tmp_path)
    assert whole.train + whole.test == "first\r\n\n\nsecond\n\nthird"
    flat = load("text-file", path=str(tmp_path / "*.txt"))
    assert flat.train + flat.test == "first\r\n\n\nsecond"
    with pytest.raises(DataError, match=r"0 files with the ending \.txt match"):
        load("text-file", path=tmp_path / "*.rst")


def test_not_text(tmp_path: Path):
    file = tmp_path / "file.txt"
    file.write_bytes(b"caf\xe9 au lait")
    with pytest.raises(DataError, match=r"byte 0xe9 at position 3 is not UTF-8.*iconv -f LATIN1"):
        load("text-file", path=file)
    file.write_bytes(gzip.compress(b"text"))
    with pytest.raises(DataError, match=r"is a compressed file.*Run: gunzip -k"):
        load("text-file", path=file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("text8", "abc")
    with pytest.raises(DataError, match=r"is a compressed file.*Run: unzip"):
        load("text8", path=file)
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"is empty \(0 bytes\)"):
        load("text-file", path=file)
    file.write_text("short")
    with pytest.raises(DataError, match="the test split has 0 characters"):
        load("text-file", path=file)
    with pytest.raises(DataError, match="is a device or pipe"):
        load("text-file", path="/dev/zero")


@pytest.mark.parametrize("pattern", ["wiki.{}.raw", "wiki.{}.tokens", "{}.txt"])
@pytest.mark.parametrize("below", ["", "wikitext-2-raw"])
def test_wikitext_keeps_blank_lines_and_headings(tmp_path: Path, pattern: str, below: str):
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    text = " \n = Valkyria Chronicles III = \n \n Senjō no Valkyria 3 : <unk> Chronicles \n"
    (folder / pattern.format("train")).write_text(text)
    (folder / pattern.format("test")).write_text(" \n = Robert = \n")
    data = load("wikitext-2", path=tmp_path)
    assert data.train == text
    assert data.test == " \n = Robert = \n"
    assert data.source == str(folder)


def test_wikitext_without_its_files(tmp_path: Path):
    with pytest.raises(DataError, match=r"has none of the pairs wiki\.train\.raw \+ wiki\.test\.raw"):
        load("wikitext-103", path=tmp_path)
    (tmp_path / "wiki.train.raw").write_text("text")
    with pytest.raises(DataError, match="is a file; the folder with wiki"):
        load("wikitext-103", path=tmp_path / "wiki.train.raw")


def test_text8_has_letters_and_spaces_alone(tmp_path: Path):
    (tmp_path / "text8").write_text(" anarchism originated as a term of abuse")
    data = load("text8", path=tmp_path)
    assert data.test == "buse"
    (tmp_path / "text8").write_text("Anarchism, 1911")
    with pytest.raises(DataError, match="holds 4 bytes that text8 has not, such as 0x2c"):
        load("text8", path=tmp_path)


def test_enwik8_may_end_within_a_character(tmp_path: Path):
    file = tmp_path / "enwik8"
    file.write_bytes("<mediawiki> é é é".encode()[:-1])
    data = read_text8(file, "enwik8")
    assert data.train + data.test == "<mediawiki> é é "
    file.write_bytes(b"<mediawiki> \xe9\xe9 ")
    with pytest.raises(DataError, match="byte 0xe9 at position 12 is not UTF-8"):
        load("enwik8", path=file)


def test_the_shipped_text():
    data = load("text")
    assert isinstance(data, TextSet)
    assert data.train.startswith("CHAPTER 1. Loomings.\n\nCall me Ishmael.")
    assert len((data.train + data.test).encode()) == 1_204_997
    assert len(data.test) == pytest.approx(len(data.train) / 9, rel=1e-4)
    assert "public domain" in data.licence
    assert (Path(data.source).parent / "README.md").read_text().count("Creative Commons Zero") == 1
