"""Getting CLUES from folders, zips and addresses: nothing is written elsewhere, or where anything is wrong."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from clues_writer import Rows, clues_rows, write_clues, zip_clues

from similitude.core.errors import DataError
from similitude.fewshot.getting import download, get_clues
from similitude.fewshot.reading import clues_files, read_clues


class Answers(BaseHTTPRequestHandler):
    """Serves the bytes it was made with, and redirects to other places."""

    def __init__(self, data: bytes, *arguments: object) -> None:
        self.data = data
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path == "/zip":
            self.reply(200, self.data)
        elif self.path == "/moved":
            self.reply(302, b"", Location="/zip")
        elif self.path == "/to-file":
            self.reply(302, b"", Location="file:///etc/hostname")
        elif self.path == "/cut":
            self.reply(200, self.data[:1000], length=len(self.data))
        elif self.path == "/page":
            self.reply(200, b"<html>not a zip</html>")
        else:
            self.reply(404, b"")

    def reply(self, code: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(length or len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def rows() -> Rows:
    return clues_rows()


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Path:
    return zip_clues(tmp_path_factory.mktemp("zip") / "clues.zip", rows)


@pytest.fixture(scope="module")
def server(zipped: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, zipped.read_bytes())) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def written(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_a_zip_becomes_a_folder_with_the_same_files_and_no_others(zipped: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as more, zipfile.ZipFile(zipped) as archive:
        for name in archive.namelist():
            more.writestr(name, archive.read(name))
        more.writestr("CLUES-JSON/run_me.sh", "#!/bin/sh\ntouch /tmp/executed\n")
    found = get_clues(tmp_path / "more.zip", tmp_path / "data")
    assert written(tmp_path / "data") == {f"CLUES-JSON/{name}" for name in clues_files()}
    assert found.digest == read_clues(zipped).digest
    assert found.source == str(tmp_path / "data" / "CLUES-JSON")
    assert "96 of 96 files differ from the published ones" in found.notes[0]


def test_again_is_no_work_and_other_files_are_not_overwritten(zipped: Path, rows: Rows, tmp_path: Path):
    first = get_clues(zipped, tmp_path)
    stamp = (tmp_path / "CLUES-JSON").stat().st_mtime_ns
    assert get_clues(tmp_path / "CLUES-JSON", tmp_path).digest == first.digest
    assert (tmp_path / "CLUES-JSON").stat().st_mtime_ns == stamp
    other = write_clues(tmp_path / "other", clues_rows(seed=1))
    with pytest.raises(DataError, match="is there already, and 96 of 96 files are others"):
        get_clues(other, tmp_path)
    assert read_clues(tmp_path / "CLUES-JSON").digest == first.digest
    assert not list(tmp_path.glob(".clues-*"))


def test_what_is_wrong_leaves_nothing(zipped: Path, tmp_path: Path):
    with zipfile.ZipFile(zipped) as archive, zipfile.ZipFile(tmp_path / "evil.zip", "w") as evil:
        for name in archive.namelist():
            evil.writestr(name, archive.read(name))
        evil.writestr("../../evil.txt", "x")
    with pytest.raises(DataError, match="leads out of its folder"):
        get_clues(tmp_path / "evil.zip", tmp_path / "a" / "data")
    assert written(tmp_path) == {"evil.zip"}
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be read"):
        get_clues(zipped, tmp_path / "file")
    with pytest.raises(DataError, match="no such file"):
        get_clues(tmp_path / "nowhere.zip", tmp_path / "data")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "CLUES-JSON").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError):
        get_clues(zipped, tmp_path / "there")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("place", ["zip", "moved"])
def test_an_address_is_downloaded_and_checked(server: str, zipped: Path, tmp_path: Path, place: str):
    assert get_clues(f"{server}/{place}", tmp_path).digest == read_clues(zipped).digest
    assert [p.name for p in tmp_path.iterdir()] == ["CLUES-JSON"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nothing", "cannot be read .HTTP Error 404"),
        ("to-file", "cannot be read"),
        ("cut", "broke off after 1,000 of|cannot be read .IncompleteRead"),
        ("page", "/page: is neither a folder nor a zip"),
    ],
)
def test_bad_answers_of_an_address_are_named(server: str, tmp_path: Path, place, said):
    with pytest.raises(DataError, match=said) as error:
        get_clues(f"{server}/{place}", tmp_path)
    assert f"{server}/{place}" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_other_schemes_and_too_much_are_refused(server: str, zipped: Path, tmp_path: Path):
    for address in (f"file://{zipped}", "ftp://127.0.0.1/a.zip"):
        with pytest.raises(DataError, match="begin with https:// or http://"):
            get_clues(address, tmp_path)
    with pytest.raises(DataError, match="gives more than 999 bytes"):
        download(f"{server}/zip", largest=999)
    with pytest.raises(DataError, match="cannot be read"):
        download(f"file://{zipped}")
    with pytest.raises(DataError, match="cannot be read"):
        download("http://127.0.0.1:1/a.zip")
