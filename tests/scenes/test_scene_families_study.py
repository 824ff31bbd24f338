"""The study of widths on rendered scenes end to end at a tiny size: what it runs, keeps, resumes and says."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from similitude.core.errors import SceneError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.scenes.families.dataset import TEST, rendered_set
from similitude.scenes.families.factors import FACTORS
from similitude.scenes.families.forecasts import forecast
from similitude.scenes.families.learning import learned, learning_forecast
from similitude.scenes.families.page import render_family_page
from similitude.scenes.families.records import BEST, TRANSFERRED
from similitude.scenes.families.robustness import robustness
from similitude.scenes.families.study import experiment_of, family_study, runs_of
from similitude.scenes.families.table import family_table
from similitude.scenes.families.trained import Run, accuracy, last_features, make_network, trained
from similitude.studies.run import plan_all
from tests.scenes.family_parts import TINY


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A study that was killed while runs were tested, and went on; and its folder."""
    out = tmp_path_factory.mktemp("study")

    def kill(what: str, done: int, total: int) -> None:
        if what.startswith("sp, width 8, seed 0"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        family_study(TINY, out=out, on_done=kill)
    tested: list[str] = []
    study = family_study(TINY, out=out, on_done=lambda what, done, total: tested.append(what))
    pictures = rendered_set(TINY, out=out / "pictures")
    return SimpleNamespace(study=study, out=out, pictures=pictures, tested=tested)


def test_a_killed_study_goes_on(done: SimpleNamespace) -> None:
    study = done.study
    assert len(study.rows) == 2 + 2 * 2 * 2  # the base, then two rules at two rates, of two seeds each
    assert study.found == 5
    assert study.ran == 5
    assert len([what for what in done.tested if what.startswith(("mup", "sp, width 8, seed 1", "base"))]) == 4
    assert study.transfer.cells_found == len(TINY.lrs) * len(TINY.seeds) * 3


def test_a_resumed_study_says_what_an_uninterrupted_one_says(done: SimpleNamespace) -> None:
    fresh = []
    experiment = experiment_of(TINY, done.pictures)
    for run in runs_of(TINY, experiment, done.study.transfer):
        row = trained(TINY, done.pictures, run)
        fresh.append(replace(row, seconds=0.0).to_dict())
    assert fresh == [replace(row, seconds=0.0).to_dict() for row in done.study.rows]
    kept = RowFile(done.out / "runs.jsonl").read()
    assert {row.key for row in kept} == {row.key for row in done.study.rows}
    assert json.loads((done.out / "study.json").read_text())["ran"] == 5


def test_another_length_of_training_is_not_mixed_in(done: SimpleNamespace) -> None:
    run = Run("base", 4, 0, TRANSFERRED, 0.01)
    keys = {
        json.dumps(run.params(settings, done.pictures))
        for settings in (TINY, replace(TINY, steps=7), replace(TINY, checkpoints=2), replace(TINY, depth=3))
    }
    assert len(keys) == 4


@pytest.mark.parametrize("rule", ["mup", "sp"])
def test_a_tested_run_is_the_run_of_the_sweep(done: SimpleNamespace, rule: str) -> None:
    plans = plan_all(experiment_of(TINY, done.pictures))
    (curve,) = [one for one in done.study.transfer.transfers[rule].curves if one.size == 8]
    row = trained(TINY, done.pictures, Run(rule, 8, 1, BEST, TINY.lrs[1], plans[rule][8]))
    assert row.metrics["loss"] == pytest.approx(curve.losses[1][1], rel=1e-3)


def test_accuracies_and_features_are_those_of_the_network(done: SimpleNamespace) -> None:
    torch.manual_seed(0)
    model = make_network(3, 2, 4)
    inputs = torch.from_numpy(done.pictures.inputs(TEST))
    answers = torch.stack([model(one[None])[0] for one in inputs]).argmax(1)
    expected = float((answers.numpy() == [place % 3 for place in range(12)]).mean())
    assert accuracy(model, done.pictures, TEST) == pytest.approx(expected)
    with torch.no_grad():
        torch.testing.assert_close(model.head(last_features(model, inputs)), model(inputs))


def test_a_run_that_diverges_has_no_score(done: SimpleNamespace) -> None:
    row = trained(TINY, done.pictures, Run("base", 4, 0, TRANSFERRED, 1e30))
    assert row.failed
    assert row.error == "the loss is not finite"
    assert "of pose" not in row.metrics
    assert RowFile(done.out / "other.jsonl").read() == []
    assert Row.from_dict(row.to_dict()).failed
    assert robustness([row], TINY.shifts, subject="", rule="mup", width=4) == ()
    assert learned([row], (0, 6), subject="", rule="mup", width=4) == ()


def test_every_size_has_its_numbers(done: SimpleNamespace) -> None:
    study = done.study
    sizes = 2 * 2 * 2  # rates, rules, widths
    assert len(study.robustness) == sizes * len(TINY.shifts)
    assert len(study.learned) == sizes * len(FACTORS)
    assert len(study.forecasts) == 2 * 2 * 2
    data = json.loads(json.dumps(study.to_dict(), allow_nan=False))
    assert set(data["rules"]) == {"mup", "sp"}
    assert data["settings"]["objects"] == list(TINY.objects)
    first, second = (study.group(subject, "mup", 4) for subject in (TRANSFERRED, BEST))
    assert first == second == study.group(TRANSFERRED, "sp", 4) != ()


def test_the_table_has_every_rule_and_width(done: SimpleNamespace) -> None:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(family_table(done.study))
    text = console.export_text()
    for words in (
        "Does the learning rate transfer?",
        "occlusion",
        "background",
        "own best",
        "guessing: 0.333",
        "rank correlation",
    ):
        assert words in text


def test_the_page_shows_what_was_found(done: SimpleNamespace) -> None:
    page = render_family_page(done.study)
    assert page == render_family_page(done.study)
    (one,) = [
        one
        for one in done.study.robustness
        if (one.subject, one.rule, one.width, one.shift) == (BEST, "sp", 8, "light")
    ]
    assert f'<td>light</td><td class="num">{one.accuracy}</td>' in page
    for words in (
        "robustness against width",
        "width 4: what the features tell",
        "width 8: what the features tell",
    ):
        assert words in page
    assert page.count("<svg") >= 2 + 2 + 4  # rates; a rule each; two widths of two rules
    diverged = tuple(replace(row, score=math.nan, error="the loss is not finite") for row in done.study.rows)
    assert "Diverged: 10 of 10" in render_family_page(replace(done.study, rows=diverged))


def _row(seed: int, score: float, shifted: dict[str, float], halves: dict[str, int]) -> Row:
    """A run whose probes jump from 0 to 1 at given steps; those that are not named stay at 0."""
    metrics = {f"of {name}": value for name, value in shifted.items()}
    for factor in FACTORS:
        at = halves.get(factor, 99)
        metrics.update({f"{factor} at {step}": float(step >= at) for step in (0, 1, 3, 7)})
    return Row("scenes widths", "objects", TRANSFERRED, score, metrics=metrics, seed=seed)


def test_robustness_is_a_share_of_the_accuracy_in_distribution() -> None:
    rows = [_row(0, 0.8, {"pose": 0.4}, {}), _row(1, 0.5, {"pose": 0.5}, {}), _row(2, 0.0, {"pose": 0.1}, {})]
    (found,) = robustness(rows, ("pose",), subject=TRANSFERRED, rule="mup", width=8)
    assert found.ratio.value == pytest.approx(0.75)  # the third, which has nothing right, has no share
    assert found.accuracy.value == pytest.approx(0.65)
    assert found.ratio.count == 2
    assert found.to_dict()["shifted"]["value"] == pytest.approx(0.45)


def test_what_small_widths_tell_of_large_ones() -> None:
    shifts = ("pose", "texture", "light")
    small = [_row(seed, 0.5, {"pose": 0.1, "texture": 0.2, "light": 0.3 + 0.1 * seed}, {}) for seed in (0, 1)]
    large = [_row(seed, 1.0, {"pose": 0.3, "texture": 0.5, "light": 0.9}, {}) for seed in (0, 1)]
    found = forecast(small, large, shifts, subject=TRANSFERRED, rule="mup")
    assert found.rank_correlation == 1
    assert found.changes["pose"].value == pytest.approx(0.3 - 0.2)
    assert found.changes["light"].value == pytest.approx(0.9 - (0.6 + 0.8) / 2)


def test_the_order_of_learning() -> None:
    small = [_row(0, 0.5, {}, {"object": 7, "light": 3, "background": 0})]
    large = [_row(0, 0.5, {}, {"object": 3, "light": 1, "background": 0, "yaw": 7})]
    steps = (0, 1, 3, 7)
    halves = {one.factor: one.half for one in learned(large, steps, subject="", rule="mup", width=8)}
    assert halves["texture"] is None
    assert halves["background"] is not None
    assert halves["background"].value == 0
    assert halves["object"] is not None
    assert halves["object"].value == pytest.approx(2**1.5 - 1)  # half-way from 1 + 1 to 1 + 3 in log2
    found = learning_forecast(small, large, steps, subject="", rule="mup")
    assert found.rank_correlation == 1  # over the three that both learn
    assert set(found.changes) == {"object", "light", "background"}


def test_no_rate_at_the_base_is_said(done: SimpleNamespace) -> None:
    transfers = {
        rule: replace(one, transferred_lr=None) for rule, one in done.study.transfer.transfers.items()
    }
    broken = replace(done.study.transfer, transfers=transfers)
    with pytest.raises(SceneError, match=r"diverged at width 4\. Give lower ones"):
        runs_of(TINY, experiment_of(TINY, done.pictures), broken)
