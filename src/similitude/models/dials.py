"""What the reference networks share: checks of their dials and the zero head."""

from __future__ import annotations

from torch import nn

from similitude.core.errors import SimilitudeError


class ModelError(SimilitudeError, ValueError):
    """A reference network cannot be built with these dials, or its input has the wrong shape."""


def check_counts(model: str, **counts: int) -> None:
    """Check that every named count is an integer of at least 1.

    Args:
        model: Name of the network, for the message.
        counts: The arguments by name.

    Raises:
        ModelError: A count is not a positive integer.
    """
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(
                f"{model}({name}={value!r}): {name} must be an integer of at least 1. Pass {name}=1 or more."
            )


def check_divides(model: str, whole: str, total: int, part: str, size: int, meaning: str) -> None:
    """Check that `total` is a multiple of `size`.

    Args:
        model: Name of the network, for the message.
        whole: Name of the argument that is divided.
        total: Its value.
        part: Name of the argument that divides it.
        size: Its value, at least 1.
        meaning: What the quotient counts, e.g. "heads".

    Raises:
        ModelError: `total` is not a multiple of `size`; the message names the two nearest multiples.
    """
    if total % size == 0:
        return
    lower = total - total % size
    near = f"{lower} or {lower + size}" if lower else f"{size}"
    raise ModelError(
        f"{model}({whole}={total}, {part}={size}): {total} / {size} = {total / size:.4g} {meaning}, not a "
        f"whole number. Use {whole}={near}, or a {part} that divides {total}."
    )


def zero_(head: nn.Linear) -> None:
    """Set the weight and bias of an output layer to zero, so that the network starts at output 0."""
    nn.init.zeros_(head.weight)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
