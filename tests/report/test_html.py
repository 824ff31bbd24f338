import re
from collections import Counter
from html.parser import HTMLParser

import pytest
import report_cases as cases

from similitude.core.errors import ReportError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.report import write_report
from similitude.report.html import loss_rows, render

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = """<script>alert("x")</script> & 'y' $\\frac{1}{2}$ {{ 7 * 7 }} µ"""


class Page(HTMLParser):
    """Checks that tags nest, and collects ids, links, attributes that fetch, and the text outside <style>."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.fetches, self.words = [], [], [], [], []
        self.tags = Counter()
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name == "href":
                self.links.append(value)
            if name in ("src", "srcset", "data", "action", "poster", "background", "xlink:href"):
                self.fetches.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


@pytest.fixture(scope="module")
def everything():
    mixed = cases.study(
        "mixed",
        transfers={
            "sp": cases.diverged(),
            "ntp": cases.not_bracketed(),
            "mup": cases.transfer("mup", 0.02, cases.TRANSFERS),
        },
    )
    return render([cases.study("mlp"), mixed, cases.interrupted(), cases.study("mlp")])


def test_the_page_stands_alone(everything):
    page = Page(everything)
    assert page.fetches == []
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == page.tags["iframe"] == 0
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in everything
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)", everything))
    outside = set(re.findall(r"https?://[^\"'\s<]*", everything))
    assert outside == {"http://www.w3.org/2000/svg"}


def test_ids_are_unique_and_links_lead_somewhere(everything):
    page = Page(everything)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)


def test_every_number_that_matters_is_there():
    study = cases.study()
    text = Page(render(study)).text
    for number in (
        "2^-6.3 (0.013)", "[2^-6.5, 2^-6.1]", "2^-7.3 (0.0063)", "2^-8.3 (0.0032)", "0.4200 ± 0.0017",
        "-1.00 [-1.08, -0.93]", "+0.02 [-0.06, +0.09]", "0.4467", "0.3517", "0.3526", "+27.0 %", "+0.3 %",
        "1.003", "[0.985, 1.02]", "198 cells: 150 found, 48 run, 0 missing", "41.3 s", "0.0031",
    ):  # fmt: skip
        assert number in text, number
    for transfer in study.transfers.values():
        assert transfer.verdict.summary in text
        assert transfer.verdict.next in text
        for line in (*transfer.verdict.evidence, *transfer.verdict.causes):
            assert (line if isinstance(line, str) else line.name) in text
    for plan in study.plans.values():
        for row in plan.rows:
            assert row.name in text
            assert row.reason in text
        for refusal in plan.refused:
            assert refusal.name in text
    for name, value in study.settings.items():
        assert name == "command" or name in text
        assert str(value).strip("[]") in text


def test_every_loss_is_listed():
    transfer = cases.transfer("sp", -1.0, cases.SHIFTS)
    rows = dict(loss_rows(transfer))
    for column, curve in enumerate(transfer.curves):
        for lr, seeds in zip(curve.lrs, curve.losses, strict=True):
            cell = rows[lr][column]
            lost = sum(loss != loss for loss in seeds)
            if lost:
                assert cell == f"{lost} of 3 diverged"
            else:
                mean, low, high = (float(n) for n in re.findall(r"[\d.]+", cell))
                assert mean == pytest.approx(sum(seeds) / 3, rel=1e-3)
                assert (low, high) == pytest.approx((min(seeds), max(seeds)), rel=1e-3)


def test_what_users_write_is_text():
    verdict = Verdict(Outcome.SHIFTS, HOSTILE, (Evidence(HOSTILE, 1.0, None, HOSTILE),), (HOSTILE,), HOSTILE)
    plan = cases.plan()
    plan = type(plan)(
        **{f: getattr(plan, f) for f in plan.__dataclass_fields__}
        | {"rows": (cases.row(HOSTILE, HOSTILE, (2,), (1,), 1, 1, 1.0, 1.0, HOSTILE),), "notes": (HOSTILE,)}
    )
    study = cases.study(
        HOSTILE,
        transfers={HOSTILE: cases.transfer(HOSTILE, -1.0, verdict)},
        plans={HOSTILE: plan},
        settings={HOSTILE: HOSTILE},
    )
    page = render(study, title=HOSTILE)
    assert Page(page).tags["script"] == 0
    assert "7 * 7" in page
    assert " 49 " not in page
    assert Page(page).text.count(HOSTILE) > 12


def test_the_same_study_gives_the_same_bytes(tmp_path):
    one = write_report(cases.study(), tmp_path / "one.html")
    other = write_report([cases.study()], str(tmp_path / "other.html"))
    assert one.read_bytes() == other.read_bytes()
    assert one == tmp_path / "one.html"


def test_incomplete_studies_say_so():
    text = Page(render(cases.interrupted())).text
    assert "Not finished: 181 of 198 cells are missing" in text
    assert "are not run twice" in text
    assert "no width is complete yet" in text
    empty = cases.study(
        "empty", transfers={}, plans={}, settings={}, cells_found=0, cells_run=0, cells_missing=9
    )
    text = Page(render(empty)).text
    assert "nothing was run yet" in text
    assert "There is nothing to draw yet." in text


def test_studies_without_an_answer_say_why():
    both = {"sp": cases.diverged(), "ntp": cases.not_bracketed()}
    text = Page(render(cases.study(transfers=both))).text
    assert "nothing to compare, every run diverged" in text
    assert "3 of 3 diverged" in text
    assert "the largest rate tried, so the optimum may lie beyond it" in text
    assert "--lr-max 2^-3" in text


def test_a_transferred_rate_that_diverges_is_not_hidden():
    bad = cases.transfer("sp", -1.0, cases.SHIFTS, loss_at_transferred=float("inf"))
    text = Page(render(cases.study(transfers={"sp": bad}))).text
    assert "at width 256 the rate tuned at width 64 diverges" in text


def test_verdicts_are_told_apart_without_colour(everything):
    text = Page(everything).text
    for mark in ("✓ transfers", "✗ shifts", "? not bracketed", "✗ diverged"):
        assert mark in text


@pytest.mark.parametrize(
    ("given", "words"),
    [([], "the list is empty"), (3, "cannot report on a int"), (["mlp"], "cannot report on a str")],
)
def test_what_is_not_a_study_is_refused(given, words, tmp_path):
    with pytest.raises(ReportError, match=words):
        write_report(given, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_a_report_error(tmp_path):
    with pytest.raises(ReportError, match="it is a folder"):
        write_report(cases.study(), tmp_path)
