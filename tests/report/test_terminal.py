import io
import re

import pytest
import report_cases as cases
from rich.console import Console

from similitude.report import transfer_summary
from similitude.report.terminal import LossBars
from similitude.studies.records import Curve


def shown(renderable, *, width=80, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    Console(file=file, width=width).print(renderable)
    file.flush()
    text = file.buffer.getvalue().decode(encoding)
    assert max(map(len, text.splitlines())) <= width
    return text


STUDY = cases.study(
    "gpt",
    transfers={
        "sp": cases.transfer("sp", -1.0, cases.SHIFTS),
        "ntp": cases.not_bracketed(),
        "mean_field": cases.transfer("mean_field", 0.02, cases.TRANSFERS),
        "mup": cases.diverged(),
    },
)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_pipe_of_80_columns_cuts_no_number(encoding):
    text = shown(transfer_summary(STUDY), encoding=encoding)
    assert "…" not in text
    assert "\x1b" not in text
    for number in (
        "2^-6.3 (0.013)", "[2^-6.5, 2^-6.1]", "2^-8.3 (0.0032)", "0.3517 +- 0.0014", "-1.00 [-1.08, -0.93]",
        "+0.02 [-0.06, +0.09]", "0.4467", "+27.0 %", "198 cells: 150 found, 48 run, 0 missing; 41.3 s",
    ):  # fmt: skip
        assert number in text, number


def test_verdicts_come_with_evidence_causes_and_the_next_command():
    text = re.sub(r"\s+", " ", shown(transfer_summary(STUDY)))
    for transfer in STUDY.transfers.values():
        assert transfer.verdict.summary in text
        assert f"next: {transfer.verdict.next}" in text
        assert all(f"likely cause: {cause}" in text for cause in transfer.verdict.causes)
        assert all(str(line) in text for line in transfer.verdict.evidence)
    for word in ("sp shifts", "ntp not bracketed", "mean_field transfers", "mup diverged"):
        assert word in text


def test_an_interrupted_study_says_so_and_still_shows_what_is_there():
    text = re.sub(r"\s+", " ", shown(transfer_summary(cases.interrupted())))
    assert "Not finished: 181 of 198 cells are missing" in text
    assert "2^-6.3 (0.013)" in text
    shown(transfer_summary(cases.study(transfers={})))


def test_bars_rise_with_the_loss_and_mark_what_has_none():
    curve = Curve(8, (1.0, 2.0, 4.0, 8.0, 16.0), ((8.0,), (1.0,), (2.0,), (99.0,), (float("nan"),)))
    bars = LossBars(curve, (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), (1.0, 8.0))
    assert shown(bars).rstrip("\n") == " █▁▃^x"
    assert shown(bars, encoding="ascii").rstrip("\n") == " 702^x"


def test_markup_in_names_is_text():
    study = cases.study(
        "[red]name[/red]", transfers={"[bold]": cases.transfer("[bold]", 0.0, cases.TRANSFERS)}
    )
    text = shown(transfer_summary(study))
    assert "[red]name[/red]" in text
    assert text.count("[bold]") == 2
