"""What a check in depth clears: streams that have not reached their limit, and changes of two parts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from check_cases import plan

from similitude.checking.deviation import Deviation
from similitude.checking.explanations import settling
from similitude.checking.records import DEPTH_TOLERANCE, CheckRow
from similitude.checking.slopes import Slope


def _row(quantity: str, slope: float, *, expected: float = 0.0, name: str = "w") -> tuple[CheckRow, Slope]:
    ok = abs(slope - expected) <= DEPTH_TOLERANCE + 0.05
    made = CheckRow(
        name, quantity, slope, slope - 0.05, slope + 0.05, expected, ok, use="contract", tolerance=0.15
    )
    return made, Slope(slope, slope - 0.05, slope + 0.05, slope)


def _notes(
    alpha: float, *rows: tuple[CheckRow, Slope], family: str = "entrywise", wrong: tuple[Deviation, ...] = ()
):
    made = replace(plan(), depth_rule=alpha, family=family)
    return [bool(row.note) for row in settling(rows, made, wrong=wrong)]


@pytest.mark.parametrize(("family", "passes"), [("entrywise", [True, False]), ("sgd", [True, True])])
def test_updates_fall_with_the_stream_as_often_as_they_feel_it(family, passes):
    # The stream falls by 0.3: twice that is allowed to a normalized update, three times to a gradient step.
    rows = [_row("stream change", -0.7), _row("stream change", -1.0)]
    assert _notes(1.0, _row("stream", -0.3), *rows, family=family) == [True, *passes]


def test_a_stream_that_falls_more_than_its_random_part_is_off():
    assert _notes(1.0, _row("stream", -0.6), _row("stream change", -0.6)) == [True, True]
    assert _notes(1.0, _row("stream", -0.8), _row("stream change", -0.8)) == [False, False]
    assert _notes(0.5, _row("stream", -0.3), _row("stream change", -0.3)) == [False, False]


def test_growth_norms_of_normalized_updates_and_edited_tensors_are_never_cleared():
    stream = _row("stream", -0.3)
    assert _notes(1.0, stream, _row("update norm", -0.5), _row("stream change", 0.4)) == [True, False, False]
    wrong = (Deviation("w", "lr", 2.0, 1.0, -0.5, "depth"),)
    assert _notes(1.0, _row("stream", -0.3, name="v"), _row("update", -0.5), wrong=wrong) == [True, False]


@pytest.mark.parametrize(("slope", "cleared"), [(-0.75, True), (-1.1, True), (-1.3, False), (-0.2, False)])
def test_a_change_is_between_its_own_part_and_the_response(slope, cleared):
    own, change = _row("update", -1.0, expected=-1.0), _row("change", slope, expected=-0.5)
    assert _notes(0.5, own, change) == [False, cleared]
