"""Colours by name for light and dark pages: CSS variables in the page, stand-ins for them in matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# name: (light, dark). Sizes run from faint to strong against the page in either theme (after viridis, whose
# order survives every kind of colour blindness); rules follow Okabe and Ito. The tests hold all of them to
# the contrasts of WCAG 2.2: 4.5 for text, 3 for marks.
COLOURS: dict[str, tuple[str, str]] = {
    "page": ("#fbfaf7", "#14171c"),
    "card": ("#ffffff", "#1b1f26"),
    "ink": ("#1c2430", "#e6e8eb"),
    "muted": ("#586270", "#a3adb9"),
    "grid": ("#e4e3de", "#2e343d"),
    "accent": ("#1f5fa8", "#7db4f0"),
    "good": ("#1b6e47", "#6fcf9d"),
    "bad": ("#a8321d", "#f59079"),
    "unsure": ("#7c5a00", "#e3b84e"),
    "w0": ("#2f9a70", "#6482cf"),
    "w1": ("#24868c", "#5297c9"),
    "w2": ("#2c6f8e", "#3fb0b5"),
    "w3": ("#39568c", "#5cc48d"),
    "w4": ("#453781", "#a5d85a"),
    "w5": ("#440f54", "#f3e24f"),
    "r0": ("#0a69ad", "#62b3ee"),
    "r1": ("#bf4a0c", "#f29a62"),
    "r2": ("#0b7d62", "#45c9a5"),
    "r3": ("#a14a80", "#dd9cc4"),
    "r4": ("#6b6f16", "#cfcf5e"),
}

SIZE_SLOTS = 6
RULE_SLOTS = 5
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[str, ...] = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))  # type: ignore[assignment]

_FIRST = 0xC0FE00
_KNOWN_RULES = ("mup", "sp", "ntp", "mean_field", "spectral", "u_mup")


def stand_in(name: str) -> str:
    """Return the colour that matplotlib draws in place of the CSS variable `name`.

    Raises:
        KeyError: The palette has no such colour.
    """
    if name not in COLOURS:
        raise KeyError(f"no colour {name!r} in the palette; it has {', '.join(COLOURS)}")
    return f"#{_FIRST + list(COLOURS).index(name):06x}"


def themed(svg: str) -> str:
    """Replace every stand-in colour in an SVG by its CSS variable."""
    for name in COLOURS:
        svg = svg.replace(stand_in(name), f"var(--{name})")
    return svg


def css_variables(*, dark: bool) -> str:
    """Return the declarations of all colours for one theme, to be put into a CSS rule."""
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in COLOURS.items())


def size_colours(count: int) -> list[str]:
    """Return `count` colour names, smallest size first, spread over the ramp; beyond six they repeat."""
    last = SIZE_SLOTS - 1
    if count == 1:
        return [f"w{last}"]
    return [f"w{round(i * last / (count - 1))}" for i in range(count)]


def rule_slots(rules: Iterable[str]) -> dict[str, int]:
    """Give every rule a slot for colour, marker and line style.

    A rule that the library knows has the same slot in every study; others take the slots that are left.
    """
    names: Sequence[str] = list(rules)
    slots = {rule: _KNOWN_RULES.index(rule) for rule in names if rule in _KNOWN_RULES}
    free = [slot for slot in range(max(RULE_SLOTS, len(names))) if slot not in slots.values()]
    return slots | dict(zip((rule for rule in names if rule not in slots), free, strict=False))
