"""The width study end to end at a tiny size: what it runs, keeps, resumes and refuses, and its tables and page."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from similitude.core.errors import EvaluationError
from similitude.data.sets import TextSet
from similitude.evaluation.page import render_suite_page
from similitude.evaluation.rowfile import RowFile, read_rows
from similitude.fewshot.learners.constant import Constant
from similitude.fewshot.protocol import run
from similitude.fewshot.reading import Clues, read_clues
from similitude.fewshot.widths import stages
from similitude.fewshot.widths.jobs import folds_of, recipe_of
from similitude.fewshot.widths.page import render_widths_page
from similitude.fewshot.widths.records import TRANSFERRED
from similitude.fewshot.widths.study import width_study
from similitude.fewshot.widths.table import widths_table
from similitude.runs.engine import InProcess
from tests.fewshot.clues_writer import clues_rows, write_clues
from tests.fewshot.widths.tiny_study import TINY, tiny_text


@pytest.fixture(scope="module")
def clues(tmp_path_factory: pytest.TempPathFactory) -> Clues:
    return read_clues(write_clues(tmp_path_factory.mktemp("clues"), clues_rows()))


@pytest.fixture(scope="module")
def done(clues: Clues, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A study that was killed after a few runs, and went on; and its folder."""
    out = tmp_path_factory.mktemp("study")
    seen: list[str] = []

    def kill(what: str, done: int, total: int) -> None:
        seen.append(what)
        if len(seen) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        width_study(clues, TINY, text=tiny_text(), out=out, on_done=kill)
    study = width_study(clues, TINY, text=tiny_text(), out=out)
    return SimpleNamespace(study=study, out=out)


def test_a_killed_study_goes_on(done: SimpleNamespace, clues: Clues) -> None:
    # 3 rates + 2 wider; 3 sizes x 3 rates x 2 splits; tests: 2 + 2 x 4 at own and transferred rates, 2 x 2 x 2 of gamma
    assert done.study.found == 12
    assert done.study.found + done.study.ran == 5 + 18 + 10 + 8
    again = width_study(clues, TINY, text=tiny_text(), out=done.out)
    assert again.ran == 0
    first, second = done.study.to_dict(), again.to_dict()
    for changing in ("found", "ran", "seconds"):
        first[changing] = second[changing]
    assert json.dumps(first) == json.dumps(second)


def test_both_rules_share_the_base_and_have_a_shift_with_its_interval(done: SimpleNamespace) -> None:
    (study,) = done.study.transfers.values()
    mup, sp = study.transfers["mup"], study.transfers["sp"]
    assert mup.curves[0] == sp.curves[0]
    assert mup.curves[1] != sp.curves[1]
    for one in (mup, sp):
        assert one.shift_interval is not None
        assert one.shift_interval[0] <= one.shift <= one.shift_interval[1]
        slope = math.log2(one.optima[1].lr / one.optima[0].lr)
        assert one.shift == pytest.approx(slope)  # one doubling


def test_the_rates_that_are_scored_are_those_of_the_held_out_losses(done: SimpleNamespace) -> None:
    one = done.study.transfers["sst-2"].transfers["sp"]
    at = {(q.subject, q.rule, q.width): q.lr for q in done.study.qualities}
    assert at[TRANSFERRED, "sp", 32] == pytest.approx(one.optima[0].lr, rel=1e-8)
    assert at["encoder at its own best rate", "sp", 32] == pytest.approx(one.optima[1].lr, rel=1e-8)
    assert {lr for (subject, *_), lr in at.items() if "gamma" in subject} == {at[TRANSFERRED, "base", 16]}


def test_scores_stand_beside_the_constant(done: SimpleNamespace, clues: Clues) -> None:
    floor = [row.score for row in run(clues, Constant(), tasks=["sst-2"], shots=[10], splits=[1, 2]).rows]
    for q in done.study.qualities:
        scores = [row.score for row in done.study.rows if (row.subject, row.rule) == (q.subject, q.rule)]
        assert q.fair.value == pytest.approx(np.mean(scores))
        assert q.above_constant.value == pytest.approx(np.mean(scores) - np.mean(floor))
    width = next(gain for gain in done.study.gains if gain.question == "width" and gain.where == "mup")
    fair = {(q.subject, q.rule): q.fair.value for q in done.study.qualities}
    assert width.fair.value == pytest.approx(fair[TRANSFERRED, "mup"] - fair[TRANSFERRED, "base"])


def test_the_rows_are_read_by_suite_reports(done: SimpleNamespace) -> None:
    rows = read_rows([done.out])
    assert {(row.width, row.rule, row.depth) for row in rows if row.subject == TRANSFERRED} == {
        (16, "base", 1),
        (32, "mup", 1),
        (32, "sp", 1),
    }
    page = render_suite_page(rows)
    assert "encoder at the transferred rate, mup, width 32" in page
    assert "constant" in page


def test_tables_and_page_say_what_was_found(done: SimpleNamespace) -> None:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(widths_table(done.study))
    text, page = console.export_text(), render_widths_page(done.study)
    for shown in (text, page):
        assert "octaves per doubling" in shown
        assert "hard to beat" in shown
        assert "gamma 4" in shown
        assert f"{6 * 4 * 24:,} tokens" in shown
    assert page.count("<svg") >= 3
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_more_splits_are_added_and_other_settings_refused(done: SimpleNamespace, clues: Clues) -> None:
    with pytest.raises(EvaluationError, match="steps 4, now 5"):
        width_study(clues, replace(TINY, steps=5), text=tiny_text(), out=done.out)
    wider = replace(TINY, rules=("sp",), splits=(1, 2, 3), gammas=())
    study = width_study(clues, wider, text=tiny_text(), out=done.out)
    assert study.found >= 5 + 12  # its pretraining and the losses of both splits
    assert {row.params["split"] for row in study.rows} == {1, 2, 3}


def test_weights_that_are_cut_are_named(done: SimpleNamespace, clues: Clues, tmp_path: Path) -> None:
    made = width_study(clues, replace(TINY, splits=(1, 2), gammas=()), text=tiny_text(), out=done.out)
    for name in ("study.json", "tokenizer.json", "pretraining.jsonl"):
        (tmp_path / name).write_bytes((done.out / name).read_bytes())
    (tmp_path / "encoders").mkdir()
    for file in (done.out / "encoders").iterdir():
        (tmp_path / "encoders" / file.name).write_bytes(file.read_bytes()[:50])
    with pytest.raises(Exception, match="no weights of an encoder"):
        width_study(clues, made.settings, text=tiny_text(), out=tmp_path)


@pytest.mark.parametrize("lost", ["tokenizer.json", "study.json"])
def test_encoders_without_their_tokenizer_or_settings_are_refused(
    done: SimpleNamespace, clues: Clues, tmp_path: Path, lost: str
) -> None:
    """A tokenizer that is trained again numbers tokens otherwise, and no score would tell."""
    shutil.copytree(done.out, tmp_path / "study")
    (tmp_path / "study" / lost).unlink()
    with pytest.raises(EvaluationError, match=f"lacks {lost}"):
        width_study(clues, TINY, text=tiny_text(), out=tmp_path / "study")
    assert not (tmp_path / "study" / lost).exists()


def test_a_text_that_is_too_short_leaves_the_folder_free(clues: Clues, tmp_path: Path) -> None:
    short = TextSet.from_text("short", "the lantern " * 4, source="tests", licence="none")
    with pytest.raises(EvaluationError, match="Give a longer text"):
        width_study(clues, TINY, text=short, out=tmp_path)
    made = stages.Stages(TINY, clues, tiny_text(), tmp_path, None, lambda *_: None)  # type: ignore[arg-type]
    assert (tmp_path / "tokenizer.json").read_text() == made.tokenizer.to_str()


def test_plans_leave_nothing_in_the_forward_pass(clues: Clues, tmp_path: Path) -> None:
    """Weights that were pretrained under one plan are fine-tuned under another, which a hook would break."""
    made = stages.Stages(TINY, clues, tiny_text(), tmp_path, None, lambda *_: None)  # type: ignore[arg-type]
    for gamma in (1.0, 4.0):
        plan = made.plan("sst-2", 10, 1, stages.Pretraining("mup", 32, 0.1), gamma)
        assert plan is not None
        assert not plan.hooks
        assert not plan.refused
        changed = [row.name for row in plan.rows if row.init != 1 and row.role != "hidden"]
        assert set(changed) <= {"readout.weight", "readout.bias"}  # both start at zero


def test_folds_keep_the_questions_on_one_text_together(clues: Clues) -> None:
    rows = clues.train("conll", 10, 1)
    first, second = folds_of(rows, 2, 0)
    assert len(first) + len(second) == len(rows)
    assert not set(first) & set(second)
    texts = [{row.query.context for row in part} for part in (first, second)]
    assert not texts[0] & texts[1]
    assert abs(len(texts[0]) - len(texts[1])) <= 1


def test_more_folds_than_texts_leave_one_out(clues: Clues) -> None:
    rows = clues.train("conll", 10, 1)
    texts = {row.query.context for row in rows}
    parts = folds_of(rows, 1000, 0)
    assert [len({row.query.context for row in part}) for part in parts] == [1] * len(texts)
    assert sorted(row.query.id for part in parts for row in part) == sorted(row.query.id for row in rows)


@pytest.mark.parametrize("examples", [5, 10, 15, 30, 45, 90])
def test_every_number_of_examples_gets_as_many_steps(examples: int) -> None:
    recipe = recipe_of(TINY, examples, 0.1, None)
    per_epoch = -(-examples // recipe.batch_size)
    assert TINY.steps <= recipe.epochs * per_epoch < TINY.steps + per_epoch


def test_the_global_generator_is_left_alone(done: SimpleNamespace, clues: Clues) -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    width_study(clues, TINY, text=tiny_text(), out=done.out)
    assert torch.equal(state, torch.get_rng_state())


def test_the_rate_is_chosen_without_the_test(
    clues: Clues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stages.Stages(TINY, clues, tiny_text(), tmp_path, InProcess(), lambda *_: None)
    made.pretrain()

    def closed(*_: object) -> None:
        raise AssertionError("the test was looked at")

    monkeypatch.setattr(Clues, "test", closed)
    (study,) = made.sweep().values()
    assert np.isfinite([curve.losses for one in study.transfers.values() for curve in one.curves]).all()
    with pytest.raises(Exception, match="the test was looked at"):
        made.score({"sst-2": study})


def test_a_diverged_encoder_is_a_verdict_and_has_no_scores(
    done: SimpleNamespace, clues: Clues, tmp_path: Path
) -> None:
    for name in ("study.json", "tokenizer.json", "losses.jsonl", "rows.jsonl"):
        (tmp_path / name).write_bytes((done.out / name).read_bytes())
    shutil.copytree(done.out / "encoders", tmp_path / "encoders")
    file = RowFile(tmp_path / "pretraining.jsonl")
    for row in RowFile(done.out / "pretraining.jsonl").read():
        lost = row.rule == "sp"
        file.add(replace(row, score=math.nan, error="the loss is not finite") if lost else row)
    study = width_study(clues, TINY, text=tiny_text(), out=tmp_path)
    found = study.transfers["sst-2"].transfers
    assert str(found["sp"].verdict.outcome) == "diverged"
    assert str(found["mup"].verdict.outcome) != "diverged"
    assert not any(row.rule == "sp" for row in study.rows)
    assert '<td class="num">diverged</td>' in render_widths_page(study)
