"""Read the sizes that a user gives: `256`, `width=256`, or more dials as `width=256,depth=4`; targets of any numbers."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.cli.options import rate
from similitude.core.errors import GridError, PlanError


def size(given: Sequence[str], option: str) -> dict[str, int]:
    """Read one size, given at once or dial by dial.

    Args:
        given: What the user wrote, once per use of the option.
        option: The option, for the message.

    Raises:
        PlanError: A dial has no name or no positive whole number, or is given twice.

    Example:
        >>> size(["256"], "--base"), size(["width=256", "depth=4"], "--base")
        ({'width': 256}, {'width': 256, 'depth': 4})
    """
    found: dict[str, int] = {}
    for part in ",".join(given).split(","):
        name, equals, text = part.rpartition("=")
        dial = name.strip() if equals else "width"
        number = text.strip()
        wrong = ""
        if not dial:
            wrong = "names no dial"
        elif not number:
            wrong = f"gives the {dial} no number"
        elif not (number.isascii() and number.isdecimal()) or int(number) < 1:
            wrong = f"gives the {dial} {number!r}, which is not a whole number of at least 1"
        elif dial in found:
            wrong = f"gives the {dial} twice, {found[dial]} and {number}"
        if wrong:
            raise PlanError(
                f"{option} {' '.join(given)} {wrong}. Write a width, e.g. {option} 256, or dials by name, e.g. "
                f"{option} width=256,depth=4."
            )
        found[dial] = int(number)
    return found


def target(given: Sequence[str], option: str) -> dict[str, float]:
    """Read the target of a forecast: positive numbers by name, given at once or one by one.

    Args:
        given: What the user wrote, once per use of the option.
        option: The option, for the message.

    Raises:
        GridError: A number has no name, is not positive, or is given twice.

    Example:
        >>> target(["width=1024,tokens=1e9"], "--to")
        {'width': 1024.0, 'tokens': 1000000000.0}
    """
    found: dict[str, float] = {}
    for part in ",".join(given).split(","):
        name, _, text = (side.strip() for side in part.rpartition("="))
        if not name or name in found:
            wrong = f"names {name} twice" if name else f"has {text!r} without a name"
            raise GridError(f"{option} {' '.join(given)} {wrong}. Write e.g. {option} width=1024,depth=12.")
        found[name] = rate(text, f"{option} {name}", what="number")
    return found
