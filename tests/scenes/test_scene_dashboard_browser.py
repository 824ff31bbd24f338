"""The dashboard in a real browser: filters, numbers beside those of the analyses, details, and names that try to run."""

import html
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from similitude.evaluation.rows import Row
from similitude.scenes.analysis.levels import by_factor, factor_map
from similitude.scenes.analysis.shares import standing_of
from similitude.scenes.dashboard.page import render_dashboard
from tests.scenes.analysis_rows import failed_row, mug_rows, scene_row
from tests.scenes.dashboard_runs import BAD, run_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")

RATIO, SKIN = "occlusion.occlusion_ratio", "material.texture"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


def browsed(path, fragment="", *flags):
    """Return the page's elements as they are after its script has run."""
    place = f"{path.as_uri()}#{fragment}"
    profile = f"--user-data-dir={path.parent / 'profile'}"
    done = subprocess.run(
        [str(BROWSER), *FLAGS, profile, *flags, "--dump-dom", place],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def driven(path, steps):
    """Return the page after steps of a user, written as JavaScript; the policy that forbids them is taken out."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text())
    copy = path.with_name("driven.html")
    copy.write_text(page.replace("</main>", f"<script>{steps}</script></main>"))
    return browsed(copy)


def totals(dom):
    return html.unescape(re.search(r'<p id="totals"[^>]*>([^<]*)</p>', dom).group(1))


def shots(dom):
    return [html.unescape(one) for one in re.findall(r'class="shot [a-z]+" aria-label="([^"]*)"', dom)]


def number(text):
    return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


@pytest.fixture(scope="module")
def rows():
    return [*mug_rows(64), failed_row({"camera.zoom_factor": 1.0}, error="no mesh")]


@pytest.fixture(scope="module")
def page(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    path = folder / "page.html"
    path.write_text(render_dashboard(run_of(rows, folder)))
    return path


def assert_totals(text, some, count):
    """Compare the line of totals with what the analyses say of the same rows."""
    standing = standing_of(some)
    first, right, loss, probability = text.split(" · ")[:4]
    assert first == f"{len(some)} of {count} scenes"
    assert number(right) == pytest.approx(
        [100 * x for x in (standing.accuracy.value, standing.accuracy.low, standing.accuracy.high)], abs=0.051
    )
    for said, one in ((loss, standing.loss), (probability, standing.probability)):
        assert number(said) == pytest.approx([one.value, one.low, one.high], rel=6e-3, abs=1e-4)


def test_everything_is_shown_first(page, rows):
    dom = browsed(page)
    assert 'data-ready="yes"' in dom
    assert totals(dom).startswith("65 of 65 scenes")
    assert totals(dom).endswith("1 without a result")
    said = shots(dom)
    assert len(said) == 48
    losses = [number(one.rpartition("loss")[2])[0] for one in said]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(max(row.metrics.get("loss", 0) for row in rows), rel=5e-3)


def test_filters_of_the_address_change_counts_and_numbers(page, rows):
    dom = browsed(page, f"f:{RATIO}=0.1..0.5&f:{SKIN}=1,3&outcomes=right,wrong&sort=loss%2B")
    some = [
        row
        for row in rows
        if not row.failed and 0.1 <= row.params[RATIO] <= 0.5 and row.params[SKIN] in ("original", "zebra")
    ]
    assert 5 < len(some) < 40
    assert_totals(totals(dom), some, 65)
    losses = [number(one.rpartition("loss")[2])[0] for one in shots(dom)]
    assert len(losses) == len(some)
    assert losses == sorted(losses)


def test_the_map_of_two_factors_is_that_of_the_analysis(page, rows):
    good = [row for row in rows if not row.failed]
    dom = browsed(page, "outcomes=right,wrong&across=2&down=0")
    table = re.search(r'<table class="heat">.*?</table>', dom, re.DOTALL).group()
    cells = [html.unescape(one) for one in re.findall(r'<td[^>]*?title="([^"]*)"', table)]
    wanted = factor_map(good, SKIN, RATIO)
    flat = [cell.accuracy for line in wanted.cells for cell in line if cell is not None]
    assert [int(number(one.rpartition(",")[2])[0]) for one in cells] == [one.count for one in flat]
    for said, one in zip(cells, flat, strict=True):
        assert number(said)[:3] == pytest.approx([100 * x for x in (one.value, one.low, one.high)], abs=0.051)


@pytest.mark.slow
def test_the_summary_of_one_factor_is_that_of_the_analysis(page, rows):
    dom = browsed(page, "outcomes=right,wrong&across=0&measure=loss")
    label = html.unescape(re.search(r'aria-label="(mean loss by [^"]*)"', dom).group(1))
    table = by_factor([row for row in rows if not row.failed], RATIO)
    parts = label.partition(". ")[2].split("; ")
    assert len(parts) == len(table.levels) == 5
    for part, level in zip(parts, table.levels, strict=True):
        loss = level.standing.loss
        said = number(part.rpartition(": ")[2])[:3]
        assert said == pytest.approx([loss.value, loss.low, loss.high], rel=6e-3, abs=6e-3)


@pytest.mark.slow
def test_every_scene_has_a_mark_among_the_points(page):
    dom = browsed(page, "view=points&across=0&down=3&outcomes=right,wrong")
    assert len(re.findall(r'class="(?:dot|cross)"', dom)) == 64
    by_name = browsed(page, "view=points&across=2&down=2&outcomes=right,wrong")
    assert len(re.findall(r'class="(?:dot|cross)"', by_name)) == 64


def test_scenes_that_show_nothing_of_the_object_are_an_outcome_of_their_own(tmp_path, rows):
    some = [
        replace(row, metrics={**row.metrics, "visible": 0.0 if i < 5 else 0.25})
        for i, row in enumerate(row for row in rows if not row.failed)
    ]
    path = tmp_path / "page.html"
    path.write_text(render_dashboard(run_of([*some, rows[-1]], tmp_path)))
    dom = browsed(path, "view=points&across=0&down=3")
    assert_totals(totals(dom).replace("65 of 65", "59 of 65"), some[5:], 65)  # they count in nothing
    assert len(re.findall(r'class="(?:dot|cross)"', dom)) == 59  # nor what failed
    alone = browsed(path, "outcomes=unseen")
    assert totals(alone) == "5 of 65 scenes · 5 in which nothing of the object is seen"
    assert len(shots(alone)) == 5
    assert all("nothing of the object is seen" in one for one in shots(alone))


@pytest.mark.slow
def test_details_say_what_the_scene_is(page, rows):
    dom = browsed(page, "open=3")
    assert re.search(r'<dialog id="details"[^>]* open', dom)
    inside = re.search(r'<dialog id="details".*?</dialog>', dom, re.DOTALL).group()
    assert f"{rows[3].params[RATIO]:.3g}" in inside
    assert rows[3].params[SKIN] in inside
    assert "data:image/" in inside
    broken = browsed(page, "open=64")
    assert "no mesh" in re.search(r'<dialog id="details".*?</dialog>', broken, re.DOTALL).group()


def test_a_user_can_filter_sort_open_and_close(page, rows):
    dom = driven(
        page,
        """
        const press = (node) => node.click();
        const boxes = [...document.querySelectorAll('#filters fieldset')];
        const skin = boxes.find((one) => one.querySelector('legend').textContent === 'material.texture');
        for (const label of skin.querySelectorAll('label'))
          if (label.textContent !== 'zebra') press(label.querySelector('input'));
        const failed = [...boxes[0].querySelectorAll('label')].find((one) => one.textContent.includes('no result'));
        press(failed.querySelector('input'));
        press(document.querySelector('.shot'));
        const first = document.getElementById('heading').textContent;
        press(document.getElementById('after'));
        press(document.getElementById('before'));
        const again = document.getElementById('heading').textContent;
        press(document.getElementById('close'));
        document.title = [first === again, document.getElementById('details').open, location.hash].join('|');
        """,
    )
    some = [row for row in rows if row.params.get(SKIN) == "zebra"]
    assert_totals(totals(dom), some, 65)
    same, still_open, address = html.unescape(re.search(r"<title>([^<]*)</title>", dom).group(1)).split("|")
    assert (same, still_open) == ("true", "false")
    assert "f%3Amaterial.texture=3" in address


def test_answers_that_say_nothing_are_captioned_by_what_they_are_worth(tmp_path):
    mute = [
        Row("scenes", "mug", "m", 0.25, {"a.x": i / 3}, {"visible": seen}, success)
        for i, (success, seen) in enumerate([(True, 0.2), (False, 0.2), (None, 0.2), (None, 0.0)])
    ]
    path = tmp_path / "page.html"
    path.write_text(render_dashboard(run_of([*mute, replace(mute[0], subject="n", success=False)], tmp_path)))
    dom = browsed(path, "sort=index%2B&open=0")
    captions = [html.unescape(one) for one in re.findall(r'<span class="said">([^<]*)</span>', dom)]
    assert [one.strip() for one in captions] == ["✓ right", "✗ wrong", "score 0.25", "– nothing seen"]
    assert shots(dom)[:2] == ["scene 1, right", "scene 2, wrong"]
    assert "<dt>answer</dt><dd>✓ right</dd>" in dom
    assert "<dt>n</dt><dd>✗ wrong</dd>" in dom
    assert "no answer" not in re.sub(r"<script.*?</script>", "", dom, flags=re.DOTALL)


def test_labels_of_paths_are_whole_and_beside_the_title_of_their_axis(tmp_path):
    names = [f"/home/me/models/of mine/{'W' * 12} {k}.glb" for k in range(6)]
    rows = [replace(row, task=names[i % 6]) for i, row in enumerate(mug_rows(64))]
    path = tmp_path / "page.html"
    path.write_text(render_dashboard(run_of(rows, tmp_path)))
    dom = driven(
        path,
        """
        const found = [], set = (id, value) => {
          const select = document.getElementById(id);
          select.value = value;
          select.dispatchEvent(new Event('change'));
        };
        const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
        const apart = (a, b) => a.right < b.left || a.left > b.right || a.bottom < b.top || a.top > b.bottom;
        const look = () => {
          const svg = document.querySelector('.plot'), page = svg.getBoundingClientRect();
          const axis = svg.querySelector('.axis').getBoundingClientRect();
          const texts = [...svg.querySelectorAll('text')];
          const slanted = texts.filter((one) => (one.getAttribute('transform') || '').includes('rotate(-28)'));
          found.push(slanted.length, texts.every((one) => inside(one.getBoundingClientRect(), page)),
            slanted.every((one) => apart(one.getBoundingClientRect(), axis)), slanted[0].textContent);
        };
        look();
        set('kind', 'points');
        look();
        set('down', '0');
        look();
        document.title = found.join('|');
        """,
    )
    found = html.unescape(re.search(r"<title>([^<]*)</title>", dom).group(1)).split("|")
    assert found == 3 * ["6", "true", "true", f"{'W' * 12} 0.glb"]


@pytest.mark.slow
def test_sliders_move_and_everything_comes_back(page, rows):
    dom = driven(
        page,
        """
        const slider = document.querySelector('input[aria-label="occlusion.occlusion_ratio, greatest"]');
        slider.value = 50;
        slider.dispatchEvent(new Event('input'));
        document.title = document.getElementById('totals').textContent;
        document.getElementById('reset').click();
        document.getElementById('more').click();
        """,
    )
    ratios = [row.params[RATIO] for row in rows if not row.failed]
    edge = min(ratios) + 0.25 * (max(ratios) - min(ratios))
    moved = html.unescape(re.search(r"<title>([^<]*)</title>", dom).group(1))
    assert moved.startswith(f"{sum(ratio <= edge for ratio in ratios)} of 65")
    assert totals(dom).startswith("65 of 65")
    assert len(shots(dom)) == 65


@pytest.mark.slow
def test_addresses_that_make_no_sense_do_no_harm(page):
    dom = browsed(
        page, f"model=7&across=-3&open=9999&sort=evil&f:{RATIO}=x..y&f:{SKIN}=99,a&view=none&measure=1"
    )
    assert 'data-ready="yes"' in dom
    assert totals(dom).startswith("0 of 65 scenes")  # none of the named textures is there
    assert "No scene is left" in dom


class Tags(HTMLParser):
    """Collects tags with their attributes; what stands inside an attribute is none."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_names_of_users_do_not_run(tmp_path):
    given = {"task": BAD, "subject": BAD}
    bad = [
        scene_row(
            {f"{BAD}.x": i / 20, "skin.name": BAD if i % 2 else "plain"},
            right=i % 3 > 0,
            prediction=i % 2,
            **given,
        )
        for i in range(20)
    ]
    run = run_of([*bad, failed_row({}, error=BAD, **given)], tmp_path, names=[BAD, "b"])
    path = tmp_path / "page.html"
    path.write_text(render_dashboard(run))
    for fragment in ("open=0", "view=points&across=0", "across=1&down=2&open=20"):
        dom = browsed(path, fragment)
        assert 'data-ready="yes"' in dom
        assert "<title>owned" not in dom
        tags = Tags(dom).found
        assert {attrs["src"][:11] for tag, attrs in tags if tag == "img"} == {"data:image/"}
        assert sum(tag == "script" for tag, _ in tags) == 2
        assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]


def test_scripts_from_elsewhere_are_refused(page):
    copy = page.with_name("meddled.html")
    copy.write_text(page.read_text().replace("</main>", "<script>document.title='owned'</script></main>"))
    dom = browsed(copy)
    assert "<title>owned" not in dom
    assert 'data-ready="yes"' in dom


@pytest.mark.slow
def test_the_page_can_be_seen(page, tmp_path):
    shot = tmp_path / "shot.png"
    browsed(page, "", "--window-size=1200,1600", f"--screenshot={shot}")
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape[1] == 1200
    assert pixels.std() > 10
