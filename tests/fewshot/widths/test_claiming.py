"""A study's folder: what it is for is written once, by whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from similitude.core.errors import EvaluationError, SimilitudeError
from similitude.fewshot.widths.claiming import STUDY, claimed
from tests.fewshot.widths.tiny_study import tiny_text


def test_those_who_begin_at_once_have_one_tokenizer(tmp_path: Path) -> None:
    def begin(_: int) -> tuple[str, list[int]]:
        tokenizer, train, _test = claimed(tmp_path, {"seed": 0}, text=tiny_text(), vocabulary=200, least=8)
        return tokenizer.to_str(), train

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(begin, range(8)))
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("held", ["[]", "{", "null"])
def test_a_file_of_something_else_is_named(tmp_path: Path, held: str) -> None:
    (tmp_path / STUDY).write_text(held)
    with pytest.raises(EvaluationError, match=r"study\.json cannot be read"):
        claimed(tmp_path, {"seed": 0}, text=tiny_text(), vocabulary=200, least=8)
    assert (tmp_path / STUDY).read_text() == held


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SimilitudeError, match="file"):
        claimed(tmp_path / "file" / "out", {"seed": 0}, text=tiny_text(), vocabulary=200, least=8)
