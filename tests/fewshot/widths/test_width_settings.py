"""Settings of a width study: what is refused, and which results grids share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from similitude.core.errors import SimilitudeError
from similitude.fewshot.widths.settings import WidthSettings
from tests.fewshot.widths.tiny_study import TINY


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"widths": (16,)}, "at least two widths"),
        ({"widths": (32, 16)}, "increasing"),
        ({"widths": (16, 20)}, "heads"),
        ({"tasks": ("sst",)}, "not a task"),
        ({"rules": ("mup", "mup")}, "none twice"),
        ({"rules": ("best",)}, "best"),
        ({"splits": (1,)}, "at least two of"),
        ({"splits": (1, 6)}, "at least two of"),
        ({"shots": 15}, "CLUES has 10, 20, 30"),
        ({"lrs": (0.1, 0.01)}, "rate"),
        ({"steps": 0}, "steps=0"),
        ({"folds": 1}, "folds=1"),
        ({"gammas": (0.0,)}, "positive"),
        ({"gammas": (0.25, 4.0)}, "compared with 1"),
        ({"gammas": (1.0, 4.0, 4)}, "none twice"),
        ({"widths": (0, 16)}, "at least 1"),
        ({"widths": (16.0, 32.0)}, "whole numbers"),
        ({"splits": (1.0, 2.0)}, "whole numbers"),
        ({"seed": True}, "whole numbers"),
        ({"seed": "a"}, "whole numbers"),
    ],
)
def test_what_is_no_study_is_refused(change: dict, says: str) -> None:
    with pytest.raises(SimilitudeError, match=says):
        replace(TINY, **change)


def test_the_base_stands_once_for_all_rules() -> None:
    assert TINY.sizes() == [("base", 16), ("mup", 32), ("sp", 32)]
    assert TINY.of("sp", 16) == ("base", 16)
    assert TINY.of("sp", 32) == ("sp", 32)


def test_results_are_shared_by_grids_and_by_nothing_else() -> None:
    wider = replace(TINY, widths=(16, 32, 64), lrs=(0.1, 0.2, 0.3), tasks=("conll",), splits=(2, 3))
    assert wider.fixed() == TINY.fixed()
    for change in ({"widths": (32, 64)}, {"steps": 5}, {"depth": 2}, {"seed": 1}):
        assert replace(TINY, **change).fixed() != TINY.fixed()
    assert WidthSettings().base == 64
