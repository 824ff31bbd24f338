"""Measured claims with every outcome, and texts that would be HTML."""

from __future__ import annotations

import math
from typing import Any

from similitude.core.chart import Chart, Series
from similitude.core.claim import Claim
from similitude.core.verdict import Evidence, Outcome, Verdict

HOSTILE = '</svg><script>alert(1)</script> {{ 7 * 7 }} $x$ & "it\'s"'


def chart(**changes: Any) -> Chart:
    series = (
        Series("ridge 0.1", [8, 16, 32], [0.5, 0.25, 0.12], [(0.4, 0.6), None, (0.11, 0.13)]),
        Series("ridge 0.1", [8, 16, 32], [0.51, 0.25, math.inf], kind="line"),
        Series("best", [8, 16, 32], [0.4, math.nan, 0.1], kind="joined"),
        Series("1/n", [8, 32], [0.5, 0.125], kind="guide"),
    )
    given: dict[str, Any] = {
        "title": "Error against samples", "x": "samples", "y": "test error", "series": series, "look_for": "It falls.",
        "source": "Figure 1", "x_scale": "log2", "y_scale": "log", "levels": {"noise": 0.2}, "places": {"peak": 12},
    }  # fmt: skip
    return Chart(**(given | changes))


def claim(name: str = "6.errors", outcome: Outcome = Outcome.OK, **changes: Any) -> Claim:
    verdict = Verdict(outcome, f"{name} is 2", (Evidence("a quantity", 1.0, (0.5, 2.0), "1"),))
    given: dict[str, Any] = {
        "name": name, "paper": int(name.partition(".")[0]), "statement": f"Statement of {name}.",
        "claimed": "below 1 < 2", "measured": 2.0, "interval": (1.5, 2.5), "unit": "octaves", "verdict": verdict,
        "seconds": 61.0, "figures": (chart(),), "settings": {"command": "similitude claims run 6", "torch": "2.1"},
    }  # fmt: skip
    return Claim(**(given | changes))


def every_outcome() -> list[Claim]:
    """One claim that passes, one that fails, one that is undecided, one that could not be measured."""
    failed = claim(
        "17.crash", Outcome.CANNOT_TELL, measured=math.nan, interval=None, figures=(), error="ValueError: no"
    )
    return [
        claim("17.bad", Outcome.INCONSISTENT),
        failed,
        claim("6.open", Outcome.TOO_NOISY, full=True),
        claim("6.errors"),
    ]
