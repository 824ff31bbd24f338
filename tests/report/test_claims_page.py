"""The page of claims: every number and verdict is on it, what fails stands on top, and users' words are text."""

import dataclasses
import io
import re

import claim_cases as cases
import pytest
from rich.console import Console

from similitude.core.errors import ReportError
from similitude.report.claims_page import render_claims_page, write_claims_page
from similitude.report.claims_table import claim_lines, counts


def text_of(page: str) -> str:
    body = re.sub(r"<(style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).replace("&lt;", "<").split())


def test_everything_that_was_measured_is_there():
    claims = cases.every_outcome()
    page = render_claims_page(claims)
    text = text_of(page)
    assert "1 passed, 1 failed, 1 undecided, 1 could not be measured of 4 claims of 2 papers" in text
    for claim in claims:
        for words in (claim.statement, claim.claimed, claim.verdict.summary):
            assert words in text
        assert page.count(f'id="claim-{claim.name}"') == 1
        assert claim.source.title.split(":")[0] in text
        assert f'href="{claim.source.url}"' in page
    assert text.count("2 [1.5, 2.5] octaves") == 6  # of three claims, in the summary and below it
    assert "ValueError: no" in text
    assert "full size" in text
    assert "61.0 s" in text
    assert "similitude claims run 6" in text
    assert page.count("<svg") == 3


def test_what_does_not_hold_stands_on_top_and_papers_are_in_order():
    text = text_of(render_claims_page(cases.every_outcome()))
    top = text[: text.index("statement")]
    assert "What does not hold here" in top
    for name in ("17.bad fail", "17.crash error", "6.open undecided"):
        assert name in top
    assert "6.errors" not in top
    assert text.index("Paper 6:") < text.index("Paper 17:")
    assert "What does not hold here" not in text_of(render_claims_page([cases.claim()]))


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
    claims = cases.every_outcome()
    page = write_claims_page(claims, tmp_path / "deep" / "page.html").read_text()
    assert page == render_claims_page(reversed(claims))
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert not re.search(r"<script|https?://(?!www\.w3\.org|arxiv\.org/abs/)", page)


def test_words_are_text():
    bad = cases.HOSTILE
    verdict = dataclasses.replace(cases.claim().verdict, summary=bad)
    series = tuple(dataclasses.replace(one, label=bad) for one in cases.chart().series)
    chart = cases.chart(title=bad, x=bad, y=bad, look_for=bad, source=bad, series=series, levels={bad: 0.2})
    settings = {bad: bad, "command": bad}
    claim = cases.claim(statement=bad, claimed=bad, unit=bad, verdict=verdict, error=bad, settings=settings)
    page = render_claims_page([dataclasses.replace(claim, figures=(chart,))])
    assert "<script" not in page
    assert " 49 " not in page
    assert page.count("&lt;script&gt;") > 12


def test_nothing_is_no_report(tmp_path):
    with pytest.raises(ReportError, match="there is no claim to report on"):
        write_claims_page([], tmp_path / "page.html")


def test_the_terminal_says_the_same():
    console = Console(width=200, record=True, file=io.StringIO())
    for claim in cases.every_outcome():
        console.print(claim_lines(claim))
    shown = console.export_text()
    for words in (
        "FAIL: 17.bad is 2 (61.0 s)",
        "ERROR: 17.crash is 2",
        "UNDECIDED: 6.open is 2 (61.0 s, full size)",
    ):
        assert words in shown
    assert "pass: 6.errors is 2" in shown
    assert shown.count("measured: 2 [1.5, 2.5] octaves") == 3
    assert counts(cases.every_outcome()[3:]) == "1 passed, 0 failed, 0 undecided"
