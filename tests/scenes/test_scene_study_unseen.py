"""Scenes whose picture shows nothing of the object: neither right nor wrong, and counted by name."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.evaluation.page import suite_results
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.everything import findings
from similitude.scenes.analysis.factors import counted, judged, unseen
from similitude.scenes.dashboard.page import render_dashboard
from similitude.scenes.dashboard.table import COLUMNS, page_table
from similitude.scenes.dashboard.thumbnails import thumbnails
from similitude.scenes.search.distinct import distinct_failures
from similitude.scenes.study.records import read_log, read_run
from similitude.scenes.study.running import loss_of, run_study
from similitude.scenes.study.summary import row_record, summarise, summary_record
from tests.scenes.study_parts import Flat, models_in, study

NOTHING = 5.0  # rotation about x at which the flat renderer shows nothing of the object


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    settings = study(models_in(tmp_path), count=16, turns=[0.0, NOTHING])
    return run_study(settings, tmp_path / "out", renderer=Flat(str(tmp_path)))


def is_unseen(row: Row) -> bool:
    return row.params["orientation.rotation_x"] == NOTHING


def test_rows_say_what_is_seen_and_nothing_is_neither_right_nor_wrong(run):
    assert 0 < sum(map(is_unseen, run.rows)) < 16
    assert not run.failures
    for row in run.rows:
        record = row_record(run, row)
        assert {"object", "controls", "prediction", "correct", "loss", "seconds", "visible"} <= set(record)
        assert record["visible"] == (0 if is_unseen(row) else 16 / 64)
        assert (record["correct"] is None) is (row.success is None) is unseen(row) is is_unseen(row)
        assert np.isnan(loss_of(row)) == is_unseen(row)  # a search does not look for the empty picture
    for entry, row in zip(read_log(run.folder), run.rows, strict=True):
        assert entry["is_correct"] is row.success


def test_shares_and_means_are_of_the_others_and_the_number_is_said(run):
    seen = [row for row in run.rows if not is_unseen(row)]
    share, loss = np.mean([row.score for row in seen]), np.mean([row.metrics["loss"] for row in seen])
    (one,) = summarise(run)
    assert (one.scenes, one.unseen, one.failures) == (len(seen), 16 - len(seen), 0)
    assert one.standing is not None
    assert one.standing.loss is not None
    assert (one.standing.accuracy.value, one.standing.loss.value) == (share, pytest.approx(loss))
    assert one.metrics["visible"] == 16 / 64
    assert summary_record([one])["turned"]["objects"]["ball"]["unseen"] == 16 - len(seen)
    found = findings(run.rows, run.names)
    assert (found.scenes, found.unseen, found.to_dict()["unseen"]) == (len(seen), *[16 - len(seen)] * 2)
    assert all(row in seen for row in found.worst)
    (page,) = suite_results(run.rows)
    (line,) = page.tables[0].lines
    assert line.tasks["ball"].value == share
    wrong = [row for row, _ in distinct_failures(run.settings, run.rows)]
    assert wrong
    assert not any(map(is_unseen, wrong))


def test_the_dashboard_counts_them_in_nothing(run):
    data = page_table(run.rows, run.prediction, thumbnails(run.rows, run.picture))
    for row, line in zip(run.rows, data["rows"], strict=True):
        told = dict(zip(COLUMNS, line, strict=True))
        assert told["visible"] == (0 if is_unseen(row) else 0.25)
        assert (told["right"] is None) is (told["score"] is None) is (told["loss"] is None) is is_unseen(row)
        assert told["image"] is not None
    count = sum(map(is_unseen, run.rows))
    assert f"{count} scenes show nothing of the object, and count in nothing." in render_dashboard(run)


def test_rows_of_old_folders_count_as_they_did_or_as_their_pictures_say(run):
    """A row without the key has no such scenes; one that was stored as wrong with nothing seen is not wrong any more."""
    place = run.folder / "rows.jsonl"
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    for line in lines:
        line["success"] = line["score"] == 1.0  # as it was stored before
    place.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    again = read_run(run.folder)
    (one,) = summarise(again)
    assert one.unseen == sum(map(is_unseen, run.rows))
    assert [row_record(again, row)["correct"] for row in again.rows] == [row.success for row in run.rows]
    for line in lines:
        del line["metrics"]["visible"]
    place.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    old = read_run(run.folder)
    (one,) = summarise(old)
    assert (one.scenes, one.unseen) == (16, 0)
    assert {row_record(old, row)["visible"] for row in old.rows} == {None}


def test_where_nothing_is_seen_in_any_scene_this_is_said(run):
    rows = [row for row in run.rows if is_unseen(row)]
    assert counted(rows) == []
    with pytest.raises(SceneError, match="no scene shows anything of its object"):
        judged(rows)
    (one,) = summarise(replace(run, rows=tuple(rows)))
    assert one.standing is None
    assert "no scene shows anything" in render_dashboard(replace(run, rows=tuple(rows)))


@pytest.mark.parametrize("kind", ["adversarial", "optuna", "carbs"])
def test_searches_go_on_where_nothing_is_seen(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    policy = {"kind": kind, "count": 12, "batch": 4}
    settings = study(models_in(tmp_path), policy=policy, turns=[0.0, NOTHING])
    run = run_study(settings, renderer=Flat(str(tmp_path)))
    assert len(run.rows) == 12
    assert not run.failures
    (one,) = summarise(run)
    assert one.unseen == sum(map(is_unseen, run.rows)) < 12
    nowhere = replace(settings, controls={"orientation": {"rotation_x": NOTHING, "rotation_z": True}})
    assert summarise(run_study(nowhere, renderer=Flat(str(tmp_path))))[0].unseen == 12
