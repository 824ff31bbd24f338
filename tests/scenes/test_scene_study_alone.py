"""Two runs in one folder draw nothing twice, and pictures that were removed are made again from their frames."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from similitude.core.errors import StudyError
from similitude.scenes.study import alone as module
from similitude.scenes.study.alone import alone
from similitude.scenes.study.running import run_study
from tests.scenes.study_parts import Flat, study

STARTED, GO = threading.Event(), threading.Event()


@dataclass(frozen=True)
class Waiting(Flat):
    """Waits in its first picture."""

    def draw(self, stage, *, resolution, samples=None):
        STARTED.set()
        assert GO.wait(20)
        return super().draw(stage, resolution=resolution, samples=samples)


@pytest.mark.parametrize("counts", [(8, 8), (8, 12), (12, 8)])
def test_a_run_waits_for_another_one_in_its_folder_says_so_and_draws_nothing_twice(tmp_path, models, counts):
    STARTED.clear()
    GO.clear()
    renderer, said = Waiting(str(tmp_path)), []

    def note(text):
        said.append(text)
        GO.set()

    def go(count):
        return run_study(study(models, count=count), tmp_path / "out", renderer=renderer, on_note=note)

    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(go, counts[0])
        assert STARTED.wait(20)
        other = go(counts[1])
        assert len(one.result(20).rows) == counts[0]
    assert (other.found, len(other.rows)) == (min(counts), counts[1])
    assert renderer.drawn == max(counts)
    (text,) = said
    assert "another run is at work in this folder" in text


def test_a_folder_that_nobody_is_at_work_in_is_taken_without_a_word_and_given_back(tmp_path):
    said = []
    for _ in range(2):
        with alone(tmp_path / "new", lambda: said.append(1)):
            assert (tmp_path / "new").is_dir()
    with pytest.raises(RuntimeError), alone(tmp_path, lambda: said.append(1)):
        raise RuntimeError
    with alone(tmp_path, lambda: said.append(1)):
        assert said == []


def test_where_there_are_no_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fcntl", None)
    with alone(tmp_path, pytest.fail), alone(tmp_path, pytest.fail):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="file"), alone(tmp_path / "file" / "out", pytest.fail):
        pass


def test_pictures_that_were_removed_are_made_again_from_their_frames_and_no_model_is_asked(tmp_path, models):
    flat = Flat(str(tmp_path))

    def go(count=8, model="turned"):
        return run_study(study(models, count=count, model=model), tmp_path / "out", renderer=flat)

    first = go()
    pictures = {row.key: first.picture(row) for row in first.rows}
    held = {key: place.read_bytes() for key, place in pictures.items()}
    written = (tmp_path / "out" / "rows.jsonl").read_bytes()
    for place in set(pictures.values()):
        place.unlink()
    again = go()
    assert (again.found, again.rows, flat.drawn) == (8, first.rows, 8)
    assert {row.key: again.picture(row).read_bytes() for row in again.rows} == held
    assert (tmp_path / "out" / "rows.jsonl").read_bytes() == written
    assert go().found == 8
    pictures[first.rows[3].key].unlink()
    more = go(count=12)
    assert (more.found, len(more.rows), flat.drawn) == (8, 12, 12)
    assert all(more.picture(row) for row in more.rows)


def test_pictures_that_were_removed_with_their_frames_stay_away(tmp_path, models):
    flat = Flat(str(tmp_path))
    run_study(study(models), tmp_path / "out", renderer=flat)
    for folder in ("frames", "pictures"):
        for place in (tmp_path / "out" / folder).iterdir():
            place.unlink()
    assert run_study(study(models), tmp_path / "out", renderer=flat).found == 8
    assert flat.drawn == 8
