"""What tables for the terminal are laid out with: a table without lines, an indented line, a coloured outcome."""

from __future__ import annotations

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from similitude.core.verdict import Verdict
from similitude.report.words import mood, outcome_word

STYLES = {"good": "green", "bad": "red", "unsure": "yellow"}


def plain_table() -> Table:
    """Return an empty table without lines, its columns one space apart."""
    return Table(box=None, padding=(0, 1, 0, 0))


def hanging(text: str, style: str = "") -> RenderableType:
    """Indent a text by two spaces, on every line that it takes."""
    return Padding(Text(text, style=style), (0, 0, 0, 2), expand=False)


def coloured(verdict: Verdict, text: str | None = None) -> Text:
    """Write the outcome of a verdict, or a text in its place, in the colour of the outcome."""
    return Text(outcome_word(verdict) if text is None else text, style=f"bold {STYLES[mood(verdict)]}")
