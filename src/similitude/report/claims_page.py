"""One self-contained HTML file of measured claims, paper by paper: inline SVG, no network, no script."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from similitude.core.claim import Claim
from similitude.core.errors import ReportError
from similitude.report.claims_table import claim_mood, claim_word, counts, measured_cell
from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template


def write_claims_page(claims: Iterable[Claim], path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says of every claim what is claimed, what was measured, and whether it holds.

    Args:
        claims: What was measured, in any order.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: There is no claim, or the file cannot be written.
    """
    return write_atomically(path, render_claims_page(claims))


def render_claims_page(claims: Iterable[Claim]) -> str:
    """Return the HTML that `write_claims_page` writes; the same claims give the same bytes.

    Args:
        claims: What was measured, in any order.

    Raises:
        ReportError: There is no claim.
    """
    ordered = sorted(claims, key=lambda claim: (claim.paper, claim.name))
    if not ordered:
        raise ReportError("there is no claim to report on. Measure some: similitude claims run 6.")
    runs: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for claim in ordered:
        runs.setdefault(tuple(claim.settings.items()), []).append(claim.name)
    return render_template(
        "claims.html",
        {
            "claim_word": claim_word,
            "claim_mood": claim_mood,
            "measured_cell": measured_cell,
            "figures": figures,
        },
        claims=ordered,
        papers=[(group[0].source, group) for group in _by_paper(ordered)],
        counts=counts(ordered),
        open=[claim for claim in ordered if not claim.passed],
        runs=[(dict(settings), names) for settings, names in runs.items()],
    )


def _by_paper(ordered: list[Claim]) -> list[list[Claim]]:
    return [list(group) for _, group in groupby(ordered, key=lambda claim: claim.paper)]
