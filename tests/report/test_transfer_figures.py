"""Parts of pages about the transfer of a rate: figures without those of costs, keys of charts, lines of verdicts."""

import io
from dataclasses import replace

import claim_cases
import report_cases as cases
from rich.console import Console

from similitude.report.claim_figures import chart_figures
from similitude.report.figures import figures
from similitude.report.terminal import shift_lines
from similitude.report.transfer_figures import rate_figures


def test_rates_are_the_first_figures_of_a_study():
    made = rate_figures(cases.study())
    assert [one.key for one in made] == ["curves", "optima"]
    assert made == figures(cases.study())[:2]
    assert rate_figures(replace(cases.study(), transfers={})) == []


def test_keys_of_charts_count_those_that_are_left_out():
    empty = replace(claim_cases.chart(), series=())
    made = chart_figures([claim_cases.chart(), empty, claim_cases.chart()], "scores-")
    assert [one.key for one in made] == ["scores-1", "scores-3"]


def test_each_rule_has_its_shift_its_verdict_and_why():
    transfers = cases.study().transfers
    file = io.StringIO()
    console = Console(file=file, width=1000)
    for one in shift_lines(transfers):
        console.print(one)
    lines = [line.strip() for line in file.getvalue().splitlines()]
    assert len(lines) == 2 * len(transfers)
    for (head, why), found in zip(zip(lines[::2], lines[1::2], strict=True), transfers.values(), strict=True):
        assert f"shift {found.shift:+.2f}" in head
        assert why == found.verdict.summary
