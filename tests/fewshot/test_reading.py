"""Reading CLUES: folders and zips in the true format, every irregular form, and every way that files can be wrong."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from clues_writer import Rows, clues_rows, write_clues, zip_clues

from similitude.core.errors import DataError
from similitude.fewshot import archive
from similitude.fewshot.checksums import differing, published_checksums
from similitude.fewshot.examples import Example
from similitude.fewshot.reading import Clues, clues_files, load, read_clues
from similitude.fewshot.rows import parse_lines, to_example

REAL = Path(__file__).parents[3] / "shared" / "data" / "CLUES-JSON.zip"
SST, CONLL = "SST-2/sst_train_10_1.jsonl", "CoNLL2003/conll_test.jsonl"
SQUAD, RECORD = "SQuAD-v2/squad-v2_test.jsonl", "ReCoRD/record_test.jsonl"
MNLI = "MNLI/mnli_test.jsonl"


@pytest.fixture(scope="module")
def rows() -> Rows:
    return clues_rows()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Path:
    return write_clues(tmp_path_factory.mktemp("clues"), rows)


@pytest.fixture(scope="module")
def clues(folder: Path) -> Clues:
    return read_clues(folder)


@pytest.fixture
def broken(tmp_path: Path, folder: Path) -> Callable[[str, bytes | None], Path]:
    """Return a copy of the data in which one file has other bytes, or is gone."""

    def make(name: str, data: bytes | None) -> Path:
        top = tmp_path / "CLUES-JSON"
        for file in folder.rglob("*.jsonl"):
            copy = top / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        if data is None:
            (top / name).unlink()
        else:
            (top / name).write_bytes(data)
        return top

    return make


def read_file(name: str, data: bytes) -> list[Example]:
    """Read one file as `read_clues` does."""
    lines = enumerate(parse_lines(data, name), 1)
    return [to_example(row, clues_files()[name][0], f"{name}, line {n}") for n, row in lines]


def changed(folder: Path, name: str, line: int, **fields: object) -> bytes:
    """Return a file's bytes with fields of one line replaced, or removed where the value is `...`."""
    lines = (folder / name).read_text().splitlines()
    row = {**json.loads(lines[line - 1]), **fields}
    lines[line - 1] = json.dumps({k: v for k, v in row.items() if v is not ...})
    return ("\n".join(lines) + "\n").encode()


def test_every_file_is_read_and_hashed(clues: Clues, folder: Path, rows: Rows):
    assert set(clues.files) == set(rows) == set(clues_files())
    assert len(clues.files) == 96
    for name, checksum in clues.files.items():
        assert checksum == hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert [e.id for e in clues.examples[name]] == [str(row["id"]) for row in rows[name]]
    assert [len(clues.train(t, 20, 4)) for t in ("sst-2", "conll", "record")] == [20, 60, 20]
    assert not clues.published
    assert "96 of 96 files differ" in clues.notes[0]


def test_zip_folder_and_nested_places_are_the_same(clues: Clues, folder: Path, rows: Rows, tmp_path: Path):
    outer = zip_clues(tmp_path / "a.zip", rows)
    inside = zip_clues(tmp_path / "b.zip", rows, prefix="")
    deep = zip_clues(tmp_path / "c.zip", rows, prefix="CLUES-main/data/JSON/CLUES-JSON/")
    for path in (folder.parent, outer, inside, deep):
        again = read_clues(path)
        assert again.digest == clues.digest
        assert again.examples == clues.examples


def test_the_digest_changes_with_one_byte(clues: Clues, folder: Path, broken):
    data = (folder / SST).read_bytes().replace(b"positive", b"negative", 1)
    other = read_clues(broken(SST, data))
    assert other.digest != clues.digest
    assert [n for n in clues.files if clues.files[n] != other.files[n]] == [SST]


def test_nothing_is_the_empty_set_however_it_is_written(folder: Path):
    nothing = read_file(CONLL, changed(folder, CONLL, 2, answer=[]))
    first, second = nothing[1], nothing[4]
    assert first.references == second.references == (frozenset(),)
    assert (first.listed, second.listed) == ((), ("",))


def test_answers_to_one_question_are_alternatives_and_spans_are_a_set(folder: Path):
    three = [{"text": t, "answer_start": 0} for t in ("The", "The h", "The")]
    squad = read_file(SQUAD, changed(folder, SQUAD, 2, answer=three))[1]
    assert squad.references == (frozenset({"The"}), frozenset({"The h"}))
    assert squad.listed == ("The", "The h", "The")
    spans = read_file(CONLL, changed(folder, CONLL, 2, answer=["b", "a"]))[1]
    assert spans.references == (frozenset({"a", "b"}),)


def test_entities_end_inclusively_and_count_mentions(clues: Clues, rows: Rows):
    for example, row in zip(clues.test("record"), rows[RECORD], strict=True):
        (answer,) = example.answer
        assert sorted(example.query.candidates.count(c) for c in set(example.query.candidates)) == [1, 2]
        assert example.query.candidates.count(answer) == 2
        assert all(c in row["context"] and c == c.strip() for c in example.query.candidates)


def test_ids_are_texts_and_pairs_have_two_texts(clues: Clues, rows: Rows):
    assert isinstance(rows[SST][0]["id"], int)
    assert clues.train("sst-2", 10, 1)[0].id == str(rows[SST][0]["id"])
    assert {len(e.query.context) for e in clues.test("mnli")} == {2}
    assert clues.test("mnli")[0].genre == "fiction"


@pytest.mark.parametrize(
    ("name", "line", "fields", "said"),
    [
        (SST, 3, {"answer": ...}, r"line 3: the field 'answer' is missing \(there are question, id, context\)"),
        (SST, 3, {"id": ...}, "line 3: the field 'id' is missing"),
        (SST, 3, {"id": True}, "'id' is True, but str or int"),
        (SST, 3, {"id": None}, "'id' is None"),
        (SST, 2, {"answer": "positive"}, "'answer' is 'positive', but list is expected"),
        (SST, 2, {"answer": ["great"]}, "exactly one of negative, positive"),
        (SST, 2, {"answer": ["positive", "negative"]}, "exactly one of negative, positive"),
        (SST, 2, {"answer": []}, "exactly one of negative, positive"),
        (SST, 2, {"context": ["a", "b"]}, "'context' is .* but str is expected"),
        (SST, 2, {"question": None}, "'question' is None"),
        (MNLI, 7, {"context": "a"}, "'context' is 'a', but list"),
        (MNLI, 7, {"context": ["a"]}, "a list of two texts"),
        (MNLI, 7, {"genre": 3}, "'genre' is 3"),
        (CONLL, 5, {"answer": [3]}, "'answer' holds 3"),
        (SQUAD, 2, {"answer": [{"text": "a"}]}, "in 'answer': the field 'answer_start' is missing"),
        (SQUAD, 2, {"is_impossible": "no"}, "'is_impossible' is 'no', but bool"),
        (RECORD, 9, {"entities": ...}, "the field 'entities' is missing"),
        (RECORD, 9, {"entities": [{"start": 0}]}, "in 'entities': the field 'end' is missing"),
        (RECORD, 9, {"entities": [{"start": 3, "end": 10**6}]}, "an entity runs from 3 to 1000000"),
        (RECORD, 9, {"entities": [{"start": -1, "end": 1}]}, "an entity runs from -1 to 1"),
        (RECORD, 9, {"entities": [[0, 1]]}, r"in 'entities': the field 'start' is missing .this is \[0, 1\]"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_file_and_line(folder: Path, name, line, fields, said):
    with pytest.raises(DataError, match=said) as error:
        read_file(name, changed(folder, name, line, **fields))
    assert str(error.value).startswith(f"{name}, line {line}")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a": 1}\nnot json\n', "line 2: is not JSON"),
        (b"[1, 2]\n", "line 1: is .*, but a JSON object"),
        (b"\n", "line 1: is not JSON"),
        (b'{"a": ' + b"[" * 100_000 + b"\n", "line 1: is not JSON .nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}\n", "line 1: is not JSON"),
        (b'{"a": "\\ud800"}\n', "line 1: a text holds half of a surrogate pair"),
        (b'{"a": 1}\n{"a": "caf\xe9"}\n', "line 2: byte 0xe9 is not UTF-8"),
        ('{"a": 1}\n'.encode("utf-16"), "line 1: byte 0xff is not UTF-8"),
        (b"\x00" * 40, "is not JSON"),
    ],
)
def test_broken_files_are_named_with_their_line(data, said):
    with pytest.raises(DataError, match=said) as error:
        read_file(SST, data)
    assert str(error.value).startswith(SST)


def test_faults_of_a_file_reach_the_reader_of_all(broken, folder: Path):
    second = json.loads((folder / SST).read_text().splitlines()[1])["id"]
    for data, said in (
        (b"", "is empty"),
        (changed(folder, SST, 3, answer=...), f"{SST}, line 3: the field 'answer' is missing"),
        (changed(folder, SST, 3, id=second), f"{SST}, lines 2 and 3: both have the id '{second}'"),
    ):
        with pytest.raises(DataError, match=said):
            read_clues(broken(SST, data))


def test_line_separators_within_texts_and_a_byte_order_mark_are_kept_apart_from_lines(folder: Path):
    lines = (folder / SST).read_text().splitlines()
    row = {**json.loads(lines[0]), "context": "one\u2028two\x85three"}
    lines[0] = json.dumps(row, ensure_ascii=False)
    data = b"\xef\xbb\xbf" + "\r\n".join(lines).encode()
    assert read_file(SST, data)[0].query.context == (row["context"],)


def test_wrong_numbers_of_rows_and_missing_files(broken, folder: Path, tmp_path: Path):
    lines = (folder / SST).read_bytes().splitlines(keepends=True)
    with pytest.raises(DataError, match="has 9 lines, but 10 are expected"):
        read_clues(broken(SST, b"".join(lines[:-1])))
    with pytest.raises(DataError, match=r"1 of 96 files are missing: SST-2/sst_train_10_1.jsonl"):
        read_clues(broken(SST, None))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds none of the 96 files"):
        read_clues(tmp_path / "empty")
    with pytest.raises(DataError, match="no such file"):
        read_clues(tmp_path / "nowhere")
    (tmp_path / "x.tar").write_bytes(b"ustar" * 300)
    with pytest.raises(DataError, match="neither a folder nor a zip"):
        read_clues(tmp_path / "x.tar")


def test_two_copies_are_ambiguous(tmp_path: Path, rows: Rows):
    write_clues(tmp_path / "one", rows)
    write_clues(tmp_path / "two", rows)
    with pytest.raises(DataError, match="2 folders hold 96 of the files wanted each"):
        read_clues(tmp_path)


def hostile(path: Path, rows: Rows, **member: object) -> Path:
    """Write good data and one more member."""
    zip_clues(path, rows)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(str(member["name"]))
        info.external_attr = int(member.get("mode", stat.S_IFREG | 0o644)) << 16  # type: ignore[call-overload]
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, bytes(member.get("data", b"x")))  # type: ignore[call-overload]
    return path


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"name": "../evil.jsonl"}, "leads out of its folder"),
        ({"name": "CLUES-JSON/../../evil"}, "leads out of its folder"),
        ({"name": "/etc/evil"}, "absolute path"),
        ({"name": "C:/evil"}, "absolute path"),
        ({"name": "..\\evil"}, "absolute path"),
        ({"name": "link", "mode": stat.S_IFLNK | 0o777, "data": b"/etc/passwd"}, "is a link"),
        ({"name": "pipe", "mode": stat.S_IFIFO | 0o777}, "is a link or a device"),
        ({"name": "bomb", "data": bytes(10**7)}, "more than 100 times"),
    ],
)
def test_hostile_zips_are_refused_and_write_nothing(tmp_path: Path, rows: Rows, member, said):
    (tmp_path / "in").mkdir()
    path = hostile(tmp_path / "in" / "a.zip", rows, **member)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=said):
        read_clues(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_too_many_too_large_twice_encrypted_and_damaged(tmp_path: Path, rows: Rows, monkeypatch):
    path = zip_clues(tmp_path / "a.zip", rows)
    with monkeypatch.context() as small:
        small.setattr(archive, "MOST_MEMBERS", 95)
        with pytest.raises(DataError, match="has 96 members, more than 95"):
            read_clues(path)
    with monkeypatch.context() as small:
        small.setattr(archive, "LARGEST_TOTAL", 300_000)
        with pytest.raises(DataError, match="above the 300,000 that are read"):
            read_clues(path)
        with pytest.raises(DataError, match="above the 300,000 that are read"):
            read_clues(write_clues(tmp_path, rows))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as more:
        more.writestr("CLUES-JSON/" + SST, "{}")
    with pytest.raises(DataError, match="is there twice"):
        read_clues(path)
    data = bytearray(zip_clues(tmp_path / "b.zip", rows).read_bytes())
    where = data.rindex(b"PK\x01\x02")
    data[where + 8] |= 1  # the flag of encryption in the central directory
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        read_clues(tmp_path / "b.zip")
    whole = zip_clues(tmp_path / "c.zip", rows).read_bytes()
    for cut in (10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "c.zip").write_bytes(whole[:cut])
        with pytest.raises(DataError):
            read_clues(tmp_path / "c.zip")


def test_a_member_that_lies_about_its_size_is_caught(tmp_path: Path, rows: Rows):
    data = bytearray(zip_clues(tmp_path / "a.zip", rows).read_bytes())
    where = data.index(b"PK\x01\x02")  # the first entry of the central directory
    size = struct.unpack_from("<I", data, where + 24)[0]
    for lie in (size - 40, size + 40):
        struct.pack_into("<I", data, where + 24, lie)
        (tmp_path / "a.zip").write_bytes(data)
        with pytest.raises(DataError, match=r"damaged|truncated"):
            read_clues(tmp_path / "a.zip")


def test_links_out_of_a_folder_are_refused(broken, folder: Path, tmp_path: Path):
    top = broken(SST, None)
    (tmp_path / "outside.jsonl").write_bytes((folder / SST).read_bytes())
    (top / SST).symlink_to(tmp_path / "outside.jsonl")
    with pytest.raises(DataError, match="is a link that leads out of"):
        read_clues(top)


def test_names_of_tasks_shots_and_splits(clues: Clues, folder: Path):
    assert load("mnli", 20, split=3, path=folder) == clues.train("mnli", 20, 3)
    assert load("mnli", path=folder) == clues.test("mnli")
    with pytest.raises(DataError, match=r"'MNLI' is not a task of CLUES. Use one of sst-2, mnli"):
        clues.test("MNLI")
    with pytest.raises(DataError, match="10, 20, 30 shots and splits 1 to 5"):
        clues.train("mnli", 15, 1)
    with pytest.raises(DataError, match="both its shots and its number"):
        load("mnli", 10, path=folder)


def test_the_table_of_checksums_is_of_all_files():
    table = published_checksums()
    assert set(table) == set(clues_files())
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in table.values())
    assert len(set(table.values())) == 96
    assert differing({**table, SST: "0" * 64}) == (SST,)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here; it is not part of the repository")
def test_all_real_files_load_and_are_those_published():
    real = read_clues(REAL)
    assert real.published
    assert real.notes == ()
    assert sum(map(len, real.examples.values())) == 2 * 210 + 2 * 600 + 2 * 200 + 5 * 60 * (4 + 2 * 3)
