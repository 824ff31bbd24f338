"""Build the one model that a command looks at, from the user's function of the width or of nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from similitude.core.errors import FactoryError

if TYPE_CHECKING:
    from torch import nn


def build_model(
    make: Callable[..., Any], dials: Mapping[str, int] | None, factory: str, *, seed: int
) -> nn.Module:
    """Build the model, of the size that was given or of none.

    Args:
        make: The function.
        dials: Its size by name of dial; None for a function of nothing.
        factory: What the user calls it, for messages.
        seed: Seed of the initial values.

    Raises:
        FactoryError: The function wants a width and none was given, fails, or returns no model.
    """
    from torch import nn

    from similitude.core.seeding import seeded
    from similitude.scaling.axes import build
    from similitude.scaling.sizes import takes_width

    if dials is not None:
        return build(make, dials, seed=seed)
    if takes_width(make):
        raise FactoryError(f"'{factory}' takes the width. Give --width 64, or --width width=64,depth=4.")
    try:
        with seeded(seed):
            model = make()
    except (Exception, SystemExit) as error:
        raise FactoryError(f"{factory}() failed with {type(error).__name__}: {error}.") from error
    if not isinstance(model, nn.Module):
        raise FactoryError(
            f"{factory}() returned a {type(model).__name__}, not an nn.Module. Return the model itself."
        )
    return model
