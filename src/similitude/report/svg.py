"""Figures as inline SVG: text stays text, colours are CSS variables, equal drawings are equal bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from similitude.report.palette import css_variables, stand_in, themed

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# What the ids of a panel start with until `Panel.placed` makes them unique on their page.
_PLACEHOLDER = "unplaced-panel-"

# Inches of 72 SVG units. A phone shows a panel about as large as this, a desk screen half as large again.
_PANEL_SIZE = (4.2, 3.3)


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure.

    Attributes:
        name: What sets the panel apart from its neighbours; empty where it stands alone.
        svg: An `<svg>` element; see `placed`.
    """

    name: str
    svg: str

    def placed(self, prefix: str) -> str:
        """Return the SVG with ids that start with `prefix`, which no other panel on the page may have."""
        return self.svg.replace(_PLACEHOLDER, f"{prefix}-")

    def standalone(self) -> str:
        """Return the SVG as a file of its own, with its colours for light and dark and a background."""
        style = (
            f"<style>svg {{ {css_variables(dark=False)} background: var(--page); "
            "font-family: system-ui, sans-serif; } "
            f"@media (prefers-color-scheme: dark) {{ svg {{ {css_variables(dark=True)} }} }}</style>"
        )
        head, separator, body = self.placed("figure").partition(">")
        return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{separator}\n{style}{body}\n'


@dataclass(frozen=True)
class Figure:
    """Panels that share a caption.

    Attributes:
        key: Short name, unique among the figures of one result, e.g. "curves".
        title: Heading, in plain words.
        panels: The drawings, which a page sets side by side where there is room.
        caption: How to read the figure.
        numbers: Its numbers in words, one sentence or more per rule.
    """

    key: str
    title: str
    panels: tuple[Panel, ...]
    caption: str
    numbers: tuple[str, ...]


def draw(
    paint: Callable[[Canvas], None],
    name: str = "",
    *,
    title: str,
    description: str,
    higher: float = 0.0,
) -> Panel:
    """Draw one panel with matplotlib.

    The settings of matplotlib are changed only while `paint` runs, and no window system is asked for.

    Args:
        paint: Draws onto the empty matplotlib figure it is given, with colours from `palette.stand_in`.
        name: What sets the panel apart from its neighbours.
        title: Short name for screen readers.
        description: The figure in words, with its numbers.
        higher: Inches by which the panel is higher than others, for a long legend.
    """
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_style()):
        width, height = _PANEL_SIZE
        figure = Canvas(figsize=(width, height + higher), layout="constrained")
        paint(figure)
        buffer = io.StringIO()
        for part in (figure, *figure.findobj(Axes)):
            part.patch.set(facecolor="none", edgecolor="none")
        # `Figure.savefig` would draw twice, the first time for the layout alone; the bytes are the same.
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return Panel(name, _inline(buffer.getvalue(), title, description))


def _style() -> dict[Any, Any]:
    ink, muted = stand_in("ink"), stand_in("muted")
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "similitude",
        # A user's name with a dollar sign is not a formula.
        "text.parse_math": False,
        "text.color": ink,
        "font.size": 10.0,
        "axes.edgecolor": muted,
        "axes.labelcolor": ink,
        "axes.labelsize": 10.0,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": stand_in("grid"),
        "grid.linewidth": 0.8,
        "xtick.color": muted,
        "ytick.color": muted,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "xtick.major.size": 3.0,
        "ytick.major.size": 3.0,
        "legend.frameon": False,
        "legend.fontsize": 10.0,
        "legend.borderpad": 0.0,
        "legend.handlelength": 2.6,
        "lines.linewidth": 1.7,
        "lines.markersize": 4.0,
    }


def _inline(svg: str, title: str, description: str) -> str:
    """Keep of a stand-alone SVG file what an HTML page needs."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>", "", svg).replace("xlink:href", "href")
    used = set(re.findall(r'<use href="#([^"]+)"|url\(#([^)]+)\)', svg))
    names = {name for pair in used for name in pair if name}
    svg = re.sub(r'(<\w+) id="([^"]*)"', lambda m: _named(m[1], m[2]) if m[2] in names else m[1], svg)
    svg = re.sub(r'(<use href="#|"url\(#)', rf"\1{_PLACEHOLDER}", svg)
    # The page's own font, not the one that matplotlib measured the text with: up to matplotlib 3.10 a `font`
    # shorthand, later a `font-family`.
    svg = re.sub(r"font: (?:\w+ )*?([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*;\s*", "", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None, "matplotlib writes a viewBox"
    body = svg[svg.index(">") + 1 :]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {view[0]} role="img" stroke-linejoin="round" '
        f'aria-labelledby="{_PLACEHOLDER}title {_PLACEHOLDER}desc">\n'
        f'<title id="{_PLACEHOLDER}title">{escape(title)}</title>\n'
        f'<desc id="{_PLACEHOLDER}desc">{escape(description)}</desc>'
    )
    return themed(re.sub(r"\n\s*", "\n", head + body)).strip()


def _named(tag: str, name: str) -> str:
    return f'{tag} id="{_PLACEHOLDER}{name}"'
