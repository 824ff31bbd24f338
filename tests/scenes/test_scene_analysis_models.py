"""Two models, rules of failures, surfaces, and everything together: planted differences are found, noise is not."""

import inspect
import json
import math
import pkgutil
from dataclasses import replace

import numpy as np
import pytest

from similitude.core.errors import SceneError
from similitude.report.claim_figures import chart_figures
from similitude.scenes import analysis
from similitude.scenes.analysis.charts import charts
from similitude.scenes.analysis.comparison import compare, mcnemar
from similitude.scenes.analysis.everything import findings
from similitude.scenes.analysis.rules import failure_rules
from similitude.scenes.analysis.surface import hidden_map, painted_map, texels_seen
from similitude.scenes.frame import OBJECT, Frame
from tests.scenes.analysis_rows import NAMES, failed_row, mug_rows, scene_row


@pytest.mark.parametrize(("first", "second"), [(0, 0), (7, 0), (3, 9), (12, 12), (1, 2)])
def test_mcnemar_is_a_sum_of_binomials(first, second):
    changed = first + second
    tail = sum(math.comb(changed, k) for k in range(min(first, second) + 1)) / 2**changed
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))


def answers(pattern, subject):
    return [
        scene_row({"a.x": float(i)}, right=bit == "1", loss=i / 10, subject=subject, prediction=int(bit))
        for i, bit in enumerate(pattern)
    ]


def test_comparisons_count_the_scenes_that_both_judged():
    a = [*answers("1111000", "a"), scene_row({"a.x": 99.0}, right=True, subject="a")]
    b = answers("1001010", "b")
    b[6] = failed_row({"a.x": 6.0}, subject="b")
    found = compare(a, b)
    assert (found.both, found.only_first, found.only_second, found.neither) == (2, 2, 1, 1)
    assert (found.scenes, found.unshared) == (6, 2)
    assert found.accuracy[0].value == 4 / 6
    assert found.p == mcnemar(2, 1) == 1.0
    assert found.score.difference.value == pytest.approx(1 / 6)
    assert found.agreement.value == 3 / 6
    assert found.loss.difference.value == 0.0
    assert "cannot be told apart" in found.summary
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["only_first"] == 2


def test_a_harder_loss_is_seen_where_it_is():
    easy, hard = mug_rows(256, subject="easy"), mug_rows(256, subject="hard", harder=0.4)
    found = compare(easy, hard)
    assert found.loss.difference.high < 0
    assert found.p < 0.001
    assert found.summary.startswith("On 256 shared scenes easy is right")
    other = compare(hard, easy)
    assert "easy is right" in other.summary
    assert other.loss.difference.value == pytest.approx(-found.loss.difference.value)
    mine = [one for one in found.levels if one.factor == "material.texture" and one.level == "original"]
    assert mine[0].first.value > mine[0].second.value
    assert mine[0].p < 0.05


def test_models_of_one_name_are_told_apart():
    found = compare(answers("1100", "m"), answers("1010", "m"))
    assert (found.first, found.second) == ("m (first)", "m (second)")


def test_what_cannot_be_compared_says_why():
    with pytest.raises(SceneError, match=r"share 0 scenes of 2 and 2.*Run both models on one study"):
        compare(answers("11", "a"), [replace(row, task="banana") for row in answers("10", "b")])
    plain = [replace(row, success=None) for row in answers("11", "a")]
    with pytest.raises(SceneError, match="McNemar"):
        compare(plain, answers("11", "b"))


def ruled(count, seed, *, noise=0.05):
    """Fails where more than 0.6 is hidden, and where the skin is of wood and the zoom below 0.5."""
    rng = np.random.default_rng(seed)
    rows = []
    for hidden, zoom, skin in rng.random((count, 3)):
        name = "wood" if skin < 0.5 else "zebra"
        fails = hidden > 0.6 or (name == "wood" and zoom < 0.5)
        fails = bool(fails) != (rng.random() < noise)
        rows.append(
            scene_row({"o.ratio": float(hidden), "c.zoom": float(zoom), "m.skin": name}, right=not fails)
        )
    return rows


def test_planted_rules_are_found_and_held_out_scenes_bear_them_out():
    found = failure_rules(ruled(400, 0))
    assert found.accuracy.value > 0.88
    assert found.p < 0.001
    assert found.depth == 3
    assert len(found.rules) == 4
    texts = [rule.text for rule in found.rules if rule.holds]
    assert any(text.startswith(("o.ratio > 0.6", "o.ratio > 0.59")) for text in texts)
    assert any("m.skin is wood" in text and "c.zoom <=" in text for text in texts)
    good = found.rules[-1]
    assert good.holds  # failures are rarer here, which the held-out scenes bear out too
    assert good.judged.value < 0.15


def test_noise_yields_no_rule():
    rng = np.random.default_rng(0)
    holds = []
    for seed in range(10):
        rows = [scene_row({"a.x": float(x)}, right=rng.random() < 0.5) for x in rng.random(80)]
        holds.append(any(rule.holds for rule in failure_rules(rows, seed=seed).rules))
    assert sum(holds) <= 2


def test_rules_say_how_many_scenes_they_take():
    with pytest.raises(
        SceneError, match=r"100 scenes, 2 of them failures.*at least 60 scenes, 9 of the rarer"
    ):
        failure_rules([scene_row({"a.x": i}, right=i > 1) for i in range(100)])


def flat_frame(hidden=(), size=32, shade=0.9):
    """A picture of a square whose texture fills it; columns in `hidden` are behind something else."""
    across, down = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
    uv = np.stack([across, 1 - down], -1).astype(np.float32)
    segmentation = np.full((size, size), OBJECT, np.uint8)
    for low, high in hidden:
        mask = (across >= low) & (across < high)
        segmentation[mask] = 2
        uv[mask] = np.nan
    rgb = np.full((size, size, 3), shade, np.float32)
    return Frame(rgb, np.ones((size, size), np.float32), np.ones((size, size), np.float32), segmentation, uv)


def hidden_study(count=80, seed=0):
    """The loss is 2 more where the texture's left quarter is hidden, and grows by 1 with the share that is hidden."""
    rng = np.random.default_rng(seed)
    frames, rows = {}, []
    for i in range(count):
        low = float(rng.uniform(-0.3, 0.8))
        width = float(rng.uniform(0.1, 0.5))
        frame = flat_frame([(low, low + width)])
        left = not texels_seen(frame, 4)[:, 0].any()
        loss = 2.0 * left + (1 - frame.visible) + 0.2 * rng.normal() + 1
        row = scene_row({"a.x": i}, right=True, loss=loss)
        rows.append(row)
        frames[row.key] = frame
    return rows, frames


def test_the_part_that_matters_stands_out():
    rows, frames = hidden_study()
    found = hidden_map(rows, lambda row: frames[row.key], grid=4)
    columns = np.nanmean(found.effect, 0)
    assert columns[0] > 1.2
    assert columns[0] > 2 * np.nanmax(np.abs(columns[1:]))
    assert found.clear[:, 0].all()
    assert found.scenes == 80
    raw = hidden_map(rows, lambda row: frames[row.key], grid=4, adjusted=False)
    left = np.array([texels_seen(frames[row.key], 4)[0, 0] for row in rows])
    losses = np.array([row.metrics["loss"] for row in rows])
    assert raw.effect[0, 0] == pytest.approx(losses[~left].mean() - losses[left].mean())
    wanted = np.sqrt(losses[left].var(ddof=1) / left.sum() + losses[~left].var(ddof=1) / (~left).sum())
    assert raw.error[0, 0] == pytest.approx(wanted)


def test_a_map_is_laid_on_the_picture_it_belongs_to():
    rows, frames = hidden_study(40)
    found = hidden_map(rows, lambda row: frames[row.key], grid=4)
    laid = found.on(flat_frame([(0.5, 0.75)]))
    assert laid.shape == (32, 32)
    assert np.isnan(laid[:, 16:24]).all()
    assert laid[31, 0] == found.effect[0, 0]  # the bottom row of the picture has the least v
    assert laid[0, 31] == found.effect[3, 3] or np.isnan(found.effect[3, 3])


def test_painting_finds_what_the_model_looks_at():
    def loss_of(pictures):
        return 1 - pictures[:, :16, :16].mean((1, 2, 3))  # looks at the top left quarter alone

    found = painted_map([flat_frame(), flat_frame(shade=0.7)], loss_of, grid=2, batch=3)
    assert found.effect[1, 0] == pytest.approx(((0.9 - 0.5) + (0.7 - 0.5)) / 2, abs=1e-6)
    assert found.effect[[0, 0, 1], [0, 1, 1]] == pytest.approx(0, abs=1e-6)
    assert found.method == "painted"
    assert found.to_dict()["grid"] == 2


def test_surfaces_say_what_they_take():
    rows, frames = hidden_study(12)
    with pytest.raises(SceneError, match="9 scenes have a frame"):
        hidden_map(rows[:9], lambda row: frames[row.key])
    with pytest.raises(SceneError, match="show banana, mug"):
        hidden_map([rows[0], replace(rows[1], task="banana")], lambda row: None)
    with pytest.raises(SceneError, match="none of these frames shows the object"):
        painted_map([flat_frame([(0.0, 1.0)])], lambda pictures: np.zeros(len(pictures)))


def test_everything_together_is_plain_data_and_says_what_is_left_out():
    rows = [*mug_rows(256), failed_row({"camera.zoom_factor": 1.0})]
    found = findings(rows, NAMES)
    assert (found.scenes, found.failed, found.left_out) == (256, 1, {})
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["textures"]["factor"] == "material.texture"
    assert [one["measure"] for one in data["occlusion"]] == ["right", "probability"]
    assert data["poses"][0]["factor"] == "orientation.rotation_z"
    assert found.worst[0].metrics["loss"] == max(row.metrics.get("loss", 0) for row in rows)
    few = findings(mug_rows(16), NAMES)
    assert {"sensitivity", "rules"} <= set(few.left_out)
    assert "at least 40" in few.left_out["sensitivity"]
    with pytest.raises(SceneError, match="no scene has a score"):
        findings([failed_row({"a.x": 1.0})])


def test_charts_show_each_model_and_can_be_drawn():
    rows = [*mug_rows(64, subject="a"), *mug_rows(64, subject="b", harder=0.3), failed_row({}, subject="a")]
    made = charts(rows)
    titles = [chart.title for chart in made]
    assert titles[0] == "What the loss depends on"
    assert {
        "Accuracy falls with occlusion.occlusion_ratio",
        "Accuracy by material.texture",
        "Sure and right",
    } <= set(titles)
    for chart in made:
        assert {"a", "b"} <= {series.label for series in chart.series}
    assert len(chart_figures(made)) == len(made)


def test_charts_of_little_are_few_and_of_nothing_none():
    assert charts([]) == []
    assert charts([failed_row({"a.x": 1.0})]) == []
    assert charts([scene_row({"a.x": 1.0}, right=True)]) == []
    two = charts([scene_row({"a.x": x}, right=True) for x in (1.0, 2.0)])
    assert [chart.title for chart in two] == ["Accuracy by a.x"]


def test_public_names_resolve_and_no_module_hides_one():
    assert set(analysis._HOMES) == set(analysis.__all__)
    for name in analysis.__all__:
        assert inspect.getdoc(getattr(analysis, name))
    assert not set(analysis.__all__) & {module.name for module in pkgutil.iter_modules(analysis.__path__)}
